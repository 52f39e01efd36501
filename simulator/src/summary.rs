//! `GET /_sim/summary`: what all charges, refunds, fees and transfers add up to. It is the truth
//! that a ledger is compared with.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::checkout_session::SessionStatus;
use crate::refund::RefundStatus;
use crate::state::State;

/// The key of charges that are for no connected account.
pub const PLATFORM: &str = "platform";

/// Amounts of one currency, by its lower-case name.
pub type ByCurrency = BTreeMap<String, Totals>;

/// Everything, in minor units.
///
/// ```json
/// { "now": 1790000000,
///   "accounts": { "acct_…": { "eur": { "paid": 1250, "refunded": 0, "disputed": 0,
///       "application_fees": { "gross": 125, "refunded": 0, "net": 125 },
///       "transfers": { "gross": 1250, "reversed": 0, "net": 1250 },
///       "processor_fees": 66, "charges": 1, "refunds": 0 } },
///     "platform": { } },
///   "platform": { "eur": { …the same, summed over all accounts, and "balance": 59 } },
///   "subscriptions": { "eur": { "paid": 1200, "refunded": 0, "processor_fees": 65, "invoices": 1 } },
///   "counts": { "accounts": 1, "sessions_open": 0, … } }
/// ```
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The simulator's clock, in seconds since 1970.
    pub now: i64,
    /// By the id of the connected account that a charge was for (its destination, or where it was
    /// made), or [`PLATFORM`]. Accounts without a successful charge are not listed.
    pub accounts: BTreeMap<String, ByCurrency>,
    /// All accounts together. The balance is that of everything, subscriptions included.
    pub platform: BTreeMap<String, PlatformTotals>,
    /// What invoices of subscriptions brought in, which is in none of the others: the platform's own
    /// revenue.
    pub subscriptions: BTreeMap<String, SubscriptionTotals>,
    /// How many there are of what.
    pub counts: Counts,
}

/// What the charges of one account in one currency add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The successful charges.
    pub paid: i64,
    /// The refunds that did not fail.
    pub refunded: i64,
    /// Taken back by the banks of buyers. The simulator has no disputes yet, so it is 0.
    pub disputed: i64,
    /// The platform's cut.
    pub application_fees: FeeTotals,
    /// Passed on to the account.
    pub transfers: TransferTotals,
    /// What the processor kept.
    pub processor_fees: i64,
    /// The number of successful charges.
    pub charges: u64,
    /// The number of refunds that did not fail.
    pub refunds: u64,
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

/// All accounts together, in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlatformTotals {
    /// The sums.
    #[serde(flatten)]
    pub totals: Totals,
    /// The platform's balance: the net of all its balance transactions.
    pub balance: i64,
}

/// What invoices of subscriptions brought in, in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SubscriptionTotals {
    /// The successful charges.
    pub paid: i64,
    /// The refunds of them that did not fail.
    pub refunded: i64,
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
    /// Subscriptions, by status.
    pub subscriptions: BTreeMap<String, usize>,
    /// Invoices of subscriptions, by status.
    pub invoices: BTreeMap<String, usize>,
    /// Events of the last 30 days of the clock.
    pub events: usize,
    /// Webhooks that are not acknowledged yet.
    pub webhooks_pending: usize,
}

/// Adds everything up.
pub(crate) fn summarize(state: &State) -> Summary {
    let mut summary = Summary { now: state.now(), counts: count(state), ..Summary::default() };
    for charge in state.charges.iter().filter(|charge| charge.succeeded()) {
        let totals = totals_of(state, charge);
        if is_of_subscription(state, charge) {
            summary.subscriptions.entry(charge.currency.clone()).or_default().add(&totals);
            continue;
        }
        let account = charge.account.as_deref().or(charge.destination.as_deref());
        let account = summary.accounts.entry(account.unwrap_or(PLATFORM).to_owned()).or_default();
        account.entry(charge.currency.clone()).or_default().add(&totals);
        let platform = summary.platform.entry(charge.currency.clone()).or_default();
        platform.totals.add(&totals);
    }
    for transaction in state.balance_transactions.iter() {
        if crate::table::Record::account(transaction).is_none() {
            let platform = summary.platform.entry(transaction.currency.clone()).or_default();
            platform.balance += transaction.net();
        }
    }
    summary
}

