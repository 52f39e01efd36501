//! What a purchase remembers of what has come back of its payment, and what follows from it.

use serde::{Deserialize, Serialize};

use super::creator::Creator;
use crate::{
    effect::TransferReturn,
    id::RefundId,
    reading::Reading,
    record::{GrantKind, RefundReason},
    refund::{AccessAfter, Rejection, Wish},
    stripe::{DisputeStatus, Payment, RefundStatus},
    timestamp::Timestamp,
};

/// Refunds, disputes, and what became of the creator's part because of them. Empty for most purchases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Returns {
    /// Set aside for refunds that are not known to be at Stripe yet.
    pub reserved: Vec<Reservation>,
    /// Refunds at Stripe, as they were last read.
    pub refunds: Vec<KnownRefund>,
    /// Disputes, as they were last read.
    pub disputes: Vec<KnownDispute>,
    /// What was passed on to the creator, and what came back of it.
    pub creator: Creator,
    /// On what grounds the purchase gives access, or does not.
    pub access: Access,
    /// Why it never did, where it was paid as agreed.
    #[serde(skip_serializing_if = "Withheld::is_duplicate")]
    pub withheld: Withheld,
    /// Whether Stripe is being read.
    pub reading: Reading,
    /// How many readings were begun.
    pub readings: u32,
    /// When to look at Stripe next, should no webhook come before.
    pub look_at: Option<Timestamp>,
    /// Other payments of the same purchase, which wait to be given back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherPayment>,
}

/// Another payment of a purchase that was paid already.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OtherPayment {
    /// What was paid.
    pub payment: Payment,
    /// What came back of it.
    pub returns: Returns,
}

/// Money that is set aside for a refund.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// For which.
    pub refund: RefundId,
    /// Minor units.
    pub amount: i64,
    /// What becomes of the access with it.
    pub access: AccessAfter,
    /// Whether the creator's part comes back with it.
    pub transfer: TransferReturn,
    /// Whether it is needed still.
    pub need: Need,
}

/// Whether money that is set aside is needed still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The refund is being made.
    Needed,
    /// The refund was given up: the money is free as soon as a reading shows that it was not made after all.
    GivenUp,
}

/// A refund at Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownRefund {
    /// `re_…`
    pub id: String,
    /// Who asked for it here.
    pub asked: Option<RefundId>,
    /// Minor units.
    pub amount: i64,
    /// As it was last read.
    pub status: RefundStatus,
    /// Whether the creator's part comes back with it, or was left to be.
    pub transfer: TransferReturn,
    /// Whether it is in the ledger.
    pub posting: Posting,
    /// What becomes of the access with it.
    pub access: AccessAfter,
}

/// Whether a refund is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    /// Not yet: the buyer has not got it.
    NotYet,
    /// It is.
    Posted,
    /// Posted, and taken back, since it failed.
    TakenBack,
}

/// A dispute of the payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownDispute {
    /// `dp_…`
    pub id: String,
    /// Minor units that were taken from the platform.
    pub withdrawn: i64,
    /// Minor units of it that came back.
    pub reinstated: i64,
    /// As it was last read.
    pub status: DisputeStatus,
}

/// Whether a purchase gives access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It does.
    #[default]
    Given,
    /// It would, and no longer does.
    Ended(GrantKind),
    /// It never did: a duplicate, or not what was agreed.
    Never,
}

/// Why a purchase that was paid as agreed gave no access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// Another purchase holds it.
    #[default]
    Duplicate,
    /// The visitor has withdrawn the interest that it needs.
    InterestWithdrawn,
}

impl Withheld {
    fn is_duplicate(&self) -> bool {
        *self == Self::Duplicate
    }

    /// A short code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::InterestWithdrawn => "interest_withdrawn",
        }
    }

    /// The same, where it could not be given back.
    pub fn code_not_refunded(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate_not_refunded",
            Self::InterestWithdrawn => "interest_withdrawn_not_refunded",
        }
    }

    /// Why it is given back.
    pub fn refund_reason(self) -> RefundReason {
        match self {
            Self::Duplicate => RefundReason::Duplicate,
            Self::InterestWithdrawn => RefundReason::InterestWithdrawn,
        }
    }
}

impl KnownDispute {
    /// Whether the bank has taken money for good. What moved in another currency is not counted here.
    fn is_lost(&self) -> bool {
        self.status == DisputeStatus::Lost
            && (self.withdrawn == 0 || self.withdrawn > self.reinstated)
    }
}

impl Returns {
    /// When to look at Stripe next, for whichever payment.
    pub fn next_look(&self) -> Option<Timestamp> {
        let others = self.others.iter().filter_map(|other| other.returns.next_look());
        others.chain(self.look_at).min()
    }

    /// Whether there is nothing to remember.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Nothing has come back, and no access was given. So it was with all that version 1 gave back, which
    /// kept nothing of this.
    pub fn without_access() -> Self {
        Self { access: Access::Never, ..Self::default() }
    }

    /// Minor units that the buyer has back, or is to have.
    pub fn refunded(&self) -> i64 {
        self.refunds.iter().filter(|one| one.status.counts()).map(|one| one.amount).sum()
    }

    /// Minor units that can still be given back of a payment.
    pub fn refundable(&self, paid: i64) -> i64 {
        let reserved: i64 = self.reserved.iter().map(|one| one.amount).sum();
        let lost = self.disputes.iter().filter(|one| one.status == DisputeStatus::Lost);
        let lost: i64 = lost.map(|one| one.withdrawn - one.reinstated).sum();
        // How much was taken in another currency is not known: nothing more is given back of that.
        let elsewhere = |one: &KnownDispute| one.is_lost() && one.withdrawn == 0;
        match self.disputes.iter().any(elsewhere) {
            true => 0,
            false => (paid - self.refunded() - reserved - lost).max(0),
        }
    }

