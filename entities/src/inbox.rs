//! The inbox: everything that happens to runs, once each, in the order it was written down.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Clock, execute, query, query_one},
    together::Together,
    webhook_body,
};

/// A message that arrives.
#[derive(Clone, Debug)]
pub struct NewInbox {
    /// Who sends: `stripe`, `api`, `outbox`, `run` …
    pub source: &'static str,
    /// Unique within the source: a duplicate has no second effect.
    pub source_id: String,
    /// The run it goes to, if known; else the Stripe object tells.
    pub run_id: Option<Uuid>,
    /// The machine's name.
    pub workflow: &'static str,
    /// What the run is about, if known.
    pub subject: Option<Uuid>,
    /// Whose run it is, if a creator's.
    pub handle_id: Option<Uuid>,
    /// The Stripe object that the message is about, where the run is not known from the message itself.
    pub stripe_object: Option<String>,
    /// The event as JSON.
    pub event: String,
    /// `PENDING`, or `IGNORED` for what no machine listens to.
    pub status: &'static str,
    /// Why it is ignored.
    pub last_error: Option<String>,
}

/// What was written down.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Inserted {
    /// Its place.
    pub seq: i64,
    /// Of what was given.
    pub source_id: String,
}

/// The rows of messages, and the statement that writes them down.
fn insertion(messages: &[NewInbox], dialect: Dialect) -> (Rows, String) {
    let rows = Rows::new()
        .text("source", messages.iter().map(|message| message.source))
        .text("source_id", messages.iter().map(|message| message.source_id.as_str()))
        .optional_id("run_id", messages.iter().map(|message| message.run_id))
        .text("workflow", messages.iter().map(|message| message.workflow))
        .optional_id("subject", messages.iter().map(|message| message.subject))
        .optional_id("handle_id", messages.iter().map(|message| message.handle_id))
        .optional_text("object", messages.iter().map(|message| message.stripe_object.as_deref()))
        .text("event", messages.iter().map(|message| message.event.as_str()))
        .text("status", messages.iter().map(|message| message.status))
        .optional_text("last_error", messages.iter().map(|message| message.last_error.as_deref()));
    let (source, now) = (rows.source(dialect, 2), dialect.now("$1"));
    let sql = format!(
        "INSERT INTO inbox (source, source_id, run_id, workflow, subject, handle_id, stripe_object, \
         event, status, attempt, due_at, last_error, received_at) \
         SELECT source, source_id, \
         COALESCE(run_id, (SELECT o.run_id FROM stripe_object o WHERE o.id = object)), \
         workflow, subject, handle_id, object, event, status, 0, {now}, last_error, {now} \
         FROM {source} WHERE true ON CONFLICT (source, source_id) DO NOTHING RETURNING seq, source_id"
    );
    (rows, sql)
}

/// Writes messages down, and says which of them are new.
pub async fn insert(
    db: &impl ConnectionTrait,
    clock: &Clock,
    messages: &[NewInbox],
) -> Result<Vec<Inserted>, DbErr> {
    let dialect = Dialect::of(db);
    let (rows, sql) = insertion(messages, dialect);
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// Writes messages of one source down with the raw bodies behind them, and says which are new. One
/// statement on PostgreSQL; on SQLite it must run inside a transaction.
pub async fn insert_with_bodies(
    db: &impl ConnectionTrait,
    clock: &Clock,
    messages: &[NewInbox],
    bodies: Vec<Vec<u8>>,
) -> Result<Vec<Inserted>, DbErr> {
    let dialect = Dialect::of(db);
    match dialect {
        Dialect::Postgres => {
            let (rows, sql) = insertion(messages, dialect);
            let ids = messages.iter().map(|message| message.source_id.as_str());
            let raw = Rows::new().text("body_of", ids).bytes("body", bodies.into_iter());
            let mut values = vec![clock.bind(dialect)];
            values.extend(rows.values(dialect));
            let sql = format!(
                "WITH new AS ({sql}), stored AS (INSERT INTO webhook_body (inbox_seq, body) \
                 SELECT DISTINCT ON (new.seq) new.seq, t.body FROM new JOIN {} ON t.body_of = new.source_id) \
                 SELECT seq, source_id FROM new",
                raw.source(dialect, values.len() + 1)
            );
            values.extend(raw.values(dialect));
            query(db, &sql, values).await
        }
        Dialect::Sqlite => {
            let new = insert(db, clock, messages).await?;
            let seq_of = |message: &NewInbox| {
                new.iter().find(|row| row.source_id == message.source_id).map(|row| row.seq)
            };
            let mut stored = std::collections::HashSet::new();
            let bodies = messages
                .iter()
                .zip(bodies)
                .filter_map(|(message, body)| seq_of(message).map(|inbox_seq| (inbox_seq, body)))
                .filter(|(inbox_seq, _)| stored.insert(*inbox_seq))
                .map(|(inbox_seq, body)| webhook_body::WebhookBody { inbox_seq, body })
                .collect();
            webhook_body::insert(db, bodies).await?;
            Ok(new)
        }
    }
}

/// A message as it is stored.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Inbox {
    /// Its place: messages of a run apply in this order.
    pub seq: i64,
    /// Who sent it.
    pub source: String,
    /// Unique within the source.
    pub source_id: String,
    /// The run it goes to.
    pub run_id: Option<Uuid>,
    /// The machine's name.
    pub workflow: String,
    /// What the run is about.
    pub subject: Option<Uuid>,
    /// Whose run it is, if a creator's.
    pub handle_id: Option<Uuid>,
    /// The event as JSON.
    pub event: String,
    /// `PENDING`, `DONE`, `IGNORED` or `DEAD`.
    pub status: String,
    /// How often it failed.
    pub attempt: i32,
    /// When it is taken again.
    pub due_at: i64,
    /// Why it failed, or is ignored.
    pub last_error: Option<String>,
    /// When it arrived.
    pub received_at: i64,
}

