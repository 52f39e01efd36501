//! Answers: what effects came to, written down with the lease that they were performed under.

use std::collections::HashSet;

use entities::{
    inbox,
    outbox::{self, Absence, Again, Held, Outbox},
};
use sea_orm::ConnectionTrait;
use workflows::{
    Timestamp,
    effect::{Answer, Effect},
    id::{EffectId, RunId},
};

use crate::{
    Engine, EngineError, Trouble, WakeUp, backoff, is_passing, perform::absent_for, wake::Work,
};

/// How long Stripe's own lists may lag: "not there" proves something once it was seen for so long.
const ABSENCE_IS_CERTAIN: i64 = 60 * Timestamp::SECOND;
/// How soon to look again for what may still turn up.
const LOOK_AGAIN: i64 = 10 * Timestamp::SECOND;
/// How often an answer is written again after a passing failure, before the lease is left to expire.
const RETRIES: usize = 5;

/// What a claimed effect came to.
pub struct Outcome {
    held: Held,
    row: Outbox,
    result: Result<(Effect, Answer), Trouble>,
}

impl Outcome {
    pub(crate) fn answered(held: Held, row: Outbox, effect: Effect, answer: Answer) -> Self {
        Self { held, row, result: Ok((effect, answer)) }
    }

    pub(crate) fn failed(held: Held, row: Outbox, trouble: Trouble) -> Self {
        // What will never succeed is an answer, if the effect can be read.
        let result = match trouble {
            Trouble::Permanent(failure) => serde_json::from_str(&row.effect)
                .map(|effect| (effect, Answer::Failed(failure)))
                .map_err(|error| Trouble::Transient {
                    retry_after: None,
                    message: error.to_string(),
                }),
            trouble => Err(trouble),
        };
        Self { held, row, result }
    }
}

/// Writes outcomes down: answers together, failures one by one.
pub async fn write(engine: &Engine, outcomes: Vec<Outcome>) -> Result<(), EngineError> {
    let (answered, failed): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|outcome| outcome.result.is_ok());
    match write_answers(engine, &answered).await {
        Err(error) if !is_passing(&error) => write_singly(engine, answered).await?,
        result => result?,
    }
    for outcome in failed {
        if let Err(trouble) = &outcome.result {
            give_back(engine, &outcome, trouble).await?;
        }
    }
    Ok(())
}

/// An answer that cannot be stored must not hurt the others, and is a failed try.
async fn write_singly(engine: &Engine, answered: Vec<Outcome>) -> Result<(), EngineError> {
    for outcome in answered {
        match write_answers(engine, std::slice::from_ref(&outcome)).await {
            Err(error) if !is_passing(&error) => {
                let message = format!("the answer cannot be stored: {error}");
                let trouble = Trouble::Transient { retry_after: None, message };
                give_back(engine, &outcome, &trouble).await?;
            }
            result => result?,
        }
    }
    Ok(())
}

/// Writes answers in one transaction; a passing failure is tried again before the lease is left to expire.
async fn write_answers(engine: &Engine, answered: &[Outcome]) -> Result<(), EngineError> {
    if answered.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::new();
    for outcome in answered {
        let Ok((effect, answer)) = &outcome.result else { continue };
        rows.extend(event_row(engine, &outcome.row, effect, answer)?);
    }
    let held: Vec<_> = answered.iter().map(|outcome| outcome.held).collect();
    let mut attempt = 0;
    loop {
        attempt += 1;
        match commit(engine, &held, &rows).await {
            Err(error) if is_passing(&error) && attempt < RETRIES => {
                tokio::time::sleep(std::time::Duration::from_millis(50 << attempt)).await;
            }
            result => return result,
        }
    }
}

async fn commit(
    engine: &Engine,
    held: &[Held],
    rows: &[inbox::NewInbox],
) -> Result<(), EngineError> {
    let transaction = engine.database.begin().await?;
    let heard = answer(engine, &transaction, held, rows).await?;
    transaction.commit().await?;
    if heard {
        engine.wake(WakeUp::of(Work::Inbox));
    }
    Ok(())
}

