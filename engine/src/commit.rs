//! Writing what a batch came to: one fixed order of tables, each statement sorted by its conflict key. What
//! can wait for the others comes last, in one round trip.

use entities::{Dialect, history, inbox, outbox, run, together::Together};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::effect::Queue;

use crate::{
    Engine, EngineError, WakeUp,
    drain::{verdict, wake_for},
    records,
    step::Walked,
};

/// How often an effect is tried before a person must decide: with the longest delays of
/// [`backoff`](crate::backoff), some four hours.
const MAX_ATTEMPTS: i32 = 50;

/// Writes everything, inside the batch's transaction.
pub async fn write(
    db: &impl ConnectionTrait,
    engine: &Engine,
    mut walked: Vec<Walked>,
) -> Result<WakeUp, EngineError> {
    set_poisoned_back(db, engine, &walked).await?;
    cancel_untried(db, &walked).await?;
    let mut together = Together::new(Dialect::of(db));
    let sent = records::write(db, &mut together, engine, &mut walked).await?;
    let lines: Vec<_> =
        walked.iter_mut().flat_map(|walked| std::mem::take(&mut walked.history)).collect();
    if !lines.is_empty() {
        history::append(&mut together, &lines);
    }
    finish_messages(&mut together, &mut walked);
    insert_effects(&mut together, engine, &walked)?;
    save_runs(db, together, &walked).await?;
    Ok(wake_for(&walked, sent > 0))
}

/// The last of the writes: all that is written together.
async fn save_runs(
    db: &impl ConnectionTrait,
    mut together: Together,
    walked: &[Walked],
) -> Result<(), EngineError> {
    let stepped: Vec<_> = walked.iter().filter_map(|walked| walked.stepped.clone()).collect();
    if stepped.is_empty() {
        together.execute(db).await?;
        return Ok(());
    }
    let saved = run::save(&mut together, &stepped);
    match together.execute(db).await?.by(saved) == stepped.len() as u64 {
        true => Ok(()),
        false => Err(EngineError::StaleVersion),
    }
}

fn finish_messages(together: &mut Together, walked: &mut [Walked]) {
    let mut finished: Vec<_> =
        walked.iter_mut().flat_map(|walked| std::mem::take(&mut walked.finished)).collect();
    if !finished.is_empty() {
        finished.sort_unstable_by_key(|message| message.seq);
        inbox::finish(together, &finished);
    }
}

async fn set_poisoned_back(
    db: &impl ConnectionTrait,
    engine: &Engine,
    walked: &[Walked],
) -> Result<(), EngineError> {
    for poisoned in walked.iter().flat_map(|walked| &walked.failed) {
        inbox::count_failure(db, poisoned.seq).await?;
        let verdict = verdict(poisoned.attempt + 1);
        inbox::fail(db, &engine.clock, poisoned.seq, verdict, &poisoned.error).await?;
    }
    Ok(())
}

async fn cancel_untried(db: &impl ConnectionTrait, walked: &[Walked]) -> Result<(), EngineError> {
    let runs: Vec<_> = walked
        .iter()
        .filter(|walked| walked.cancelled)
        .filter_map(|walked| walked.stepped.as_ref().map(|run| run.id))
        .collect();
    if !runs.is_empty() {
        outbox::cancel_untried(db, &runs).await?;
    }
    Ok(())
}

fn insert_effects(
    together: &mut Together,
    engine: &Engine,
    walked: &[Walked],
) -> Result<(), EngineError> {
    let mut effects = Vec::new();
    for walked in walked {
        let Some(run) = &walked.stepped else { continue };
        for wanted in &walked.effects {
            let queue: Queue = wanted.effect.queue();
            effects.push(outbox::NewOutbox {
                id: Uuid::now_v7(),
                run_id: run.id,
                run_version: wanted.version,
                n: wanted.n,
                workflow: walked.workflow,
                queue: queue.into(),
                kind: (&wanted.effect).into(),
                effect: serde_json::to_string(&wanted.effect)?,
                max_attempts: MAX_ATTEMPTS,
            });
        }
    }
    if !effects.is_empty() {
        outbox::insert(together, &engine.clock, &effects);
    }
    Ok(())
}
