//! The delivery of events to webhook endpoints: signed, several at a time, in no certain order, and
//! again and again until the receiver acknowledges with a 2xx
//! (<https://docs.stripe.com/webhooks#retries>; the pauses are shorter here).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::clock;
use crate::shared::Shared;
use crate::signature;
use crate::state::State;

/// The pause after the first failure; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An event that was asked to wait for a later one waits no longer than this.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// An event on its way to an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// The id of the event.
    pub(crate) event: String,
    /// The id of the endpoint.
    pub(crate) endpoint: String,
    pub(crate) delay_ms: u64,
    /// Wait until another event was sent.
    pub(crate) behind_the_next: bool,
}

/// What is sent.
#[derive(Debug)]
struct Attempt {
    url: String,
    secret: String,
    body: String,
}

/// Starts a task that delivers this event, however long it takes.
pub(crate) fn dispatch(shared: &Arc<Shared>, number: u64) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::select! {
            () = deliver(&shared, number) => {}
            () = shared.stopped() => {}
        }
    });
}

async fn deliver(shared: &Arc<Shared>, number: u64) {
    let Some(delivery) = shared.look(|state| state.deliveries.get(&number).cloned()) else {
        return;
    };
    hold(shared, &delivery).await;
    shared.kept().await;
    let mut pause = FIRST_PAUSE;
    while let Some(attempt) = shared.look(|state| prepare(state, number)) {
        let acknowledged = send(shared, &delivery, attempt).await;
        shared.sent.send_modify(|sent| *sent += 1);
        if acknowledged {
            shared.work(|state| state.finish_delivery(number));
            return;
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Waits as the faults ask for.
async fn hold(shared: &Shared, delivery: &Delivery) {
    if delivery.behind_the_next {
        let mut sent = shared.sent.subscribe();
        let so_far = *sent.borrow_and_update();
        // In either outcome of the wait it is time to go on.
        let _ = tokio::time::timeout(LONGEST_HOLD, sent.wait_for(|sent| *sent > so_far)).await;
    }
    if delivery.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delivery.delay_ms)).await;
    }
}

/// What to send now. None: it was acknowledged, or the event or the endpoint is gone.
fn prepare(state: &mut State, number: u64) -> Option<Attempt> {
    let delivery = state.deliveries.get(&number)?;
    let body = state.render(&delivery.event);
    let endpoint = state.webhook_endpoints.get(&delivery.endpoint);
    let attempt = body.zip(endpoint).map(|(body, endpoint)| Attempt {
        url: endpoint.url.clone(),
        secret: endpoint.secret.clone(),
        body: body.to_string(),
    });
    if attempt.is_none() {
        state.finish_delivery(number);
    }
    attempt
}

/// Sends an event once; true if the receiver acknowledged it.
async fn send(shared: &Shared, delivery: &Delivery, attempt: Attempt) -> bool {
    let Ok(_permit) = shared.in_flight.acquire().await else {
        return false;
    };
    let signature = signature::sign(&attempt.secret, &attempt.body, clock::system_seconds());
    let sending = shared
        .http
        .post(&attempt.url)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature)
        .header("user-agent", "Stripe/1.0 (simulator)")
        .body(attempt.body)
        .send();
    match sending.await {
        Ok(response) if response.status().is_success() => {
            debug!(event = delivery.event, "the simulator's webhook was acknowledged");
            true
        }
        Ok(response) => {
            let status = response.status().as_u16();
            warn!(event = delivery.event, status, "the simulator's webhook was not acknowledged");
            false
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            warn!(event = delivery.event, error, "the simulator's webhook did not get through");
            false
        }
    }
}
