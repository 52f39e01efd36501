//! What a person may do to a run and its rows.

use entities::{inbox, outbox, run};
use uuid::Uuid;
use workflows::{
    effect::{Answer, Effect, Failure},
    id::{EffectId, RunId},
};

use crate::{Engine, EngineError, WakeUp, answer, wake::Work};

impl Engine {
    /// Calls a run off: an event that its machine places. Returns whether the run is known.
    pub async fn cancel(&self, run: RunId, request: &str) -> Result<bool, EngineError> {
        let db = self.database.write();
        let Some(row) = run::find_any_handle(db, run.0).await? else { return Ok(false) };
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
        inbox::insert(db, &self.clock, &[message]).await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(true)
    }

    /// Takes up a dead message again. Returns whether there was one.
    pub async fn retry_message(&self, seq: i64) -> Result<bool, EngineError> {
        let retried = inbox::retry_dead(self.database.write(), &self.clock, seq).await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(retried)
    }

    /// Takes up a dead effect again, with its old key. Returns whether there was one.
    pub async fn retry_effect(&self, effect: EffectId) -> Result<bool, EngineError> {
        let db = self.database.write();
        let retried = outbox::retry_dead(db, &self.clock, effect.0).await?;
        if let Some(row) = outbox::find_any_handle(db, effect.0).await?
            && let Some(work) = Work::from_name(&row.queue)
        {
            self.wake(WakeUp::of(work));
        }
        Ok(retried)
    }

    /// Discards a dead effect: its machine hears that it failed. Returns whether there was one.
    pub async fn discard_effect(&self, effect: EffectId) -> Result<bool, EngineError> {
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
        transaction.commit().await?;
        self.wake(WakeUp::of(Work::Inbox));
        Ok(true)
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
