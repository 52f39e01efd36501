//! What those who run the service ask: is it there, can it work, how is it doing.

use entities::statement::{Number, query_one};
use poem::{
    FromRequest, Request, RequestBody,
    http::{HeaderName, header},
};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::PlainText};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::{
    answer::Shown,
    codes::Code,
    config::App,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A sign of life.
#[derive(Debug, Object)]
pub struct Health {
    /// `ok`
    pub status: String,
}

impl Health {
    fn ok() -> Shown<Self> {
        Shown::of(Self { status: "ok".to_owned() })
    }
}

/// Metrics as Prometheus reads them.
#[derive(ApiResponse)]
enum Exposition {
    /// The text exposition format.
    #[oai(status = 200)]
    Text(PlainText<String>),
}

/// Where the documentation is.
#[derive(ApiResponse)]
enum Elsewhere {
    /// To the documentation.
    #[oai(status = 303)]
    Docs(
        /// Where the documentation is.
        #[oai(header = "Location")]
        String,
    ),
}

refusals!(Liveness:);
refusals!(Metrics: Forbidden, TokenInvalid);

/// What those who run the service ask.
pub struct Service;

#[OpenApi(tag = "Tag::Service")]
impl Service {
    /// The way to the documentation
    #[oai(path = "/", method = "get", operation_id = "getRoot")]
    async fn root(&self) -> Result<Elsewhere, Refused<Liveness>> {
        Ok(Elsewhere::Docs("/docs".to_owned()))
    }

    /// Whether the process lives
    #[oai(path = "/healthz", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> Result<Shown<Health>, Refused<Liveness>> {
        Ok(Health::ok())
    }

    /// Whether the process can work
    ///
    /// The database answers and its schema is that of this release. Redis and Stripe are not asked: without
    /// them requests are still accepted.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, request: &Request) -> Result<Shown<Health>, Refused<Liveness>> {
        let app = App::of(request)?;
        let sql = "SELECT CAST(1 AS BIGINT) AS number";
        let answer: Option<Number> = query_one(app.engine.database().read(), sql, vec![]).await?;
        if answer.is_none() {
            return Err(Problem::unavailable("the database does not answer").into());
        }
        match app.config.ready.migrations_current().await {
            Ok(()) => Ok(Health::ok()),
            Err(reason) => Err(Problem::unavailable(reason).into()),
        }
    }

    /// Metrics for Prometheus
    ///
    /// With `Authorization: Bearer` and the configured token; without one they are open on the loopback only.
    #[oai(path = "/metrics", method = "get", operation_id = "getMetrics")]
    async fn metrics(
        &self,
        request: &Request,
        _reader: MetricsReader,
    ) -> Result<Exposition, Refused<Metrics>> {
        Ok(Exposition::Text(PlainText((App::of(request)?.config.metrics)())))
    }
}

/// Somebody who may read the metrics.
struct MetricsReader;

impl<'a> FromRequest<'a> for MetricsReader {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let app = App::of(request)?;
        // A proxy on this machine comes over the loopback, too: with a token, the token is asked for.
        if app.config.metrics_token.is_none() && is_local(request) {
            return Ok(Self);
        }
        let bearer = request.headers().get(header::AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match (&app.config.metrics_token, bearer) {
            (Some(token), Some(given)) => {
                match bool::from(token.expose_secret().as_bytes().ct_eq(given)) {
                    true => Ok(Self),
                    false => {
                        Err(Problem::new(Code::TokenInvalid, "this is not the metrics token")
                            .into())
                    }
                }
            }
            _ => {
                Err(Problem::new(Code::Forbidden, "the metrics are open on the loopback only")
                    .into())
            }
        }
    }
}

/// Over the loopback, and not through a proxy that runs on the same machine.
fn is_local(request: &Request) -> bool {
    const FORWARDED: [HeaderName; 3] = [
        HeaderName::from_static("forwarded"),
        HeaderName::from_static("x-forwarded-for"),
        HeaderName::from_static("via"),
    ];
    let direct = !FORWARDED.iter().any(|name| request.headers().contains_key(name));
    let peer = request.remote_addr().as_socket_addr();
    direct && peer.is_some_and(|peer| peer.ip().is_loopback())
}
