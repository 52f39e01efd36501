//! Group buys. A group buy's row is the lock for everything that decides about it: whoever counts an interest,
//! publishes, closes or calls off holds it, so that there is one outcome.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Clock, execute, query, query_one},
    together::Together,
};

/// A group buy.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct GroupBuy {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub handle_id: Uuid,
    /// As it stands in addresses, unique within the handle.
    pub slug: String,
    /// As people read it.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How many one visitor may want.
    pub visitor_limit: i64,
    /// From when on no interest is taken, if ever.
    pub deadline_at: Option<i64>,
    /// `DRAFT`, `COLLECTING`, `ACTIVATED`, `LAPSED` or `CANCELLED`.
    pub status: String,
    /// The sum of the active interests.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interest_count: i64,
    /// How many changes of interests there have been.
    pub last_position: i64,
    /// When it was published.
    pub published_at: Option<i64>,
    /// When it was activated, lapsed or was called off.
    pub ended_at: Option<i64>,
    /// When it was made.
    pub created_at: i64,
}

/// Writes a new group buy down. Returns whether the slug was free.
pub async fn insert(db: &impl ConnectionTrait, group_buy: &GroupBuy) -> Result<bool, DbErr> {
    let sql = "INSERT INTO group_buy (id, handle_id, slug, title, description, target_quantity, visitor_limit, \
               deadline_at, status, interest_quantity, interest_count, last_position, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, $10) ON CONFLICT (handle_id, slug) DO NOTHING";
    let row = group_buy.clone();
    let values = vec![
        row.id.into(),
        row.handle_id.into(),
        row.slug.into(),
        row.title.into(),
        row.description.into(),
        row.target_quantity.into(),
        row.visitor_limit.into(),
        row.deadline_at.into(),
        row.status.into(),
        row.created_at.into(),
    ];
    Ok(execute(db, sql, values).await? == 1)
}

/// A group buy of a handle.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: Uuid,
    slug: &str,
) -> Result<Option<GroupBuy>, DbErr> {
    let sql = "SELECT * FROM group_buy WHERE handle_id = $1 AND slug = $2";
    query_one(db, sql, vec![handle.into(), slug.into()]).await
}

/// A published group buy, by the names in its address: for the public.
pub async fn find_published(
    db: &impl ConnectionTrait,
    handle_name: &str,
    slug: &str,
) -> Result<Option<GroupBuy>, DbErr> {
    let sql = "SELECT group_buy.* FROM handle JOIN group_buy ON group_buy.handle_id = handle.id \
               WHERE handle.name = $1 AND group_buy.slug = $2 AND group_buy.published_at IS NOT NULL";
    query_one(db, sql, vec![handle_name.into(), slug.into()]).await
}

/// One group buy, whoever's it is: for mails and the record of its activation.
pub async fn find_any_handle(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<GroupBuy>, DbErr> {
    query_one(db, "SELECT * FROM group_buy WHERE id = $1", vec![id.into()]).await
}

/// The group buys of a handle after an id, in the order they were made.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Vec<GroupBuy>, DbErr> {
    let sql = format!(
        "SELECT * FROM group_buy WHERE handle_id = $1 AND id > $2 ORDER BY id LIMIT {limit}"
    );
    query(db, &sql, vec![handle.into(), after.into()]).await
}

/// The published group buys of a handle before an id, the one that was made last first.
pub async fn list_published(
    db: &impl ConnectionTrait,
    handle: Uuid,
    before: Uuid,
    limit: u64,
) -> Result<Vec<GroupBuy>, DbErr> {
    let sql = format!(
        "SELECT * FROM group_buy WHERE handle_id = $1 AND id < $2 AND published_at IS NOT NULL \
         ORDER BY id DESC LIMIT {limit}"
    );
    query(db, &sql, vec![handle.into(), before.into()]).await
}

/// The slugs of group buys of a handle, by id.
pub async fn slugs(
    db: &impl ConnectionTrait,
    handle: Uuid,
    ids: &[Uuid],
) -> Result<Vec<Slug>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", ids.iter().copied());
    let sql = format!(
        "SELECT group_buy.id, group_buy.slug FROM {} JOIN group_buy ON group_buy.id = t.id \
         WHERE group_buy.handle_id = $1",
        rows.source(dialect, 2)
    );
    let mut values = vec![handle.into()];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// A group buy's id and slug.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Slug {
    /// Which group buy.
    pub id: Uuid,
    /// As it stands in addresses.
    pub slug: String,
}

