//! What a session is for: one payment, or a subscription, and what may be said about it.

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::form::{Form, Metadata};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionMode {
    #[default]
    Payment,
    Subscription,
}

/// `subscription_data`: what a subscription takes over from the session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SubscriptionData {
    pub(crate) metadata: Metadata,
    pub(crate) description: Option<String>,
    pub(crate) trial_period_days: Option<i64>,
    /// Seconds since 1970.
    pub(crate) trial_end: Option<i64>,
}

impl SubscriptionData {
    pub(super) fn read(form: &Form) -> Result<Self, ApiError> {
        let name = |field: &str| format!("subscription_data[{field}]");
        Ok(Self {
            metadata: form.metadata(&name("metadata"))?,
            description: form.owned(&name("description")),
            trial_period_days: form.positive(&name("trial_period_days"))?,
            trial_end: form.integer(&name("trial_end"))?,
        })
    }

    pub(crate) fn has_trial(&self) -> bool {
        self.trial_period_days.is_some() || self.trial_end.is_some()
    }
}

impl SessionMode {
    /// Reads the mode, and refuses what is only for the other one.
    pub(super) fn read(form: &Form) -> Result<Self, ApiError> {
        let mode = match form.text("mode") {
            Some("payment") => Self::Payment,
            Some("subscription") => Self::Subscription,
            None => return Err(ApiError::missing("mode")),
            Some(other) => {
                let message = format!(
                    "The simulator has no sessions in mode {other}, only payment and subscription."
                );
                return Err(ApiError::invalid("mode", message));
            }
        };
        let (name, foreign) = match mode {
            Self::Payment => ("payment", "subscription_data"),
            Self::Subscription => ("subscription", "payment_intent_data"),
        };
        if form.has_inside(foreign) {
            let message = format!("You can not pass `{foreign}` in `{name}` mode.");
            return Err(ApiError::invalid(foreign, message));
        }
        if mode == Self::Subscription && form.is_given("customer_creation") {
            let message = "`customer_creation` can only be used in `payment` and `setup` mode.";
            return Err(ApiError::invalid("customer_creation", message));
        }
        if form.text("customer").is_some() && form.text("customer_email").is_some() {
            let message = "You may only specify one of these parameters: customer, customer_email.";
            return Err(ApiError::invalid("customer", message));
        }
        Ok(mode)
    }
}
