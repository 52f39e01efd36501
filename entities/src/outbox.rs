//! The outbox: effects to perform, each under a lease with a fencing epoch.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Clock, Number, execute, query, query_one},
    together::Together,
};

/// An effect that a step asked for.
#[derive(Clone, Debug)]
pub struct NewOutbox {
    /// Also the root of the idempotency key.
    pub id: Uuid,
    /// Who asked.
    pub run_id: Uuid,
    /// In which step.
    pub run_version: i64,
    /// Which of the step's effects.
    pub n: i32,
    /// The machine's name.
    pub workflow: &'static str,
    /// Which queue performs it.
    pub queue: &'static str,
    /// The effect's name.
    pub kind: &'static str,
    /// The effect as JSON.
    pub effect: String,
    /// How often it may be tried.
    pub max_attempts: i32,
}

/// Writes effects down.
pub fn insert(together: &mut Together, clock: &Clock, effects: &[NewOutbox]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("id", effects.iter().map(|effect| effect.id))
        .id("run_id", effects.iter().map(|effect| effect.run_id))
        .number("run_version", effects.iter().map(|effect| effect.run_version))
        .number("n", effects.iter().map(|effect| effect.n))
        .text("workflow", effects.iter().map(|effect| effect.workflow))
        .text("queue", effects.iter().map(|effect| effect.queue))
        .text("kind", effects.iter().map(|effect| effect.kind))
        .text("effect", effects.iter().map(|effect| effect.effect.as_str()))
        .number("max_attempts", effects.iter().map(|effect| effect.max_attempts));
    let first = together.first();
    let (source, now) = (rows.source(dialect, first + 1), dialect.now(&format!("${first}")));
    let sql = format!(
        "INSERT INTO outbox (id, run_id, run_version, n, workflow, queue, kind, effect, status, due_at, \
         attempt, max_attempts, key_generation, epoch, created_at) \
         SELECT id, run_id, run_version, n, workflow, queue, kind, effect, 'PENDING', {now}, 0, \
         max_attempts, 0, 0, {now} FROM {source} WHERE true"
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    together.add(sql, values);
}

/// An effect as it is stored.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Outbox {
    /// Also the root of the idempotency key.
    pub id: Uuid,
    /// Who asked.
    pub run_id: Uuid,
    /// In which step.
    pub run_version: i64,
    /// Which of the step's effects.
    pub n: i32,
    /// The machine's name.
    pub workflow: String,
    /// Which queue performs it.
    pub queue: String,
    /// The effect's name.
    pub kind: String,
    /// The effect as JSON.
    pub effect: String,
    /// `PENDING`, `LEASED`, `DONE`, `DEAD` or `CANCELLED`.
    pub status: String,
    /// When it is taken.
    pub due_at: i64,
    /// How often it was taken.
    pub attempt: i32,
    /// How often it may be.
    pub max_attempts: i32,
    /// Raised when Stripe may no longer know the key: a new one is used.
    pub key_generation: i32,
    /// When its current key was first used.
    pub first_attempt_at: Option<i64>,
    /// Since when what it makes is known not to be there, under its current key.
    pub absent_since: Option<i64>,
    /// Who holds it.
    pub lease_owner: Option<String>,
    /// Until when.
    pub lease_until: Option<i64>,
    /// Raised with every lease; an answer of an older one is refused.
    pub epoch: i64,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: i64,
    /// When it was answered.
    pub answered_at: Option<i64>,
}

/// Who takes a lease, and for how long.
#[derive(Clone, Debug)]
pub struct Lease<'a> {
    /// The process.
    pub owner: &'a str,
    /// Milliseconds.
    pub duration: i64,
}

/// Whether an effect of a queue is due, or being performed.
pub async fn is_due(db: &impl ConnectionTrait, clock: &Clock, queue: &str) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "SELECT 1 FROM outbox WHERE queue = $2 AND (status = 'LEASED' \
         OR (status = 'PENDING' AND due_at <= {now})) LIMIT 1"
    );
    let values = vec![clock.bind(dialect), queue.into()];
    let statement = sea_orm::Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// Leases due effects of a queue, the longest due first. From a paused queue it leases nothing.
pub async fn claim(
    db: &impl ConnectionTrait,
    clock: &Clock,
    queue: &str,
    lease: &Lease<'_>,
    limit: u64,
) -> Result<Vec<Outbox>, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "WITH due AS MATERIALIZED (SELECT id FROM outbox \
         WHERE queue = $2 AND status = 'PENDING' AND due_at <= {now} AND NOT EXISTS \
         (SELECT 1 FROM queue_control WHERE queue = $2 AND paused_at IS NOT NULL) \
         ORDER BY due_at LIMIT {limit}{}) \
         UPDATE outbox SET status = 'LEASED', lease_owner = $3, lease_until = {now} + $4, \
         epoch = epoch + 1, attempt = attempt + 1, first_attempt_at = COALESCE(first_attempt_at, {now}) \
         WHERE id IN (SELECT id FROM due) RETURNING *",
        dialect.skip_locked()
    );
    let values = vec![clock.bind(dialect), queue.into(), lease.owner.into(), lease.duration.into()];
    query(db, &sql, values).await
}

