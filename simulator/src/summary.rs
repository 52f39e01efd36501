//! `GET /_sim/summary`: what all charges, refunds, disputes, fees, transfers and payouts add up to.
//! It is the truth that a ledger is compared with.

mod sums;

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use sums::summarize;

/// The key of what is for no connected account.
pub const PLATFORM: &str = "platform";

/// Amounts of one currency, by its lower-case name.
pub type ByCurrency = BTreeMap<String, AccountTotals>;

/// Everything, in minor units.
///
/// ```json
/// { "now": 1790000000,
///   "accounts": {
///     "acct_…": { "eur": {
///       "paid": 1250, "refunded": 0, "refunding": 0,
///       "disputed": 0, "dispute_fees": 0, "disputes": { "open": 0, "won": 0, "lost": 0 },
///       "application_fees": { "gross": 125, "refunded": 0, "net": 125 },
///       "transfers": { "gross": 1250, "reversed": 0, "net": 1250 },
///       "processor_fees": 66, "charges": 1, "refunds": 0,
///       "payouts": { "paid": 0, "pending": 0 },
///       "balance": 1125 } },
///     "platform": { } },
///   "platform": { "eur": { …the same, summed over all accounts, and "balance": 59 } },
///   "subscriptions": { "eur": { "paid": 1200, "refunded": 0, "disputed": 0, "dispute_fees": 0,
///       "processor_fees": 65, "invoices": 1 } },
///   "counts": { "accounts": 1, "sessions_open": 0, … } }
/// ```
///
/// For a currency without subscriptions the balance of the platform is
///
/// ```text
///   paid − (refunded − refunding) − processor_fees − disputed − dispute_fees
///   − transfers.net + application_fees.net
///   − payouts.paid − payouts.pending          (of accounts.platform: its own)
/// ```
///
/// and that of a connected account `transfers.net − application_fees.net − payouts.paid −
/// payouts.pending`, if its charges were made on the platform.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The simulator's clock, in seconds since 1970.
    pub now: i64,
    /// By the id of the connected account that a charge was for (its destination, or where it was
    /// made), that a transfer was made to, or that was paid out; or [`PLATFORM`]. Accounts without
    /// any of these are not listed.
    pub accounts: BTreeMap<String, ByCurrency>,
    /// All accounts together. The balance is that of everything, subscriptions included.
    pub platform: ByCurrency,
    /// What invoices of subscriptions brought in, which is in none of the others: the platform's own
    /// revenue.
    pub subscriptions: BTreeMap<String, SubscriptionTotals>,
    /// How many there are of what.
    pub counts: Counts,
}

/// What the charges of one account in one currency add up to, and what became of the money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The successful charges.
    pub paid: i64,
    /// The refunds that neither failed nor were canceled.
    pub refunded: i64,
    /// What of it has not left the balance yet, for lack of funds.
    pub refunding: i64,
    /// Taken back by the banks of buyers, in disputes that are open or were lost.
    pub disputed: i64,
    /// What the processor kept of these disputes.
    pub dispute_fees: i64,
    /// The number of disputes.
    pub disputes: DisputeCounts,
    /// The platform's cut.
    pub application_fees: FeeTotals,
    /// Passed on to the account, by charges and by hand.
    pub transfers: TransferTotals,
    /// What the processor kept of the charges.
    pub processor_fees: i64,
    /// The number of successful charges.
    pub charges: u64,
    /// The number of refunds that neither failed nor were canceled.
    pub refunds: u64,
    /// What was paid out of the account's balance.
    pub payouts: PayoutTotals,
}

/// The sums of an account, or of all of them, and a balance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AccountTotals {
    /// The sums.
    #[serde(flatten)]
    pub totals: Totals,
    /// Available or not: the net of all balance transactions of the connected account; for
    /// [`PLATFORM`] and for the sums over all accounts, of the platform.
    pub balance: i64,
}

/// The number of disputes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DisputeCounts {
    /// Of which nobody knows yet how they end.
    pub open: u64,
    /// That brought the money back.
    pub won: u64,
    /// That did not.
    pub lost: u64,
}

/// What was paid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PayoutTotals {
    /// What arrived.
    pub paid: i64,
    /// What is on its way, pending or in transit.
    pub pending: i64,
}

/// The platform's cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FeeTotals {
    /// What was taken.
    pub gross: i64,
    /// What was given back of it.
    pub refunded: i64,
    /// What is left.
    pub net: i64,
}

/// Passed on to connected accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TransferTotals {
    /// What was passed on.
    pub gross: i64,
    /// What came back of it.
    pub reversed: i64,
    /// What is left.
    pub net: i64,
}

/// What invoices of subscriptions brought in, in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SubscriptionTotals {
    /// The successful charges.
    pub paid: i64,
    /// The refunds of them that neither failed nor were canceled.
    pub refunded: i64,
    /// Taken back in disputes that are open or were lost.
    pub disputed: i64,
    /// What the processor kept of these disputes.
    pub dispute_fees: i64,
    /// What the processor kept.
    pub processor_fees: i64,
    /// The number of invoices that were paid by a charge.
    pub invoices: u64,
}

/// How many there are of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Connected accounts, disconnected ones included.
    pub accounts: usize,
    /// Sessions that can be paid.
    pub sessions_open: usize,
    /// Sessions that were completed, paid or not.
    pub sessions_complete: usize,
    /// Sessions that expired.
    pub sessions_expired: usize,
    /// Payment intents in any state.
    pub payment_intents: usize,
    /// Charges that succeeded.
    pub charges_succeeded: usize,
    /// Charges that failed.
    pub charges_failed: usize,
    /// Refunds on their way.
    pub refunds_pending: usize,
    /// Refunds that succeeded.
    pub refunds_succeeded: usize,
    /// Refunds that failed.
    pub refunds_failed: usize,
    /// Refunds that were canceled while they were pending.
    pub refunds_canceled: usize,
    /// Disputes, by status.
    pub disputes: BTreeMap<String, usize>,
    /// Payouts of the platform and of connected accounts, by status.
    pub payouts: BTreeMap<String, usize>,
    /// Subscriptions, by status.
    pub subscriptions: BTreeMap<String, usize>,
    /// Invoices of subscriptions, by status.
    pub invoices: BTreeMap<String, usize>,
    /// Events of the last 30 days of the clock.
    pub events: usize,
    /// Webhooks that are not acknowledged yet.
    pub webhooks_pending: usize,
}
