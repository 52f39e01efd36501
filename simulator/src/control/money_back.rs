//! What buyers and banks do to payments: refunds in the dashboard, disputes, suspicions.

use std::sync::Arc;

use poem::web::{Data, Path};
use poem::{Body, IntoResponse, Response, handler};
use serde::Deserialize;
use serde_json::Value;

use super::{Refusal, answer, as_refusal, check_amount, parse};
use crate::charge::Charge;
use crate::dispute::{self, Dispute, DisputeError, Verdict};
use crate::early_fraud_warning;
use crate::refund::{self, NewRefund, Outcome, Refund, RefundStatus, StatusError};
use crate::shared::Shared;
use crate::state::State;
use crate::table::Record;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RefundRequest {
    amount: Option<i64>,
    reverse_transfer: Option<bool>,
    refund_application_fee: Option<bool>,
}

#[handler]
pub(super) async fn refund_charge(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let request: RefundRequest = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| refund_in_dashboard(state, &id.0, &request)))
}

fn refund_in_dashboard(
    state: &mut State,
    id: &str,
    request: &RefundRequest,
) -> Result<Value, Refusal> {
    let charge = charge_named(state, id)?;
    check_amount(request.amount)?;
    let new = NewRefund {
        amount: request.amount,
        transfer: request.reverse_transfer.into(),
        application_fee: request.refund_application_fee.into(),
        ..NewRefund::default()
    };
    let id = refund::give(state, &charge, new).map_err(as_refusal)?;
    Ok(state.render(&id).unwrap_or_default())
}

#[handler]
pub(super) async fn set_refund_status(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let outcome: Outcome = match parse(body).await {
        Ok(outcome) => outcome,
        Err(refusal) => return refusal.into_response(),
    };
    let result = shared.work(|state| {
        refund::set_status(state, &id.0, outcome).map(|()| state.render(&id.0).unwrap_or_default())
    });
    answer(result.map_err(|error| match error {
        StatusError::NoSuchRefund => Refusal::NotFound { noun: Refund::NOUN, id: id.0 },
        StatusError::Over(RefundStatus::Canceled) => {
            Refusal::Conflict("A canceled refund stays canceled.".to_owned())
        }
        StatusError::Over(_) => Refusal::Conflict("A failed refund stays failed.".to_owned()),
        StatusError::NotPending => {
            Refusal::Conflict("Only a pending refund can be canceled.".to_owned())
        }
    }))
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DisputeRequest {
    amount: Option<i64>,
    reason: String,
}

impl Default for DisputeRequest {
    fn default() -> Self {
        Self { amount: None, reason: "fraudulent".to_owned() }
    }
}

#[handler]
pub(super) async fn dispute_charge(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let request: DisputeRequest = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| {
        let charge = charge_named(state, &id.0)?;
        check_amount(request.amount)?;
        let id = dispute::open(state, &charge, request.amount, &request.reason)
            .map_err(|error| dispute_refusal(error, &charge))?;
        Ok(state.render(&id).unwrap_or_default())
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewRequest {
    #[serde(rename = "status")]
    _status: UnderReview,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnderReview {
    UnderReview,
}

#[handler]
pub(super) async fn review_dispute(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    match parse::<ReviewRequest>(body).await {
        Ok(_) => answer(shared.work(|state| {
            dispute::review(state, &id.0).map_err(|error| dispute_refusal(error, &id.0))?;
            Ok(state.render(&id.0).unwrap_or_default())
        })),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest {
    status: Verdict,
}

#[handler]
pub(super) async fn close_dispute(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let CloseRequest { status } = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| {
        dispute::end(state, &id.0, status).map_err(|error| dispute_refusal(error, &id.0))?;
        Ok(state.render(&id.0).unwrap_or_default())
    }))
}

fn dispute_refusal(error: DisputeError, id: &str) -> Refusal {
    match error {
        DisputeError::NoSuchDispute => Refusal::NotFound { noun: Dispute::NOUN, id: id.to_owned() },
        DisputeError::NothingToDispute => Refusal::Conflict(format!(
            "There is nothing to dispute: charge {id} failed or was refunded."
        )),
        DisputeError::Disputed => {
            Refusal::Conflict(format!("Another dispute of charge {id} is open."))
        }
        DisputeError::UnknownReason => Refusal::BadRequest("unknown reason".to_owned()),
        DisputeError::Closed(_) => Refusal::Conflict(format!("Dispute {id} is closed.")),
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WarningRequest {
    fraud_type: String,
}

impl Default for WarningRequest {
    fn default() -> Self {
        Self { fraud_type: "made_with_stolen_card".to_owned() }
    }
}

#[handler]
pub(super) async fn warn_of_charge(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let request: WarningRequest = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| {
        let charge = charge_named(state, &id.0)?;
        let warning = early_fraud_warning::warn(state, &charge, &request.fraud_type)
            .map_err(|_| Refusal::BadRequest("unknown fraud_type".to_owned()))?;
        Ok(warning.and_then(|id| state.render(&id)).unwrap_or_default())
    }))
}

/// The charge with this id, or the latest one of the payment intent with this id.
fn charge_named(state: &State, id: &str) -> Result<String, Refusal> {
    let latest = state.payment_intents.get(id).and_then(|intent| intent.charges.last());
    let charge = state.charges.get(latest.map_or(id, String::as_str));
    charge
        .map(|charge| charge.id.clone())
        .ok_or_else(|| Refusal::NotFound { noun: Charge::NOUN, id: id.to_owned() })
}
