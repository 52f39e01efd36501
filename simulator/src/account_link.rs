//! Links to onboarding (<https://docs.stripe.com/api/account_links>), good for one visit within
//! minutes, and to the Express dashboard (<https://docs.stripe.com/api/accounts/login_link>).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account;
use crate::api::Call;
use crate::clock::DAY;
use crate::error::ApiError;
use crate::state::State;

/// How long a link can be opened, in seconds.
const LIFETIME: i64 = 5 * 60;

/// A link that has been given out, by the token in its address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountLink {
    pub(crate) account: String,
    pub(crate) refresh_url: String,
    pub(crate) return_url: String,
    expires_at: i64,
    visit: Visit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Visit {
    NotYet,
    Begun,
    Ended,
}

impl AccountLink {
    /// Whether nobody can want it any more, not even to be sent to the refresh address.
    fn is_over(&self, now: i64) -> bool {
        now > self.expires_at + DAY
    }

    /// Opens the link; false if it was opened before or is too old.
    pub(crate) fn begin(&mut self, now: i64) -> bool {
        let fresh = self.visit == Visit::NotYet && now < self.expires_at;
        if fresh {
            self.visit = Visit::Begun;
        }
        fresh
    }

    /// Ends the visit; false if none is under way.
    pub(crate) fn end(&mut self) -> bool {
        let under_way = self.visit == Visit::Begun;
        if under_way {
            self.visit = Visit::Ended;
        }
        under_way
    }
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let id = form.required("account")?;
    let kind = form.required("type")?;
    if !["account_onboarding", "account_update"].contains(&kind) {
        let message = "Invalid type: must be one of account_onboarding or account_update";
        return Err(ApiError::invalid("type", message));
    }
    let refresh_url = form.url("refresh_url")?.ok_or_else(|| ApiError::missing("refresh_url"))?;
    let return_url = form.url("return_url")?.ok_or_else(|| ApiError::missing("return_url"))?;
    account::accessible(state, id)?;
    let now = state.now();
    state.account_links.retain(|_, link| !link.is_over(now));
    let token = state.ids.next("");
    let link = AccountLink {
        account: id.to_owned(),
        refresh_url,
        return_url,
        expires_at: state.now() + LIFETIME,
        visit: Visit::NotYet,
    };
    let answer = json!({
        "object": "account_link",
        "created": state.now(),
        "expires_at": link.expires_at,
        "url": format!("{}/setup/s/{id}/{token}", state.public_url),
    });
    state.account_links.insert(token, link);
    Ok(answer)
}

/// A link to the Express dashboard of an account whose onboarding is complete.
pub(crate) fn create_login(state: &mut State, id: &str) -> Result<Value, ApiError> {
    if !account::accessible(state, id)?.details_submitted {
        let message =
            "Cannot create a login link for an account that has not completed onboarding.";
        return Err(ApiError::refused(message));
    }
    let token = state.ids.next("");
    Ok(json!({
        "object": "login_link",
        "created": state.now(),
        "url": format!("{}/express/{id}/{token}", state.public_url),
    }))
}
