//! `/_sim/customers` and `/_sim/subscriptions`: the card of a customer, and statuses out of the blue.

use std::sync::Arc;

use poem::web::{Data, Path};
use poem::{Body, IntoResponse, Response, handler};
use serde::Deserialize;
use serde_json::Value;

use super::{Refusal, answer, parse};
use crate::card::Bank;
use crate::customer::{self, Customer};
use crate::shared::Shared;
use crate::state::State;
use crate::subscription::{self, Reason, Subscription, SubscriptionStatus};
use crate::table::Record;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerChange {
    card: RequestedCard,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RequestedCard {
    Ok,
    Declines,
    None,
}

/// Changes the card silently: what is open is tried when its time comes.
#[handler]
pub(super) async fn change_customer(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let change: CustomerChange = match parse(body).await {
        Ok(change) => change,
        Err(refusal) => return refusal.into_response(),
    };
    let bank = match change.card {
        RequestedCard::Ok => Some(Bank::Pays),
        RequestedCard::Declines => Some(Bank::Declines),
        RequestedCard::None => None,
    };
    answer(shared.work(|state| {
        if state.customers.get(&id.0).is_none() {
            return Err(Refusal::NotFound { noun: Customer::NOUN, id: id.0.clone() });
        }
        customer::put_card(state, &id.0, bank);
        Ok(state.render(&id.0).unwrap_or_default())
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionChange {
    status: SubscriptionStatus,
}

#[handler]
pub(super) async fn change_subscription(
    id: Path<String>,
    body: Body,
    shared: Data<&Arc<Shared>>,
) -> Response {
    let change: SubscriptionChange = match parse(body).await {
        Ok(change) => change,
        Err(refusal) => return refusal.into_response(),
    };
    answer(shared.work(|state| set_status(state, &id.0, change.status)))
}

fn set_status(state: &mut State, id: &str, status: SubscriptionStatus) -> Result<Value, Refusal> {
    let known = state
        .subscriptions
        .get(id)
        .ok_or_else(|| Refusal::NotFound { noun: Subscription::NOUN, id: id.to_owned() })?;
    if known.has_ended() {
        return Err(Refusal::Conflict(format!("Subscription {id} has ended.")));
    }
    match status {
        SubscriptionStatus::Canceled => subscription::end(state, id, Reason::Requested),
        SubscriptionStatus::IncompleteExpired => {
            return Err(Refusal::BadRequest(
                "only time makes a subscription incomplete_expired".to_owned(),
            ));
        }
        status => subscription::become_status(state, id, status),
    }
    Ok(state.render(id).unwrap_or_default())
}
