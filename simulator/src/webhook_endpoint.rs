//! Webhook endpoints (<https://docs.stripe.com/api/webhook_endpoints>), and the two that the
//! simulator is configured with.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::config::{Endpoint, Endpoints};
use crate::error::ApiError;
use crate::form::Metadata;
use crate::list;
use crate::state::State;
use crate::table::Record;

/// The ids of the two configured endpoints.
const PLATFORM: &str = "we_platform";
const CONNECT: &str = "we_connect";

/// Whose events an endpoint receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Audience {
    Platform,
    ConnectedAccounts,
}

/// Where webhooks go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WebhookEndpoint {
    id: String,
    created: i64,
    pub(crate) url: String,
    pub(crate) secret: String,
    audience: Audience,
    enabled_events: Vec<String>,
    description: Option<String>,
    metadata: Metadata,
}

impl WebhookEndpoint {
    /// Whether it wants events of this type and of this account.
    pub(crate) fn wants(&self, kind: &str, account: Option<&str>) -> bool {
        let audience = match account {
            None => Audience::Platform,
            Some(_) => Audience::ConnectedAccounts,
        };
        self.audience == audience
            && self.enabled_events.iter().any(|enabled| enabled == "*" || enabled == kind)
    }
}

impl Record for WebhookEndpoint {
    const NOUN: &'static str = "webhook endpoint";

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
        json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": null,
            "application": null,
            "created": self.created,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": false,
            "metadata": self.metadata,
            "status": "enabled",
            "url": self.url,
        })
    }
}

/// Sets both configured endpoints; None takes one out.
pub(crate) fn configure_both(state: &mut State, endpoints: Endpoints) {
    configure(state, Audience::Platform, endpoints.platform);
    configure(state, Audience::ConnectedAccounts, endpoints.connect);
}

/// Sets the configured endpoint of this audience; None takes it out, and with it what was to be
/// delivered there.
pub(crate) fn configure(state: &mut State, audience: Audience, endpoint: Option<Endpoint>) {
    let id = match audience {
        Audience::Platform => PLATFORM,
        Audience::ConnectedAccounts => CONNECT,
    };
    let Some(Endpoint { url, secret }) = endpoint else {
        state.webhook_endpoints.remove(id);
        return;
    };
    if let Some(known) = state.webhook_endpoints.get_mut(id) {
        known.url = url;
        known.secret = secret;
        return;
    }
    let created = state.now();
    state.webhook_endpoints.insert(WebhookEndpoint {
        id: id.to_owned(),
        created,
        url,
        secret,
        audience,
        enabled_events: vec!["*".to_owned()],
        description: Some("configured at the start of the simulator".to_owned()),
        metadata: Metadata::new(),
    });
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let url = form.url("url")?.ok_or_else(|| ApiError::missing("url"))?;
    let enabled_events = form.list("enabled_events");
    if enabled_events.is_empty() {
        return Err(ApiError::missing("enabled_events"));
    }
    let audience = match form.flag("connect")? {
        Some(true) => Audience::ConnectedAccounts,
        Some(false) | None => Audience::Platform,
    };
    let endpoint = WebhookEndpoint {
        created: state.now(),
        url,
        audience,
        enabled_events: enabled_events.into_iter().map(str::to_owned).collect(),
        description: form.owned("description"),
        metadata: form.metadata("metadata")?,
        secret: state.ids.next("whsec_"),
        id: state.ids.next("we_"),
    };
    let mut answer = endpoint.render(state);
    // Stripe shows the secret in the answer to the creation only.
    answer["secret"] = endpoint.secret.as_str().into();
    state.webhook_endpoints.insert(endpoint);
    Ok(answer)
}

pub(crate) fn retrieve(state: &State, id: &str) -> Result<Value, ApiError> {
    let endpoint = state.webhook_endpoints.get(id);
    endpoint
        .map(|endpoint| endpoint.render(state))
        .ok_or_else(|| ApiError::no_such(WebhookEndpoint::NOUN, id, "webhook_endpoint"))
}

pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.webhook_endpoints, |_| true)
}

pub(crate) fn delete(state: &mut State, id: &str) -> Result<Value, ApiError> {
    match state.webhook_endpoints.remove(id) {
        Some(_) => Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true })),
        None => Err(ApiError::no_such(WebhookEndpoint::NOUN, id, "webhook_endpoint")),
    }
}
