//! Billing portal sessions (<https://docs.stripe.com/api/customer_portal/sessions>): a link under which a
//! customer sees and changes what it is subscribed to. The page is in `portal_page`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::customer;
use crate::error::ApiError;
use crate::state::State;

/// How long the page can be used, in seconds.
const LIFETIME: i64 = 3600;

/// The id of the only configuration: everything is allowed.
const CONFIGURATION: &str = "bpc_SimulatedPortalConfigurat";

/// A link that has been given out, by the token in its address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PortalSession {
    pub(crate) account: Option<String>,
    pub(crate) customer: String,
    pub(crate) return_url: Option<String>,
    expires_at: i64,
}

impl PortalSession {
    pub(crate) fn is_over(&self, now: i64) -> bool {
        now >= self.expires_at
    }
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let customer = form.required("customer")?;
    customer::require(state, call.account(), customer)?;
    if let Some(other) = form.text("configuration").filter(|id| *id != CONFIGURATION) {
        let noun = "billing portal configuration";
        return Err(ApiError::no_such_reference(noun, other, "configuration"));
    }
    if form.has_inside("flow_data") {
        let message = "The simulator's portal has no flows, only its one page.";
        return Err(ApiError::invalid("flow_data", message));
    }
    let now = state.now();
    let session = PortalSession {
        account: call.account.clone(),
        customer: customer.to_owned(),
        return_url: form.url("return_url")?,
        expires_at: now + LIFETIME,
    };
    state.portal_sessions.retain(|_, session| !session.is_over(now));
    let (id, token) = (state.ids.next("bps_"), state.ids.next("test_"));
    let answer = json!({
        "id": id,
        "object": "billing_portal.session",
        "configuration": CONFIGURATION,
        "created": now,
        "customer": session.customer,
        "customer_account": null,
        "flow": null,
        "livemode": false,
        "locale": form.text("locale"),
        "on_behalf_of": null,
        "return_url": session.return_url,
        "url": format!("{}/p/session/{token}", state.public_url),
    });
    state.portal_sessions.insert(token, session);
    Ok(answer)
}