/// The event of an answer as the inbox keeps it. An effect is answered once, so its id is the source's id.
pub(crate) fn event_row(
    engine: &Engine,
    row: &Outbox,
    effect: &Effect,
    answer: &Answer,
) -> Result<Option<inbox::NewInbox>, EngineError> {
    let Some(machine) = engine.registry.find(&row.workflow) else {
        return Err(EngineError::UnknownWorkflow(row.workflow.clone()));
    };
    if let Answer::Failed(failure) = answer {
        tracing::warn!(id = %EffectId(row.id), kind = row.kind, code = failure.code,
            message = failure.message, "an effect will not happen");
    }
    let Some(event) = (machine.on_answer)(effect, answer)? else { return Ok(None) };
    Ok(Some(inbox::NewInbox {
        source: "outbox",
        source_id: EffectId(row.id).to_string(),
        run_id: Some(row.run_id),
        workflow: machine.name,
        subject: Some(RunId(row.run_id).subject(machine.name)),
        handle_id: None,
        stripe_object: None,
        event,
        status: "PENDING",
        last_error: None,
    }))
}

/// Marks effects as answered and lets the machines hear it. An answer whose lease was lost is dropped: the
/// new holder answers.
pub(crate) async fn answer(
    engine: &Engine,
    db: &impl ConnectionTrait,
    held: &[Held],
    rows: &[inbox::NewInbox],
) -> Result<bool, EngineError> {
    let mut sorted = held.to_vec();
    sorted.sort_unstable_by_key(|held| held.id);
    let answered: HashSet<_> = outbox::answer(db, &engine.clock, &sorted)
        .await?
        .into_iter()
        .map(|id| EffectId(id).to_string())
        .collect();
    if answered.len() < held.len() {
        tracing::warn!(
            lost = held.len() - answered.len(),
            "answers came after their lease was lost"
        );
    }
    let heard: Vec<_> =
        rows.iter().filter(|row| answered.contains(&row.source_id)).cloned().collect();
    if !heard.is_empty() {
        inbox::insert(db, &engine.clock, &heard).await?;
    }
    Ok(!heard.is_empty())
}

async fn give_back(
    engine: &Engine,
    outcome: &Outcome,
    trouble: &Trouble,
) -> Result<(), EngineError> {
    let again = again(&outcome.row, trouble);
    let (kind, id) = (&outcome.row.kind, EffectId(outcome.row.id));
    tracing::info!(%id, kind, status = again.status, after_ms = again.after, error = again.error,
        "an effect failed");
    let db = engine.database.write();
    if !outbox::give_back(db, &engine.clock, outcome.held, &again).await? {
        tracing::warn!(%id, kind, "a failure came after its lease was lost");
    }
    Ok(())
}

/// What becomes of an effect whose try failed.
fn again(row: &Outbox, trouble: &Trouble) -> Again {
    let (after, key_generation, error) = match trouble {
        Trouble::Transient { retry_after, message } => {
            let after = retry_after.unwrap_or(0).max(backoff::delay(row.attempt));
            (after, row.key_generation, message.clone())
        }
        Trouble::Replayed { message } if absent_for(row) >= ABSENCE_IS_CERTAIN => {
            (0, row.key_generation + 1, message.clone())
        }
        Trouble::Replayed { message } => {
            let certain = ABSENCE_IS_CERTAIN - absent_for(row);
            (certain.min(LOOK_AGAIN), row.key_generation, message.clone())
        }
        Trouble::Permanent(failure) => (0, row.key_generation, failure.message.clone()),
    };
    let status = if row.attempt >= row.max_attempts { "DEAD" } else { "PENDING" };
    let absence = match trouble {
        Trouble::Replayed { .. } => Absence::Seen,
        Trouble::Transient { .. } | Trouble::Permanent(_) => Absence::Unknown,
    };
    Again { status, after, key_generation, attempt: counted(row, trouble), absence, error }
}

/// How many tries are counted after this one. Looking again for what was seen to be absent is part of the try
/// that saw it: counted, a minute of looking would make the next passing failure wait like a tenth.
fn counted(row: &Outbox, trouble: &Trouble) -> i32 {
    match trouble {
        Trouble::Replayed { .. } if absent_for(row) > 0 => row.attempt - 1,
        _ => row.attempt,
    }
}
