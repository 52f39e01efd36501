//! Waiting until a run has heard a message and come to rest.

use engine::Awaited;
use entities::{inbox, run::Run};
use tokio::time::Instant;
use workflows::id::RunId;

use crate::{config::App, problem::Problem};

/// Whether a run has heard a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has, and is at rest.
    Yes,
    /// Not within the time that a request waits.
    NotYet,
}

/// Waits until a run has heard the message that was sent under an id, and is at rest after it.
pub async fn until_heard(
    app: &App,
    run: RunId,
    source_id: &str,
    at_rest: impl Fn(&Run) -> bool,
) -> Result<Heard, Problem> {
    let deadline = Instant::now() + app.config.answer_within;
    let db = app.engine.database().read();
    let mut seen = 0;
    loop {
        // Asked before the run is read: a run that is at rest after that is so after our message.
        let message = inbox::find(db, "api", source_id).await?;
        let heard = message.is_some_and(|message| message.status != "PENDING");
        let left = deadline.saturating_duration_since(Instant::now());
        let rests = |run: &Run| (heard || run.version > seen) && at_rest(run);
        match app.engine.wait(run, left, rests).await? {
            Awaited::Reached(_) if heard => return Ok(Heard::Yes),
            Awaited::Reached(reached) => seen = reached.version,
            Awaited::Elapsed(_) => return Ok(Heard::NotYet),
        }
    }
}
