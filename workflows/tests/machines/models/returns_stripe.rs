//! Stripe's side of one payment by destination charge: its refunds, one dispute, the transfers to the creator and
//! the platform's fee, and what the balances come to.
//!
//! A refund that takes the creator's part back reverses the charge's transfer by its amount, and is refused where
//! less is left of it; the fee goes back in the proportion of all that was reversed, rounded as a whole: so a
//! single part may differ from its own share by a minor unit. A refund that fails brings neither back.

use workflows::{
    effect::{Failure, FeeReturn, TransferReturn},
    id::RefundId,
    ledger::Share,
    money::part_of,
    record::GrantKind,
    stripe::{Charge, Dispute, DisputeStatus, Refund, RefundStatus, Transfer},
};

use crate::{
    examples::failure,
    examples_returns::{asked_for, by_hand, charge, disputed, reversal, transfer},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stripe {
    /// What was paid, minor units.
    pub paid: i64,
    /// The platform's part of it.
    pub fee: i64,
    /// The oldest first.
    pub refunds: Vec<Refund>,
    pub dispute: Option<Dispute>,
    /// What the charge passed on by itself.
    pub with_charge: Transfer,
    /// What of the platform's fee went back.
    pub fee_returned: i64,
    /// What the creator got again.
    pub again: Vec<Transfer>,
    /// What the creator should have got again, and could not, with the platform's fee of it.
    pub not_transferred: i64,
}

impl Stripe {
    pub fn new(paid: i64, fee: i64) -> Self {
        Self {
            paid,
            fee,
            refunds: Vec::new(),
            dispute: None,
            with_charge: transfer("tr_1", paid, Vec::new()),
            fee_returned: 0,
            again: Vec::new(),
            not_transferred: 0,
        }
    }

    /// Minor units that the buyer has back, or is to have.
    pub fn given_back(&self) -> i64 {
        let counting = self.refunds.iter().filter(|refund| refund.status.counts());
        counting.map(|refund| refund.amount).sum()
    }

    pub fn is(&self, status: RefundStatus) -> bool {
        self.refunds.iter().any(|refund| refund.status == status)
    }

    pub fn dispute_is(&self, status: DisputeStatus) -> bool {
        self.dispute.as_ref().is_some_and(|dispute| dispute.status == status)
    }

    pub fn refund(
        &mut self,
        asked: Option<RefundId>,
        amount: i64,
        status: RefundStatus,
        part: TransferReturn,
    ) -> Result<Refund, Failure> {
        let is_disputed = |dispute: &Dispute| dispute.status.is_open();
        let lost = self.dispute_is(DisputeStatus::Lost);
        if lost || self.dispute.as_ref().is_some_and(is_disputed) {
            return Err(failure("charge_disputed"));
        }
        if amount > self.paid - self.given_back() {
            return Err(failure("charge_already_refunded"));
        }
        let id = format!("re_{}", self.refunds.len() + 1);
        if part == TransferReturn::Returned {
            self.reverse("tr_1", amount, FeeReturn::Returned, &id)?;
        }
        let refund = match asked {
            Some(asked) => asked_for(asked, &id, amount, status),
            None => by_hand(&id, amount, status),
        };
        self.refunds.push(refund.clone());
        Ok(refund)
    }

    /// A part of a transfer comes back, with its part of the fee if that is the charge's.
    pub fn reverse(
        &mut self,
        from: &str,
        amount: i64,
        fee: FeeReturn,
        cause: &str,
    ) -> Result<(), Failure> {
        let number = self.transfers().map(|one| one.reversals.len()).sum::<usize>() + 1;
        let all = std::iter::once(&mut self.with_charge).chain(&mut self.again);
        let transfer = all.into_iter().find(|one| one.id == from).expect("a transfer");
        if amount <= 0 || amount > transfer.amount - reversed(transfer) {
            return Err(failure("amount_too_large"));
        }
        transfer.reversals.push(reversal(&format!("trr_{number}"), amount, cause));
        if fee == FeeReturn::Returned {
            assert_eq!(from, "tr_1", "only the charge has a fee");
            self.fee_returned = part_of(self.fee, reversed(&self.with_charge), self.paid);
        }
        Ok(())
    }

    /// Something is passed on again.
    pub fn transfer(&mut self, amount: i64, cause: &str) {
        let id = format!("tr_{}", self.again.len() + 2);
        let cause = Some(cause.to_owned());
        self.again.push(Transfer { cause, ..transfer(&id, amount, Vec::new()) });
    }

    /// What the creator got again.
    pub fn transferred(&self) -> i64 {
        self.again.iter().map(|one| one.amount).sum()
    }

    fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        std::iter::once(&self.with_charge).chain(&self.again)
    }

    pub fn settle_refund(&mut self, nth: usize, status: RefundStatus) {
        let refund = &mut self.refunds[nth];
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
        let disputes = self.dispute.iter().cloned().collect();
        Charge {
            transfer: Some(self.with_charge.clone()),
            again: self.again.clone(),
            fee_returned: self.fee_returned,
            ..charge(self.paid, self.refunds.clone(), disputes, Share::default())
        }
    }

    /// What Stripe holds for platform and creator together.
    pub fn holds(&self) -> i64 {
        let succeeded =
            self.refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
        let refunded: i64 = succeeded.map(|refund| refund.amount).sum();
        let taken = self.dispute.as_ref().map_or(0, |dispute| {
            dispute.withdrawn + dispute.fee - dispute.reinstated - dispute.fee_reinstated
        });
        self.paid - refunded - taken
    }

    /// What of it is the creator's.
    pub fn connected(&self) -> i64 {
        let passed_on: i64 = self.transfers().map(|one| one.amount - reversed(one)).sum();
        passed_on - self.fee + self.fee_returned
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

    /// What the creator has lost for a refund or a dispute, with the platform's fee of it.
    pub fn lost_for(&self, cause: &str) -> i64 {
        let own: i64 = of(&self.with_charge, cause).iter().sum();
        let again = self.again.iter().enumerate().map(|(nth, one)| {
            // The fee follows in proportion.
            let fee = self.whole(nth) - one.amount;
            let so_far = |until: usize| -> i64 {
                one.reversals[..until].iter().map(|back| back.amount).sum()
            };
            let parts = one.reversals.iter().enumerate().map(|(at, back)| {
                if back.cause.as_deref() != Some(cause) {
                    return 0;
                }
                let given_up = |until| part_of(fee, so_far(until), one.amount);
                back.amount + given_up(at + 1) - given_up(at)
            });
            parts.sum::<i64>()
        });
        own + again.sum::<i64>()
    }

    /// What a transfer that was made later passes on, with the platform's fee of it: all that had come back.
    fn whole(&self, nth: usize) -> i64 {
        let cause = self.again[nth].cause.as_deref().unwrap_or_default();
        let before = Self { again: self.again[..nth].to_vec(), ..self.clone() };
        before.lost_for(cause)
    }

    /// What the creator owes the platform: what the buyer has and the creator has not lost. Negative, where the
    /// creator has lost what nobody has got.
    pub fn owed(&self) -> i64 {
        let refunds = self.refunds.iter().map(|refund| match refund.status {
            RefundStatus::Succeeded => refund.amount - self.lost_for(&refund.id),
            RefundStatus::Pending => -self.lost_for(&refund.id),
            // It was transferred again.
            RefundStatus::Failed | RefundStatus::Canceled => 0,
        });
        let dispute = self.dispute.iter().map(|dispute| match dispute.status {
            DisputeStatus::Lost => dispute.withdrawn - dispute.reinstated - self.lost_for("dp_1"),
            DisputeStatus::Won if dispute.reinstated == dispute.withdrawn => 0,
            DisputeStatus::Won
            | DisputeStatus::Inquiry
            | DisputeStatus::NeedsResponse
            | DisputeStatus::UnderReview => -self.lost_for("dp_1"),
            DisputeStatus::Closed => 0,
        });
        refunds.chain(dispute).sum::<i64>() - self.not_transferred
    }

    /// Invariant I6: paid, not fully refunded, not lost in a dispute, not revoked, and not disputed now.
    pub fn access(&self, revokes: impl Fn(&Refund) -> bool) -> GrantKind {
        let revoked = |refund: &Refund| refund.status.counts() && revokes(refund);
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

/// What came back of a transfer for a refund or a dispute.
fn of(transfer: &Transfer, cause: &str) -> Vec<i64> {
    let reversals = transfer.reversals.iter();
    reversals.filter(|one| one.cause.as_deref() == Some(cause)).map(|one| one.amount).collect()
}

/// What came back of a transfer.
pub fn reversed(transfer: &Transfer) -> i64 {
    transfer.reversals.iter().map(|one| one.amount).sum()
}
