//! Access of visitors to pages. A row is access; no row is none.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{query, query_one},
};

/// A visitor's access to a page.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Entitlement {
    /// Which page.
    pub page_id: Uuid,
    /// Whose access.
    pub visitor_id: Uuid,
    /// On what grounds: `PAID` or `FREE`.
    pub kind: String,
    /// The purchase that it comes from.
    pub checkout_id: Uuid,
    /// Since when.
    pub since: i64,
}

/// Grants access where there is none, and returns who holds each of the given accesses now: the given
/// purchase, or one that was there before.
pub async fn grant(
    db: &impl ConnectionTrait,
    grants: &[Entitlement],
) -> Result<Vec<Entitlement>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = || {
        Rows::new()
            .id("page_id", grants.iter().map(|grant| grant.page_id))
            .id("visitor_id", grants.iter().map(|grant| grant.visitor_id))
            .text("kind", grants.iter().map(|grant| grant.kind.as_str()))
            .id("checkout_id", grants.iter().map(|grant| grant.checkout_id))
            .number("since", grants.iter().map(|grant| grant.since))
    };
    let source = rows().source(dialect, 1);
    let sql = format!(
        "INSERT INTO entitlement (page_id, visitor_id, kind, checkout_id, since) \
         SELECT page_id, visitor_id, kind, checkout_id, since FROM {source} WHERE true \
         ORDER BY page_id, visitor_id ON CONFLICT (page_id, visitor_id) DO NOTHING RETURNING *"
    );
    let granted: Vec<Entitlement> = query(db, &sql, rows().values(dialect)).await?;
    if granted.len() == grants.len() {
        return Ok(granted);
    }
    let sql = format!(
        "SELECT DISTINCT e.* FROM {source} JOIN entitlement e \
         ON e.page_id = t.page_id AND e.visitor_id = t.visitor_id"
    );
    query(db, &sql, rows().values(dialect)).await
}

/// A visitor's access to a page.
pub async fn find(
    db: &impl ConnectionTrait,
    page: Uuid,
    visitor: Uuid,
) -> Result<Option<Entitlement>, DbErr> {
    let sql = "SELECT * FROM entitlement WHERE page_id = $1 AND visitor_id = $2";
    query_one(db, sql, vec![page.into(), visitor.into()]).await
}

/// Accesses that disagree with the purchases behind them, and paid purchases without access: for checks.
pub async fn contradictions_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<Contradiction>, DbErr> {
    let sql = "SELECT c.id AS checkout_id, c.status AS status FROM checkout c \
               LEFT JOIN entitlement e ON e.page_id = c.page_id AND e.visitor_id = c.visitor_id \
               WHERE (c.status = 'SETTLED' AND e.page_id IS NULL) \
               OR (c.status <> 'SETTLED' AND e.checkout_id = c.id) ORDER BY c.id LIMIT 100";
    query(db, sql, vec![]).await
}

/// A purchase whose state and access disagree.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Contradiction {
    /// Which.
    pub checkout_id: Uuid,
    /// What the API calls its state.
    pub status: String,
}
