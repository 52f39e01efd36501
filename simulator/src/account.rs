//! Connected accounts (<https://docs.stripe.com/api/accounts>): created bare, completed by
//! onboarding, restricted or disconnected through the control interface.

mod capability;
mod change;
mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::form::Metadata;
use crate::list::{self, Rest};
use crate::state::State;
use crate::table::Record;

pub(crate) use capability::{list_capabilities, retrieve_capability, update_capability};
pub(crate) use change::{
    AccountChange, change, complete, complete_but, complete_partly, past_deadline,
};

/// The id of the platform's Connect application, as in `account.application.deauthorized`.
pub(crate) const APPLICATION: &str = "ca_SimulatedPlatform";

/// The id of the platform's own account.
const PLATFORM: &str = "acct_SimulatedPlatfo";

/// Where the platform is.
const COUNTRY: &str = "US";

/// What a new account has to provide.
const FIRST_REQUIREMENTS: [&str; 3] = ["business_type", "external_account", "tos_acceptance.date"];

/// Someone whom the platform collects money for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    id: String,
    created: i64,
    kind: String,
    country: String,
    pub(crate) email: Option<String>,
    business_type: Option<String>,
    metadata: Metadata,
    /// Requested capabilities by name.
    capabilities: BTreeMap<String, Capability>,
    charges_enabled: bool,
    payouts_enabled: bool,
    pub(crate) details_submitted: bool,
    pub(crate) deauthorized: bool,
    requirements: Requirements,
    /// A fault for tests: what was transferred to it cannot be taken back.
    #[serde(default)]
    pub(crate) refuses_reversals: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Capability {
    requested_at: i64,
    status: CapabilityStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CapabilityStatus {
    Active,
    Inactive,
    Pending,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Requirements {
    currently_due: Vec<String>,
    past_due: Vec<String>,
    pending_verification: Vec<String>,
    /// Beside those that are due now.
    #[serde(default)]
    eventually_due: Vec<String>,
    #[serde(default)]
    errors: Vec<RequirementError>,
    disabled_reason: Option<String>,
    /// Seconds since 1970.
    current_deadline: Option<i64>,
}

/// Why something that was given was not accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementError {
    code: String,
    reason: String,
    requirement: String,
}

impl Requirements {
    /// What is due now will still be due later.
    fn eventually_due(&self) -> Vec<&String> {
        let later = self.eventually_due.iter().filter(|name| !self.currently_due.contains(name));
        self.currently_due.iter().chain(later).collect()
    }
}

impl Account {
    /// Whether transfers can be made to it.
    fn can_receive_transfers(&self) -> bool {
        self.capabilities
            .get("transfers")
            .is_some_and(|capability| capability.status == CapabilityStatus::Active)
    }

    pub(crate) fn requirements_due(&self) -> &[String] {
        &self.requirements.currently_due
    }

    fn render_requirements(&self) -> Value {
        json!({
            "alternatives": [],
            "current_deadline": self.requirements.current_deadline,
            "currently_due": self.requirements.currently_due,
            "disabled_reason": self.requirements.disabled_reason,
            "errors": self.requirements.errors,
            "eventually_due": self.requirements.eventually_due(),
            "past_due": self.requirements.past_due,
            "pending_verification": self.requirements.pending_verification,
        })
    }
}

impl Record for Account {
    const NOUN: &'static str = "account";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        None
    }

    fn render(&self, _: &State) -> Value {
        let capabilities: BTreeMap<_, _> =
            self.capabilities.iter().map(|(name, capability)| (name, capability.status)).collect();
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": template::business_profile(),
            "business_type": self.business_type,
            "capabilities": capabilities,
            "charges_enabled": self.charges_enabled,
            "controller": template::controller(&self.kind),
            "country": self.country,
            "created": self.created,
            "default_currency": template::default_currency(&self.country),
            "details_submitted": self.details_submitted,
            "email": self.email,
            "external_accounts": list::list(
                Vec::new(),
                Rest::Nothing,
                &format!("/v1/accounts/{}/external_accounts", self.id),
            ),
            "future_requirements": template::no_requirements(),
            "metadata": self.metadata,
            "payouts_enabled": self.payouts_enabled,
            "requirements": self.render_requirements(),
            "settings": template::settings(),
            "tos_acceptance": {
                "date": self.details_submitted.then_some(self.created),
                "ip": null,
                "user_agent": null,
            },
            "type": self.kind,
        })
    }
}

/// The account, if the platform has access to it.
pub(crate) fn accessible<'a>(state: &'a State, id: &str) -> Result<&'a Account, ApiError> {
    let account = state.accounts.get(id).filter(|account| !account.deauthorized);
    account.ok_or_else(|| ApiError::account_invalid(id))
}

