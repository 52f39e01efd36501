//! Throttling by route: which limit a route has, and who is counted.
//!
//! Where nobody has to say who they are, the client is counted before anything else is done. Where somebody
//! does, they are counted as soon as they are known ([`count_caller`], called by whatever finds out); a
//! request that never got so far counts against its client.

use std::sync::{Arc, Mutex, PoisonError};

use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use super::{Measure, Standing, allow};
use crate::{
    config::App,
    docs::{self, Operation},
    problem::Problem,
};

/// Webhooks are signed, and Stripe's to repeat: none is ever turned away.
const WEBHOOKS: &str = "/v2/public/stripe/";
/// What is not below is for those who run the service.
const THROTTLED: &str = "/v2/";
/// The routes of the sign-in share a bucket: a client that guesses gains nothing by changing between them.
const SIGN_IN: (&str, &[&str]) =
    ("sign-in", &["requestMagicLink", "showMagicLink", "useMagicLink"]);

/// Throttles the whole application.
pub struct Throttled(pub App);

impl<E: Endpoint> Middleware<E> for Throttled {
    type Output = ThrottledEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        ThrottledEndpoint { inner, app: self.0.clone() }
    }
}

/// The throttled application.
pub struct ThrottledEndpoint<E> {
    inner: E,
    app: App,
}

/// How a request is counted, and what came of it.
#[derive(Clone)]
struct Turn {
    measure: Measure,
    bucket: &'static str,
    standing: Arc<Mutex<Option<Standing>>>,
}

impl Turn {
    fn of(operation: &Operation) -> Self {
        let (measure, bucket) = match operation.id {
            id if SIGN_IN.1.contains(&id) => (Measure::SignIns, SIGN_IN.0),
            id if operation.method.is_safe() => (Measure::Reads, id),
            id => (Measure::Writes, id),
        };
        Self { measure, bucket, standing: Arc::default() }
    }

    async fn count(&self, app: &App, caller: &str) -> Result<(), Problem> {
        let decision = app.throttles.decide(self.measure, self.bucket, caller).await;
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision.standing);
        allow(decision, "too many requests: RateLimit-Reset says when all of them are free again")
    }

    /// Counts a request of somebody unknown: sign-ins by the client's neighbourhood, too.
    async fn count_stranger(
        &self,
        app: &App,
        client: &str,
        neighbourhood: Option<String>,
    ) -> Result<(), Problem> {
        self.count(app, client).await?;
        match (self.measure, neighbourhood) {
            (Measure::SignIns, Some(neighbourhood)) => {
                let measure = Measure::NeighbourhoodSignIns;
                let decision = app.throttles.decide(measure, self.bucket, &neighbourhood).await;
                allow(
                    decision,
                    "too many requests of this network: wait as long as Retry-After says",
                )
            }
            _ => Ok(()),
        }
    }

    fn standing(&self) -> Option<Standing> {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a request against its caller: `subject:…` or `visitor:…`.
pub async fn count_caller(request: &Request, caller: &str) -> Result<(), Problem> {
    match request.data::<Turn>() {
        Some(turn) => turn.count(App::of(request)?, caller).await,
        None => Ok(()),
    }
}

/// The client of a request, as throttles know it.
pub fn client_of(app: &App, request: &Request) -> String {
    format!("client:{}", app.throttles.trusted_proxies.client_of(request))
}

/// The operation of a request, if it is throttled.
fn throttled(request: &Request) -> Option<&'static Operation> {
    let path = request.uri().path();
    // Looked at first: looking the operation up takes longer than the rest.
    if !path.starts_with(THROTTLED) || path.starts_with(WEBHOOKS) {
        return None;
    }
    docs::operation(request.method(), path)
}

impl<E: Endpoint> Endpoint for ThrottledEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let Some(operation) = throttled(&request) else {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        };
        let turn = Turn::of(operation);
        let client = client_of(&self.app, &request);
        let admitted = match operation.guarded {
            true => Ok(()),
            false => {
                let neighbourhood = self.app.throttles.trusted_proxies.neighbourhood_of(&request);
                turn.count_stranger(&self.app, &client, neighbourhood).await
            }
        };
        request.set_data(turn.clone());
        let mut answer = match admitted {
            Ok(()) => self.inner.call(request).await.map(IntoResponse::into_response),
            Err(problem) => Err(problem.into()),
        };
        if answer.is_err()
            && turn.standing().is_none()
            && let Err(problem) = turn.count(&self.app, &client).await
        {
            answer = Err(problem.into());
        }
        match (&mut answer, turn.standing()) {
            (Ok(response), Some(standing)) => standing.dress(response),
            // Errors are drawn further out.
            (Err(error), Some(standing)) => error.set_data(standing),
            (_, None) => {}
        }
        answer
    }
}
