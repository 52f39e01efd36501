//! What a person may do about a case. Each act is in the audit log, in its own transaction.

use entities::{
    inbox::{self, NewInbox},
    operator_case,
};
use uuid::Uuid;

use crate::{By, Engine, EngineError, WakeUp, ingest::Webhook, wake::Work};

/// What may put a case right: a message that a run hears once more, or for the first time.
#[derive(Clone, Debug)]
pub enum Remedy {
    /// An event about an object of Stripe's, with its body.
    Event(Webhook),
    /// A message.
    Message(NewInbox),
}

impl Engine {
    /// Closes an open case, and keeps why. Returns whether there was one.
    pub async fn close_case(&self, case: Uuid, by: &By) -> Result<bool, EngineError> {
        let transaction = self.database.begin().await?;
        let now = self.clock.local_millis();
        if !operator_case::close(&transaction, case, by.reason.as_deref(), now).await? {
            return Ok(false);
        }
        self.note(&transaction, by, "case.close", None, case.to_string()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Puts in what may put a case right. The case stays open until it is seen that it did.
    pub async fn apply_case(&self, case: Uuid, remedy: Remedy, by: &By) -> Result<(), EngineError> {
        let transaction = self.database.begin().await?;
        match remedy {
            Remedy::Event(Webhook { message, body }) => {
                let (messages, bodies) = ([message], vec![body]);
                inbox::insert_with_bodies(&transaction, &self.clock, &messages, bodies).await?;
            }
            Remedy::Message(message) => {
                inbox::insert(&transaction, &self.clock, &[message]).await?;
            }
        }
        self.note(&transaction, by, "case.apply", None, case.to_string()).await?;
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(())
    }
}