/// The message that a source sent under an id.
pub async fn find(
    db: &impl ConnectionTrait,
    source: &str,
    source_id: &str,
) -> Result<Option<Inbox>, DbErr> {
    let sql = "SELECT * FROM inbox WHERE source = $1 AND source_id = $2";
    query_one(db, sql, vec![source.into(), source_id.into()]).await
}

/// A run with due messages.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DueRun {
    /// The run.
    pub run_id: Uuid,
    /// The machine's name.
    pub workflow: String,
    /// What the run is about, where the message says it.
    pub subject: Option<Uuid>,
    /// Whose run it is, if a creator's.
    pub handle_id: Option<Uuid>,
    /// The highest count of failures among its due messages so far.
    pub attempt: i32,
    /// Whether the run exists.
    pub run_exists: bool,
}

/// The runs of the oldest due messages. Unlocked, and a run may appear more than once.
pub async fn due_runs(
    db: &impl ConnectionTrait,
    clock: &Clock,
    limit: u64,
) -> Result<Vec<DueRun>, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "SELECT i.run_id, i.workflow, i.subject, i.handle_id, i.attempt, r.id IS NOT NULL AS run_exists \
         FROM (SELECT seq, run_id, workflow, subject, handle_id, attempt FROM inbox \
         WHERE status = 'PENDING' AND due_at <= {now} AND run_id IS NOT NULL ORDER BY seq LIMIT {limit}) i \
         LEFT JOIN run r ON r.id = i.run_id ORDER BY i.seq"
    );
    query(db, &sql, vec![clock.bind(dialect)]).await
}

/// A due message of a locked run, and the time as the database has it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Due {
    /// Its place.
    pub seq: i64,
    /// The run.
    pub run_id: Uuid,
    /// Who sent it.
    pub source: String,
    /// The event as JSON.
    pub event: String,
    /// How often it failed.
    pub attempt: i32,
}

/// The due messages of runs, in order, so many a run at most.
pub async fn due_of_runs(
    db: &impl ConnectionTrait,
    clock: &Clock,
    runs: &[Uuid],
    per_run: u64,
) -> Result<Vec<Due>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", runs.iter().copied());
    let (source, now) = (rows.source(dialect, 2), dialect.now("$1"));
    let sql = match dialect {
        // One short index scan a run, whatever the planner believes about the size of the inbox.
        Dialect::Postgres => format!(
            "SELECT i.seq, i.run_id, i.source, i.event, i.attempt FROM {source} CROSS JOIN LATERAL \
             (SELECT seq, run_id, source, event, attempt FROM inbox \
             WHERE inbox.run_id = t.id AND status = 'PENDING' AND due_at <= {now} \
             ORDER BY seq LIMIT {per_run}) i ORDER BY i.run_id, i.seq"
        ),
        Dialect::Sqlite => format!(
            "SELECT seq, run_id, source, event, attempt FROM (SELECT seq, run_id, source, event, attempt, \
             row_number() OVER (PARTITION BY run_id ORDER BY seq) AS place FROM inbox \
             WHERE run_id IN (SELECT id FROM {source}) AND status = 'PENDING' AND due_at <= {now}) \
             WHERE place <= {per_run} ORDER BY run_id, seq"
        ),
    };
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Which.
    pub seq: i64,
    /// `DONE` or `IGNORED`.
    pub status: &'static str,
    /// Why it is ignored.
    pub reason: Option<String>,
    /// The event to keep in place of one that holds a secret.
    pub masked: Option<String>,
}

