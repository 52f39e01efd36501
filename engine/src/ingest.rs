//! Ingest: webhooks are written down in groups.

use entities::inbox;

use crate::{
    Engine, EngineError, WakeUp,
    gather::{Gatherer, WriteGroup, write_again},
    wake::Work,
};

/// A verified webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What it means, as the inbox keeps it.
    pub message: inbox::NewInbox,
    /// The verified bytes.
    pub body: Vec<u8>,
}

/// Whether a webhook had arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is written down now.
    New,
    /// It was written down before: no second effect.
    Duplicate,
}

impl Engine {
    /// Writes several down at once, in the order given, and says of each whether it is new. When this returns,
    /// they are committed.
    pub async fn accept_all(&self, webhooks: &[Webhook]) -> Result<Vec<Accepted>, EngineError> {
        if webhooks.is_empty() {
            return Ok(Vec::new());
        }
        write_again(&Webhooks(self.clone()), webhooks).await
    }
}

/// Writes groups of webhooks.
pub struct Webhooks(Engine);

/// The way in for webhooks. Clones share the queue; the group writer ends with the last of them.
#[derive(Clone)]
pub struct Ingest(Gatherer<Webhooks>);

impl Ingest {
    /// Starts the group writer.
    pub fn start(engine: Engine) -> Self {
        Self(Gatherer::start(Webhooks(engine)))
    }

    /// Writes a webhook down. When this returns, it is committed.
    pub async fn accept(&self, webhook: Webhook) -> Result<Accepted, EngineError> {
        self.0.write(webhook).await
    }
}

impl WriteGroup for Webhooks {
    type Item = Webhook;
    type Answer = Accepted;
    const GROUP_SIZE: &'static str = "sluice_ingest_group_size";

    async fn write(&self, webhooks: Vec<Webhook>) -> Result<Vec<Accepted>, EngineError> {
        let (messages, bodies): (Vec<_>, Vec<_>) =
            webhooks.into_iter().map(|webhook| (webhook.message, webhook.body)).unzip();
        let (database, clock) = (self.0.database(), self.0.clock());
        let new = match database.dialect() {
            entities::Dialect::Postgres => {
                inbox::insert_with_bodies(database.write(), clock, &messages, bodies).await?
            }
            entities::Dialect::Sqlite => {
                let transaction = database.begin().await?;
                let new = inbox::insert_with_bodies(&transaction, clock, &messages, bodies).await?;
                transaction.commit().await?;
                new
            }
        };
        self.0.wake(WakeUp::of(Work::Inbox));
        let mut new: std::collections::HashSet<_> =
            new.into_iter().map(|row| row.source_id).collect();
        // Of two with the same id in one group, the first is the new one.
        Ok(messages
            .iter()
            .map(|message| match new.remove(&message.source_id) {
                true => Accepted::New,
                false => Accepted::Duplicate,
            })
            .collect())
    }
}
