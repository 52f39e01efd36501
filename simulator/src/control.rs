//! `/_sim`: what a buyer, a bank, a clock or bad luck would do. JSON in, JSON out; no key is
//! needed. An error is `{"error": {"message": "…"}}` with status 400, 404 or 409.
//!
//! ```text
//! POST /_sim/accounts/{id}
//!      {"complete": true} | {"deauthorize": true} | {"authorize": true}
//!      | {"currently_due": [..], "past_due": [..], "pending_verification": [..],
//!         "eventually_due": [..], "errors": [{"requirement": .., "code": .., "reason": ..}],
//!         "disabled_reason": "requirements.past_due" | null, "current_deadline": seconds | null,
//!         "charges_enabled": bool, "payouts_enabled": bool,
//!         "capabilities": {"transfers": "active" | "inactive" | "pending"}}
//!      | {"refuse_reversals": bool}  by itself, and no event tells of it: whether reversals of
//!      transfers to it, made by hand, are refused with `balance_insufficient`
//!      what is not given stays; with "silent": true no event tells of it. What is due at its
//!      deadline is overdue then, and disables the account.      → the account
//! POST /_sim/checkout/sessions/{id}/pay      in subscription mode: paid, declined, expired
//!      {"outcome": "paid" | "declined" | "expired"
//!                  | "delayed" | "delayed_succeeds" | "delayed_fails",
//!       "amount"?: minor units, "currency"?: "eur", "email"?: "a@b.test"}
//!      → {"session": {..}, "payment_intent": "pi_…" | null}
//! POST /_sim/charges/{id}/refund             {id}: of a charge, or of a payment intent
//!      {"amount"?: n, "reverse_transfer"?: bool, "refund_application_fee"?: bool}
//!      a refund made in the dashboard                           → the refund
//! POST /_sim/refunds/{id}
//!      {"status": "pending" | "succeeded" | "failed" | "canceled", "failure_reason"?: ".."}
//!      failed and canceled are for ever; only a pending one can be canceled      → the refund
//! POST /_sim/charges/{id}/dispute            {id}: of a charge, or of a payment intent
//!      {"amount"?: n, "reason"?: "fraudulent"}
//!      of what is not refunded, if no amount is given; it may be more than the charge
//!                                                               → the dispute
//! POST /_sim/disputes/{id}          {"status": "under_review"}         → the dispute
//! POST /_sim/disputes/{id}/close    {"status": "won" | "lost"}         → the dispute
//! POST /_sim/charges/{id}/early_fraud_warning    {id}: of a charge, or of a payment intent
//!      {"fraud_type"?: "made_with_stolen_card"}                 → the early fraud warning
//! POST /_sim/payouts
//!      {"account"?: "acct_…", "currency": "usd", "amount"?: n}
//!      of the platform, if no account is given; of everything in the balance, available or not, if
//!      no amount is given                                       → the payout, pending
//! POST /_sim/payouts/{id}
//!      {"status": "in_transit" | "paid" | "failed" | "canceled"}
//!      what is paid can still fail; only what is pending can be canceled       → the payout
//! POST /_sim/customers/{id}         {"card": "ok" | "declines" | "none"}    → the customer
//! POST /_sim/subscriptions/{id}
//!      {"status": "active" | "past_due" | "unpaid" | "trialing" | "incomplete" | "canceled"}
//!                                                               → the subscription
//! POST /_sim/clock                  {"advance_seconds": n}      → {"now": seconds}
//!      what is due until then happens on the way: periods end, invoices are collected
//! GET  /_sim/clock                                              → {"now": seconds}
//! PUT  /_sim/faults                 see Faults; {} ends them    → the faults in force
//! GET  /_sim/faults                                             → the faults in force
//! POST /_sim/endpoints
//!      {"platform"?: {"url": .., "secret": ..}, "connect"?: {..}}    one not given gets nothing
//!      → {"platform": url | null, "connect": url | null}
//! GET  /_sim/summary                see Summary
//! ```

mod billing;
mod money_back;
mod payout;

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::{Data, Json, Path};
use poem::{Body, IntoResponse, Response, Route, get, handler, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::{self, AccountChange};
use crate::checkout_session::CheckoutSession;
use crate::config::Endpoints;
use crate::error::ApiError;
use crate::faults::{Faults, Luck};
use crate::money;
use crate::payment::{self, Outcome, Overrides, PayError};
use crate::shared::Shared;
use crate::state::State;
use crate::summary::{self, Summary};
use crate::table::Record;
use crate::webhook_endpoint;

pub(crate) fn routes() -> Route {
    Route::new()
        .at("/accounts/:id", post(change_account))
        .at("/checkout/sessions/:id/pay", post(pay))
        .at("/charges/:id/refund", post(money_back::refund_charge))
        .at("/charges/:id/dispute", post(money_back::dispute_charge))
        .at("/charges/:id/early_fraud_warning", post(money_back::warn_of_charge))
        .at("/disputes/:id", post(money_back::review_dispute))
        .at("/disputes/:id/close", post(money_back::close_dispute))
        .at("/payouts", post(payout::make_payout))
        .at("/payouts/:id", post(payout::set_payout_status))
        .at("/refunds/:id", post(money_back::set_refund_status))
        .at("/customers/:id", post(billing::change_customer))
        .at("/subscriptions/:id", post(billing::change_subscription))
        .at("/clock", get(read_clock).post(advance_clock))
        .at("/faults", get(read_faults).put(set_faults))
        .at("/endpoints", post(set_endpoints))
        .at("/summary", get(read_summary))
}

/// Why a request to the control interface is refused.
#[derive(Debug)]
enum Refusal {
    BadRequest(String),
    NotFound { noun: &'static str, id: String },
    Conflict(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::NotFound { noun, id } => {
                (StatusCode::NOT_FOUND, format!("The simulator has no {noun} {id}."))
            }
            Self::Conflict(message) => (StatusCode::CONFLICT, message),
        };
        Json(json!({ "error": { "message": message } })).with_status(status).into_response()
    }
}

/// The outcome of a handler, as a response.
fn answer(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Reads a JSON body whatever its content type; an empty one is `{}`.
async fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = body.into_bytes().await.map_err(|error| Refusal::BadRequest(error.to_string()))?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| Refusal::BadRequest(error.to_string()))
}

