//! Offers: what is sold of a page, and what must happen before.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::statement::{execute, query, query_one};

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Offer {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub handle_id: Uuid,
    /// Which page it offers.
    pub page_id: Uuid,
    /// As people read it.
    pub title: String,
    /// The group buy that opens it, if one does.
    pub group_buy_id: Option<Uuid>,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// Writes a new offer down.
pub async fn insert(db: &impl ConnectionTrait, offer: &Offer) -> Result<(), DbErr> {
    let sql = "INSERT INTO offer (id, handle_id, page_id, title, require_active_interest, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $6)";
    let row = offer.clone();
    let values = vec![
        row.id.into(),
        row.handle_id.into(),
        row.page_id.into(),
        row.title.into(),
        row.require_active_interest.into(),
        row.created_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// An offer of a handle.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: Uuid,
    id: Uuid,
) -> Result<Option<Offer>, DbErr> {
    let sql = "SELECT * FROM offer WHERE handle_id = $1 AND id = $2";
    query_one(db, sql, vec![handle.into(), id.into()]).await
}

/// The offers of a handle after an id, in the order they were made.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Offer>, DbErr> {
    let sql =
        format!("SELECT * FROM offer WHERE handle_id = $1 AND id > $2 ORDER BY id LIMIT {limit}");
    query(db, &sql, vec![handle.into(), after.into()]).await
}

/// Links an offer of a handle to a group buy that is held, or to none. Returns whether no other offer of the page is
/// linked to it.
pub async fn link(db: &impl ConnectionTrait, offer: &Offer) -> Result<bool, DbErr> {
    let sql = "UPDATE offer SET group_buy_id = $3, require_active_interest = $4, updated_at = $5 \
               WHERE handle_id = $1 AND id = $2 AND NOT EXISTS (SELECT 1 FROM offer other \
               WHERE other.page_id = offer.page_id AND other.group_buy_id = $3 AND other.id <> $2)";
    let row = offer.clone();
    let values = vec![
        row.handle_id.into(),
        row.id.into(),
        row.group_buy_id.into(),
        row.require_active_interest.into(),
        row.updated_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// A gate before a page, as a visitor finds it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Gate {
    /// The group buy that opens it.
    pub group_buy_id: Uuid,
    /// As it stands in addresses.
    pub slug: String,
    /// `DRAFT`, `COLLECTING`, `ACTIVATED`, `LAPSED` or `CANCELLED`.
    pub status: String,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How much there is.
    pub interest_quantity: i64,
    /// From when on no interest is taken, if ever.
    pub deadline_at: Option<i64>,
    /// When it was published: until then nobody knows of it.
    pub published_at: Option<i64>,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
    /// What the visitor has told to want, if interested.
    pub wanted: Option<i64>,
}

/// The gates before a page, with what a visitor has told to want.
pub async fn gates(
    db: &impl ConnectionTrait,
    page: Uuid,
    visitor: Uuid,
) -> Result<Vec<Gate>, DbErr> {
    let sql = "SELECT g.id AS group_buy_id, g.slug, g.status, g.target_quantity, g.interest_quantity, \
               g.deadline_at, g.published_at, offer.require_active_interest, i.quantity AS wanted FROM offer \
               JOIN group_buy g ON g.id = offer.group_buy_id LEFT JOIN interest i \
               ON i.group_buy_id = g.id AND i.visitor_id = $2 AND i.ended_position IS NULL \
               WHERE offer.page_id = $1 ORDER BY offer.id";
    query(db, sql, vec![page.into(), visitor.into()]).await
}

/// What a group buy opens.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Opening {
    /// Which offer.
    pub offer_id: Uuid,
    /// As people read it.
    pub title: String,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
    /// Its page, as it stands in addresses.
    pub page_slug: String,
    /// `PAID`, `FREE_WITH_LOGIN` or `PUBLIC`.
    pub page_mode: String,
    /// `DRAFT`, `PUBLISHED` or `UNPUBLISHED`.
    pub page_status: String,
    /// Minor units; 0 for pages that cost nothing.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// How many other group buys the page waits for still.
    pub other_gates: i64,
}

impl Opening {
    /// Whether it may be bought once its group buy is activated: its page is published and not open to everybody, and
    /// waits for nothing else.
    pub fn is_for_sale(&self) -> bool {
        self.page_status == "PUBLISHED" && self.page_mode != "PUBLIC" && self.other_gates == 0
    }
}

/// How many offers of a group buy are shown at most.
const SHOWN: u32 = 100;

/// What a group buy opens, in the order it was offered.
pub async fn openings(db: &impl ConnectionTrait, group_buy: Uuid) -> Result<Vec<Opening>, DbErr> {
    let sql = format!(
        "SELECT offer.id AS offer_id, offer.title, offer.require_active_interest, page.slug AS page_slug, \
         page.mode AS page_mode, page.status AS page_status, page.price, page.currency, \
         (SELECT count(*) FROM offer other JOIN group_buy g ON g.id = other.group_buy_id \
         WHERE other.page_id = offer.page_id AND g.id <> $1 AND g.status <> 'ACTIVATED') AS other_gates \
         FROM offer JOIN page ON page.id = offer.page_id WHERE offer.group_buy_id = $1 \
         ORDER BY offer.id LIMIT {SHOWN}"
    );
    query(db, &sql, vec![group_buy.into()]).await
}
