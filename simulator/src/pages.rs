//! The pages that Stripe would host, as plain forms: checkout, onboarding, the Express dashboard.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use poem::http::StatusCode;
use poem::web::{Data, Form, Html, Path, Redirect};
use poem::{IntoResponse, Response, Route, get, handler};
use serde::Deserialize;

use crate::account;
use crate::checkout_session::{CheckoutSession, SessionMode, SessionStatus};
use crate::money;
use crate::payment::{self, Outcome, Overrides};
use crate::portal_page;
use crate::shared::Shared;
use crate::state::State;

/// Stripe puts the id of the session in place of this in `success_url`.
const SESSION_PLACEHOLDER: &str = "{CHECKOUT_SESSION_ID}";

pub(crate) fn checkout_routes() -> Route {
    Route::new().at("/pay/:session", get(show_checkout).post(submit_checkout))
}

pub(crate) fn onboarding_routes() -> Route {
    Route::new().at("/s/:account/:token", get(show_onboarding).post(submit_onboarding))
}

pub(crate) fn dashboard_routes() -> Route {
    Route::new().at("/:account/:token", get(show_dashboard))
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage {
    error: Option<&'static str>,
    items: Vec<Item>,
    total: String,
    email: String,
    /// Whether there is a method that takes days.
    delayable: bool,
    cancellable: bool,
}

/// An item, for people.
struct Item {
    quantity: i64,
    name: String,
    price: String,
}

#[derive(Template)]
#[template(path = "onboarding.html")]
struct OnboardingPage {
    account: String,
    due: Vec<String>,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    heading: &'static str,
    text: String,
}

/// A page, or where to go instead.
pub(crate) enum Step {
    Page(StatusCode, Result<String, askama::Error>),
    GoTo(String),
}

impl Step {
    pub(crate) fn page(page: &impl Template) -> Self {
        Self::Page(StatusCode::OK, page.render())
    }

    pub(crate) fn notice(
        status: StatusCode,
        heading: &'static str,
        text: impl Into<String>,
    ) -> Self {
        let notice = Notice { heading, text: text.into() };
        Self::Page(status, notice.render())
    }

    pub(crate) fn not_found() -> Self {
        let text = "The simulator knows nothing of this address.";
        Self::notice(StatusCode::NOT_FOUND, "Not found", text)
    }
}

impl IntoResponse for Step {
    fn into_response(self) -> Response {
        match self {
            Self::Page(status, Ok(html)) => Html(html).with_status(status).into_response(),
            Self::Page(_, Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into(),
            Self::GoTo(url) => Redirect::see_other(url).into_response(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct CheckoutForm {
    action: CheckoutAction,
    #[serde(default)]
    email: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CheckoutAction {
    Pay,
    Decline,
    Delay,
    Cancel,
}

#[derive(Debug, Deserialize)]
struct OnboardingForm {
    action: OnboardingAction,
    /// What was ticked: the names of the fields behind [`TICKED`].
    #[serde(flatten)]
    ticked: HashMap<String, String>,
}

/// What the names of the boxes begin with.
const TICKED: &str = "give:";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnboardingAction {
    /// Everything.
    Complete,
    /// What is ticked.
    Provide,
    /// Everything but the bank account.
    Leave,
}

#[handler]
fn show_checkout(id: Path<String>, shared: Data<&Arc<Shared>>) -> Step {
    shared.look(|state| match state.checkout_sessions.get(&id.0) {
        None => Step::not_found(),
        Some(session) => checkout_page(state, session, None),
    })
}

#[handler]
fn submit_checkout(id: Path<String>, form: Form<CheckoutForm>, shared: Data<&Arc<Shared>>) -> Step {
    shared.work(|state| check_out(state, &id.0, form.0))
}

fn check_out(state: &mut State, id: &str, form: CheckoutForm) -> Step {
    let Some(session) = state.checkout_sessions.get(id) else {
        return Step::not_found();
    };
    if session.status != SessionStatus::Open {
        return checkout_page(state, session, None);
    }
    let outcome = match form.action {
        CheckoutAction::Pay => Outcome::Paid,
        CheckoutAction::Decline => Outcome::Declined,
        CheckoutAction::Delay => Outcome::Delayed,
        CheckoutAction::Cancel => {
            let cancel_url = session.cancel_url.clone();
            return cancel_url.map_or_else(Step::not_found, Step::GoTo);
        }
    };
    let overrides = Overrides {
        email: Some(form.email).filter(|email| !email.is_empty()),
        ..Overrides::default()
    };
    // The session is there and open; what else can be wrong is shown as a decline.
    let _ = payment::play(state, id, outcome, overrides);
    let Some(session) = state.checkout_sessions.get(id) else {
        return Step::not_found();
    };
    match (session.status, &session.success_url) {
        (SessionStatus::Complete, Some(url)) => Step::GoTo(url.replace(SESSION_PLACEHOLDER, id)),
        _ => checkout_page(state, session, Some("Your card was declined. Try another one.")),
    }
}

fn checkout_page(state: &State, session: &CheckoutSession, error: Option<&'static str>) -> Step {
    match session.status {
        SessionStatus::Open => {}
        SessionStatus::Complete => {
            let text = "This checkout has been completed.";
            return Step::notice(StatusCode::OK, "Checkout simulator", text);
        }
        SessionStatus::Expired => {
            let text = "This checkout has expired.";
            return Step::notice(StatusCode::GONE, "Checkout simulator", text);
        }
    }
    let items = session.line_items.iter().map(|item| Item {
        quantity: item.quantity,
        name: match item.price.as_deref().and_then(|id| state.prices.get(id)) {
            Some(price) => portal_page::label(state, price),
            None => item.name.clone(),
        },
        price: money::display(item.unit_amount * item.quantity, &session.currency),
    });
    let customer = session.customer.as_deref().and_then(|id| state.customers.get(id));
    let known_email = customer.and_then(|customer| customer.email.as_deref());
    Step::page(&CheckoutPage {
        error,
        items: items.collect(),
        total: money::display(session.amount, &session.currency),
        email: session.email().or(known_email).unwrap_or_default().to_owned(),
        delayable: session.mode == SessionMode::Payment,
        cancellable: session.cancel_url.is_some(),
    })
}

#[handler]
fn show_onboarding(path: Path<(String, String)>, shared: Data<&Arc<Shared>>) -> Step {
    let Path((account, token)) = path;
    shared.work(|state| {
        let now = state.now();
        let Some(link) = state.account_links.get_mut(&token) else {
            return Step::not_found();
        };
        if link.account != account || !link.begin(now) {
            return Step::GoTo(link.refresh_url.clone());
        }
        match account::accessible(state, &account) {
            Err(_) => Step::not_found(),
            Ok(known) => {
                Step::page(&OnboardingPage { due: known.requirements_due().to_vec(), account })
            }
        }
    })
}

#[handler]
fn submit_onboarding(
    path: Path<(String, String)>,
    form: Form<OnboardingForm>,
    shared: Data<&Arc<Shared>>,
) -> Step {
    let Path((account, token)) = path;
    shared.work(|state| {
        let Some(link) = state.account_links.get_mut(&token) else {
            return Step::not_found();
        };
        if link.account != account || !link.end() {
            return Step::GoTo(link.refresh_url.clone());
        }
        let return_url = link.return_url.clone();
        match form.0.action {
            OnboardingAction::Complete => account::complete(state, &account),
            OnboardingAction::Provide => {
                let left_out = left_out(state, &account, &form.0.ticked);
                account::complete_but(state, &account, left_out);
            }
            OnboardingAction::Leave => account::complete_partly(state, &account),
        }
        Step::GoTo(return_url)
    })
}

/// What is due and was not ticked.
fn left_out(state: &State, account: &str, ticked: &HashMap<String, String>) -> Vec<String> {
    let due = account::accessible(state, account).map(|known| known.requirements_due().to_vec());
    let mut left_out = due.unwrap_or_default();
    left_out.retain(|name| !ticked.contains_key(&format!("{TICKED}{name}")));
    left_out
}

#[handler]
fn show_dashboard(path: Path<(String, String)>, shared: Data<&Arc<Shared>>) -> Step {
    let Path((account, _)) = path;
    shared.look(|state| match account::accessible(state, &account) {
        Err(_) => Step::not_found(),
        Ok(_) => {
            let text = format!("Here {account} would see its balance and payouts.");
            Step::notice(StatusCode::OK, "Express dashboard simulator", text)
        }
    })
}
