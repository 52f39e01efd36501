//! Payouts, as a schedule makes them and as banks answer.

use std::sync::Arc;

use poem::web::{Data, Path};
use poem::{Body, IntoResponse, Response, handler};
use serde::Deserialize;

use super::{Refusal, answer, as_refusal, check_amount, parse};
use crate::money;
use crate::payout::{self, NewPayout, Payout, PayoutError, PayoutStatus};
use crate::shared::Shared;
use crate::table::Record;

#[handler]
pub(super) async fn make_payout(body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let mut new: NewPayout = match parse(body).await {
        Ok(new) => new,
        Err(refusal) => return refusal.into_response(),
    };
    match money::currency(&new.currency, "currency") {
        Ok(currency) => new.currency = currency,
        Err(error) => return as_refusal(error).into_response(),
    }
    let account = new.account.clone().unwrap_or_default();
    answer(shared.work(|state| {
        check_amount(new.amount)?;
        let id = payout::make(state, &new).map_err(|error| refusal(error, &account))?;
        Ok(state.render(&id).unwrap_or_default())
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusRequest {
    status: PayoutStatus,
}

#[handler]
pub(super) async fn set_payout_status(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let StatusRequest { status } = match parse(body).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| {
        payout::set_status(state, &id.0, status).map_err(|error| refusal(error, &id.0))?;
        Ok(state.render(&id.0).unwrap_or_default())
    }))
}

fn refusal(error: PayoutError, id: &str) -> Refusal {
    match error {
        PayoutError::NoSuchAccount => Refusal::NotFound { noun: "account", id: id.to_owned() },
        PayoutError::NoSuchPayout => Refusal::NotFound { noun: Payout::NOUN, id: id.to_owned() },
        PayoutError::Insufficient(funds) => {
            Refusal::Conflict(format!("There is not that much in the balance, but {funds}."))
        }
        PayoutError::CannotBecome(now) => {
            Refusal::Conflict(format!("Payout {id} is {now:?}, and cannot become that."))
        }
    }
}
