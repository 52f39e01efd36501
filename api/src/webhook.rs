//! Webhooks of Stripe's: verified, written down, acknowledged. Nothing else happens here: an event that was
//! acknowledged is in the inbox, and whatever it leads to is done by workers.

use engine::{
    ingest::{Accepted, Webhook},
    stripe_event::message,
};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Header};
use workflows::stripe_event::{Endpoint, Envelope};

use crate::{
    answer::Shown,
    body::{RawJson, parse},
    codes::Code,
    config::App,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// Stripe's ids have 30 characters or so; the column is unique and indexed.
const LONGEST_ID: usize = 255;

/// An acknowledgement.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Received {
    /// Always true: the event is written down.
    pub received: bool,
    /// Whether it had been before.
    pub duplicate: bool,
}

refusals!(ReceiveWebhook: SignatureMismatch, TooLarge, UnsupportedMediaType, RequestTimeout);

/// Webhooks of Stripe's.
pub struct Webhooks;

#[OpenApi(tag = "Tag::Webhooks")]
impl Webhooks {
    /// Events of the platform
    ///
    /// Carries `Stripe-Signature` over the raw body, 300 seconds old at most. The same event twice has one
    /// effect. Events that no machine listens to, and those of the other mode (test or live), are kept and
    /// set aside.
    #[oai(path = "/v2/public/stripe/webhook", method = "post", operation_id = "receiveStripeEvent")]
    async fn platform(
        &self,
        request: &Request,
        /// `t=…,v1=…`: HMAC-SHA256 over the time and the raw body, with the endpoint's signing secret.
        #[oai(name = "Stripe-Signature")]
        signature: Header<Option<String>>,
        body: RawJson,
    ) -> Result<Shown<Received>, Refused<ReceiveWebhook>> {
        Ok(receive(Endpoint::Platform, request, signature.0, body).await?)
    }

    /// Events of connected accounts
    ///
    /// The same, for the endpoint that listens to connected accounts.
    #[oai(
        path = "/v2/public/stripe/connect-webhook",
        method = "post",
        operation_id = "receiveStripeConnectEvent"
    )]
    async fn connect(
        &self,
        request: &Request,
        /// `t=…,v1=…`: HMAC-SHA256 over the time and the raw body, with the endpoint's signing secret.
        #[oai(name = "Stripe-Signature")]
        signature: Header<Option<String>>,
        body: RawJson,
    ) -> Result<Shown<Received>, Refused<ReceiveWebhook>> {
        Ok(receive(Endpoint::Connect, request, signature.0, body).await?)
    }
}

async fn receive(
    endpoint: Endpoint,
    request: &Request,
    signature: Option<String>,
    RawJson(body): RawJson,
) -> Result<Shown<Received>, Problem> {
    let app = App::of(request)?;
    verify(app, endpoint, signature.as_deref(), &body)?;
    let envelope: Envelope = parse(&body)?;
    if envelope.id.is_empty() || envelope.id.len() > LONGEST_ID {
        return Err(Problem::field("id", "is not the id of an event"));
    }
    let message = message(endpoint, app.config.livemode, envelope)?;
    let accepted = app.ingest.accept(Webhook { message, body: body.into() }).await?;
    Ok(Shown::of(Received { received: true, duplicate: accepted == Accepted::Duplicate }))
}

fn verify(app: &App, endpoint: Endpoint, header: Option<&str>, body: &[u8]) -> Result<(), Problem> {
    match app.signers.verify(endpoint, header, body, app.now() / 1_000) {
        Ok(age) => {
            // A clock that drifts shows here long before anything is refused.
            metrics::gauge!("sluice_webhook_age_seconds").set(age as f64);
            Ok(())
        }
        Err(mismatch) => {
            metrics::counter!("sluice_webhook_signature_mismatches_total").increment(1);
            tracing::warn!(%mismatch, "a webhook was refused");
            Err(Problem::new(Code::SignatureMismatch, mismatch.to_string()))
        }
    }
}
