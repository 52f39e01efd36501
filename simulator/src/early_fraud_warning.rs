//! Early fraud warnings (<https://docs.stripe.com/api/radar/early_fraud_warnings>): a bank suspects
//! that a charge was made with somebody else's card, and a dispute may follow.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::list;
use crate::state::State;
use crate::table::Record;

/// What a bank can suspect.
const FRAUD_TYPES: [&str; 7] = [
    "card_never_received",
    "fraudulent_card_application",
    "made_with_counterfeit_card",
    "made_with_lost_card",
    "made_with_stolen_card",
    "misc",
    "unauthorized_use_of_card",
];

/// A bank's suspicion.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EarlyFraudWarning {
    id: String,
    created: i64,
    account: Option<String>,
    charge: String,
    payment_intent: String,
    fraud_type: String,
}

/// No bank suspects such a thing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownFraudType;

impl Record for EarlyFraudWarning {
    const NOUN: &'static str = "early fraud warning";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, state: &State) -> Value {
        // A refund of everything keeps a dispute away; a dispute that is there cannot be.
        let charge = state.charges.get(&self.charge);
        let actionable = charge.is_some_and(|charge| {
            charge.disputes.is_empty() && charge.amount_refunded < charge.amount
        });
        json!({
            "id": self.id,
            "object": "radar.early_fraud_warning",
            "actionable": actionable,
            "charge": self.charge,
            "created": self.created,
            "fraud_type": self.fraud_type,
            "livemode": false,
            "payment_intent": self.payment_intent,
        })
    }
}

/// Warns of a charge and gives the id of the warning. None: there is no such charge.
pub(crate) fn warn(
    state: &mut State,
    charge_id: &str,
    fraud_type: &str,
) -> Result<Option<String>, UnknownFraudType> {
    if !FRAUD_TYPES.contains(&fraud_type) {
        return Err(UnknownFraudType);
    }
    let Some(charge) = state.charges.get(charge_id).cloned() else {
        return Ok(None);
    };
    let warning = EarlyFraudWarning {
        id: state.ids.next("issfr_"),
        created: state.now(),
        account: charge.account,
        charge: charge.id,
        payment_intent: charge.payment_intent,
        fraud_type: fraud_type.to_owned(),
    };
    let (id, account) = (warning.id.clone(), warning.account.clone());
    let object = warning.render(state);
    state.early_fraud_warnings.insert(warning);
    let kind = EventKind::RadarEarlyFraudWarningCreated;
    event::emit(state, kind, account.as_deref(), &object);
    Ok(Some(id))
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let warning = state.early_fraud_warnings.find(id, call.account());
    warning
        .map(|warning| warning.render(state))
        .ok_or_else(|| ApiError::no_such(EarlyFraudWarning::NOUN, id, "early_fraud_warning"))
}

/// Filters: `charge`, `payment_intent`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.early_fraud_warnings, |warning| {
        list::matches(&call.form, "charge", Some(&warning.charge))
            && list::matches(&call.form, "payment_intent", Some(&warning.payment_intent))
    })
}
