//! Writing what a batch came to: one fixed order of tables, each statement sorted by its conflict key.

use entities::{history, inbox, outbox, run};
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
    save_runs(db, &walked).await?;
    let lines: Vec<_> =
        walked.iter_mut().flat_map(|walked| std::mem::take(&mut walked.history)).collect();
    if !lines.is_empty() {
        history::append(db, &lines).await?;
    }
    finish_messages(db, engine, &walked).await?;
    cancel_untried(db, &walked).await?;
    let sent = records::write(db, engine, &mut walked).await?;
    insert_effects(db, engine, &walked).await?;
    Ok(wake_for(&walked, sent > 0))
}

async fn save_runs(db: &impl ConnectionTrait, walked: &[Walked]) -> Result<(), EngineError> {
    let stepped: Vec<_> = walked.iter().filter_map(|walked| walked.stepped.clone()).collect();
    if stepped.is_empty() || run::save(db, &stepped).await? == stepped.len() as u64 {
        Ok(())
    } else {
        Err(EngineError::StaleVersion)
    }
}

async fn finish_messages(
    db: &impl ConnectionTrait,
    engine: &Engine,
    walked: &[Walked],
) -> Result<(), EngineError> {
    let mut finished: Vec<_> = walked.iter().flat_map(|walked| walked.finished.clone()).collect();
    if !finished.is_empty() {
        finished.sort_unstable_by_key(|message| message.seq);
        inbox::finish(db, &finished).await?;
    }
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

async fn insert_effects(
    db: &impl ConnectionTrait,
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
        outbox::insert(db, &engine.clock, &effects).await?;
    }
    Ok(())
}
