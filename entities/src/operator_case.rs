//! Things that a person must decide.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query, query_one},
};

/// Something that a person must decide.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct OperatorCase {
    /// Its id.
    pub id: Uuid,
    /// What kind of thing.
    pub kind: String,
    /// One case for each kind and key.
    pub key: String,
    /// The run that it came up in.
    pub run_id: Option<Uuid>,
    /// What happened, and what to do.
    pub detail: String,
    /// `OPEN` or `CLOSED`.
    pub status: String,
    /// When it came up.
    pub created_at: i64,
}

/// Why a case is closed that was about something which is no longer so. Should it be so again, it is opened again,
/// where what a person has closed stays closed.
pub const SETTLED: &str = "it has settled by itself";

/// Opens cases that are not there yet.
pub async fn open(db: &impl ConnectionTrait, cases: &[OperatorCase]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("id", cases.iter().map(|case| case.id))
        .text("kind", cases.iter().map(|case| case.kind.as_str()))
        .text("key", cases.iter().map(|case| case.key.as_str()))
        .optional_id("run_id", cases.iter().map(|case| case.run_id))
        .text("detail", cases.iter().map(|case| case.detail.as_str()))
        .number("at", cases.iter().map(|case| case.created_at));
    let sql = format!(
        "INSERT INTO operator_case (id, kind, key, run_id, detail, status, created_at) \
         SELECT id, kind, key, run_id, detail, 'OPEN', at FROM {} WHERE true ORDER BY kind, key \
         ON CONFLICT (kind, key) DO UPDATE SET status = 'OPEN', detail = excluded.detail, \
         closed_at = NULL, closed_because = NULL \
         WHERE operator_case.status = 'CLOSED' AND operator_case.closed_because = '{SETTLED}'",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// Closes open cases of a kind whose key begins so: what they are about is no longer so.
pub async fn close_settled(
    db: &impl ConnectionTrait,
    kind: &str,
    key_prefix: &str,
    at: i64,
) -> Result<u64, DbErr> {
    let sql = "UPDATE operator_case SET status = 'CLOSED', closed_because = $3, closed_at = $4 \
               WHERE kind = $1 AND key LIKE $2 AND status = 'OPEN'";
    let prefix = format!("{key_prefix}%");
    execute(db, sql, vec![kind.into(), prefix.into(), SETTLED.into(), at.into()]).await
}

/// Open cases, the newest first.
pub async fn list_open_any_handle(
    db: &impl ConnectionTrait,
    limit: u64,
) -> Result<Vec<OperatorCase>, DbErr> {
    let sql = format!(
        "SELECT * FROM operator_case WHERE status = 'OPEN' ORDER BY created_at DESC, id LIMIT {limit}"
    );
    query(db, &sql, vec![]).await
}

/// The cases of a run. Whoever asks has been allowed to see the run.
pub async fn of_run(db: &impl ConnectionTrait, run: Uuid) -> Result<Vec<OperatorCase>, DbErr> {
    let sql = "SELECT * FROM operator_case WHERE run_id = $1 ORDER BY created_at, id LIMIT 100";
    query(db, sql, vec![run.into()]).await
}

/// One case.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<OperatorCase>, DbErr> {
    query_one(db, "SELECT * FROM operator_case WHERE id = $1", vec![id.into()]).await
}

/// Closes an open case, and says whether there was one.
pub async fn close(
    db: &impl ConnectionTrait,
    id: Uuid,
    because: Option<&str>,
    at: i64,
) -> Result<bool, DbErr> {
    let sql = "UPDATE operator_case SET status = 'CLOSED', closed_because = $2, closed_at = $3 \
               WHERE id = $1 AND status = 'OPEN'";
    let because = because.map(str::to_owned);
    Ok(execute(db, sql, vec![id.into(), because.into(), at.into()]).await? == 1)
}
