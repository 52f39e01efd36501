//! Interests of visitors in group buys. A row is never changed but for its end: another quantity is another row.
//! So the interests that stood after any change can be read again later.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{query, query_one},
    together::Together,
};

/// An interest.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Interest {
    /// In which group buy.
    pub group_buy_id: Uuid,
    /// Which change of the group buy's interests it began with: their order.
    pub position: i64,
    /// Whose.
    pub visitor_id: Uuid,
    /// How many are wanted.
    pub quantity: i64,
    /// When it began.
    pub created_at: i64,
    /// Which change it ended with; none while it is active.
    pub ended_position: Option<i64>,
}

/// The active interests of visitors in group buys, given as pairs.
pub async fn active(
    db: &impl ConnectionTrait,
    pairs: &[(Uuid, Uuid)],
) -> Result<Vec<Interest>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .id("group_buy_id", pairs.iter().map(|(group_buy, _)| *group_buy))
        .id("visitor_id", pairs.iter().map(|(_, visitor)| *visitor));
    let sql = format!(
        "SELECT interest.* FROM {} JOIN interest ON interest.group_buy_id = t.group_buy_id \
         AND interest.visitor_id = t.visitor_id WHERE interest.ended_position IS NULL",
        rows.source(dialect, 1)
    );
    query(db, &sql, rows.values(dialect)).await
}

/// A visitor's active interest in a group buy.
pub async fn find(
    db: &impl ConnectionTrait,
    group_buy: Uuid,
    visitor: Uuid,
) -> Result<Option<Interest>, DbErr> {
    let sql = "SELECT * FROM interest WHERE group_buy_id = $1 AND visitor_id = $2 \
               AND ended_position IS NULL";
    query_one(db, sql, vec![group_buy.into(), visitor.into()]).await
}

/// The end of an interest.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// In which group buy.
    pub group_buy_id: Uuid,
    /// Which change it began with.
    pub position: i64,
    /// Which change it ended with.
    pub ended_position: i64,
}

/// Ends interests in group buys that are held.
pub fn end(together: &mut Together, ends: &[End]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("group_buy_id", ends.iter().map(|end| end.group_buy_id))
        .number("position", ends.iter().map(|end| end.position))
        .number("ended_position", ends.iter().map(|end| end.ended_position));
    let sql = format!(
        "UPDATE interest SET ended_position = t.ended_position FROM {} \
         WHERE interest.group_buy_id = t.group_buy_id AND interest.position = t.position",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// Writes interests in group buys that are held. Those that they take the place of have ended before.
pub fn insert(together: &mut Together, interests: &[Interest]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("group_buy_id", interests.iter().map(|interest| interest.group_buy_id))
        .number("position", interests.iter().map(|interest| interest.position))
        .id("visitor_id", interests.iter().map(|interest| interest.visitor_id))
        .number("quantity", interests.iter().map(|interest| interest.quantity))
        .number("created_at", interests.iter().map(|interest| interest.created_at))
        .optional_number(
            "ended_position",
            interests.iter().map(|interest| interest.ended_position),
        );
    let sql = format!(
        "INSERT INTO interest (group_buy_id, position, visitor_id, quantity, created_at, ended_position) \
         SELECT group_buy_id, position, visitor_id, quantity, created_at, ended_position FROM {}",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// A part of a list of interests: after one position, up to another.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// In which group buy.
    pub group_buy: Uuid,
    /// From after this position.
    pub after: i64,
    /// Up to this position.
    pub through: i64,
    /// So many at most.
    pub limit: u64,
}

/// The interests that stood after the change `part.through`, in their order.
pub async fn list_standing(db: &impl ConnectionTrait, part: Part) -> Result<Vec<Interest>, DbErr> {
    list(db, part, "").await
}

/// Those of them whose visitors are interested now, whatever quantity they want by now.
pub async fn list_interested(
    db: &impl ConnectionTrait,
    part: Part,
) -> Result<Vec<Interest>, DbErr> {
    let still = " AND EXISTS (SELECT 1 FROM interest a WHERE a.group_buy_id = interest.group_buy_id \
                 AND a.visitor_id = interest.visitor_id AND a.ended_position IS NULL)";
    list(db, part, still).await
}

async fn list(db: &impl ConnectionTrait, part: Part, and: &str) -> Result<Vec<Interest>, DbErr> {
    let sql = format!(
        "SELECT * FROM interest WHERE group_buy_id = $1 AND position > $2 AND position <= $3 \
         AND (ended_position IS NULL OR ended_position > $3){and} ORDER BY position LIMIT {}",
        part.limit
    );
    query(db, &sql, vec![part.group_buy.into(), part.after.into(), part.through.into()]).await
}

/// A group buy whose count is not what its interests come to.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Miscount {
    /// Which group buy.
    pub group_buy_id: Uuid,
    /// How it stands.
    pub status: String,
    /// How much opens it.
    pub target: i64,
    /// The sum that is kept.
    pub kept: i64,
    /// The sum of the active interests.
    pub counted: i64,
    /// How many there are.
    pub interests: i64,
}

/// Group buys whose counts are not what their interests come to, or that are over their target and not activated:
/// for checks.
pub async fn miscounts_any_handle(db: &impl ConnectionTrait) -> Result<Vec<Miscount>, DbErr> {
    let sql = "SELECT g.id AS group_buy_id, g.status, g.target_quantity AS target, \
               g.interest_quantity AS kept, c.quantity AS counted, c.interests \
               FROM group_buy g JOIN (SELECT b.id, CAST(COALESCE(sum(i.quantity), 0) AS BIGINT) AS quantity, \
               CAST(count(i.position) AS BIGINT) AS interests FROM group_buy b LEFT JOIN interest i \
               ON i.group_buy_id = b.id AND i.ended_position IS NULL GROUP BY b.id) c ON c.id = g.id \
               WHERE g.interest_quantity <> c.quantity OR g.interest_count <> c.interests \
               OR (g.status = 'COLLECTING' AND g.interest_quantity >= g.target_quantity) \
               ORDER BY g.id LIMIT 100";
    query(db, sql, vec![]).await
}
