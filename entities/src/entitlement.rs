//! Access of visitors to pages. A row says on what grounds there is access, or is none any more.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{query, query_one},
    together::Together,
};

/// Grounds on which a visitor may read the page.
const ACCESS: &str = "('PAID', 'FREE')";
/// Grounds that hold the place: a dispute may be won, and a later purchase must not be paid for nothing.
const HELD: &str = "('PAID', 'FREE', 'DISPUTED')";

/// A visitor's access to a page.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Entitlement {
    /// Which page.
    pub page_id: Uuid,
    /// Whose access.
    pub visitor_id: Uuid,
    /// On what grounds: `PAID` or `FREE`; or why not any more: `REFUNDED`, `REVOKED`, `DISPUTED`, `CHARGED_BACK`.
    pub kind: String,
    /// The purchase that it comes from.
    pub checkout_id: Uuid,
    /// Since when.
    pub since: i64,
}

impl Entitlement {
    /// Whether the visitor may read the page.
    pub fn is_access(&self) -> bool {
        matches!(self.kind.as_str(), "PAID" | "FREE")
    }

    /// Whether nobody needs to pay for it again: it is access, or may become access again.
    pub fn is_held(&self) -> bool {
        self.is_access() || self.kind == "DISPUTED"
    }
}

/// Grants access where there is none, or none any more, and returns who holds each of the given accesses now: the given
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
         ORDER BY page_id, visitor_id ON CONFLICT (page_id, visitor_id) DO UPDATE SET \
         kind = excluded.kind, checkout_id = excluded.checkout_id, since = excluded.since \
         WHERE entitlement.kind NOT IN {HELD} OR entitlement.checkout_id = excluded.checkout_id \
         RETURNING *"
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

/// On what grounds a purchase gives access from now on, or why not any more.
#[derive(Clone, Debug)]
pub struct Change {
    /// To which page.
    pub page_id: Uuid,
    /// Whose.
    pub visitor_id: Uuid,
    /// The purchase that the access must come from.
    pub checkout_id: Uuid,
    /// On what grounds.
    pub kind: &'static str,
    /// When.
    pub at: i64,
}

/// Changes accesses that still come from these purchases. Each may be named once.
pub fn change(together: &mut Together, changes: &[Change]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("page_id", changes.iter().map(|change| change.page_id))
        .id("visitor_id", changes.iter().map(|change| change.visitor_id))
        .id("checkout_id", changes.iter().map(|change| change.checkout_id))
        .text("kind", changes.iter().map(|change| change.kind))
        .number("at", changes.iter().map(|change| change.at));
    let sql = format!(
        "UPDATE entitlement SET kind = t.kind, since = t.at FROM {} \
         WHERE entitlement.page_id = t.page_id AND entitlement.visitor_id = t.visitor_id \
         AND entitlement.checkout_id = t.checkout_id",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
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

/// Accesses that disagree with the purchases behind them, and paid purchases without access: for checks. What was
/// paid and granted nothing (twice, or without the interest that it needs) is on its way back, and says so.
pub async fn contradictions_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<Contradiction>, DbErr> {
    let sql = format!(
        "SELECT c.id AS checkout_id, c.status AS status FROM checkout c \
         LEFT JOIN entitlement e ON e.page_id = c.page_id AND e.visitor_id = c.visitor_id \
         WHERE (c.status = 'SETTLED' AND COALESCE(c.reason, '') NOT IN ('interest_withdrawn', 'duplicate') \
         AND (e.page_id IS NULL OR e.kind NOT IN {ACCESS})) \
         OR (c.status = 'PARTLY_REFUNDED' AND (e.page_id IS NULL OR e.kind NOT IN ('PAID', 'FREE', 'REVOKED'))) \
         OR (c.status NOT IN ('SETTLED', 'PARTLY_REFUNDED') AND e.checkout_id = c.id AND e.kind IN {ACCESS}) \
         ORDER BY c.id LIMIT 100"
    );
    query(db, &sql, vec![]).await
}

/// A purchase whose state and access disagree.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Contradiction {
    /// Which.
    pub checkout_id: Uuid,
    /// What the API calls its state.
    pub status: String,
}