#[handler]
async fn change_account(id: Path<String>, body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let change: AccountChange = match parse(body).await {
        Ok(change) => change,
        Err(refusal) => return refusal.into_response(),
    };
    let changed = shared.work(|state| account::change(state, &id.0, change));
    answer(changed.ok_or(Refusal::NotFound { noun: "account", id: id.0 }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PayRequest {
    outcome: RequestedOutcome,
    amount: Option<i64>,
    currency: Option<String>,
    email: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestedOutcome {
    Paid,
    Declined,
    Delayed,
    DelayedSucceeds,
    DelayedFails,
    Expired,
}

impl From<RequestedOutcome> for Outcome {
    fn from(requested: RequestedOutcome) -> Self {
        match requested {
            RequestedOutcome::Paid => Self::Paid,
            RequestedOutcome::Declined => Self::Declined,
            RequestedOutcome::Delayed => Self::Delayed,
            RequestedOutcome::DelayedSucceeds => Self::DelayedSucceeds,
            RequestedOutcome::DelayedFails => Self::DelayedFails,
            RequestedOutcome::Expired => Self::Expired,
        }
    }
}

#[handler]
async fn pay(id: Path<String>, body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let request: PayRequest = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| pay_session(state, &id.0, request)))
}

fn pay_session(state: &mut State, id: &str, request: PayRequest) -> Result<Value, Refusal> {
    check_amount(request.amount)?;
    let currency = match request.currency {
        None => None,
        Some(name) => Some(money::currency(&name, "currency").map_err(as_refusal)?),
    };
    let overrides = Overrides { amount: request.amount, currency, email: request.email };
    payment::play(state, id, request.outcome.into(), overrides).map_err(|error| match error {
        PayError::NoSuchSession => {
            Refusal::NotFound { noun: CheckoutSession::NOUN, id: id.to_owned() }
        }
        PayError::NotOpen => Refusal::Conflict(format!("Session {id} is not open.")),
        PayError::NotOnItsWay => {
            Refusal::Conflict(format!("Session {id} has no delayed payment on its way."))
        }
        PayError::NotForSubscriptions => {
            Refusal::Conflict("A subscription is paid at once, and as agreed.".to_owned())
        }
    })?;
    let session = state.render(id).unwrap_or_default();
    let payment_intent = session["payment_intent"].clone();
    Ok(json!({ "session": session, "payment_intent": payment_intent }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockRequest {
    advance_seconds: u32,
}

#[handler]
async fn advance_clock(body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let ClockRequest { advance_seconds } = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    let now = shared.work(|state| {
        state.clock.advance(advance_seconds);
        state.catch_up();
        state.now()
    });
    answer(Ok(json!({ "now": now })))
}

#[handler]
async fn read_clock(shared: Data<&Arc<Shared>>) -> Json<Value> {
    Json(json!({ "now": shared.look(|state| state.now()) }))
}

#[handler]
async fn set_faults(body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let faults: Faults = match parse(body).await {
        Ok(faults) => faults,
        Err(refusal) => return refusal.into_response(),
    };
    if let Err(message) = faults.check() {
        return Refusal::BadRequest(message).into_response();
    }
    let faults = shared.look(|state| {
        state.luck = Luck::new(faults, state.ids.seed());
        state.luck.faults().clone()
    });
    Json(faults).into_response()
}

#[handler]
async fn read_faults(shared: Data<&Arc<Shared>>) -> Json<Faults> {
    Json(shared.look(|state| state.luck.faults().clone()))
}

#[handler]
async fn set_endpoints(body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let endpoints: Endpoints = match parse(body).await {
        Ok(endpoints) => endpoints,
        Err(refusal) => return refusal.into_response(),
    };
    let in_force = json!({
        "platform": endpoints.platform.as_ref().map(|endpoint| &endpoint.url),
        "connect": endpoints.connect.as_ref().map(|endpoint| &endpoint.url),
    });
    shared.work(|state| webhook_endpoint::configure_both(state, endpoints));
    Json(in_force).into_response()
}

#[handler]
async fn read_summary(shared: Data<&Arc<Shared>>) -> Json<Summary> {
    Json(shared.look(|state| summary::summarize(state)))
}

fn check_amount(amount: Option<i64>) -> Result<(), Refusal> {
    match amount {
        Some(amount) if amount < 1 => {
            Err(Refusal::BadRequest("amount must be positive".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

fn as_refusal(error: ApiError) -> Refusal {
    let body = error.render();
    let message = body["error"]["message"].as_str().unwrap_or_default();
    Refusal::BadRequest(message.to_owned())
}