fn is_of_subscription(state: &State, charge: &crate::charge::Charge) -> bool {
    let intent = state.payment_intents.get(&charge.payment_intent);
    intent.is_some_and(|intent| intent.invoice.is_some())
}

fn totals_of(state: &State, charge: &crate::charge::Charge) -> Totals {
    let mut totals = Totals {
        paid: charge.amount,
        refunded: charge.amount_refunded,
        charges: 1,
        ..Totals::default()
    };
    let refunds = charge.refunds.iter().filter_map(|id| state.refunds.get(id));
    totals.refunds = refunds.map(|refund| u64::from(refund.status.counts())).sum();
    let fee = charge.application_fee.as_deref().and_then(|id| state.application_fees.get(id));
    if let Some(fee) = fee {
        totals.application_fees = FeeTotals {
            gross: fee.amount,
            refunded: fee.amount_refunded,
            net: fee.amount - fee.amount_refunded,
        };
    }
    let transfer = charge.transfer.as_deref().and_then(|id| state.transfers.get(id));
    if let Some(transfer) = transfer {
        totals.transfers = TransferTotals {
            gross: transfer.amount,
            reversed: transfer.amount_reversed,
            net: transfer.amount - transfer.amount_reversed,
        };
    }
    let movement = charge.balance_transaction.as_deref();
    let movement = movement.and_then(|id| state.balance_transactions.get(id));
    totals.processor_fees = movement.map_or(0, |movement| movement.fee);
    totals
}

fn count(state: &State) -> Counts {
    let sessions =
        |status| state.checkout_sessions.iter().filter(|session| session.status == status).count();
    let refunds = |status| state.refunds.iter().filter(|refund| refund.status == status).count();
    let succeeded = state.charges.iter().filter(|charge| charge.succeeded()).count();
    Counts {
        accounts: state.accounts.len(),
        sessions_open: sessions(SessionStatus::Open),
        sessions_complete: sessions(SessionStatus::Complete),
        sessions_expired: sessions(SessionStatus::Expired),
        payment_intents: state.payment_intents.len(),
        charges_succeeded: succeeded,
        charges_failed: state.charges.len() - succeeded,
        refunds_pending: refunds(RefundStatus::Pending),
        refunds_succeeded: refunds(RefundStatus::Succeeded),
        refunds_failed: refunds(RefundStatus::Failed),
        subscriptions: by_status(state.subscriptions.iter().map(|one| json!(one.status))),
        invoices: by_status(state.invoices.iter().map(|one| json!(one.status))),
        events: state.events.len(),
        webhooks_pending: state.deliveries.len(),
    }
}

fn by_status(statuses: impl Iterator<Item = Value>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for status in statuses {
        *counts.entry(status.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    counts
}

impl SubscriptionTotals {
    fn add(&mut self, charge: &Totals) {
        self.paid += charge.paid;
        self.refunded += charge.refunded;
        self.processor_fees += charge.processor_fees;
        self.invoices += charge.charges;
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.paid += other.paid;
        self.refunded += other.refunded;
        self.disputed += other.disputed;
        self.application_fees.gross += other.application_fees.gross;
        self.application_fees.refunded += other.application_fees.refunded;
        self.application_fees.net += other.application_fees.net;
        self.transfers.gross += other.transfers.gross;
        self.transfers.reversed += other.transfers.reversed;
        self.transfers.net += other.transfers.net;
        self.processor_fees += other.processor_fees;
        self.charges += other.charges;
        self.refunds += other.refunds;
    }
}
