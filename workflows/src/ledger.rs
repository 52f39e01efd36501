//! The ledger: double entry, append-only, each transaction of one currency and of sum zero.
//!
//! `+` is debit and `−` is credit. With destination charges the buyer's whole amount lands with the
//! platform, the creator's part is transferred on, and the platform's fee comes back
//! (<https://docs.stripe.com/connect/destination-charges>); the account `stripe` is the platform's and the
//! connected balances together. Each constructor in `sale`, `returns`, `dispute` and `payout` is one row of the
//! table of postings.

mod dispute;
mod payout;
mod returns;
mod sale;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{CheckoutId, HandleId, PageId},
    money::Currency,
    timestamp::Timestamp,
};

pub use dispute::{Moved, dispute_lost, dispute_reinstated, dispute_withdrawn};
pub use payout::{payout, payout_failed, platform_payout, platform_payout_failed, written_off};
pub use returns::{
    Share, fee_given_up, fee_returned, fee_taken_again, refund_failed, refunded, reversed,
    transferred_again,
};
pub use sale::{exchanged, paid, plan_invoice, processor_fee};

/// An account of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What Stripe holds, for the platform and the connected accounts together.
    Stripe,
    /// What the platform has earned.
    PlatformFee,
    /// What creators have paid for their plans.
    PlanRevenue,
    /// What the processor has kept.
    ProcessorFee,
    /// What is owed to the creator behind a connected account (`acct_…`).
    Creator(String),
    /// What a creator owes the platform: what could not be taken back from the creator. Negative: what the
    /// platform owes the creator until it is transferred again.
    Due(HandleId),
    /// What Stripe holds while the banks of a creator's buyers dispute it.
    DisputeHold(HandleId),
    /// What Stripe has kept for disputes.
    DisputeFee,
    /// What was paid out to the platform's bank.
    Bank,
    /// Money on its way from one currency to another.
    Exchange,
    /// What the platform has given up.
    WriteOff,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stripe => f.write_str("stripe"),
            Self::PlatformFee => f.write_str("platform_fee"),
            Self::PlanRevenue => f.write_str("plan_revenue"),
            Self::ProcessorFee => f.write_str("processor_fee"),
            Self::Creator(account) => write!(f, "creator:{account}"),
            Self::Due(handle) => write!(f, "due:{handle}"),
            Self::DisputeHold(handle) => write!(f, "dispute_hold:{handle}"),
            Self::DisputeFee => f.write_str("dispute_fee"),
            Self::Bank => f.write_str("bank"),
            Self::Exchange => f.write_str("exchange"),
            Self::WriteOff => f.write_str("write_off"),
        }
    }
}

/// What a transaction is about; earnings are folded by it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// A buyer paid.
    Paid,
    /// A buyer paid something else than was agreed.
    Quarantined,
    /// The processor's fee became known.
    ProcessorFee,
    /// A buyer got money back.
    Refund,
    /// A refund that had succeeded failed after all.
    RefundFailed,
    /// A part of the transfer came back without a refund.
    TransferReversed,
    /// The creator got again what had been taken back for nothing.
    TransferredAgain,
    /// The platform took its fee again, of what came back for nothing, or gave it up once more.
    FeeTakenAgain,
    /// Stripe took a disputed amount.
    DisputeWithdrawn,
    /// A disputed amount came back.
    DisputeReinstated,
    /// A disputed amount is lost.
    DisputeLost,
    /// A creator paid for a plan.
    PlanInvoice,
    /// Money went to a bank.
    Payout,
    /// A payout came back.
    PayoutFailed,
    /// Money was exchanged.
    Exchanged,
    /// The platform gave up what a creator owed.
    WrittenOff,
}

/// One line of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Which account.
    pub account: Account,
    /// Minor units: positive is debit, negative is credit.
    pub amount: i64,
}

/// One posting to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transaction {
    /// Unique: a posting happens once. `paid:pi_…`, `fee:txn_…`, `refund:re_…`, `refund_failed:re_…`,
    /// `reversal:trr_…`, `transfer:tr_…`, `dispute_withdrawn:dp_…`,
    /// `payout:po_…`, `plan_invoice:in_…` …
    pub key: String,
    /// What it is about.
    pub kind: Kind,
    /// Of every entry.
    pub currency: Currency,
    /// What it belongs to.
    pub about: About,
    /// The Stripe object that explains it.
    pub stripe_object: String,
    /// When a part of the creator's money can be paid out, where this posting says so.
    pub available: Option<Available>,
    /// They sum to zero.
    pub entries: Vec<Entry>,
}

/// What a transaction belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A sale of a creator's: it counts among the creator's earnings.
    Sale(Sale),
    /// The plan of a handle: the platform's own business, no earnings of the creator's.
    Plan(HandleId),
    /// The balance of a creator's as a whole: a payout, a debt written off.
    Balance(HandleId),
    /// The platform's own balance: no handle's business.
    Platform,
}

/// Money of the creator's that can be paid out from a moment on. Negative where a refund takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Available {
    /// From when.
    pub at: Timestamp,
    /// Minor units.
    pub amount: i64,
}

/// The dimensions of a sale that every posting of it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sale {
    /// The purchase.
    pub checkout: CheckoutId,
    /// The creator.
    pub handle: HandleId,
    /// What was sold.
    pub page: PageId,
    /// Through which campaign.
    pub campaign: Option<String>,
    /// The connected account that was paid: reversals post against this one, whatever comes later.
    pub account: String,
    /// What the buyer was to pay, minor units.
    pub amount: i64,
    /// The platform's part of it, minor units.
    pub fee: i64,
    /// Of both.
    pub currency: Currency,
}

/// Entries of zero are left out: a fee of nothing is no posting.
fn entries<const N: usize>(lines: [(Account, i64); N]) -> Vec<Entry> {
    lines
        .into_iter()
        .filter(|(_, amount)| *amount != 0)
        .map(|(account, amount)| Entry { account, amount })
        .collect()
}

impl Sale {
    /// The sale, for postings of a payment that was made in another currency than was agreed.
    pub fn paid_in(&self, currency: Currency) -> Self {
        Self { currency, ..self.clone() }
    }
}

impl Transaction {
    /// Whether the entries sum to zero, as they must.
    pub fn is_balanced(&self) -> bool {
        self.entries.iter().map(|entry| i128::from(entry.amount)).sum::<i128>() == 0
    }
}
