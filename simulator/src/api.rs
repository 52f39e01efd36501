//! A request to `/v1` from its arrival to its answer: the key, the account, the idempotency key,
//! bad luck, and the work itself.

use std::sync::Arc;
use std::time::Duration;

use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::web::Data;
use poem::web::headers::authorization::{Authorization, Basic, Bearer};
use poem::web::headers::{Header as _, HeaderMapExt};
use poem::{Body, Request, Response, handler};

use crate::API_VERSION;
use crate::account;
use crate::answer::Answer;
use crate::error::{ApiError, Stage};
use crate::expand;
use crate::faults::ApiLuck;
use crate::form::Form;
use crate::idempotency::ScopedKey;
use crate::routes;
use crate::shared::Shared;
use crate::state::{Cause, State};

/// Larger bodies are refused.
const MAXIMUM_BODY: usize = 1 << 20;

/// Stripe's limit on the length of an idempotency key.
const MAXIMUM_IDEMPOTENCY_KEY: usize = 255;

/// A request as the objects see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// With the leading `/v1`.
    pub(crate) path: String,
    pub(crate) form: Form,
    /// The connected account that the platform acts as.
    pub(crate) account: Option<String>,
    idempotency_key: Option<String>,
    request_id: String,
}

impl Call {
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The key under which the answer is kept. Only POST needs one.
    fn scoped_key(&self) -> Option<ScopedKey> {
        let key = self.idempotency_key.clone()?;
        (self.method == Method::POST).then(|| ScopedKey {
            key,
            account: self.account.clone(),
            fingerprint: self.form.fingerprint(self.method.as_str(), &self.path),
        })
    }
}

/// How a request was answered.
#[derive(Debug)]
struct Answered {
    answer: Answer,
    /// The answer to an earlier request with the same idempotency key.
    replayed: bool,
    withheld: Option<Duration>,
}

/// Answers a request to Stripe's API, and any that nobody else answers.
#[handler]
pub(crate) async fn serve(request: &Request, body: Body, shared: Data<&Arc<Shared>>) -> Response {
    let shared = Arc::clone(&shared);
    let request_id = shared.look(|state| state.request_ids.next("req_"));
    let call = match read(request, body, request_id.clone()).await {
        Ok(call) => call,
        Err(error) => return respond(&Answer::new(&Err(error), &request_id), &request_id),
    };
    let key = call.idempotency_key.clone();
    // A task of its own: the work is done even if the caller hangs up, as at Stripe.
    let task = tokio::spawn(perform(Arc::clone(&shared), call));
    let Ok(answered) = task.await else {
        let error = Err(ApiError::injected());
        return respond(&Answer::new(&error, &request_id), &request_id);
    };
    if let Some(withheld) = answered.withheld {
        shared.sleep(withheld).await;
        return StatusCode::GATEWAY_TIMEOUT.into();
    }
    let mut response = respond(&answered.answer, &request_id);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    if let Some(key) = key {
        set("idempotency-key", &key);
    }
    if answered.replayed {
        set("idempotent-replayed", "true");
        set("original-request", &answered.answer.request_id);
    }
    response
}

fn respond(answer: &Answer, request_id: &str) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let builder = Response::builder()
        .status(status)
        .content_type("application/json")
        .header("request-id", request_id)
        .header("stripe-version", API_VERSION);
    let builder = match status {
        StatusCode::TOO_MANY_REQUESTS => builder.header(header::RETRY_AFTER, "1"),
        _ => builder,
    };
    builder.body(answer.body.clone())
}

