//! Requests and answers, as a client sees them.

use poem::{
    Endpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method, StatusCode},
};
use serde_json::Value;

/// A request to be sent.
pub struct Call<'a> {
    app: &'a BoxEndpoint<'static, Response>,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl<'a> Call<'a> {
    pub fn new(
        app: &'a BoxEndpoint<'static, Response>,
        method: &str,
        path: impl Into<String>,
    ) -> Self {
        let method = method.parse().unwrap();
        Self { app, method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", token.as_ref()))
    }

    pub fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", cookie)
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn json(self, body: Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn raw(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    pub async fn send(self) -> Seen {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path)));
        if !self.body.is_empty() {
            request = request.header("content-length", self.body.len());
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let response =
            self.app.call(request.body(self.body)).await.expect("every error is an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = match headers.get("content-type") {
            Some(kind) if kind == "text/event-stream" => String::new(),
            _ => response.into_body().into_string().await.unwrap(),
        };
        Seen { status, headers, text }
    }
}

impl Seen {
    /// The JSON of an answer with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.header("x-request-id").is_some(), "every answer has an id");
        match self.text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&self.text).unwrap_or_else(|_| self.text.clone().into()),
        }
    }

    /// The problem of an answer, with everything that a problem must have.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        let id = self.header("x-request-id");
        assert_eq!(problem["requestId"].as_str(), id, "{problem}");
        assert_eq!(
            problem["type"],
            format!("http://localhost:8080/docs/errors#{code}"),
            "{problem}"
        );
        let title = problem["title"].as_str().unwrap();
        assert!(!title.is_empty() && problem["detail"].is_string(), "{problem}");
        let known = api::Code::ALL.iter().find(|known| known.name() == code);
        let documented = known.map(|known| known.status());
        assert_eq!(documented, StatusCode::from_u16(status).ok(), "{code} is not documented so");
        problem
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The `name=value` of the cookie that the answer sets.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie");
        set.split(';').next().unwrap().to_owned()
    }
}
