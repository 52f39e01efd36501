//! The collection of invoices, and what becomes of a subscription whose invoice is paid or not.

use crate::card::Bank;
use crate::charge::Decline;
use crate::checkout_session::IntentData;
use crate::clock::DAY;
use crate::event::EventKind;
use crate::invoice::{self, BillingReason, Invoice, InvoiceStatus};
use crate::payment;
use crate::payment_intent::{self, IntentStatus, Method, PaymentIntent};
use crate::state::{Deadline, State};
use crate::subscription::{self, Reason, SubscriptionStatus};

/// How long after a failed payment it is tried again.
const RETRY_AFTER: i64 = 3 * DAY;

/// How often an invoice is tried by schedule, the first time included.
const MAXIMUM_ATTEMPTS: u32 = 4;

/// Why an invoice is collected now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It is time; a failure leads to the next attempt, or to the end.
    Scheduled,
    /// Somebody asked for it; the schedule stays as it is.
    Extra,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collected {
    Paid,
    Declined,
    /// There is nothing to charge.
    NoCard,
}

/// Tries to collect an invoice that is not paid.
pub(crate) fn collect(state: &mut State, id: &str, attempt: Attempt) -> Collected {
    let Some(invoice) = state.invoices.get_mut(id) else {
        return Collected::NoCard;
    };
    let due = invoice.amount_due();
    if due > 0 {
        invoice.attempt_count += 1;
        invoice.retries += u32::from(attempt == Attempt::Scheduled);
    }
    let customer = state.customers.get(&invoice.customer);
    let collected = match customer.and_then(|customer| customer.bank()) {
        _ if due == 0 => Collected::Paid,
        None => Collected::NoCard,
        Some(Bank::Pays) => Collected::Paid,
        Some(Bank::Declines) => Collected::Declined,
    };
    if due > 0 && collected != Collected::NoCard {
        charge(state, id, due, collected);
    }
    match collected {
        Collected::Paid => paid(state, id, due),
        Collected::Declined | Collected::NoCard => not_paid(state, id, attempt),
    }
    collected
}

/// Tries again what is still open when its time has come.
pub(crate) fn collect_again(state: &mut State, id: &str) {
    let due = |invoice: &&Invoice| {
        invoice.status == InvoiceStatus::Open
            && invoice.next_payment_attempt.is_some_and(|instant| instant <= state.now())
            && is_collected(state, invoice)
    };
    if state.invoices.get(id).filter(due).is_some() {
        collect(state, id, Attempt::Scheduled);
    }
}

/// Tries everything of a customer that is open, oldest first.
pub(crate) fn collect_open(state: &mut State, customer: &str) {
    let open: Vec<String> = state
        .invoices
        .iter()
        .filter(|invoice| invoice.customer == customer && invoice.status == InvoiceStatus::Open)
        .filter(|invoice| is_collected(state, invoice))
        .map(|invoice| invoice.id.clone())
        .collect();
    for id in open {
        collect(state, &id, Attempt::Extra);
    }
}

/// Whether an invoice is collected without anybody asking: its subscription goes on.
pub(crate) fn is_collected(state: &State, invoice: &Invoice) -> bool {
    state
        .subscriptions
        .get(&invoice.subscription)
        .is_some_and(|subscription| !subscription.has_ended())
}

/// Lets the bank pay or decline.
fn charge(state: &mut State, invoice_id: &str, amount: i64, collected: Collected) {
    let Some(intent) = intent_of(state, invoice_id, amount) else {
        return;
    };
    if collected == Collected::Declined {
        payment::fail(state, &intent, Decline::of_card());
    } else if let Some(charge) = payment::succeed(state, &intent) {
        payment::pass_on(state, &charge);
    }
}

