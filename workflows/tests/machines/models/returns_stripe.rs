//! Stripe's side of one payment by destination charge: its refunds, one dispute, the transfer to the creator and
//! the platform's fee, and what the balances come to.
//!
//! A refund that takes the creator's part back reverses the transfer by its amount, or not at all where nothing is
//! left of it, and the fee goes back in the proportion of all that was reversed, rounded as a whole: so a single
//! part may differ from its own share by a minor unit. A refund that fails brings neither back.

use workflows::{
    effect::{Failure, FeeReturn},
    id::RefundId,
    ledger::Share,
    money::part_of,
    record::GrantKind,
    stripe::{Charge, Dispute, DisputeStatus, Refund, RefundStatus, TransferPart},
};

use crate::{
    examples::failure,
    examples_returns::{asked_for, by_hand, charge, disputed},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stripe {
    /// What was paid, minor units.
    pub paid: i64,
    /// The platform's part of it.
    pub fee: i64,
    /// The oldest first, each with what was reversed with it.
    pub refunds: Vec<(Refund, i64)>,
    pub dispute: Option<Dispute>,
    /// What came back of transfer and fee.
    pub back: Share,
    /// What of it came back for the dispute.
    pub for_dispute: i64,
    /// What the creator got again.
    pub transferred: i64,
    /// What the creator should have got again, and could not.
    pub not_transferred: i64,
}

impl Stripe {
    pub fn new(paid: i64, fee: i64) -> Self {
        Self {
            paid,
            fee,
            refunds: Vec::new(),
            dispute: None,
            back: Share::default(),
            for_dispute: 0,
            transferred: 0,
            not_transferred: 0,
        }
    }

    /// Minor units that the buyer has back, or is to have.
    pub fn given_back(&self) -> i64 {
        let counting = self.refunds.iter().filter(|(refund, _)| refund.status.counts());
        counting.map(|(refund, _)| refund.amount).sum()
    }

    pub fn is(&self, status: RefundStatus) -> bool {
        self.refunds.iter().any(|(refund, _)| refund.status == status)
    }

    pub fn dispute_is(&self, status: DisputeStatus) -> bool {
        self.dispute.as_ref().is_some_and(|dispute| dispute.status == status)
    }

    pub fn refund(
        &mut self,
        asked: Option<RefundId>,
        amount: i64,
        status: RefundStatus,
        part: TransferPart,
    ) -> Result<Refund, Failure> {
        let is_disputed = |dispute: &Dispute| dispute.status.is_open();
        let lost = self.dispute_is(DisputeStatus::Lost);
        if lost || self.dispute.as_ref().is_some_and(is_disputed) {
            return Err(failure("charge_disputed"));
        }
        if amount > self.paid - self.given_back() {
            return Err(failure("charge_already_refunded"));
        }
        let left = self.paid - self.back.reversed;
        let part = if left == 0 { TransferPart::Kept } else { part };
        let reversed = match part {
            TransferPart::Reversed if amount > left => return Err(failure("amount_too_large")),
            TransferPart::Reversed => self.reverse(amount, FeeReturn::Returned),
            TransferPart::Kept => 0,
        };
        let id = format!("re_{}", self.refunds.len() + 1);
        let refund = match asked {
            Some(asked) => asked_for(asked, &id, amount, status),
            None => by_hand(&id, amount, status),
        };
        let refund = Refund { transfer: part, ..refund };
        self.refunds.push((refund.clone(), reversed));
        Ok(refund)
    }

    fn reverse(&mut self, amount: i64, fee: FeeReturn) -> i64 {
        self.back.reversed += amount;
        match fee {
            FeeReturn::Returned => self.back.fee = part_of(self.fee, self.back.reversed, self.paid),
            FeeReturn::NoFee => {}
        }
        amount
    }

    /// For a dispute.
    pub fn reverse_transfer(&mut self, amount: i64, fee: FeeReturn) -> Result<(), Failure> {
        if amount > self.paid - self.back.reversed {
            return Err(failure("amount_too_large"));
        }
        self.for_dispute += self.reverse(amount, fee);
        Ok(())
    }

    pub fn settle_refund(&mut self, nth: usize, status: RefundStatus) {
        let refund = &mut self.refunds[nth].0;
        refund.status = status;
        refund.reason = by_hand(&refund.id, refund.amount, status).reason;
    }

    /// The bank takes, decides, and gives back what is won a little later.
    pub fn dispute(&mut self, status: DisputeStatus) {
        let reinstated = |dispute: Dispute| Dispute { reinstated: 0, fee_reinstated: 0, ..dispute };
        self.dispute = Some(reinstated(disputed(self.paid, status)));
    }

    pub fn reinstate(&mut self) {
        self.dispute = Some(disputed(self.paid, DisputeStatus::Won));
    }

    pub fn charge(&self) -> Charge {
        let refunds = self.refunds.iter().map(|(refund, _)| refund.clone()).collect();
        charge(self.paid, refunds, self.dispute.iter().cloned().collect(), self.back)
    }

    /// What Stripe holds for platform and creator together.
    pub fn holds(&self) -> i64 {
        let succeeded =
            self.refunds.iter().filter(|(refund, _)| refund.status == RefundStatus::Succeeded);
        let refunded: i64 = succeeded.map(|(refund, _)| refund.amount).sum();
        let taken = self.dispute.as_ref().map_or(0, |dispute| {
            dispute.withdrawn + dispute.fee - dispute.reinstated - dispute.fee_reinstated
        });
        self.paid - refunded - taken
    }

    /// What of it is the creator's.
    pub fn connected(&self) -> i64 {
        self.paid - self.fee - self.back.reversed + self.back.fee + self.transferred
    }

    /// What is held for the dispute.
    pub fn held(&self) -> i64 {
        let open = self.dispute.iter().filter(|dispute| dispute.status != DisputeStatus::Lost);
        open.map(|dispute| dispute.withdrawn - dispute.reinstated).sum()
    }

    /// What of the dispute's fee Stripe keeps.
    pub fn kept(&self) -> i64 {
        self.dispute.iter().map(|dispute| dispute.fee - dispute.fee_reinstated).sum()
    }

    /// What the creator owes the platform: what the buyer has and the creator has not lost. Negative, where the
    /// creator has lost what nobody has got.
    pub fn owed(&self) -> i64 {
        let refunds = self.refunds.iter().map(|(refund, reversed)| match refund.status {
            RefundStatus::Succeeded => refund.amount - reversed,
            RefundStatus::Pending => -reversed,
            // It was transferred again.
            RefundStatus::Failed | RefundStatus::Canceled => 0,
        });
        let dispute = self.dispute.iter().map(|dispute| match dispute.status {
            DisputeStatus::Lost => dispute.withdrawn - dispute.reinstated - self.for_dispute,
            DisputeStatus::Won => 0,
            DisputeStatus::Inquiry
            | DisputeStatus::NeedsResponse
            | DisputeStatus::UnderReview
            | DisputeStatus::Closed => -self.for_dispute,
        });
        refunds.chain(dispute).sum::<i64>() - self.not_transferred
    }

    /// Invariant I6: paid, not fully refunded, not lost in a dispute, not revoked, and not disputed now.
    pub fn access(&self, revokes: impl Fn(&Refund) -> bool) -> GrantKind {
        let revoked = |(refund, _): &(Refund, i64)| refund.status.counts() && revokes(refund);
        if self.dispute_is(DisputeStatus::Lost) {
            GrantKind::ChargedBack
        } else if self.given_back() == self.paid {
            GrantKind::Refunded
        } else if self.refunds.iter().any(revoked) {
            GrantKind::Revoked
        } else if self.dispute.as_ref().is_some_and(|dispute| dispute.status.is_open()) {
            GrantKind::Disputed
        } else {
            GrantKind::Paid
        }
    }
}
