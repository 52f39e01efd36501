//! Runs: the state of each piece of business. The run's row is the engine's only lock.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Clock, execute, query, query_one},
    together::{Place, Together},
};

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Run {
    /// Computed from the workflow and the subject.
    pub id: Uuid,
    /// The machine's name.
    pub workflow: String,
    /// What the run is about.
    pub subject: Uuid,
    /// The state's name; empty while the run has not begun.
    pub state_name: String,
    /// The state as JSON; empty while the run has not begun.
    pub state: String,
    /// The machine's version that stored the state.
    pub machine_version: i32,
    /// Raised by every event, also by a refused one.
    pub version: i64,
    /// `ACTIVE`, `DONE` or `CANCELLED`.
    pub status: String,
    /// When the timer fires.
    pub wake_at: Option<i64>,
    /// Whose run it is, if a creator's.
    pub handle_id: Option<Uuid>,
    /// When it was first written to.
    pub created_at: i64,
    /// When it last stepped; event times never go back before it.
    pub updated_at: i64,
}

/// A run that may have to be made.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Computed from the workflow and the subject.
    pub id: Uuid,
    /// The machine's name.
    pub workflow: String,
    /// What the run is about.
    pub subject: Uuid,
    /// Whose run it is, if a creator's.
    pub handle_id: Option<Uuid>,
}

/// Makes runs that do not exist yet, not begun.
pub async fn insert_missing(
    db: &impl ConnectionTrait,
    clock: &Clock,
    runs: &[NewRun],
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", runs.iter().map(|run| run.id))
        .text("workflow", runs.iter().map(|run| run.workflow.as_str()))
        .id("subject", runs.iter().map(|run| run.subject))
        .optional_id("handle_id", runs.iter().map(|run| run.handle_id));
    let (source, now) = (rows.source(dialect, 2), dialect.now("$1"));
    let sql = format!(
        "INSERT INTO run (id, workflow, subject, state_name, state, machine_version, version, status, \
         handle_id, created_at, updated_at) \
         SELECT id, workflow, subject, '', '', 0, 0, 'DONE', handle_id, {now}, 0 FROM {source} \
         WHERE true ORDER BY id ON CONFLICT (id) DO NOTHING"
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    execute(db, &sql, values).await.map(drop)
}

/// A locked run, and the time.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Locked {
    /// The run.
    #[sea_orm(nested)]
    pub run: Run,
    /// The time now, by the database's clock on PostgreSQL.
    pub now: i64,
}

/// Locks those of the runs that nobody else holds, in the order of their ids.
pub async fn lock(
    db: &impl ConnectionTrait,
    clock: &Clock,
    ids: &[Uuid],
) -> Result<Vec<Locked>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", ids.iter().copied());
    let sql = format!(
        "SELECT run.*, {} AS now FROM run WHERE id IN (SELECT id FROM {}) ORDER BY run.id{}",
        dialect.now("$1"),
        rows.source(dialect, 2),
        match dialect {
            Dialect::Postgres => " FOR UPDATE OF run SKIP LOCKED",
            Dialect::Sqlite => "",
        }
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// A run whose timer is due.
#[derive(FromQueryResult)]
struct Due {
    id: Uuid,
}

/// Runs whose timer has passed, the longest overdue first, as far as this process can read them.
pub async fn due(db: &impl ConnectionTrait, clock: &Clock, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!("SELECT id FROM run WHERE wake_at <= {now} ORDER BY wake_at LIMIT {limit}");
    let due: Vec<Due> = query(db, &sql, vec![clock.bind(dialect)]).await?;
    Ok(due.into_iter().map(|run| run.id).collect())
}

/// A stepped run, to be saved.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// Which.
    pub id: Uuid,
    /// The version that the step began from.
    pub from_version: i64,
    /// The version after it.
    pub version: i64,
    /// The state's name.
    pub state_name: String,
    /// The state as JSON.
    pub state: String,
    /// The machine's version.
    pub machine_version: i32,
    /// `ACTIVE`, `DONE` or `CANCELLED`.
    pub status: &'static str,
    /// When the timer fires.
    pub wake_at: Option<i64>,
    /// When it stepped.
    pub updated_at: i64,
}

/// Saves stepped runs. Fewer touched than given means that a version was stale: roll back.
pub fn save(together: &mut Together, runs: &[Stepped]) -> Place {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("id", runs.iter().map(|run| run.id))
        .number("from_version", runs.iter().map(|run| run.from_version))
        .number("version", runs.iter().map(|run| run.version))
        .text("state_name", runs.iter().map(|run| run.state_name.as_str()))
        .text("state", runs.iter().map(|run| run.state.as_str()))
        .number("machine_version", runs.iter().map(|run| run.machine_version))
        .text("status", runs.iter().map(|run| run.status))
        .optional_number("wake_at", runs.iter().map(|run| run.wake_at))
        .number("updated_at", runs.iter().map(|run| run.updated_at));
    let sql = format!(
        "UPDATE run SET state_name = t.state_name, state = t.state, machine_version = t.machine_version, \
         version = t.version, status = t.status, wake_at = t.wake_at, updated_at = t.updated_at \
         FROM {} WHERE run.id = t.id AND run.version = t.from_version",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect))
}

/// Puts off the timers of runs that this process cannot step.
pub async fn postpone(db: &impl ConnectionTrait, ids: &[Uuid], wake_at: i64) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", ids.iter().copied());
    let sql = format!(
        "UPDATE run SET wake_at = $1 WHERE wake_at < $1 AND id IN (SELECT id FROM {})",
        rows.source(dialect, 2)
    );
    let mut values = vec![wake_at.into()];
    values.extend(rows.values(dialect));
    execute(db, &sql, values).await.map(drop)
}

/// One run, whoever's it is: for the engine and for operators.
pub async fn find_any_handle(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Run>, DbErr> {
    query_one(db, "SELECT * FROM run WHERE id = $1", vec![id.into()]).await
}

/// Several runs at once, whoever's they are: for those who wait for them.
pub async fn find_many_any_handle(
    db: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<Vec<Run>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", ids.iter().copied());
    let sql =
        format!("SELECT run.* FROM run WHERE id IN (SELECT id FROM {})", rows.source(dialect, 1));
    query(db, &sql, rows.values(dialect)).await
}

/// A page of all runs in the order of their ids, for checks.
pub async fn scan_any_handle(
    db: &impl ConnectionTrait,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Run>, DbErr> {
    let sql = format!("SELECT * FROM run WHERE id > $1 ORDER BY id LIMIT {limit}");
    query(db, &sql, vec![after.into()]).await
}

/// A count of runs by machine and version.
#[derive(Clone, Debug, FromQueryResult)]
pub struct VersionCount {
    /// The machine's name.
    pub workflow: String,
    /// The version that stored them.
    pub machine_version: i32,
    /// How many.
    pub runs: i64,
}

/// Which versions of which machines have stored runs that are still read.
pub async fn versions(db: &impl ConnectionTrait) -> Result<Vec<VersionCount>, DbErr> {
    let sql = "SELECT workflow, machine_version, count(*) AS runs FROM run WHERE version > 0 \
               GROUP BY workflow, machine_version ORDER BY workflow, machine_version";
    query(db, sql, vec![]).await
}
