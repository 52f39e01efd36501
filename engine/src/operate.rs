//! What a person may do to a run and its rows. Each act is in the audit log, in its own transaction.

use entities::{
    audit_log::{self, AuditEntry},
    inbox, outbox, queue_control, run,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;
use workflows::{
    effect::{Answer, Effect, Failure, Queue},
    id::{EffectId, RunId},
};

use crate::{Engine, EngineError, WakeUp, answer, wake::Work};

/// Who does it, and why.
#[derive(Clone, Debug)]
pub struct By {
    /// Who: as the audit log names them.
    pub actor: String,
    /// Why, if they say.
    pub reason: Option<String>,
    /// The request they do it by, if by one.
    pub request_id: Option<String>,
}

impl By {
    /// Somebody who gives no reason.
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), reason: None, request_id: None }
    }
}

impl Engine {
    /// Calls a run off: an event that its machine places. Returns whether the run is known.
    pub async fn cancel(&self, run: RunId, request: &str, by: &By) -> Result<bool, EngineError> {
        let transaction = self.database.begin().await?;
        let Some(row) = run::find_any_handle(&transaction, run.0).await? else { return Ok(false) };
        let Some(machine) = self.registry.find(&row.workflow) else { return Ok(false) };
        let message = inbox::NewInbox {
            source: "operator",
            source_id: format!("cancel:{run}:{request}"),
            run_id: Some(run.0),
            workflow: machine.name,
            subject: Some(row.subject),
            handle_id: row.handle_id,
            stripe_object: None,
            event: (machine.cancel)()?,
            status: "PENDING",
            last_error: None,
        };
        // Asked for twice under one name, it is done, and noted, once.
        if !inbox::insert(&transaction, &self.clock, &[message]).await?.is_empty() {
            let target = run.to_string();
            self.note(&transaction, by, "run.cancel", row.handle_id, target).await?;
        }
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(true)
    }

    /// Takes up a dead message again. Returns whether there was one.
    pub async fn retry_message(&self, seq: i64, by: &By) -> Result<bool, EngineError> {
        let transaction = self.database.begin().await?;
        let retried = inbox::retry_dead(&transaction, &self.clock, seq).await?;
        let Some(message) = retried else { return Ok(false) };
        let target = seq.to_string();
        self.note(&transaction, by, "message.retry", message.handle_id, target).await?;
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(true)
    }

    /// Takes up a dead effect again, with its old key. Returns whether there was one.
    pub async fn retry_effect(&self, effect: EffectId, by: &By) -> Result<bool, EngineError> {
        let transaction = self.database.begin().await?;
        let Some(row) = outbox::find_any_handle(&transaction, effect.0).await? else {
            return Ok(false);
        };
        if !outbox::retry_dead(&transaction, &self.clock, effect.0).await? {
            return Ok(false);
        }
        self.note_effect(&transaction, by, "effect.retry", &row).await?;
        transaction.commit().await?;
        if let Some(work) = Work::from_name(&row.queue) {
            self.wake(WakeUp::of(work));
        }
        Ok(true)
    }

    /// Discards a dead effect: its machine hears that it failed. Returns whether there was one.
    pub async fn discard_effect(&self, effect: EffectId, by: &By) -> Result<bool, EngineError> {
        let transaction = self.database.begin().await?;
        let Some(row) = outbox::find_any_handle(&transaction, effect.0).await? else {
            return Ok(false);
        };
        if !outbox::discard_dead(&transaction, &self.clock, effect.0).await? {
            return Ok(false);
        }
        let asked: Effect = serde_json::from_str(&row.effect)?;
        let failure = Failure {
            code: "discarded".to_owned(),
            message: "an operator discarded the effect".to_owned(),
        };
        let event = answer::event_row(self, &row, &asked, &Answer::Failed(failure))?;
        inbox::insert(&transaction, &self.clock, &Vec::from_iter(event)).await?;
        self.note_effect(&transaction, by, "effect.discard", &row).await?;
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(true)
    }

    /// Stops a queue of the outbox.
    pub async fn pause(&self, queue: Queue, by: &By) -> Result<(), EngineError> {
        let transaction = self.database.begin().await?;
        let now = self.clock.local_millis();
        queue_control::set(&transaction, queue.into(), Some(now)).await?;
        let name: &str = queue.into();
        self.note(&transaction, by, "queue.pause", None, name.to_owned()).await?;
        Ok(transaction.commit().await?)
    }

    /// Lets a paused queue go on.
    pub async fn resume(&self, queue: Queue, by: &By) -> Result<(), EngineError> {
        let transaction = self.database.begin().await?;
        queue_control::set(&transaction, queue.into(), None).await?;
        let name: &str = queue.into();
        self.note(&transaction, by, "queue.resume", None, name.to_owned()).await?;
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::of(queue)));
        Ok(())
    }

    async fn note_effect(
        &self,
        db: &impl ConnectionTrait,
        by: &By,
        action: &str,
        effect: &outbox::Outbox,
    ) -> Result<(), DbErr> {
        let run = run::find_any_handle(db, effect.run_id).await?;
        let handle = run.and_then(|run| run.handle_id);
        self.note(db, by, action, handle, EffectId(effect.id).to_string()).await
    }

    pub(crate) async fn note(
        &self,
        db: &impl ConnectionTrait,
        by: &By,
        action: &str,
        handle_id: Option<Uuid>,
        target: String,
    ) -> Result<(), DbErr> {
        let entry = AuditEntry {
            id: Uuid::now_v7(),
            actor: by.actor.clone(),
            action: action.to_owned(),
            handle_id,
            target,
            reason: by.reason.clone(),
            request_id: by.request_id.clone(),
            at: self.clock.local_millis(),
        };
        audit_log::append(db, &entry).await
    }

    /// Gives back whatever this process holds, and forgets the process: the last act of a shutdown.
    pub async fn deregister(&self) -> Result<(), EngineError> {
        let db = self.database.write();
        outbox::release(db, &self.node).await?;
        entities::node::deregister(db, &self.node).await?;
        Ok(())
    }

    /// The run of a workflow about a subject, if it exists.
    pub async fn find_run(
        &self,
        workflow: &str,
        subject: Uuid,
    ) -> Result<Option<run::Run>, EngineError> {
        let id = RunId::of(workflow, subject);
        Ok(run::find_any_handle(self.database.read(), id.0).await?)
    }
}