/// What is decided on, of a group buy that is held.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Held {
    /// Which group buy.
    pub id: Uuid,
    /// Whose.
    pub handle_id: Uuid,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// From when on no interest is taken, if ever.
    pub deadline_at: Option<i64>,
    /// `DRAFT`, `COLLECTING`, `ACTIVATED`, `LAPSED` or `CANCELLED`.
    pub status: String,
    /// The sum of the active interests.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interest_count: i64,
    /// How many changes of interests there have been.
    pub last_position: i64,
    /// The time by the database's clock, where it has one.
    pub now: i64,
}

/// Holds group buys until the transaction ends. The lowest id is held first, so that two who hold several never
/// wait for each other.
pub async fn hold(
    db: &impl ConnectionTrait,
    clock: &Clock,
    ids: &[Uuid],
) -> Result<Vec<Held>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().id("id", ids.iter().copied());
    let lock = match dialect {
        Dialect::Postgres => " FOR UPDATE",
        // There is one writer at a time.
        Dialect::Sqlite => "",
    };
    let sql = format!(
        "SELECT id, handle_id, target_quantity, deadline_at, status, interest_quantity, interest_count, \
         last_position, {} AS now FROM group_buy WHERE id IN (SELECT id FROM {}) ORDER BY id{lock}",
        dialect.now("$1"),
        rows.source(dialect, 2)
    );
    let mut values = vec![clock.bind(dialect)];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// Where a group buy that is held stands from now on.
#[derive(Clone, Debug)]
pub struct Count {
    /// Which group buy.
    pub id: Uuid,
    /// The same as before, or `ACTIVATED`.
    pub status: String,
    /// The sum of the active interests.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interest_count: i64,
    /// How many changes of interests there have been.
    pub last_position: i64,
    /// When it was activated, if that is now.
    pub ended_at: Option<i64>,
}

/// Writes counts of group buys that are held. Each may be named once.
pub fn count(together: &mut Together, counts: &[Count]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("id", counts.iter().map(|count| count.id))
        .text("status", counts.iter().map(|count| count.status.as_str()))
        .number("interest_quantity", counts.iter().map(|count| count.interest_quantity))
        .number("interest_count", counts.iter().map(|count| count.interest_count))
        .number("last_position", counts.iter().map(|count| count.last_position))
        .optional_number("ended_at", counts.iter().map(|count| count.ended_at));
    let sql = format!(
        "UPDATE group_buy SET status = t.status, interest_quantity = t.interest_quantity, \
         interest_count = t.interest_count, last_position = t.last_position, \
         ended_at = COALESCE(t.ended_at, group_buy.ended_at) FROM {} WHERE group_buy.id = t.id",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// Changes a draft that is held.
pub async fn change(db: &impl ConnectionTrait, draft: &GroupBuy) -> Result<(), DbErr> {
    let sql = "UPDATE group_buy SET title = $2, description = $3, target_quantity = $4, visitor_limit = $5, \
               deadline_at = $6 WHERE id = $1";
    let row = draft.clone();
    let values = vec![
        row.id.into(),
        row.title.into(),
        row.description.into(),
        row.target_quantity.into(),
        row.visitor_limit.into(),
        row.deadline_at.into(),
    ];
    execute(db, sql, values).await.map(drop)
}

/// Publishes a draft that is held.
pub async fn publish(db: &impl ConnectionTrait, id: Uuid, now: i64) -> Result<(), DbErr> {
    let sql = "UPDATE group_buy SET status = 'COLLECTING', published_at = $2 WHERE id = $1";
    execute(db, sql, vec![id.into(), now.into()]).await.map(drop)
}

/// Ends a group buy that is held.
pub async fn end(db: &impl ConnectionTrait, id: Uuid, status: &str, now: i64) -> Result<(), DbErr> {
    let sql = "UPDATE group_buy SET status = $2, ended_at = $3 WHERE id = $1";
    execute(db, sql, vec![id.into(), status.into(), now.into()]).await.map(drop)
}
