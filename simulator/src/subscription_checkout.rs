//! What happens when somebody pays a checkout session in subscription mode: a customer with a card,
//! a subscription with its first invoice, and `checkout.session.completed` last.

use crate::billing::{self, Attempt};
use crate::card::Bank;
use crate::checkout_session::{self, CheckoutSession, PaymentStatus};
use crate::clock::DAY;
use crate::customer;
use crate::event::EventKind;
use crate::form::Metadata;
use crate::payment;
use crate::state::State;
use crate::subscription::{self, Item, NewSubscription};
use crate::table::Record;

pub(crate) fn pay(state: &mut State, session_id: &str) {
    let Some(customer) = subscriber(state, session_id) else {
        return;
    };
    customer::put_card(state, &customer, Some(Bank::Pays));
    let Some(new) = new_subscription(state, session_id, customer) else {
        return;
    };
    let subscription = subscription::make(state, new);
    let invoice = billing::bill(state, &subscription);
    let Some(session) = state.checkout_sessions.get_mut(session_id) else {
        return;
    };
    session.subscription = Some(subscription);
    session.invoice.clone_from(&invoice);
    // An attempt that was declined has left an intent behind.
    let intent = session.payment_intent.clone();
    let payment_status = match session.amount {
        0 => PaymentStatus::NoPaymentRequired,
        _ => PaymentStatus::Paid,
    };
    if let Some(invoice) = invoice {
        if let Some(invoice) = state.invoices.get_mut(&invoice) {
            invoice.payment_intent = intent;
        }
        billing::collect(state, &invoice, Attempt::Scheduled);
    }
    payment::complete(state, session_id, payment_status);
    checkout_session::announce(state, session_id, EventKind::CheckoutSessionCompleted);
}

/// The customer of the session; one is made if there is none.
fn subscriber(state: &mut State, session_id: &str) -> Option<String> {
    let session = state.checkout_sessions.get(session_id)?;
    if let Some(id) = session.customer.clone() {
        let email = state.customers.get(&id).and_then(|customer| customer.email.clone());
        let session = state.checkout_sessions.get_mut(session_id)?;
        session.buyer_email = session.buyer_email.take().or(email);
        return Some(id);
    }
    let (account, email) =
        (session.account().map(str::to_owned), session.email().map(str::to_owned));
    let id = customer::create_subscriber(state, account.as_deref(), email.as_deref());
    state.checkout_sessions.get_mut(session_id)?.customer = Some(id.clone());
    Some(id)
}

fn new_subscription(
    state: &mut State,
    session_id: &str,
    customer: String,
) -> Option<NewSubscription> {
    let now = state.now();
    let session = state.checkout_sessions.get(session_id)?;
    let data = session.subscription_data.clone();
    let trial_end = data.trial_end.or(data.trial_period_days.map(|days| now + days * DAY));
    let (account, currency) = (session.account().map(str::to_owned), session.currency.clone());
    let bought = bought(session);
    let items = bought.into_iter().map(|(price, quantity)| Item {
        id: state.ids.next("si_"),
        created: now,
        price,
        quantity,
        metadata: Metadata::new(),
    });
    Some(NewSubscription {
        items: items.collect(),
        account,
        customer,
        currency,
        metadata: data.metadata,
        description: data.description,
        trial_end,
    })
}

/// The prices in a session, and how many of each.
fn bought(session: &CheckoutSession) -> Vec<(String, i64)> {
    let items = session.line_items.iter();
    items.filter_map(|item| Some((item.price.clone()?, item.quantity))).collect()
}