    /// Whether the buyer's bank has not decided yet.
    pub fn is_disputed(&self) -> bool {
        self.disputes.iter().any(|one| one.status.is_open())
    }

    /// Whether the buyer's bank has taken money for good.
    pub fn is_charged_back(&self) -> bool {
        self.disputes.iter().any(KnownDispute::is_lost)
    }

    /// Whether the last cent is back, or on its way.
    pub fn is_refunded_in_full(&self, paid: i64) -> bool {
        self.refunded() >= paid
    }

    /// On what grounds a purchase that was granted gives access, or does not: what was lost in a dispute, given
    /// back to the last cent, or taken away gives none, nor does what is disputed still.
    pub fn grounds(&self, paid: i64) -> GrantKind {
        let revoked = |one: &KnownRefund| one.status.counts() && one.access == AccessAfter::Revoked;
        if self.is_charged_back() {
            GrantKind::ChargedBack
        } else if self.is_refunded_in_full(paid) {
            GrantKind::Refunded
        } else if self.refunds.iter().any(revoked) {
            GrantKind::Revoked
        } else if self.is_disputed() {
            GrantKind::Disputed
        } else {
            GrantKind::Paid
        }
    }

    /// What can be given back for a wish: so many minor units, or all that is left. Of a payment of `paid`, and
    /// only if what is left is what was `expected`.
    pub fn judge(
        &self,
        paid: i64,
        wanted: Option<i64>,
        expected: Option<i64>,
    ) -> Result<i64, Rejection> {
        let refundable = self.refundable(paid);
        if self.is_disputed() {
            return Err(Rejection::DisputeOpen);
        }
        if expected.is_some_and(|expected| expected != refundable) {
            return Err(Rejection::Changed { refundable });
        }
        let amount = wanted.unwrap_or(refundable);
        if amount <= 0 || amount > refundable {
            return Err(Rejection::ExceedsRefundable { refundable });
        }
        Ok(amount)
    }

    /// Sets money aside for a wish, or says why not. The purchase is the only judge: whatever was wished for
    /// at the same time has been set aside before, or will be after.
    pub fn reserve(&mut self, paid: i64, wish: &Wish) -> Result<i64, Rejection> {
        if let Some(aside) = self.reservation(wish.refund) {
            return Ok(aside.amount);
        }
        let amount = self.judge(paid, wish.amount, wish.expected)?;
        self.set_aside(paid, wish.refund, amount, wish.access);
        Ok(amount)
    }

    /// Sets so much of a payment of `paid` aside.
    pub(super) fn set_aside(
        &mut self,
        paid: i64,
        refund: RefundId,
        amount: i64,
        access: AccessAfter,
    ) {
        let transfer = match self.creator.left_with_charge(paid) - self.to_come_back() >= amount {
            true => TransferReturn::Returned,
            false => TransferReturn::Apart,
        };
        self.reserved.push(Reservation { refund, amount, access, transfer, need: Need::Needed });
    }

    /// Minor units that come back of the charge's transfer with refunds that are set aside.
    pub(super) fn to_come_back(&self) -> i64 {
        let with_it = self.reserved.iter().filter(|one| one.transfer == TransferReturn::Returned);
        with_it.map(|one| one.amount).sum()
    }

    /// What is set aside for a refund.
    pub(super) fn reservation(&self, refund: RefundId) -> Option<&Reservation> {
        self.reserved.iter().find(|one| one.refund == refund)
    }

    /// Minor units that the creator is to lose for a refund or a dispute, if that is decided here: what came back
    /// with a refund by itself is as Stripe reports it.
    pub(super) fn to_lose(&self, cause: &str) -> Option<i64> {
        let refund = self.refunds.iter().find(|one| one.id == cause);
        let dispute = self.disputes.iter().find(|one| one.id == cause);
        match (refund, dispute) {
            (Some(refund), _) if !refund.status.counts() => Some(0),
            (Some(refund), _) => {
                (refund.transfer == TransferReturn::Apart).then_some(refund.amount)
            }
            (None, Some(dispute)) => match dispute.status {
                // What is won stays as it is until the platform has it again.
                DisputeStatus::Won | DisputeStatus::Closed => {
                    (dispute.reinstated >= dispute.withdrawn).then_some(0)
                }
                DisputeStatus::Inquiry
                | DisputeStatus::NeedsResponse
                | DisputeStatus::UnderReview
                | DisputeStatus::Lost => Some(dispute.withdrawn - dispute.reinstated),
            },
            (None, None) => None,
        }
    }

    /// The refund was given up.
    pub fn give_up(&mut self, refund: RefundId) {
        for one in self.reserved.iter_mut().filter(|one| one.refund == refund) {
            one.need = Need::GivenUp;
        }
    }

    /// Whether a refund is pending at Stripe.
    pub fn is_on_its_way_back(&self) -> bool {
        self.refunds.iter().any(|one| one.status == RefundStatus::Pending)
    }

    /// Whether something may happen at Stripe of which a webhook could be lost.
    pub fn is_under_way(&self) -> bool {
        let undecided = |one: &KnownDispute| match one.status {
            DisputeStatus::Inquiry | DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => {
                true
            }
            // What is won and not back yet is on its way.
            DisputeStatus::Won => one.reinstated < one.withdrawn,
            DisputeStatus::Lost | DisputeStatus::Closed => false,
        };
        !self.reserved.is_empty()
            || self.creator.is_under_way()
            || self.is_on_its_way_back()
            || self.disputes.iter().any(undecided)
    }
}
