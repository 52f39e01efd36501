//! Pages of a handle: what is read, and what is sold.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query, query_one},
};

/// A page.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Page {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub handle_id: Uuid,
    /// As it stands in addresses, unique within the handle.
    pub slug: String,
    /// As people read it.
    pub title: String,
    /// What is behind the entitlement.
    pub body: String,
    /// `PAID`, `FREE_WITH_LOGIN` or `PUBLIC`.
    pub mode: String,
    /// Minor units; 0 for pages that cost nothing.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// `DRAFT`, `PUBLISHED` or `UNPUBLISHED`.
    pub status: String,
    /// Raised by every change; a change names the version that it saw.
    pub version: i32,
    /// When it was last published.
    pub published_at: Option<i64>,
    /// The newest version that the outside was told of.
    pub marker_version: Option<i32>,
    /// How far that is: `SYNCING`, `SYNCED` or `FAILED`.
    pub marker_status: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes a new page down. Returns whether the slug was free.
pub async fn insert(db: &impl ConnectionTrait, page: &Page) -> Result<bool, DbErr> {
    let sql = "INSERT INTO page (id, handle_id, slug, title, body, mode, price, currency, status, version, \
               created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) \
               ON CONFLICT (handle_id, slug) DO NOTHING";
    let row = page.clone();
    let values = vec![
        row.id.into(),
        row.handle_id.into(),
        row.slug.into(),
        row.title.into(),
        row.body.into(),
        row.mode.into(),
        row.price.into(),
        row.currency.into(),
        row.status.into(),
        row.version.into(),
        row.created_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// A page of a handle.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: Uuid,
    slug: &str,
) -> Result<Option<Page>, DbErr> {
    let sql = "SELECT * FROM page WHERE handle_id = $1 AND slug = $2";
    query_one(db, sql, vec![handle.into(), slug.into()]).await
}

/// One page, whoever's it is: for mails and markers.
pub async fn find_any_handle(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Page>, DbErr> {
    query_one(db, "SELECT * FROM page WHERE id = $1", vec![id.into()]).await
}

/// The pages of a handle after an id, in the order they were made.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Page>, DbErr> {
    let sql =
        format!("SELECT * FROM page WHERE handle_id = $1 AND id > $2 ORDER BY id LIMIT {limit}");
    query(db, &sql, vec![handle.into(), after.into()]).await
}

/// A page's id and slug.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Slug {
    /// Which page.
    pub id: Uuid,
    /// As it stands in addresses.
    pub slug: String,
}

/// The slugs of pages of a handle.
pub async fn slugs(
    db: &impl ConnectionTrait,
    handle: Uuid,
    pages: &[Uuid],
) -> Result<Vec<Slug>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", pages.iter().copied());
    let sql = format!(
        "SELECT page.id, page.slug FROM {} JOIN page ON page.id = t.id WHERE page.handle_id = $1",
        rows.source(dialect, 2)
    );
    let mut values = vec![handle.into()];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// The slugs of those pages of a handle that have earnings.
pub async fn slugs_with_earnings(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Vec<Slug>, DbErr> {
    let sql = "SELECT id, slug FROM page WHERE handle_id = $1 \
               AND id IN (SELECT page_id FROM earnings WHERE handle_id = $1)";
    query(db, sql, vec![handle.into()]).await
}

/// Saves a changed page over the version that was seen, and raises it. Returns whether that version was
/// still the newest.
pub async fn save(db: &impl ConnectionTrait, page: &Page) -> Result<bool, DbErr> {
    let sql = "UPDATE page SET title = $3, body = $4, mode = $5, price = $6, currency = $7, status = $8, \
               published_at = $9, updated_at = $10, version = version + 1 \
               WHERE id = $1 AND version = $2";
    let row = page.clone();
    let values = vec![
        row.id.into(),
        row.version.into(),
        row.title.into(),
        row.body.into(),
        row.mode.into(),
        row.price.into(),
        row.currency.into(),
        row.status.into(),
        row.published_at.into(),
        row.updated_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// Notes how far the outside knows about a page. An older version's marker changes nothing.
pub async fn set_marker(
    db: &impl ConnectionTrait,
    page: Uuid,
    version: i32,
    status: &str,
) -> Result<(), DbErr> {
    let sql = "UPDATE page SET marker_version = $2, marker_status = $3 \
               WHERE id = $1 AND (marker_version IS NULL OR marker_version <= $2)";
    execute(db, sql, vec![page.into(), version.into(), status.into()]).await.map(drop)
}
