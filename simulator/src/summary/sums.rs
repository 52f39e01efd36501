//! The adding up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Counts, FeeTotals, PLATFORM, PayoutTotals, SubscriptionTotals, Summary, Totals, TransferTotals,
};
use crate::balance_transaction::BalanceTransaction;
use crate::charge::Charge;
use crate::checkout_session::SessionStatus;
use crate::dispute::DisputeStatus;
use crate::payout::PayoutStatus;
use crate::refund::RefundStatus;
use crate::state::State;
use crate::table::Record;
use crate::transfer::{Origin, Transfer};

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
        summary.add(account, &charge.currency, &totals);
    }
    for transfer in state.transfers.iter().filter(|transfer| transfer.origin == Origin::Hand) {
        let totals = Totals { transfers: totals_of_transfer(transfer), ..Totals::default() };
        summary.add(Some(&transfer.destination), &transfer.currency, &totals);
    }
    for payout in state.payouts.iter() {
        let payouts = match payout.status {
            PayoutStatus::Paid => PayoutTotals { paid: payout.amount, pending: 0 },
            PayoutStatus::Pending | PayoutStatus::InTransit => {
                PayoutTotals { paid: 0, pending: payout.amount }
            }
            PayoutStatus::Failed | PayoutStatus::Canceled => PayoutTotals::default(),
        };
        let totals = Totals { payouts, ..Totals::default() };
        summary.add(payout.account(), &payout.currency, &totals);
    }
    for transaction in state.balance_transactions.iter() {
        summary.add_to_balance(transaction);
    }
    summary
}

impl Summary {
    fn add(&mut self, account: Option<&str>, currency: &str, totals: &Totals) {
        let account = self.accounts.entry(account.unwrap_or(PLATFORM).to_owned()).or_default();
        account.entry(currency.to_owned()).or_default().totals.add(totals);
        self.platform.entry(currency.to_owned()).or_default().totals.add(totals);
    }

    fn add_to_balance(&mut self, transaction: &BalanceTransaction) {
        let (net, currency) = (transaction.net(), &transaction.currency);
        if transaction.account().is_none() {
            self.platform.entry(currency.clone()).or_default().balance += net;
        }
        let account = transaction.account().unwrap_or(PLATFORM);
        // Not listed is an account without charges, transfers and payouts.
        let totals = self.accounts.get_mut(account).and_then(|account| account.get_mut(currency));
        if let Some(totals) = totals {
            totals.balance += net;
        }
    }
}

fn is_of_subscription(state: &State, charge: &Charge) -> bool {
    let intent = state.payment_intents.get(&charge.payment_intent);
    intent.is_some_and(|intent| intent.invoice.is_some())
}

fn totals_of(state: &State, charge: &Charge) -> Totals {
    let mut totals = Totals {
        paid: charge.amount,
        refunded: charge.amount_refunded,
        charges: 1,
        ..Totals::default()
    };
    for refund in charge.refunds.iter().filter_map(|id| state.refunds.get(id)) {
        if refund.status.counts() {
            totals.refunds += 1;
            totals.refunding += if refund.has_left() { 0 } else { refund.amount };
        }
    }
    for dispute in charge.disputes.iter().filter_map(|id| state.disputes.get(id)) {
        let (counter, taken) = match dispute.status {
            DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => {
                (&mut totals.disputes.open, true)
            }
            DisputeStatus::Lost => (&mut totals.disputes.lost, true),
            DisputeStatus::Won => (&mut totals.disputes.won, false),
        };
        *counter += 1;
        if taken {
            totals.disputed += dispute.amount;
            totals.dispute_fees += dispute.fee;
        }
    }
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
        totals.transfers = totals_of_transfer(transfer);
    }
    let movement = charge.balance_transaction.as_deref();
    let movement = movement.and_then(|id| state.balance_transactions.get(id));
    totals.processor_fees = movement.map_or(0, |movement| movement.fee);
    totals
}

fn totals_of_transfer(transfer: &Transfer) -> TransferTotals {
    TransferTotals {
        gross: transfer.amount,
        reversed: transfer.amount_reversed,
        net: transfer.amount - transfer.amount_reversed,
    }
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
        refunds_canceled: refunds(RefundStatus::Canceled),
        disputes: by_status(state.disputes.iter().map(|one| json!(one.status))),
        payouts: by_status(state.payouts.iter().map(|one| json!(one.status))),
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
        self.disputed += charge.disputed;
        self.dispute_fees += charge.dispute_fees;
        self.processor_fees += charge.processor_fees;
        self.invoices += charge.charges;
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.paid += other.paid;
        self.refunded += other.refunded;
        self.refunding += other.refunding;
        self.disputed += other.disputed;
        self.dispute_fees += other.dispute_fees;
        self.disputes.open += other.disputes.open;
        self.disputes.won += other.disputes.won;
        self.disputes.lost += other.disputes.lost;
        self.application_fees.gross += other.application_fees.gross;
        self.application_fees.refunded += other.application_fees.refunded;
        self.application_fees.net += other.application_fees.net;
        self.transfers.gross += other.transfers.gross;
        self.transfers.reversed += other.transfers.reversed;
        self.transfers.net += other.transfers.net;
        self.processor_fees += other.processor_fees;
        self.charges += other.charges;
        self.refunds += other.refunds;
        self.payouts.paid += other.payouts.paid;
        self.payouts.pending += other.payouts.pending;
    }
}
