//! What happens to a subscription as time passes and money comes, or does not.
//!
//! ```text
//! what happens        subscription            invoice        events, in this order
//! it begins           incomplete → active     draft → paid   customer.subscription.created,
//!                                                            invoice.created, invoice.finalized,
//!                                                            those of a charge, invoice.paid,
//!                                                            invoice.payment_succeeded,
//!                                                            customer.subscription.updated
//! a period ends       active                  draft → paid   customer.subscription.updated, then the same
//! the card declines   active → past_due       open           invoice.payment_failed,
//!                                                            customer.subscription.updated
//! it is tried again   past_due → active       open → paid    invoice.paid, …
//! the last try fails  past_due → canceled     uncollectible  invoice.payment_failed,
//!                                                            invoice.marked_uncollectible,
//!                                                            customer.subscription.deleted
//! not paid in 23 h    incomplete_expired      void           invoice.voided,
//!                                                            customer.subscription.updated
//! ```
//!
//! Simpler than at Stripe: an invoice is finalized at once and not after an hour, and a failed payment is
//! tried again at even intervals and not when a model thinks best
//! (<https://docs.stripe.com/billing/revenue-recovery/smart-retries>). What happens when the tries are
//! exhausted is a setting at Stripe; here the subscription is canceled and the invoice uncollectible.

mod collection;
mod proration;

use crate::event::EventKind;
use crate::invoice::{self, BillingReason, Invoice, InvoiceStatus, Line, LineKind};
use crate::state::State;
use crate::subscription::{self, Reason, SubscriptionStatus};

pub(crate) use collection::{
    Attempt, Collected, collect, collect_again, collect_open, is_collected,
};
pub(crate) use proration::{Prorate, change_items};

/// Bills the first period, or the trial, and collects it.
pub(crate) fn begin(state: &mut State, subscription_id: &str) {
    if let Some(invoice) = bill(state, subscription_id) {
        collect(state, &invoice, Attempt::Scheduled);
    }
}

/// Bills the first period and leaves it to somebody to pay it, unless there is nothing to pay.
pub(crate) fn begin_unpaid(state: &mut State, subscription_id: &str) {
    if let Some(invoice) = bill(state, subscription_id)
        && state.invoices.get(&invoice).is_some_and(|invoice| invoice.amount_due() == 0)
    {
        collect(state, &invoice, Attempt::Scheduled);
    }
}

/// Makes the first invoice of a subscription.
pub(crate) fn bill(state: &mut State, subscription_id: &str) -> Option<String> {
    let lines = lines_of_period(state, subscription_id);
    make_invoice(state, subscription_id, BillingReason::Create, lines)
}

/// What the present period costs; a trial is free.
fn lines_of_period(state: &mut State, subscription_id: &str) -> Vec<Line> {
    let Some(subscription) = state.subscriptions.get(subscription_id).cloned() else {
        return Vec::new();
    };
    let span = (subscription.period_start, subscription.period_end);
    let free = subscription.status == SubscriptionStatus::Trialing;
    let amount =
        |state: &State, item: &subscription::Item| if free { 0 } else { item.amount(state) };
    subscription
        .items
        .iter()
        .map(|item| {
            let amount = amount(state, item);
            Line::new(state, item, amount, span, LineKind::Period)
        })
        .collect()
}

/// Makes an invoice of these lines and those that were put off until now, and finalizes it.
fn make_invoice(
    state: &mut State,
    subscription_id: &str,
    reason: BillingReason,
    lines: Vec<Line>,
) -> Option<String> {
    let (id, now) = (state.ids.next("in_"), state.now());
    let subscription = state.subscriptions.get_mut(subscription_id)?;
    subscription.latest_invoice = Some(id.clone());
    let pending = std::mem::take(&mut subscription.pending);
    let customer = state.customers.get(&subscription.customer)?;
    let invoice = Invoice {
        id: id.clone(),
        created: now,
        account: subscription.account.clone(),
        number: None,
        customer: subscription.customer.clone(),
        customer_email: customer.email.clone(),
        customer_name: customer.name.clone(),
        subscription: subscription_id.to_owned(),
        subscription_metadata: subscription.metadata.clone(),
        status: InvoiceStatus::Draft,
        reason,
        currency: subscription.currency.clone(),
        lines: pending.into_iter().chain(lines).collect(),
        period_start: subscription.period_start,
        period_end: subscription.period_end,
        starting_balance: customer.balance,
        amount_paid: 0,
        attempt_count: 0,
        retries: 0,
        next_payment_attempt: None,
        payment_intent: None,
        finalized_at: None,
        paid_at: None,
        uncollectible_at: None,
        voided_at: None,
    };
    state.invoices.insert(invoice);
    invoice::announce(state, &id, EventKind::InvoiceCreated);
    finalize(state, &id);
    Some(id)
}

/// Gives an invoice its number, and uses up the customer's credit.
fn finalize(state: &mut State, id: &str) {
    let now = state.now();
    let Some(invoice) = state.invoices.get_mut(id) else {
        return;
    };
    if let Some(customer) = state.customers.get_mut(&invoice.customer) {
        invoice.number = Some(customer.number_invoice());
        customer.balance = invoice.ending_balance();
    }
    invoice.status = InvoiceStatus::Open;
    invoice.finalized_at = Some(now);
    invoice::announce(state, id, EventKind::InvoiceFinalized);
}

/// What is due at the end of a period: the end of the subscription, or the next period.
pub(crate) fn end_period(state: &mut State, subscription_id: &str) {
    let now = state.now();
    let Some(subscription) = state.subscriptions.get_mut(subscription_id) else {
        return;
    };
    let is_due = now >= subscription.period_end && !subscription.has_ended();
    if !is_due || subscription.status == SubscriptionStatus::Incomplete {
        return;
    }
    if subscription.cancel_at_period_end {
        subscription::end(state, subscription_id, Reason::Requested);
        return;
    }
    subscription.period_start = subscription.period_end;
    if subscription.status == SubscriptionStatus::Trialing {
        subscription.status = SubscriptionStatus::Active;
    }
    let is_billed = subscription.status != SubscriptionStatus::Unpaid;
    subscription::retime(state, subscription_id);
    subscription::announce(state, subscription_id, EventKind::CustomerSubscriptionUpdated);
    if is_billed {
        let (reason, lines) = (BillingReason::Cycle, lines_of_period(state, subscription_id));
        if let Some(invoice) = make_invoice(state, subscription_id, reason, lines) {
            collect(state, &invoice, Attempt::Scheduled);
        }
    }
}

/// Ends a subscription whose first invoice was not paid in time.
pub(crate) fn expire_if_incomplete(state: &mut State, subscription_id: &str) {
    let now = state.now();
    let Some(subscription) = state.subscriptions.get_mut(subscription_id) else {
        return;
    };
    if subscription.status != SubscriptionStatus::Incomplete {
        return;
    }
    subscription.ended_at = Some(now);
    let invoice = subscription.latest_invoice.clone();
    if let Some(invoice) = invoice {
        invoice::close(state, &invoice, InvoiceStatus::Void);
    }
    subscription::become_status(state, subscription_id, SubscriptionStatus::IncompleteExpired);
}
