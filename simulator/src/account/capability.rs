//! Capabilities of accounts (<https://docs.stripe.com/api/capabilities>): asked for, read, and told of in
//! `capability.updated`.

use serde_json::{Value, json};

use super::{Account, Capability, CapabilityStatus, accessible, change, template};
use crate::api::Call;
use crate::error::ApiError;
use crate::list::{self, Rest};
use crate::state::State;

const NOUN: &str = "capability";

impl Account {
    /// The capability object, as in `capability.updated`.
    pub(super) fn render_capability(&self, name: &str, capability: &Capability) -> Value {
        json!({
            "id": name,
            "object": "capability",
            "account": self.id,
            "future_requirements": template::no_requirements(),
            "requested": true,
            "requested_at": capability.requested_at,
            "requirements": self.render_requirements(),
            "status": capability.status,
        })
    }

    /// What a capability is that is asked for now.
    pub(super) fn status_of_new_capability(&self) -> CapabilityStatus {
        match self.details_submitted && self.charges_enabled {
            true => CapabilityStatus::Active,
            false => CapabilityStatus::Inactive,
        }
    }

    fn capability(&self, name: &str) -> Result<Value, ApiError> {
        let capability = self.capabilities.get(name);
        let capability = capability.ok_or_else(|| ApiError::no_such(NOUN, name, "capability"))?;
        Ok(self.render_capability(name, capability))
    }
}

pub(crate) fn list_capabilities(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let account = accessible(state, id)?;
    let all = account.capabilities.iter();
    let all = all.map(|(name, capability)| account.render_capability(name, capability)).collect();
    Ok(list::list(all, Rest::Nothing, &call.path))
}

pub(crate) fn retrieve_capability(state: &State, id: &str, name: &str) -> Result<Value, ApiError> {
    accessible(state, id)?.capability(name)
}

/// Asks for a capability.
pub(crate) fn update_capability(
    state: &mut State,
    call: &Call,
    id: &str,
    name: &str,
) -> Result<Value, ApiError> {
    accessible(state, id)?;
    let now = state.now();
    let Some(account) = state.accounts.get_mut(id) else {
        return Err(ApiError::account_invalid(id));
    };
    if call.form.flag("requested")? == Some(true) && !account.capabilities.contains_key(name) {
        let status = account.status_of_new_capability();
        let capability = Capability { requested_at: now, status };
        account.capabilities.insert(name.to_owned(), capability);
        change::announce(state, id);
    }
    accessible(state, id)?.capability(name)
}
