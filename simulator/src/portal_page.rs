//! The billing portal as a plain page: cancel, go on after all, change the plan, change the card.

use std::sync::Arc;

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Data, Form, Path};
use poem::{Route, get, handler};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use crate::billing::{self, Prorate};
use crate::card::Bank;
use crate::customer;
use crate::event::EventKind;
use crate::money;
use crate::pages::Step;
use crate::period::Period;
use crate::portal_session::PortalSession;
use crate::price::Price;
use crate::shared::Shared;
use crate::state::State;
use crate::subscription::{self, Renewal, Subscription};
use crate::table::Record;

pub(crate) fn routes() -> Route {
    Route::new().at("/session/:token", get(show).post(submit))
}

#[derive(Template)]
#[template(path = "portal.html")]
struct Portal {
    customer: String,
    card: &'static str,
    subscriptions: Vec<Shown>,
    invoices: Vec<ShownInvoice>,
    return_url: Option<String>,
}

/// A subscription, for people.
struct Shown {
    id: String,
    plan: String,
    status: String,
    until: String,
    ends: bool,
    others: Vec<Other>,
}

/// A price that could take the place of the present one.
struct Other {
    price: String,
    label: String,
}

struct ShownInvoice {
    number: String,
    status: String,
    amount: String,
}

/// What the customer does: `action` and what it is done to.
#[derive(Debug, Deserialize)]
struct PortalForm {
    action: PortalAction,
    #[serde(default)]
    subscription: String,
    #[serde(default)]
    price: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PortalAction {
    Cancel,
    Resume,
    ChangePlan,
    CardOk,
    CardDeclines,
}

#[handler]
fn show(token: Path<String>, shared: Data<&Arc<Shared>>) -> Step {
    shared.look(|state| match open(state, &token.0) {
        Ok(session) => page(state, &session),
        Err(step) => step,
    })
}

#[handler]
fn submit(token: Path<String>, form: Form<PortalForm>, shared: Data<&Arc<Shared>>) -> Step {
    shared.work(|state| {
        let session = match open(state, &token.0) {
            Ok(session) => session,
            Err(step) => return step,
        };
        act(state, &session, &form.0);
        Step::GoTo(format!("{}/p/session/{}", state.public_url, token.0))
    })
}

fn open(state: &State, token: &str) -> Result<PortalSession, Step> {
    let session = state.portal_sessions.get(token).ok_or_else(Step::not_found)?;
    if session.is_over(state.now()) {
        let text = "This link has expired. Ask for another one where you came from.";
        return Err(Step::notice(StatusCode::GONE, "Billing portal simulator", text));
    }
    Ok(session.clone())
}

/// Does what can be done; anything else changes nothing, and the page shows how things are.
fn act(state: &mut State, session: &PortalSession, form: &PortalForm) {
    match form.action {
        PortalAction::CardOk => change_card(state, &session.customer, Bank::Pays),
        PortalAction::CardDeclines => change_card(state, &session.customer, Bank::Declines),
        PortalAction::Cancel => set_renewal(state, session, form, Renewal::Ends),
        PortalAction::Resume => set_renewal(state, session, form, Renewal::GoesOn),
        PortalAction::ChangePlan => change_plan(state, session, form),
    }
}

/// As at Stripe, a new card is also tried on what is open.
fn change_card(state: &mut State, customer: &str, bank: Bank) {
    customer::put_card(state, customer, Some(bank));
    customer::announce(state, customer, EventKind::CustomerUpdated);
    billing::collect_open(state, customer);
}

fn set_renewal(state: &mut State, session: &PortalSession, form: &PortalForm, renewal: Renewal) {
    let Some(id) = own(state, session, form).map(|known| known.id.clone()) else {
        return;
    };
    subscription::set_renewal(state, &id, renewal);
    subscription::announce(state, &id, EventKind::CustomerSubscriptionUpdated);
}

fn change_plan(state: &mut State, session: &PortalSession, form: &PortalForm) {
    let Some(known) = own(state, session, form).cloned() else {
        return;
    };
    let is_offered = alternatives(state, &known).any(|price| price.id() == form.price);
    if is_offered {
        let items = subscription::replace_price(&known.items, &form.price);
        billing::change_items(state, &known.id, items, Prorate::WithTheNextInvoice);
    }
}

/// The subscription that the form is about, if it is the customer's and goes on.
fn own<'a>(
    state: &'a State,
    session: &PortalSession,
    form: &PortalForm,
) -> Option<&'a Subscription> {
    state
        .subscriptions
        .find(&form.subscription, session.account.as_deref())
        .filter(|known| known.customer == session.customer && !known.has_ended())
}

/// What the customer could have instead.
fn alternatives<'a>(state: &'a State, known: &Subscription) -> impl Iterator<Item = &'a Price> {
    let (account, currency) = (known.account.clone(), known.currency.clone());
    let present = known.items.first().map(|item| item.price.clone());
    state.prices.iter().filter(move |price| {
        price.active
            && price.recurring.is_some()
            && price.account() == account.as_deref()
            && price.currency == currency
            && Some(price.id()) != present.as_deref()
    })
}

fn page(state: &State, session: &PortalSession) -> Step {
    let customer = state.customers.get(&session.customer);
    let mine = |id: &str| id == session.customer;
    let subscriptions = state.subscriptions.iter().filter(|known| mine(&known.customer));
    let invoices = state.invoices.iter().filter(|invoice| mine(&invoice.customer));
    Step::page(&Portal {
        customer: customer
            .and_then(|customer| customer.email.clone())
            .unwrap_or_else(|| session.customer.clone()),
        card: match customer.and_then(customer::Customer::bank) {
            None => "There is no card on file.",
            Some(Bank::Pays) => "The card on file works.",
            Some(Bank::Declines) => "The card on file is declined.",
        },
        subscriptions: subscriptions.map(|known| shown(state, known)).collect(),
        invoices: invoices
            .map(|invoice| ShownInvoice {
                number: invoice.number.clone().unwrap_or_default(),
                status: name_of(&json!(invoice.status)),
                amount: money::display(invoice.amount_due(), &invoice.currency),
            })
            .collect(),
        return_url: session.return_url.clone(),
    })
}

fn shown(state: &State, known: &Subscription) -> Shown {
    let present = known.items.first().and_then(|item| state.prices.get(&item.price));
    let others = alternatives(state, known);
    Shown {
        id: known.id.clone(),
        plan: present.map(|price| label(state, price)).unwrap_or_default(),
        status: name_of(&json!(known.status)),
        until: date(known.ended_at.unwrap_or(known.period_end)),
        ends: known.cancel_at_period_end,
        others: if known.has_ended() {
            Vec::new()
        } else {
            others
                .map(|price| Other { price: price.id().to_owned(), label: label(state, price) })
                .collect()
        },
    }
}

/// A plan, for people: `Pro, 12.00 EUR every month`.
pub(crate) fn label(state: &State, price: &Price) -> String {
    let name = state.products.get(&price.product).map_or("", |product| product.name.as_str());
    let amount = money::display(price.unit_amount, &price.currency);
    match price.recurring {
        None => format!("{name}, {amount}"),
        Some(Period { interval, count: 1 }) => {
            format!("{name}, {amount} every {}", name_of(&json!(interval)))
        }
        Some(Period { interval, count }) => {
            format!("{name}, {amount} every {count} {}s", name_of(&json!(interval)))
        }
    }
}

/// A status or an interval, for people.
fn name_of(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn date(instant: i64) -> String {
    OffsetDateTime::from_unix_timestamp(instant)
        .map_or_else(|_| instant.to_string(), |instant| instant.date().to_string())
}