/// The account that a parameter names, if the platform has access to it.
pub(crate) fn connected<'a>(
    state: &'a State,
    id: &str,
    param: &str,
) -> Result<&'a Account, ApiError> {
    match state.accounts.get(id) {
        None => Err(ApiError::no_such_reference("destination", id, param)),
        Some(_) => accessible(state, id),
    }
}

/// Refuses an account that money cannot be transferred to.
pub(crate) fn check_receiver(state: &State, id: &str, param: &str) -> Result<(), ApiError> {
    if connected(state, id, param)?.can_receive_transfers() {
        return Ok(());
    }
    let message = "Your destination account needs to have at least one of the following \
                   capabilities enabled: transfers, crypto_transfers, legacy_payments";
    Err(ApiError::refused(message).with_code("insufficient_capabilities_for_transfer"))
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let kind = form.text("type").unwrap_or("express");
    if !["express", "custom", "standard"].contains(&kind) {
        let message =
            format!("Invalid type: must be one of custom, express, or standard, not {kind}");
        return Err(ApiError::invalid("type", message));
    }
    let country = form.text("country").unwrap_or("US").to_ascii_uppercase();
    if country.len() != 2 || !country.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        let message = format!("Country '{country}' is unknown. Try using a 2-character code.");
        return Err(ApiError::invalid("country", message).with_code("country_unsupported"));
    }
    let mut account = Account {
        id: String::new(),
        created: state.now(),
        kind: kind.to_owned(),
        country,
        email: form.owned("email"),
        business_type: form.owned("business_type"),
        metadata: form.metadata("metadata")?,
        capabilities: BTreeMap::new(),
        charges_enabled: false,
        payouts_enabled: false,
        details_submitted: false,
        deauthorized: false,
        requirements: first_requirements(),
        refuses_reversals: false,
    };
    request_capabilities(&mut account, call)?;
    account.id = state.ids.next("acct_");
    let answer = account.render(state);
    state.accounts.insert(account);
    Ok(answer)
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    accessible(state, id).map(|account| account.render(state))
}

/// The account that the caller acts as: a connected one, or the platform's.
pub(crate) fn retrieve_own(state: &State, call: &Call) -> Result<Value, ApiError> {
    if let Some(id) = call.account() {
        return retrieve(state, id);
    }
    let mut platform = Account {
        id: PLATFORM.to_owned(),
        created: 0,
        kind: "standard".to_owned(),
        country: COUNTRY.to_owned(),
        email: None,
        business_type: None,
        metadata: Metadata::new(),
        capabilities: BTreeMap::new(),
        charges_enabled: true,
        payouts_enabled: true,
        details_submitted: true,
        deauthorized: false,
        requirements: Requirements::default(),
        refuses_reversals: false,
    };
    platform.complete();
    Ok(platform.render(state))
}

/// The currency of an account, or of the platform.
pub(crate) fn default_currency(state: &State, id: Option<&str>) -> &'static str {
    let account = id.and_then(|id| state.accounts.get(id));
    template::default_currency(account.map_or(COUNTRY, |account| account.country.as_str()))
}

/// Changes what the platform may change of an account that it does not own: little.
pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    accessible(state, id)?;
    let Some(account) = state.accounts.get_mut(id) else {
        return Err(ApiError::account_invalid(id));
    };
    let mut metadata = account.metadata.clone();
    call.form.merge_metadata("metadata", &mut metadata)?;
    request_capabilities(account, call)?;
    account.metadata = metadata;
    if let Some(email) = call.form.owned("email") {
        account.email = Some(email);
    }
    Ok(change::announce(state, id))
}

pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.accounts, |account| !account.deauthorized)
}

fn request_capabilities(account: &mut Account, call: &Call) -> Result<(), ApiError> {
    let mut requested = Vec::new();
    for (name, _) in call.form.inside("capabilities") {
        if call.form.flag(&format!("capabilities[{name}][requested]"))? == Some(true) {
            requested.push(name.to_owned());
        }
    }
    let status = account.status_of_new_capability();
    for name in requested {
        account
            .capabilities
            .entry(name)
            .or_insert(Capability { requested_at: account.created, status });
    }
    Ok(())
}

fn first_requirements() -> Requirements {
    let due: Vec<String> = FIRST_REQUIREMENTS.map(str::to_owned).to_vec();
    Requirements {
        past_due: due.clone(),
        currently_due: due,
        disabled_reason: Some("requirements.past_due".to_owned()),
        ..Requirements::default()
    }
}