/// Marks messages as finished.
pub fn finish(together: &mut Together, finished: &[Finished]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .number("seq", finished.iter().map(|message| message.seq))
        .text("status", finished.iter().map(|message| message.status))
        .optional_text("reason", finished.iter().map(|message| message.reason.as_deref()))
        .optional_text("masked", finished.iter().map(|message| message.masked.as_deref()));
    let sql = format!(
        "UPDATE inbox SET status = t.status, last_error = t.reason, \
         event = COALESCE(t.masked, inbox.event) FROM {} WHERE inbox.seq = t.seq",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// A message whose try was counted.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Counted {
    /// Its place.
    pub seq: i64,
    /// How often it was tried, with this one.
    pub attempt: i32,
}

/// Counts a try of a run's oldest due message before it is tried, so that one that kills the process is not
/// tried for ever.
pub async fn count_try(
    db: &impl ConnectionTrait,
    clock: &Clock,
    run: Uuid,
) -> Result<Option<Counted>, DbErr> {
    let dialect = Dialect::of(db);
    let sql = format!(
        "UPDATE inbox SET attempt = attempt + 1 WHERE run_id = $2 AND status = 'PENDING' AND seq = \
         (SELECT min(seq) FROM inbox WHERE run_id = $2 AND status = 'PENDING' AND due_at <= {}) \
         RETURNING seq, attempt",
        dialect.now("$1")
    );
    query_one(db, &sql, vec![clock.bind(dialect), run.into()]).await
}

/// Takes back the count of a try that was not made: somebody else held the run, or the database was away.
pub async fn uncount_try(db: &impl ConnectionTrait, seq: i64) -> Result<(), DbErr> {
    let sql = "UPDATE inbox SET attempt = attempt - 1 WHERE seq = $1 AND status = 'PENDING'";
    execute(db, sql, vec![seq.into()]).await.map(drop)
}

/// Counts a try of a message that failed while it was stepped.
pub async fn count_failure(db: &impl ConnectionTrait, seq: i64) -> Result<(), DbErr> {
    let sql = "UPDATE inbox SET attempt = attempt + 1 WHERE seq = $1";
    execute(db, sql, vec![seq.into()]).await.map(drop)
}

/// Puts a message off after a failure, or sets it aside for a person.
pub async fn fail(
    db: &impl ConnectionTrait,
    clock: &Clock,
    seq: i64,
    verdict: Verdict,
    error: &str,
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let (status, delay) = match verdict {
        Verdict::Again { after } => ("PENDING", after),
        Verdict::Dead => ("DEAD", 0),
    };
    let sql = format!(
        "UPDATE inbox SET status = $2, due_at = {now} + $3, last_error = $4 \
         WHERE seq = $5 AND status = 'PENDING'"
    );
    let values = vec![
        clock.bind(dialect),
        status.into(),
        delay.into(),
        error.replace('\0', "").into(),
        seq.into(),
    ];
    execute(db, &sql, values).await.map(drop)
}

/// What becomes of a message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after so many milliseconds.
    Again {
        /// Milliseconds.
        after: i64,
    },
    /// A person decides.
    Dead,
}

/// Leaves the messages of runs to a process of a newer release, for so many milliseconds.
pub async fn postpone(
    db: &impl ConnectionTrait,
    clock: &Clock,
    runs: &[Uuid],
    delay: i64,
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", runs.iter().copied());
    let (source, now) = (rows.source(dialect, 3), dialect.now("$1"));
    let sql = format!(
        "UPDATE inbox SET due_at = {now} + $2 \
         WHERE status = 'PENDING' AND run_id IN (SELECT id FROM {source})"
    );
    let mut values = vec![clock.bind(dialect), delay.into()];
    values.extend(rows.values(dialect));
    execute(db, &sql, values).await.map(drop)
}