/// How long an effect rests after a lease that ran out, in milliseconds.
const AFTER_EXPIRY: i64 = 1_000;

/// Takes leases back that have run out, and says how many. An effect that was tried often enough without ever
/// an outcome goes dead: what ends its process every time must not be tried for ever.
pub async fn expire_leases(db: &impl ConnectionTrait, clock: &Clock) -> Result<u64, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "UPDATE outbox SET status = CASE WHEN attempt >= max_attempts THEN 'DEAD' ELSE 'PENDING' END, \
         due_at = {now} + {AFTER_EXPIRY}, last_error = COALESCE(last_error, 'the lease ran out'), \
         lease_owner = NULL, lease_until = NULL WHERE status = 'LEASED' AND lease_until <= {now}"
    );
    execute(db, &sql, vec![clock.bind(dialect)]).await
}

/// Gives back whatever a process holds, when it stops.
pub async fn release(db: &impl ConnectionTrait, owner: &str) -> Result<u64, DbErr> {
    let sql = "UPDATE outbox SET status = 'PENDING', lease_owner = NULL, lease_until = NULL \
               WHERE status = 'LEASED' AND lease_owner = $1";
    execute(db, sql, vec![owner.into()]).await
}

/// Gives back whatever a process holds of one queue, when it begins again with that queue.
pub async fn release_queue(
    db: &impl ConnectionTrait,
    owner: &str,
    queue: &str,
) -> Result<u64, DbErr> {
    let sql = "UPDATE outbox SET status = 'PENDING', lease_owner = NULL, lease_until = NULL \
               WHERE status = 'LEASED' AND lease_owner = $1 AND queue = $2";
    execute(db, sql, vec![owner.into(), queue.into()]).await
}

/// A lease as it was taken: what an answer must still hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The effect.
    pub id: Uuid,
    /// The lease's epoch.
    pub epoch: i64,
}

/// An effect's id.
#[derive(FromQueryResult)]
struct Id {
    id: Uuid,
}

/// Marks effects as answered, and says which leases were still held.
pub async fn answer(
    db: &impl ConnectionTrait,
    clock: &Clock,
    held: &[Held],
) -> Result<Vec<Uuid>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", held.iter().map(|lease| lease.id))
        .number("epoch", held.iter().map(|lease| lease.epoch));
    let (source, now) = (rows.source(dialect, 2), dialect.now("$1"));
    let sql = format!(
        "UPDATE outbox SET status = 'DONE', answered_at = {now}, lease_owner = NULL, lease_until = NULL, \
         last_error = NULL FROM {source} \
         WHERE outbox.id = t.id AND outbox.epoch = t.epoch AND outbox.status = 'LEASED' \
         RETURNING outbox.id AS id"
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    let answered: Vec<Id> = query(db, &sql, values).await?;
    Ok(answered.into_iter().map(|row| row.id).collect())
}

/// What becomes of an effect whose try failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// `PENDING`, or `DEAD` when it was tried often enough.
    pub status: &'static str,
    /// Milliseconds until the next try.
    pub after: i64,
    /// Raised when the old key may no longer be used.
    pub key_generation: i32,
    /// How many tries are counted from now on.
    pub attempt: i32,
    /// Whether what it makes was looked for and is not there.
    pub absence: Absence,
    /// For a person.
    pub error: String,
}

/// Whether what an effect makes was looked for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It was not looked for.
    Unknown,
    /// It was looked for, and is not there.
    Seen,
}

/// Gives an effect back after a failed try. Returns whether the lease was still held.
pub async fn give_back(
    db: &impl ConnectionTrait,
    clock: &Clock,
    held: Held,
    again: &Again,
) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let absence = match again.absence {
        Absence::Unknown => String::new(),
        Absence::Seen => format!("WHEN absent_since IS NULL THEN {now}"),
    };
    let sql = format!(
        "UPDATE outbox SET status = $2, due_at = {now} + $3, key_generation = $4, attempt = $5, \
         first_attempt_at = CASE WHEN key_generation = $4 THEN first_attempt_at END, \
         absent_since = CASE WHEN key_generation <> $4 THEN NULL {absence} ELSE absent_since END, \
         last_error = $6, lease_owner = NULL, lease_until = NULL \
         WHERE id = $7 AND epoch = $8 AND status = 'LEASED'"
    );
    let values = vec![
        clock.bind(dialect),
        again.status.into(),
        again.after.into(),
        again.key_generation.into(),
        again.attempt.into(),
        again.error.replace('\0', "").into(),
        held.id.into(),
        held.epoch.into(),
    ];
    Ok(execute(db, &sql, values).await? == 1)
}