/// The payment intent of an invoice, made at the first attempt to collect it.
fn intent_of(state: &mut State, invoice_id: &str, amount: i64) -> Option<String> {
    let invoice = state.invoices.get(invoice_id)?;
    if let Some(id) = invoice.payment_intent.clone() {
        let customer = invoice.customer.clone();
        let intent = state.payment_intents.get_mut(&id)?;
        intent.invoice = Some(invoice_id.to_owned());
        intent.customer = Some(customer);
        return Some(id);
    }
    let description = match invoice.reason {
        BillingReason::Create => "Subscription creation",
        BillingReason::Cycle | BillingReason::Update => "Subscription update",
    };
    let intent = PaymentIntent {
        id: state.ids.next("pi_"),
        created: state.clock.now(),
        account: invoice.account.clone(),
        amount,
        currency: invoice.currency.clone(),
        status: IntentStatus::RequiresPaymentMethod,
        method: Method::Card,
        customer: Some(invoice.customer.clone()),
        data: IntentData { description: Some(description.to_owned()), ..IntentData::default() },
        session: None,
        invoice: Some(invoice_id.to_owned()),
        charges: Vec::new(),
        last_decline: None,
        canceled_at: None,
    };
    let id = intent.id.clone();
    state.payment_intents.insert(intent);
    state.invoices.get_mut(invoice_id)?.payment_intent = Some(id.clone());
    payment_intent::announce(state, &id, EventKind::PaymentIntentCreated);
    Some(id)
}

/// A subscription whose latest invoice is paid is as good as new.
fn paid(state: &mut State, id: &str, amount: i64) {
    let now = state.now();
    let Some(invoice) = state.invoices.get_mut(id) else {
        return;
    };
    invoice.status = InvoiceStatus::Paid;
    invoice.amount_paid = amount;
    invoice.paid_at = Some(now);
    invoice.next_payment_attempt = None;
    let subscription = invoice.subscription.clone();
    if let Some(customer) = state.customers.get_mut(&invoice.customer) {
        customer.delinquent = false;
    }
    invoice::announce(state, id, EventKind::InvoicePaid);
    invoice::announce(state, id, EventKind::InvoicePaymentSucceeded);
    let waits_for_this = state.subscriptions.get(&subscription).is_some_and(|subscription| {
        subscription.latest_invoice.as_deref() == Some(id)
            && matches!(
                subscription.status,
                SubscriptionStatus::Incomplete
                    | SubscriptionStatus::PastDue
                    | SubscriptionStatus::Unpaid
            )
    });
    if waits_for_this {
        subscription::become_status(state, &subscription, SubscriptionStatus::Active);
    }
}

fn not_paid(state: &mut State, id: &str, attempt: Attempt) {
    let now = state.now();
    let Some(invoice) = state.invoices.get_mut(id) else {
        return;
    };
    if let Some(customer) = state.customers.get_mut(&invoice.customer) {
        customer.delinquent = true;
    }
    // Somebody has to pay the first invoice, or the subscription expires.
    let is_first = invoice.reason == BillingReason::Create;
    let is_scheduled = attempt == Attempt::Scheduled && !is_first;
    let is_last = is_scheduled && invoice.retries >= MAXIMUM_ATTEMPTS;
    if is_scheduled {
        invoice.next_payment_attempt = (!is_last).then_some(now + RETRY_AFTER);
    }
    let subscription = invoice.subscription.clone();
    if is_scheduled && !is_last {
        state.set_deadline(now + RETRY_AFTER, Deadline::CollectInvoice(id.to_owned()));
    }
    invoice::announce(state, id, EventKind::InvoicePaymentFailed);
    if is_last {
        invoice::close(state, id, InvoiceStatus::Uncollectible);
        subscription::end(state, &subscription, Reason::PaymentFailed);
    } else if is_scheduled {
        fall_behind(state, &subscription);
    }
}

fn fall_behind(state: &mut State, subscription_id: &str) {
    let is_well = state.subscriptions.get(subscription_id).is_some_and(|subscription| {
        matches!(subscription.status, SubscriptionStatus::Active | SubscriptionStatus::Trialing)
    });
    if is_well {
        subscription::become_status(state, subscription_id, SubscriptionStatus::PastDue);
    }
}
