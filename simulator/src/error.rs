//! Stripe's error object (<https://docs.stripe.com/api/errors>).

use serde_json::{Value, json};

/// Whether an error is kept under the request's idempotency key. Stripe keeps the result of a
/// request that began to execute, and none of one whose parameters failed validation
/// (<https://docs.stripe.com/api/idempotent_requests>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Validation,
    Execution,
}

/// A refusal, with the HTTP status that Stripe would use.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) stage: Stage,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
}

impl ApiError {
    fn new(status: u16, stage: Stage, kind: &'static str, message: String) -> Self {
        Self { status, stage, kind, code: None, message, param: None }
    }

    /// A parameter that is wrong in itself.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::new(400, Stage::Validation, INVALID_REQUEST, message.into())
        }
    }

    /// A request that is right in itself but cannot be done in the present state of things.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(400, Stage::Execution, INVALID_REQUEST, message.into())
    }

    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(crate) fn with_param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    pub(crate) fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(param, format!("Missing required param: {param}."))
            .with_code("parameter_missing")
    }

    pub(crate) fn not_an_integer(param: &str, text: &str) -> Self {
        Self::invalid(param, format!("Invalid integer: {text}"))
            .with_code("parameter_invalid_integer")
    }

    /// An object named by the path that is not there.
    pub(crate) fn no_such(noun: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {noun}: '{id}'");
        Self::new(404, Stage::Execution, INVALID_REQUEST, message)
            .with_code("resource_missing")
            .with_param(param)
    }

    /// An object named by a parameter that is not there.
    pub(crate) fn no_such_reference(noun: &str, id: &str, param: &str) -> Self {
        Self { status: 400, ..Self::no_such(noun, id, param) }
    }

    /// An account that is not connected, or no longer.
    pub(crate) fn account_invalid(id: &str) -> Self {
        let message = format!(
            "The provided key does not have access to account '{id}' (or that account does not \
             exist). Application access may have been revoked."
        );
        Self::new(403, Stage::Execution, INVALID_REQUEST, message).with_code("account_invalid")
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, Stage::Validation, INVALID_REQUEST, message.into())
    }

    pub(crate) fn unknown_route(method: &str, path: &str) -> Self {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs; this \
             is a simulator and has only a part of Stripe's API."
        );
        Self::new(404, Stage::Validation, INVALID_REQUEST, message)
    }

    pub(crate) fn idempotency_mismatch(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were \
             first used with. Try using a key other than '{key}' if you meant to execute a different \
             request."
        );
        Self::new(400, Stage::Validation, "idempotency_error", message)
    }

    pub(crate) fn idempotency_in_progress(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key: {key}. \
             Please try again later."
        );
        Self::new(409, Stage::Validation, "idempotency_error", message)
            .with_code("idempotency_key_in_use")
    }

    /// The bank of a card says no. Stripe keeps these under the key.
    pub(crate) fn card_declined() -> Self {
        let message = "Your card was declined.".to_owned();
        Self::new(402, Stage::Execution, "card_error", message).with_code("card_declined")
    }

    /// There is nothing to charge.
    pub(crate) fn no_card() -> Self {
        let message = "This customer has no attached payment source or default payment method. \
                       Please consider adding a default payment method.";
        Self::refused(message).with_code("resource_missing")
    }

    /// Bad luck asked for: too many requests.
    pub(crate) fn rate_limited() -> Self {
        let message = "Request rate limit exceeded (a fault of the simulator).".to_owned();
        Self::new(429, Stage::Validation, INVALID_REQUEST, message).with_code("rate_limit")
    }

    /// Bad luck asked for: an error of the server. Stripe keeps these under the key.
    pub(crate) fn injected() -> Self {
        let message = "An error occurred (a fault of the simulator).".to_owned();
        Self::new(500, Stage::Execution, "api_error", message)
    }

    pub(crate) fn render(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = code.into();
            error["doc_url"] =
                format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")).into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        json!({ "error": error })
    }
}

const INVALID_REQUEST: &str = "invalid_request_error";
