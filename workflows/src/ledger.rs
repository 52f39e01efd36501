//! The ledger: double entry, append-only, each transaction of one currency and of sum zero.
//!
//! `+` is debit and `−` is credit. With destination charges the buyer's whole amount lands with the
//! platform, the creator's part is transferred on, and the platform's fee comes back
//! (<https://docs.stripe.com/connect/destination-charges>); the account `stripe` is the platform's and the
//! connected balances together. Each constructor below is one row of the table of postings.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{CheckoutId, HandleId, PageId},
    money::Currency,
    timestamp::Timestamp,
};

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
    /// What a creator owes the platform.
    Due(HandleId),
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
    /// A creator paid for a plan.
    PlanInvoice,
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
    /// Unique: a posting happens once. `paid:pi_…`, `fee:txn_…`, `refund:re_…`, `plan_invoice:in_…`.
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

/// A buyer paid `gross`: stripe +G, platform_fee −F, creator −(G−F).
pub fn paid(
    sale: &Sale,
    kind: Kind,
    payment_intent: &str,
    gross: i64,
    currency: Currency,
) -> Transaction {
    // A payment of less than the fee cannot happen at Stripe (the fee must fit), but would post balanced.
    let fee = sale.fee.min(gross);
    Transaction {
        key: format!("paid:{payment_intent}"),
        kind,
        currency,
        about: About::Sale(sale.clone()),
        stripe_object: payment_intent.to_owned(),
        available: None,
        entries: entries([
            (Account::Stripe, gross),
            (Account::PlatformFee, -fee),
            (Account::Creator(sale.account.clone()), fee - gross),
        ]),
    }
}

/// The processor kept `fee` of a payment: processor_fee +P, stripe −P. From `available_on` the creator's
/// part of the payment, `net`, can be paid out.
pub fn processor_fee(
    sale: &Sale,
    transaction: &crate::stripe::BalanceTransaction,
    net: i64,
) -> Transaction {
    Transaction {
        key: format!("fee:{}", transaction.id),
        kind: Kind::ProcessorFee,
        currency: transaction.currency,
        about: About::Sale(sale.clone()),
        stripe_object: transaction.id.clone(),
        available: Some(Available { at: transaction.available_on, amount: net }),
        entries: entries([
            (Account::ProcessorFee, transaction.fee),
            (Account::Stripe, -transaction.fee),
        ]),
    }
}

/// A whole payment of `gross` was given back, with its transfer and fee: stripe −r, creator +x,
/// platform_fee +y, where x + y = r.
pub fn refunded_in_full(
    sale: &Sale,
    refund: &str,
    gross: i64,
    currency: Currency,
    at: Timestamp,
) -> Transaction {
    let fee = sale.fee.min(gross);
    Transaction {
        key: format!("refund:{refund}"),
        kind: Kind::Refund,
        currency,
        about: About::Sale(sale.clone()),
        stripe_object: refund.to_owned(),
        available: Some(Available { at, amount: fee - gross }),
        entries: entries([
            (Account::Stripe, -gross),
            (Account::Creator(sale.account.clone()), gross - fee),
            (Account::PlatformFee, fee),
        ]),
    }
}

/// A creator paid an invoice of `invoice.amount` for a plan: stripe +A, plan_revenue −A.
pub fn plan_invoice(handle: HandleId, invoice: &crate::stripe::PaidInvoice) -> Transaction {
    Transaction {
        key: format!("plan_invoice:{}", invoice.id),
        kind: Kind::PlanInvoice,
        currency: invoice.currency,
        about: About::Plan(handle),
        stripe_object: invoice.id.clone(),
        available: None,
        entries: entries([
            (Account::Stripe, invoice.amount),
            (Account::PlanRevenue, -invoice.amount),
        ]),
    }
}

/// Entries of zero are left out: a fee of nothing is no posting.
fn entries<const N: usize>(lines: [(Account, i64); N]) -> Vec<Entry> {
    lines
        .into_iter()
        .filter(|(_, amount)| *amount != 0)
        .map(|(account, amount)| Entry { account, amount })
        .collect()
}

impl Transaction {
    /// Whether the entries sum to zero, as they must.
    pub fn is_balanced(&self) -> bool {
        self.entries.iter().map(|entry| i128::from(entry.amount)).sum::<i128>() == 0
    }
}
