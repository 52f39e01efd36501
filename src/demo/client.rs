//! A client like any other: HTTP, a bearer token, a cookie.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::Fatal;

/// Longer than any single thing of the story takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who asks.
#[derive(Clone)]
pub enum Caller {
    /// Nobody in particular.
    Anybody,
    /// A creator, by bearer token.
    Creator(String),
    /// A visitor, by cookie.
    Visitor(String),
}

/// Talks to one installation.
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// An answer that was expected.
pub struct Answered {
    pub json: Value,
    pub cookie: Option<String>,
}

impl Client {
    pub fn new(base: Url) -> Self {
        Self { http: reqwest::Client::new(), base }
    }

    /// Asks, and fails unless the status is the expected one.
    pub async fn ask(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Answered, Fatal> {
        let mut request = self.http.request(method.clone(), self.base.join(path)?);
        request = match caller {
            Caller::Anybody => request,
            Caller::Creator(token) => request.bearer_auth(token),
            Caller::Visitor(cookie) => request
                .header(header::COOKIE, cookie)
                .header(header::ORIGIN, self.base.origin().ascii_serialization()),
        };
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, cookie) = (response.status(), cookie(&response));
        let text = response.text().await?;
        if status != expected {
            return Err(format!("{method} {path} answered {status}, not {expected}: {text}").into());
        }
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answered { json, cookie })
    }

    pub async fn get(&self, caller: &Caller, path: &str) -> Result<Value, Fatal> {
        Ok(self.ask(caller, Method::GET, path, None, StatusCode::OK).await?.json)
    }

    pub async fn post(
        &self,
        caller: &Caller,
        path: &str,
        body: Value,
        expected: StatusCode,
    ) -> Result<Answered, Fatal> {
        self.ask(caller, Method::POST, path, Some(body), expected).await
    }

    /// Asks until the answer is as wanted.
    pub async fn get_until(
        &self,
        caller: &Caller,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Fatal> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(caller, path).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("{path} never got where it should: {answer}").into());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The name and value of the first cookie that is set.
fn cookie(response: &Response) -> Option<String> {
    let set = response.headers().get(header::SET_COOKIE)?.to_str().ok()?;
    set.split(';').next().map(str::to_owned)
}