/// Calls off the effects of runs that were never tried.
pub async fn cancel_untried(db: &impl ConnectionTrait, runs: &[Uuid]) -> Result<u64, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", runs.iter().copied());
    let sql = format!(
        "UPDATE outbox SET status = 'CANCELLED' WHERE status = 'PENDING' AND attempt = 0 \
         AND run_id IN (SELECT id FROM {})",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await
}

/// The name of a queue.
#[derive(FromQueryResult)]
struct QueueName {
    queue: String,
}

/// The queues that have due effects. One short index scan for each queue.
pub async fn due_queues(
    db: &impl ConnectionTrait,
    clock: &Clock,
    queues: &[&str],
) -> Result<Vec<String>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().text("name", queues.iter().copied());
    let (source, now) = (rows.source(dialect, 2), dialect.now("$1"));
    let sql = format!(
        "SELECT name AS queue FROM {source} WHERE EXISTS (SELECT 1 FROM outbox \
         WHERE outbox.queue = t.name AND status = 'PENDING' AND due_at <= {now})"
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    let queues: Vec<QueueName> = query(db, &sql, values).await?;
    Ok(queues.into_iter().map(|row| row.queue).collect())
}

/// One effect.
pub async fn find_any_handle(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Outbox>, DbErr> {
    query_one(db, "SELECT * FROM outbox WHERE id = $1", vec![id.into()]).await
}

/// The first effects of a run, in the order they were asked for. Whoever asks has been allowed to see the run.
pub async fn of_run(db: &impl ConnectionTrait, run: Uuid) -> Result<Vec<Outbox>, DbErr> {
    let sql = "SELECT * FROM outbox WHERE run_id = $1 ORDER BY run_version, n LIMIT 1000";
    query(db, sql, vec![run.into()]).await
}

/// Whether a run has a dead effect. Those are few, whatever the run has asked for.
pub async fn has_dead(db: &impl ConnectionTrait, run: Uuid) -> Result<bool, DbErr> {
    let sql = "SELECT CAST(count(*) AS BIGINT) AS number FROM outbox \
               WHERE status = 'DEAD' AND run_id = $1";
    let found: Option<Number> = query_one(db, sql, vec![run.into()]).await?;
    Ok(found.is_some_and(|found| found.number > 0))
}

/// Takes up a dead effect again, with its old key. Returns whether there was one.
pub async fn retry_dead(db: &impl ConnectionTrait, clock: &Clock, id: Uuid) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "UPDATE outbox SET status = 'PENDING', attempt = 0, due_at = {now} \
         WHERE id = $2 AND status = 'DEAD'"
    );
    Ok(execute(db, &sql, vec![clock.bind(dialect), id.into()]).await? == 1)
}

/// Discards a dead effect. Returns whether there was one.
pub async fn discard_dead(
    db: &impl ConnectionTrait,
    clock: &Clock,
    id: Uuid,
) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "UPDATE outbox SET status = 'DONE', answered_at = {now}, epoch = epoch + 1 \
         WHERE id = $2 AND status = 'DEAD'"
    );
    Ok(execute(db, &sql, vec![clock.bind(dialect), id.into()]).await? == 1)
}

/// Deletes answered effects older than so many milliseconds, a chunk at a time, and says how many.
pub async fn delete_finished(
    db: &impl ConnectionTrait,
    clock: &Clock,
    older_than: i64,
    chunk: u64,
) -> Result<u64, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM \
         (SELECT id, status, created_at FROM outbox ORDER BY id LIMIT {window}) AS oldest \
         WHERE status IN ('DONE', 'CANCELLED') AND created_at <= {now} - $2 ORDER BY id LIMIT {chunk})",
        window = chunk * 10,
    );
    execute(db, &sql, vec![clock.bind(dialect), older_than.into()]).await
}

/// Dead effects, the newest first: for operators.
pub async fn list_dead_any_handle(
    db: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<Outbox>, DbErr> {
    let sql = format!("SELECT * FROM outbox WHERE status = 'DEAD' ORDER BY id DESC LIMIT {limit}");
    query(db, &sql, vec![]).await
}

/// A number of effects that are not finished.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unfinished {
    /// The effects' name.
    pub kind: String,
    /// `PENDING`, `LEASED` or `DEAD`.
    pub status: String,
    /// How many.
    pub number: i64,
}

/// How many effects are not finished: for checks.
pub async fn count_unfinished_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<Unfinished>, DbErr> {
    let sql = "SELECT kind, status, count(*) AS number FROM outbox \
               WHERE status IN ('PENDING', 'LEASED', 'DEAD') GROUP BY kind, status ORDER BY kind, status";
    query(db, sql, vec![]).await
}
