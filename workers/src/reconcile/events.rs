//! Events that never arrived: the endpoint was down, or Stripe gave up. They go into the inbox as webhooks do,
//! under the same ids, so that those which did arrive are duplicates and have no second effect.
//!
//! Pages come with the newest first. Within a page the oldest is written down first; machines take events in
//! any order, since webhooks come in any.

use async_trait::async_trait;
use engine::{
    EngineError,
    ingest::{Accepted, Webhook},
    stripe_event::{is_for_nobody, message},
};
use serde_json::Value;
use workflows::stripe_event::{Endpoint, Envelope};

use super::{
    Counts, Extent, OVERLAP, Reconciler, Report, Round,
    reading::{List, Reach},
};
use crate::stripe::{Created, Scope, Wanted};

/// Stripe lists events of 30 days, in seconds. <https://docs.stripe.com/api/events/list>
const LISTED: i64 = 30 * 86_400;

/// Events of the platform, or of a connected account.
pub struct Events<'a> {
    pub(super) reconciler: &'a Reconciler,
    pub(super) scope: Scope,
}

#[async_trait]
impl List for Events<'_> {
    const KIND: &'static str = "events";
    const ROUND: Round = Round::Events;

    fn wanted(&self, created: Created) -> Wanted {
        Wanted { path: "/events", kind: None, created, starting_after: None, expand: &[], limit: 0 }
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }

    async fn take(&self, rows: Vec<Value>) -> Result<Counts, EngineError> {
        let mut webhooks = Vec::with_capacity(rows.len());
        let mut counts = Counts::default();
        for event in rows.into_iter().rev() {
            match self.webhook(&event)? {
                Some(webhook) => webhooks.push(webhook),
                None => counts.elsewhere += 1,
            }
        }
        let accepted = self.reconciler.engine.accept_all(&webhooks).await?;
        counts.added =
            accepted.iter().filter(|accepted| **accepted == Accepted::New).count() as i64;
        Ok(counts)
    }
}

impl Events<'_> {
    /// The event as the inbox keeps it. What no machine listens to stays at Stripe: as a row it would only be in
    /// the way.
    fn webhook(&self, event: &Value) -> Result<Option<Webhook>, EngineError> {
        let mut envelope: Envelope = match serde_json::from_value(event.clone()) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, event = %event["id"], "a listed event cannot be read");
                return Ok(None);
            }
        };
        let endpoint = match &self.scope {
            Scope::Platform => Endpoint::Platform,
            Scope::Account(account) => {
                envelope.account.get_or_insert_with(|| account.clone());
                Endpoint::Connect
            }
        };
        let message = message(endpoint, self.reconciler.stripe.livemode(), envelope)?;
        let body = event.to_string().into_bytes();
        Ok((!is_for_nobody(&message)).then_some(Webhook { message, body }))
    }
}

impl Reconciler {
    pub(super) async fn events_round(&self, extent: Extent) -> Result<Report, EngineError> {
        let now = self.now();
        let beginning = self.beginning().await?.max(now - LISTED + OVERLAP);
        let reach = Reach { beginning, since: extent.since(), to: now };
        let platform = Events { reconciler: self, scope: Scope::Platform };
        let mut report = self.read(&platform, reach).await?;
        if report.stopped.is_some() {
            return Ok(report);
        }
        for account in self.accounts(Round::Events, extent).await? {
            let events = Events { reconciler: self, scope: Scope::Account(account) };
            report = report.and(self.read(&events, reach).await?);
            if report.stopped.is_some() {
                return Ok(report);
            }
        }
        Ok(report)
    }
}
