//! The envelope of every answer: the request's id, problems in place of the framework's errors, panics that
//! stay inside, and headers that keep browsers safe.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures::FutureExt;
use poem::{
    Endpoint, IntoResponse, Middleware, Request, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    body, docs, html, idempotency,
    problem::{self, Problem},
    throttle::Standing,
};

/// The header that names a request in answers, logs and reports.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id, for whatever the request leaves behind.
#[derive(Clone)]
pub struct RequestId(pub String);

/// Wraps the whole application.
pub struct Envelope {
    /// Where the codes of problems are documented.
    pub docs: String,
}

impl<E: Endpoint> Middleware<E> for Envelope {
    type Output = Enveloped<E>;

    fn transform(&self, inner: E) -> Self::Output {
        Enveloped { inner, docs: self.docs.clone() }
    }
}

/// The wrapped application.
pub struct Enveloped<E> {
    inner: E,
    docs: String,
}

impl<E: Endpoint> Endpoint for Enveloped<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let began = Instant::now();
        let id = request_id(&request);
        request.set_data(RequestId(id.clone()));
        let address = request.uri().clone();
        let method = request.method().clone();
        let admitted = match idempotency::expect_readable_key(&request) {
            Ok(()) => body::admit(&mut request).await,
            refused => refused,
        };
        let answer = match admitted {
            Ok(()) => {
                // Whatever is logged on the way carries the id that the caller was told.
                let span = tracing::error_span!("request", request_id = id);
                AssertUnwindSafe(self.inner.call(request)).catch_unwind().instrument(span).await
            }
            Err(problem) => Ok(Err(problem.into())),
        };
        let mut response = match answer {
            Ok(Ok(answer)) => self.in_our_terms(answer.into_response(), &id),
            Ok(Err(error)) => {
                let standing = error.data::<Standing>().copied();
                let mut response = self.problem(&problem::of_framework(error), &id);
                if let Some(standing) = standing {
                    standing.dress(&mut response);
                }
                response
            }
            Err(panic) => self.problem(&panicked(panic.as_ref()), &id),
        };
        let status = response.status();
        metrics::counter!("sluice_http_answers_total", "status" => class(status.as_u16()))
            .increment(1);
        metrics::histogram!("sluice_http_answer_seconds").record(began.elapsed().as_secs_f64());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            allow(&mut response, address.path());
        }
        tracing::debug!(request_id = id, status = status.as_u16(), "{method} {}", address.path());
        dress(&mut response, &id);
        Ok(response)
    }
}

impl<E> Enveloped<E> {
    fn problem(&self, problem: &Problem, id: &str) -> Response {
        problem::draw(problem, &self.docs, id)
    }

    /// An error that some part of the framework drew by itself becomes a problem, too. Pages for people stay.
    fn in_our_terms(&self, response: Response, id: &str) -> Response {
        let status = response.status();
        let ours = response.content_type().is_some_and(|kind| {
            kind.starts_with(problem::CONTENT_TYPE) || kind.starts_with("text/html")
        });
        if ours || !(status.is_client_error() || status.is_server_error()) {
            return response;
        }
        let title = status.canonical_reason().unwrap_or("the request failed");
        self.problem(&problem::of_status(status, title), id)
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(format!("a handler panicked: {text}"))
}

/// The client's own id if it is a sane one, else a new one.
fn request_id(request: &Request) -> String {
    let theirs = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    match theirs {
        Some(id) if is_sane(id) => id.to_owned(),
        _ => format!("req_{}", Uuid::now_v7().simple()),
    }
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// Says which methods the address knows.
fn allow(response: &mut Response, path: &str) {
    if let Ok(methods) = HeaderValue::from_str(&docs::allowed(path)) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
}

/// Answers are never sniffed and, being about somebody's money, never kept by caches.
fn dress(response: &mut Response, id: &str) {
    html::protect(response);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use poem::{EndpointExt, Route, get, handler};

    use super::*;

    #[handler]
    async fn panics() -> String {
        panic!("a secret")
    }

    #[handler]
    async fn fails() -> poem::Result<String> {
        Err(poem::error::InternalServerError(std::io::Error::other("a secret")))
    }

    #[handler]
    async fn draws_by_itself() -> Response {
        Response::builder().status(StatusCode::NOT_FOUND).body("a text")
    }

    #[tokio::test]
    async fn every_error_is_a_problem_and_tells_no_secret() {
        let route = Route::new()
            .at("/panics", get(panics))
            .at("/fails", get(fails))
            .at("/draws", get(draws_by_itself));
        let app = route.with(Envelope { docs: "https://x.test/docs/errors".to_owned() });
        for (path, status, code) in [
            ("/panics", 500, "internal"),
            ("/fails", 500, "internal"),
            ("/draws", 404, "not_found"),
        ] {
            let request = Request::builder().uri(path.parse().unwrap()).finish();
            let response = app.call(request).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.content_type(), Some(problem::CONTENT_TYPE));
            let text = response.into_body().into_string().await.unwrap();
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
