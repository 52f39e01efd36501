//! A client as anybody would write one: it repeats what may be repeated, under the same key.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long a client goes on. Longer than two leases and Stripe's minute together, while each request that a
/// killed process leaves open holds its key for 20 seconds.
const PATIENCE: Duration = Duration::from_secs(500);
/// How long a single request may take: longer than the API lets anybody wait.
const REQUEST: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(250);
const LONGEST_WAIT: u64 = 2;

/// Who asks.
#[derive(Clone)]
pub enum Caller {
    Anybody,
    /// By bearer token.
    Creator(String),
    /// By cookie.
    Visitor(String),
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
    pub retry_after: Option<u64>,
    pub location: Option<String>,
    pub cookie: Option<String>,
}

impl Answer {
    /// The stable code of a problem; empty otherwise.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// Whether the same request may do better later, and must then be repeated.
    fn is_passing(&self) -> bool {
        matches!(self.status, 429 | 503) || self.code() == "idempotency_in_progress"
    }
}

/// How a purchase began.
#[derive(Clone, Debug)]
pub struct Checkout {
    pub id: String,
    pub session: String,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(REQUEST).build().expect("a client");
        Self { http, base: base.trim_end_matches('/').to_owned() }
    }

    /// Asks once.
    pub async fn ask(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = match caller {
            Caller::Anybody => request,
            Caller::Creator(token) => request.bearer_auth(token),
            Caller::Visitor(cookie) => {
                request.header(header::COOKIE, cookie).header(header::ORIGIN, &self.base)
            }
        };
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let text = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let status = response.status().as_u16();
        let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let location = text(header::LOCATION);
        let cookie = text(header::SET_COOKIE);
        let cookie = cookie.and_then(|set| set.split(';').next().map(str::to_owned));
        let body = response.text().await?;
        let json = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Ok(Answer { status, json, retry_after, location, cookie })
    }

    /// Asks until there is an answer that more asking does not change. Anything but an answer of success or
    /// refusal is a fault of the service: no client can do anything about a 500.
    pub async fn settle(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match self.ask(caller, method.clone(), path, key, body).await {
                Ok(answer) if answer.is_passing() => {
                    assert!(
                        answer.retry_after.is_some(),
                        "{method} {path}: until when? {answer:?}"
                    );
                    let seconds = answer.retry_after.unwrap_or(1).min(LONGEST_WAIT);
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    format!("{answer:?}")
                }
                Ok(answer) => {
                    assert_ne!(answer.status, 500, "{method} {path}: {answer:?}");
                    return answer;
                }
                Err(error) => format!("{error:?}"),
            };
            assert!(Instant::now() < deadline, "{method} {path} was never answered: {last}");
            tokio::time::sleep(AGAIN).await;
        }
    }

    pub async fn get(&self, caller: &Caller, path: &str) -> Value {
        let answer = self.settle(caller, Method::GET, path, None, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {answer:?}");
        answer.json
    }

    pub async fn post(&self, caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
        let answer = self.settle(caller, Method::POST, path, Some(key), Some(body)).await;
        assert!(matches!(answer.status, 200..=299), "POST {path}: {answer:?}");
        answer
    }

    /// Asks until the answer is as wanted.
    pub async fn get_until(
        &self,
        caller: &Caller,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(caller, path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} never got where it should: {answer}");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Begins a purchase and waits for the payment page, or gives the code of the refusal.
    pub async fn check_out(
        &self,
        visitor: &Caller,
        page: &str,
        key: &str,
    ) -> Result<Checkout, String> {
        let path = format!("/v2/public/pages/{page}/checkout");
        let answer = self.settle(visitor, Method::POST, &path, Some(key), Some(&json!({}))).await;
        let view = match answer.status {
            200 => answer.json,
            202 => {
                let at = answer.location.expect("where to look");
                let opened =
                    |view: &Value| view["sessionId"].is_string() || view["status"] != "OPEN";
                self.get_until(visitor, &at, opened).await
            }
            _ => return Err(answer.code().to_owned()),
        };
        let text = |field: &str| view[field].as_str().map(str::to_owned);
        let session = text("sessionId").unwrap_or_else(|| panic!("no payment page: {view}"));
        Ok(Checkout { id: text("checkoutId").expect("an id"), session })
    }
}
