//! Who may act on a handle, and as what.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Number, execute, query, query_one},
};

/// Somebody who may act on a handle.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Member {
    /// Which handle.
    pub handle_id: Uuid,
    /// The `sub` of their tokens.
    pub subject: String,
    /// `owner`, `creator` or `operator`.
    pub role: String,
    /// The `sub` of who let them in.
    pub added_by: String,
    /// When they were let in.
    pub created_at: i64,
}

/// Lets a member in, or changes the role of one who is there.
pub async fn set(db: &impl ConnectionTrait, member: &Member) -> Result<(), DbErr> {
    let sql = "INSERT INTO member (handle_id, subject, role, added_by, created_at) \
               VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (handle_id, subject) DO UPDATE SET role = excluded.role";
    let row = member.clone();
    let values = vec![
        row.handle_id.into(),
        row.subject.into(),
        row.role.into(),
        row.added_by.into(),
        row.created_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// A member of a handle.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: Uuid,
    subject: &str,
) -> Result<Option<Member>, DbErr> {
    let sql = "SELECT * FROM member WHERE handle_id = $1 AND subject = $2";
    query_one(db, sql, vec![handle.into(), subject.into()]).await
}

/// A page of a handle's members, by subject, from after one.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    after: &str,
    limit: u64,
) -> Result<Vec<Member>, DbErr> {
    let sql = format!(
        "SELECT * FROM member WHERE handle_id = $1 AND subject > $2 ORDER BY subject LIMIT {limit}"
    );
    query(db, &sql, vec![handle.into(), after.into()]).await
}

/// Takes a member out. Returns whether there was one.
pub async fn delete(db: &impl ConnectionTrait, handle: Uuid, subject: &str) -> Result<bool, DbErr> {
    let sql = "DELETE FROM member WHERE handle_id = $1 AND subject = $2";
    Ok(execute(db, sql, vec![handle.into(), subject.into()]).await? == 1)
}

/// Has whoever else changes the members of a handle wait until this transaction ends: so that of two owners
/// who take each other out one stays. SQLite has one writer.
pub async fn lock(db: &impl ConnectionTrait, handle: Uuid) -> Result<(), DbErr> {
    match Dialect::of(db) {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => {
            // Not so strong a lock that new pages of the handle would wait for it.
            let sql = "SELECT 1 FROM handle WHERE id = $1 FOR NO KEY UPDATE";
            execute(db, sql, vec![handle.into()]).await.map(drop)
        }
    }
}

/// How many members a handle has.
pub async fn count(db: &impl ConnectionTrait, handle: Uuid) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS number FROM member WHERE handle_id = $1";
    let found: Option<Number> = query_one(db, sql, vec![handle.into()]).await?;
    Ok(found.map_or(0, |found| found.number))
}

/// How many members have a role.
pub async fn count_in_role(
    db: &impl ConnectionTrait,
    handle: Uuid,
    role: &str,
) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS number FROM member WHERE handle_id = $1 AND role = $2";
    let found: Option<Number> = query_one(db, sql, vec![handle.into(), role.into()]).await?;
    Ok(found.map_or(0, |found| found.number))
}

#[derive(FromQueryResult)]
struct Subject {
    subject: String,
}

/// Those who have a role on a handle.
pub async fn subjects_in_role(
    db: &impl ConnectionTrait,
    handle: Uuid,
    role: &str,
) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT subject FROM member WHERE handle_id = $1 AND role = $2 ORDER BY subject";
    let found: Vec<Subject> = query(db, sql, vec![handle.into(), role.into()]).await?;
    Ok(found.into_iter().map(|row| row.subject).collect())
}

#[derive(FromQueryResult)]
struct Name {
    name: String,
}

/// Which of these handles somebody is a member of, by name.
pub async fn handles_of_subject(
    db: &impl ConnectionTrait,
    subject: &str,
    names: &[String],
) -> Result<Vec<String>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().text("name", names.iter());
    let sql = format!(
        "SELECT DISTINCT h.name FROM {} JOIN handle h ON h.name = t.name \
         JOIN member m ON m.handle_id = h.id AND m.subject = $2 ORDER BY h.name",
        rows.source(dialect, 1)
    );
    let values = rows.values(dialect).into_iter().chain([subject.into()]).collect();
    let found: Vec<Name> = query(db, &sql, values).await?;
    Ok(found.into_iter().map(|row| row.name).collect())
}
