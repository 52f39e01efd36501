//! The answer to an API request, as it is sent and as it is kept under an idempotency key.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ApiError;

/// A status and a JSON body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The request that did the work: `req_…`.
    pub(crate) request_id: String,
}

impl Answer {
    pub(crate) fn new(result: &Result<Value, ApiError>, request_id: &str) -> Self {
        let (status, body) = match result {
            Ok(object) => (200, object.to_string()),
            Err(error) => (error.status, error.render().to_string()),
        };
        Self { status, body, request_id: request_id.to_owned() }
    }
}
