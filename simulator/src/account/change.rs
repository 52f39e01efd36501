//! What happens to an account from outside: onboarding, restrictions, disconnection.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{APPLICATION, Account, Capability, CapabilityStatus, RequirementError, Requirements};
use crate::event::{self, EventKind};
use crate::state::{Deadline, State};

/// What is still due after an onboarding that left something out.
const LEFT_OUT: &str = "external_account";

/// What the control interface can do to an account. A field that is not given stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccountChange {
    complete: bool,
    deauthorize: bool,
    /// The creator gives the access back.
    authorize: bool,
    /// Without an event.
    silent: bool,
    currently_due: Option<Vec<String>>,
    past_due: Option<Vec<String>>,
    pending_verification: Option<Vec<String>>,
    eventually_due: Option<Vec<String>>,
    errors: Option<Vec<RequirementError>>,
    #[serde(deserialize_with = "given")]
    disabled_reason: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    current_deadline: Option<Option<i64>>,
    charges_enabled: Option<bool>,
    payouts_enabled: Option<bool>,
    /// Of capabilities that were asked for.
    capabilities: BTreeMap<String, CapabilityStatus>,
    /// Whether transfers to it cannot be reversed; nothing else is changed with it.
    refuse_reversals: Option<bool>,
}

/// Tells a field that is null from one that is not given.
fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl Account {
    fn set_capabilities(&mut self, status: CapabilityStatus) {
        for capability in self.capabilities.values_mut() {
            capability.status = status;
        }
    }

    fn enable(&mut self) {
        self.charges_enabled = true;
        self.payouts_enabled = true;
        self.requirements.disabled_reason = None;
        self.set_capabilities(CapabilityStatus::Active);
    }

    fn disable(&mut self, reason: String) {
        self.charges_enabled = false;
        self.payouts_enabled = false;
        self.requirements.disabled_reason = Some(reason);
        self.set_capabilities(CapabilityStatus::Inactive);
    }

    pub(super) fn complete(&mut self) {
        self.details_submitted = true;
        self.business_type.get_or_insert_with(|| "individual".to_owned());
        self.requirements = Requirements::default();
        self.enable();
    }

    fn apply(&mut self, change: AccountChange) {
        if change.complete {
            self.complete();
        }
        let due = &mut self.requirements;
        for (list, changed) in [
            (&mut due.currently_due, change.currently_due),
            (&mut due.past_due, change.past_due),
            (&mut due.pending_verification, change.pending_verification),
            (&mut due.eventually_due, change.eventually_due),
        ] {
            *list = changed.unwrap_or_else(|| std::mem::take(list));
        }
        if let Some(errors) = change.errors {
            due.errors = errors;
        }
        if let Some(deadline) = change.current_deadline {
            due.current_deadline = deadline;
        }
        match change.disabled_reason {
            Some(Some(reason)) => self.disable(reason),
            Some(None) if self.details_submitted => self.enable(),
            Some(None) => self.requirements.disabled_reason = None,
            None => {}
        }
        self.charges_enabled = change.charges_enabled.unwrap_or(self.charges_enabled);
        self.payouts_enabled = change.payouts_enabled.unwrap_or(self.payouts_enabled);
        for (name, status) in change.capabilities {
            if let Some(capability) = self.capabilities.get_mut(&name) {
                capability.status = status;
            }
        }
    }
}

/// Does what the control interface asks for. None: there is no such account.
pub(crate) fn change(state: &mut State, id: &str, change: AccountChange) -> Option<Value> {
    let account = state.accounts.get_mut(id)?;
    if let Some(refuses) = change.refuse_reversals {
        account.refuses_reversals = refuses;
        return state.render(id);
    }
    let silent = change.silent;
    if change.deauthorize || change.authorize {
        account.deauthorized = change.deauthorize;
        let kind = match change.deauthorize {
            true => EventKind::AccountApplicationDeauthorized,
            false => EventKind::AccountApplicationAuthorized,
        };
        if !silent {
            event::emit(state, kind, Some(id), &application());
        }
        return state.render(id);
    }
    let before = account.capabilities.clone();
    account.apply(change);
    if let Some(deadline) = account.requirements.current_deadline {
        state.set_deadline(deadline, Deadline::Require(id.to_owned()));
    }
    if silent {
        return state.render(id);
    }
    let object = announce(state, id);
    announce_capabilities(state, id, &before);
    Some(object)
}

fn application() -> Value {
    json!({ "id": APPLICATION, "object": "application", "name": "simulated platform" })
}

/// What is still due at its deadline is overdue, and the account is disabled.
pub(crate) fn past_deadline(state: &mut State, id: &str) {
    let now = state.now();
    let Some(account) = state.accounts.get(id) else {
        return;
    };
    let due = &account.requirements;
    // The deadline may have been moved since.
    let passed = due.current_deadline.is_some_and(|deadline| deadline <= now);
    if !passed || due.currently_due.is_empty() {
        return;
    }
    let overdue = AccountChange {
        past_due: Some(due.currently_due.clone()),
        current_deadline: Some(None),
        disabled_reason: Some(Some("requirements.past_due".to_owned())),
        ..AccountChange::default()
    };
    change(state, id, overdue);
}

/// Completes the onboarding of an account.
pub(crate) fn complete(state: &mut State, id: &str) {
    let completed = AccountChange { complete: true, ..AccountChange::default() };
    change(state, id, completed);
}

/// Ends the onboarding of an account with something left out.
pub(crate) fn complete_partly(state: &mut State, id: &str) {
    complete_but(state, id, vec![LEFT_OUT.to_owned()]);
}

/// Ends the onboarding of an account with these fields left out.
pub(crate) fn complete_but(state: &mut State, id: &str, left_out: Vec<String>) {
    if left_out.is_empty() {
        return complete(state, id);
    }
    if let Some(account) = state.accounts.get_mut(id) {
        account.details_submitted = true;
    }
    let left_out = AccountChange {
        currently_due: Some(left_out.clone()),
        past_due: Some(left_out),
        disabled_reason: Some(Some("requirements.past_due".to_owned())),
        ..AccountChange::default()
    };
    change(state, id, left_out);
}

/// Emits `account.updated` and gives the object in it.
pub(super) fn announce(state: &mut State, id: &str) -> Value {
    let object = state.render(id).unwrap_or_default();
    event::emit(state, EventKind::AccountUpdated, Some(id), &object);
    object
}

fn announce_capabilities(state: &mut State, id: &str, before: &BTreeMap<String, Capability>) {
    let Some(account) = state.accounts.get(id) else {
        return;
    };
    let changed: Vec<Value> = account
        .capabilities
        .iter()
        .filter(|(name, capability)| before.get(*name) != Some(capability))
        .map(|(name, capability)| account.render_capability(name, capability))
        .collect();
    for object in changed {
        event::emit(state, EventKind::CapabilityUpdated, Some(id), &object);
    }
}
