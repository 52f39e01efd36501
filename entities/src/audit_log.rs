//! The audit log: who did what, when, and why. Append-only, and ordered by its ids (UUID v7).

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query};

/// An action of a person's.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AuditEntry {
    /// Its id: a UUID v7.
    pub id: Uuid,
    /// Who: a token's `sub`, or `operator` at the command line.
    pub actor: String,
    /// What, as `noun.verb`: `plan.set`, `token.revoke`.
    pub action: String,
    /// Whose handle it was done to, if a handle's.
    pub handle_id: Option<Uuid>,
    /// What it was done to: a prefixed id or a name, never a secret.
    pub target: String,
    /// Why, where a reason is asked for.
    pub reason: Option<String>,
    /// The request's id, where it came in as one.
    pub request_id: Option<String>,
    /// When, in milliseconds since the epoch.
    pub at: i64,
}

/// Writes an action down, in the transaction of the action itself.
pub async fn append(db: &impl ConnectionTrait, entry: &AuditEntry) -> Result<(), DbErr> {
    let sql = "INSERT INTO audit_log (id, actor, action, handle_id, target, reason, request_id, at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        entry.id.into(),
        entry.actor.as_str().into(),
        entry.action.as_str().into(),
        entry.handle_id.into(),
        entry.target.as_str().into(),
        entry.reason.clone().into(),
        entry.request_id.clone().into(),
        entry.at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// A page of what was done to a handle, the newest first, from before an entry.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    before: Uuid,
    limit: u64,
) -> Result<Vec<AuditEntry>, DbErr> {
    let sql = format!(
        "SELECT * FROM audit_log WHERE handle_id = $1 AND id < $2 ORDER BY id DESC LIMIT {limit}"
    );
    query(db, &sql, vec![handle.into(), before.into()]).await
}

/// A page of everything, the newest first, from before an entry: for the platform's operators.
pub async fn list_any_handle(
    db: &impl ConnectionTrait,
    before: Uuid,
    limit: u64,
) -> Result<Vec<AuditEntry>, DbErr> {
    let sql = format!("SELECT * FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT {limit}");
    query(db, &sql, vec![before.into()]).await
}