async fn read(request: &Request, body: Body, request_id: String) -> Result<Call, ApiError> {
    check_key(request.headers())?;
    let body = body
        .into_bytes_limit(MAXIMUM_BODY)
        .await
        .map_err(|_| ApiError::refused("The request body cannot be read, or is too large."))?;
    let text = |name: &str| {
        let value = request.headers().get(name)?.to_str().ok()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let idempotency_key = text("idempotency-key");
    if idempotency_key.as_ref().is_some_and(|key| key.len() > MAXIMUM_IDEMPOTENCY_KEY) {
        let message =
            format!("Idempotency keys are up to {MAXIMUM_IDEMPOTENCY_KEY} characters long.");
        return Err(ApiError::refused(message));
    }
    Ok(Call {
        method: request.method().clone(),
        path: request.original_uri().path().to_owned(),
        form: Form::parse(request.uri().query().unwrap_or_default(), &body),
        account: text("stripe-account"),
        idempotency_key,
        request_id,
    })
}

/// Lets in any key of test mode, and none of live mode: whoever sends one is at the wrong address.
fn check_key(headers: &HeaderMap) -> Result<(), ApiError> {
    let bearer = headers.typed_get::<Authorization<Bearer>>();
    let basic = headers.typed_get::<Authorization<Basic>>();
    let key = match (&bearer, &basic) {
        (Some(bearer), _) => bearer.token(),
        (None, Some(basic)) => basic.username(),
        (None, None) => {
            let message = format!(
                "You did not provide an API key. You need to provide your API key in the {} \
                 header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                Authorization::<Bearer>::name()
            );
            return Err(ApiError::unauthorized(message));
        }
    };
    if key.starts_with("sk_live_") || key.starts_with("rk_live_") {
        return Err(ApiError::unauthorized(
            "This is a simulator, not Stripe: it refuses live keys. Roll the key if it was not \
             meant to come here.",
        ));
    }
    if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
        return Ok(());
    }
    Err(ApiError::unauthorized("Invalid API Key provided: it is not a secret key of test mode."))
}

/// Answers a call whose key was let in.
async fn perform(shared: Arc<Shared>, call: Call) -> Answered {
    let luck = match shared.look(|state| admit(state, &call)) {
        Ok(luck) => luck,
        Err(answered) => return *answered,
    };
    if luck.latency_ms > 0 {
        shared.sleep(Duration::from_millis(luck.latency_ms)).await;
    }
    let answer = match call.method {
        Method::GET => shared.look(|state| work(state, &call, luck)),
        _ => shared.work(|state| work(state, &call, luck)),
    };
    Answered { answer, replayed: false, withheld: luck.withheld_seconds.map(Duration::from_secs) }
}

/// What precedes the work: too many requests, and an earlier request with the same key.
fn admit(state: &mut State, call: &Call) -> Result<ApiLuck, Box<Answered>> {
    let luck = state.luck.of_request();
    let refuse = |error| {
        Box::new(Answered {
            answer: Answer::new(&Err(error), &call.request_id),
            replayed: false,
            withheld: None,
        })
    };
    if luck.rate_limited {
        return Err(refuse(ApiError::rate_limited()));
    }
    let Some(key) = call.scoped_key() else {
        return Ok(luck);
    };
    let now = state.now();
    match state.idempotency_keys.begin(&key, now) {
        Ok(None) => Ok(luck),
        Ok(Some(answer)) => Err(Box::new(Answered { answer, replayed: true, withheld: None })),
        Err(error) => Err(refuse(error)),
    }
}

/// The work, and the keeping of its answer.
fn work(state: &mut State, call: &Call, luck: ApiLuck) -> Answer {
    let result = if luck.broken {
        Err(ApiError::injected())
    } else {
        state.cause = Some(Cause {
            request_id: Some(call.request_id.clone()),
            idempotency_key: call.idempotency_key.clone(),
        });
        let result = execute(state, call);
        state.cause = None;
        result
    };
    let answer = Answer::new(&result, &call.request_id);
    if let Some(key) = call.scoped_key() {
        match result {
            Err(error) if error.stage == Stage::Validation => state.idempotency_keys.abandon(&key),
            _ => state.idempotency_keys.finish(&key, &answer),
        }
    }
    answer
}

fn execute(state: &mut State, call: &Call) -> Result<serde_json::Value, ApiError> {
    expand::check(call)?;
    if let Some(account) = call.account() {
        account::accessible(state, account)?;
    }
    let mut answer = routes::dispatch(state, call)?;
    expand::apply(state, call, &mut answer);
    Ok(answer)
}
