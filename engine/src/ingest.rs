//! Ingest: webhooks are written down in groups. Whatever queued while the previous group was written goes
//! into one statement, without waiting for more.

use entities::inbox;
use tokio::sync::{mpsc, oneshot};

use crate::{Engine, EngineError, WakeUp, wake::Work};

/// How many messages one statement takes at most.
const GROUP: usize = 256;
/// How many messages may queue before senders have to wait.
const QUEUE: usize = 4_096;

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
        let accepted = write_again(self, webhooks).await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(accepted)
    }
}

struct Waiting {
    webhook: Webhook,
    answer: oneshot::Sender<Result<Accepted, EngineError>>,
}

/// The way in for webhooks. Clones share the queue; the group writer ends with the last of them.
#[derive(Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Waiting>,
}

impl Ingest {
    /// Starts the group writer.
    pub fn start(engine: Engine) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write_groups(engine, waiting));
        Self { queue }
    }

    /// Writes a webhook down. When this returns, it is committed.
    pub async fn accept(&self, webhook: Webhook) -> Result<Accepted, EngineError> {
        let (answer, accepted) = oneshot::channel();
        let waiting = Waiting { webhook, answer };
        self.queue.send(waiting).await.map_err(|_| EngineError::ShuttingDown)?;
        accepted.await.map_err(|_| EngineError::ShuttingDown)?
    }
}

async fn write_groups(engine: Engine, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        metrics::histogram!("sluice_ingest_group_size").record(group.len() as f64);
        let (answers, webhooks): (Vec<_>, Vec<_>) =
            group.drain(..).map(|waiting| (waiting.answer, waiting.webhook)).unzip();
        match write_again(&engine, &webhooks).await {
            Ok(accepted) => {
                for (answer, accepted) in answers.into_iter().zip(accepted) {
                    // The sender may have gone: the message is written down all the same.
                    let _gone = answer.send(Ok(accepted));
                }
            }
            // One bad row must not hurt the others.
            Err(error) if !crate::is_passing(&error) && webhooks.len() > 1 => {
                tracing::warn!(%error, "a group of webhooks failed: they are written singly");
                for (answer, webhook) in answers.into_iter().zip(webhooks) {
                    let accepted = write_again(&engine, &[webhook]).await;
                    let _gone = answer.send(accepted.map(|accepted| accepted[0]));
                }
            }
            Err(error) => refuse(answers, error),
        }
        engine.wake(WakeUp::of(Work::Inbox));
    }
}

fn refuse(answers: Vec<oneshot::Sender<Result<Accepted, EngineError>>>, error: EngineError) {
    let text = error.to_string();
    let mut first = Some(error);
    for answer in answers {
        let error = first.take().unwrap_or_else(|| {
            EngineError::Database(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::Internal(text.clone())))
        });
        let _gone = answer.send(Err(error));
    }
}

/// How often a group that failed in passing (two processes that were sent the same events) is written again.
const RETRIES: usize = 3;

async fn write_again(engine: &Engine, webhooks: &[Webhook]) -> Result<Vec<Accepted>, EngineError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match write(engine, webhooks.to_vec()).await {
            Err(error) if crate::is_passing(&error) && attempt < RETRIES => {
                tracing::debug!(%error, "a group of webhooks failed in passing");
            }
            result => return result,
        }
    }
}

/// Writes a group down in one transaction, and says of each whether it is new.
async fn write(engine: &Engine, webhooks: Vec<Webhook>) -> Result<Vec<Accepted>, EngineError> {
    let (messages, bodies): (Vec<_>, Vec<_>) =
        webhooks.into_iter().map(|webhook| (webhook.message, webhook.body)).unzip();
    let database = engine.database();
    let new = match database.dialect() {
        entities::Dialect::Postgres => {
            let db = database.write();
            inbox::insert_with_bodies(db, engine.clock(), &messages, bodies).await?
        }
        entities::Dialect::Sqlite => {
            let transaction = database.begin().await?;
            let new =
                inbox::insert_with_bodies(&transaction, engine.clock(), &messages, bodies).await?;
            transaction.commit().await?;
            new
        }
    };
    let mut new: std::collections::HashSet<_> = new.into_iter().map(|row| row.source_id).collect();
    // Of two with the same id in one group, the first is the new one.
    Ok(messages
        .iter()
        .map(|message| match new.remove(&message.source_id) {
            true => Accepted::New,
            false => Accepted::Duplicate,
        })
        .collect())
}