/// Gives messages about Stripe objects to the runs that have come to know the objects since.
pub async fn route(db: &impl ConnectionTrait) -> Result<u64, DbErr> {
    let sql = "UPDATE inbox SET run_id = (SELECT o.run_id FROM stripe_object o WHERE o.id = stripe_object) \
               WHERE status = 'PENDING' AND run_id IS NULL \
               AND stripe_object IN (SELECT o.id FROM stripe_object o WHERE o.id = stripe_object)";
    execute(db, sql, vec![]).await
}

/// A message that no run wants.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unrouted {
    /// Its place.
    pub seq: i64,
    /// The sender's id of it.
    pub source_id: String,
    /// What it is about.
    pub stripe_object: Option<String>,
}

/// Sets aside messages that no run has come to know for so many milliseconds.
pub async fn set_aside(
    db: &impl ConnectionTrait,
    clock: &Clock,
    older_than: i64,
) -> Result<Vec<Unrouted>, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "UPDATE inbox SET status = 'IGNORED', last_error = 'no run knows this object' \
         WHERE status = 'PENDING' AND run_id IS NULL AND received_at <= {now} - $2 \
         RETURNING seq, source_id, stripe_object"
    );
    query(db, &sql, vec![clock.bind(dialect), older_than.into()]).await
}

/// Whether a message is due.
pub async fn is_due(db: &impl ConnectionTrait, clock: &Clock) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "SELECT 1 FROM inbox WHERE status = 'PENDING' AND due_at <= {now} AND run_id IS NOT NULL LIMIT 1"
    );
    let statement = sea_orm::Statement::from_sql_and_values(
        db.get_database_backend(),
        sql,
        [clock.bind(dialect)],
    );
    Ok(db.query_one_raw(statement).await?.is_some())
}

/// A dead message that was taken up again.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Retried {
    /// Whose handle it is about, if a handle's.
    pub handle_id: Option<Uuid>,
}

/// Takes up a dead message again, if there is one: a webhook that could not be understood has no run to go to,
/// and stays until a person has looked it up at Stripe.
pub async fn retry_dead(
    db: &impl ConnectionTrait,
    clock: &Clock,
    seq: i64,
) -> Result<Option<Retried>, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "UPDATE inbox SET status = 'PENDING', attempt = 0, due_at = {now} \
         WHERE seq = $2 AND status = 'DEAD' AND (run_id IS NOT NULL OR stripe_object IS NOT NULL) \
         RETURNING handle_id"
    );
    query_one(db, &sql, vec![clock.bind(dialect), seq.into()]).await
}

/// Deletes finished messages older than so many milliseconds with their raw bodies, a chunk at a time, and
/// says how many. Looks at the oldest messages only, so that it is cheap while nothing is old. Must run
/// inside a transaction, or a body could stay without its message.
pub async fn delete_finished(
    db: &impl ConnectionTrait,
    clock: &Clock,
    older_than: i64,
    chunk: u64,
) -> Result<u64, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "DELETE FROM inbox WHERE seq IN (SELECT seq FROM \
         (SELECT seq, status, received_at FROM inbox ORDER BY seq LIMIT {window}) AS oldest \
         WHERE status IN ('DONE', 'IGNORED') AND received_at <= {now} - $2 ORDER BY seq LIMIT {chunk}) \
         RETURNING seq, source_id",
        window = chunk * 10,
    );
    let values = vec![clock.bind(dialect), older_than.into()];
    let deleted: Vec<Inserted> = query(db, &sql, values).await?;
    let rows = Rows::new().number("seq", deleted.iter().map(|row| row.seq));
    let sql = format!(
        "DELETE FROM webhook_body WHERE inbox_seq IN (SELECT seq FROM {})",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await?;
    Ok(deleted.len() as u64)
}

/// Dead messages, the newest first: for operators.
pub async fn list_dead_any_handle(
    db: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<Inbox>, DbErr> {
    let sql = format!("SELECT * FROM inbox WHERE status = 'DEAD' ORDER BY seq DESC LIMIT {limit}");
    query(db, &sql, vec![]).await
}

/// A number of messages that are not finished.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Unfinished {
    /// Who sent them.
    pub source: String,
    /// `PENDING` or `DEAD`.
    pub status: String,
    /// How many.
    pub number: i64,
}

/// How many messages are not finished: for checks.
pub async fn count_unfinished_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<Unfinished>, DbErr> {
    let sql = "SELECT source, status, count(*) AS number FROM inbox WHERE status = 'PENDING' \
               GROUP BY source, status UNION ALL \
               SELECT source, status, count(*) AS number FROM inbox WHERE status = 'DEAD' \
               GROUP BY source, status";
    query(db, sql, vec![]).await
}
