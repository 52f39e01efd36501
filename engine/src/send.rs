//! Send: a message to a run, written down in the sender's own transaction.

use entities::inbox;
use sea_orm::ConnectionTrait;
use workflows::{
    id::{HandleId, RunId},
    message::Message,
};

use crate::{Engine, EngineError, WakeUp, wake::Work};

/// A message on its way to a run.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Who sends: `api`, `stripe` …
    pub source: &'static str,
    /// Unique within the source: sending twice under one id is sending once.
    pub source_id: String,
    /// To which run, and what happened.
    pub message: Message,
    /// Whose run it is, if a creator's: taken down when the run begins.
    pub handle: Option<HandleId>,
}

/// A message that was written down.
#[must_use = "its wake-up is to be given after the transaction has committed"]
#[derive(Clone, Debug)]
pub struct Sent {
    /// The run that hears it.
    pub run: RunId,
    /// For [`Engine::wake`], after the commit.
    pub wake_up: WakeUp,
}

impl Engine {
    /// Writes a message down with the sender's own rows: both commit, or neither.
    pub async fn send(
        &self,
        db: &impl ConnectionTrait,
        letter: Letter,
    ) -> Result<Sent, EngineError> {
        let Letter { source, source_id, message, handle } = letter;
        let row = row(source, source_id.clone(), &message, handle)?;
        let inserted = inbox::insert(db, &self.clock, &[row]).await?;
        let mut run = message.run();
        if inserted.is_empty() {
            // A duplicate leads to the first one's run.
            let first = inbox::find(db, source, &source_id).await?;
            run = first.and_then(|first| first.run_id).map_or(run, RunId);
        }
        Ok(Sent { run, wake_up: WakeUp::of(Work::Inbox) })
    }
}

impl Engine {
    /// Writes several messages down in one statement. Those sent before under their ids are left out.
    pub async fn send_all(
        &self,
        db: &impl ConnectionTrait,
        letters: &[Letter],
    ) -> Result<WakeUp, EngineError> {
        if letters.is_empty() {
            return Ok(WakeUp::default());
        }
        let rows: Vec<_> = letters
            .iter()
            .map(|letter| {
                row(letter.source, letter.source_id.clone(), &letter.message, letter.handle)
            })
            .collect::<Result<_, _>>()?;
        inbox::insert(db, &self.clock, &rows).await?;
        Ok(WakeUp::of(Work::Inbox))
    }
}

impl Letter {
    /// The message as the inbox keeps it.
    pub fn row(&self) -> Result<inbox::NewInbox, EngineError> {
        row(self.source, self.source_id.clone(), &self.message, self.handle)
    }
}

/// A message as the inbox keeps it.
pub fn row(
    source: &'static str,
    source_id: String,
    message: &Message,
    handle: Option<HandleId>,
) -> Result<inbox::NewInbox, EngineError> {
    Ok(inbox::NewInbox {
        source,
        source_id,
        run_id: Some(message.run().0),
        workflow: message.workflow(),
        subject: Some(message.subject()),
        handle_id: handle.map(|handle| handle.0),
        stripe_object: None,
        event: message.event_json()?,
        status: "PENDING",
        last_error: None,
    })
}
