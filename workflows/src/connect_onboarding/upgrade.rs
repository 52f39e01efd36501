//! How states that older versions stored are read.

use serde_json::{Value, json};

use super::{ConnectOnboarding, State};
use crate::{
    effect::LinkRequest,
    id::OnboardingLinkId,
    timestamp::Timestamp,
    workflow::{Unreadable, Workflow},
};

/// What versions did not know:
/// - 1, whether there were purchases: there may be;
/// - 2, when the timer looks (at once, then), which reading is the newest, and which wish a link answers: what
///   was asked for then says as little.
pub(super) fn read(version: u32, mut stored: Value) -> Result<State, Unreadable> {
    let nobodys = json!(LinkRequest::default());
    let unknown = [
        (1, "purchases", json!("possible")),
        (2, "begun_at", json!(Timestamp::default())),
        (2, "look_at", json!(Timestamp::default())),
        (2, "request", json!(OnboardingLinkId::default())),
    ];
    for (name, fields) in stored.as_object_mut().into_iter().flatten() {
        if version <= 2
            && name == "CreatingAccount"
            && let Some(fields) = fields.as_object_mut()
        {
            fields.entry("request").or_insert_with(|| nobodys.clone());
        }
        if let Some(known) = fields.get_mut("known").and_then(Value::as_object_mut) {
            for (_, field, value) in unknown.iter().filter(|(last, ..)| version <= *last) {
                known.entry(*field).or_insert_with(|| value.clone());
            }
        }
    }
    serde_json::from_value(stored).map_err(|error| Unreadable {
        workflow: ConnectOnboarding::NAME,
        version,
        reason: error.to_string(),
    })
}
