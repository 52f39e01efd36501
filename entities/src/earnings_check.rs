//! The earnings held against the ledger, and written anew where they differ.
//!
//! A transaction and its place in the queue are written together, and so are its folding and its leaving the
//! queue. So in one snapshot the earnings are the ledger without what is queued, at any moment: a comparison
//! blocks nobody and waits for nobody.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    earnings::{FIGURES, KEY, folded},
    statement::{execute, query, query_one},
};

/// Transactions that are in the earnings, or should be.
const NOT_QUEUED: &str = "NOT EXISTS (SELECT 1 FROM rollup_queue q \
                          WHERE q.handle_id = t.handle_id AND q.transaction_id = t.id)";

/// A currency in which a handle's rollup and ledger disagree.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Difference {
    /// ISO 4217.
    pub currency: String,
    /// How many rows (of a page, campaign and day) differ.
    pub differing: i64,
    /// Gross by the rollup, minor units.
    pub rolled_up_gross: i64,
    /// Gross by the ledger, minor units.
    pub posted_gross: i64,
    /// Net by the rollup, minor units.
    pub rolled_up_net: i64,
    /// Net by the ledger, minor units.
    pub posted_net: i64,
}

/// Where the rollup of a handle and its ledger disagree. Nowhere, at any moment.
pub async fn differences(
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<Vec<Difference>, DbErr> {
    let figures = FIGURES.join(", ");
    let unequal: Vec<_> =
        FIGURES.iter().map(|figure| format!("sum(side * {figure}) <> 0")).collect();
    let side = |figure: &str, side: i8| {
        format!("CAST(sum(CASE WHEN side = {side} THEN {figure} ELSE 0 END) AS BIGINT)")
    };
    let sql = format!(
        "SELECT currency, CAST(sum(differs) AS BIGINT) AS differing, \
         CAST(sum(rolled_up_gross) AS BIGINT) AS rolled_up_gross, \
         CAST(sum(posted_gross) AS BIGINT) AS posted_gross, \
         CAST(sum(rolled_up_net) AS BIGINT) AS rolled_up_net, \
         CAST(sum(posted_net) AS BIGINT) AS posted_net FROM ( \
         SELECT currency, CASE WHEN {} THEN 1 ELSE 0 END AS differs, \
         {} AS rolled_up_gross, {} AS posted_gross, {} AS rolled_up_net, {} AS posted_net FROM ( \
         SELECT {KEY}, {figures}, 1 AS side FROM earnings WHERE handle_id = $1 \
         UNION ALL SELECT {KEY}, {figures}, -1 AS side FROM ({}) AS ledger \
         ) AS both_sides GROUP BY {KEY}) AS compared \
         GROUP BY currency HAVING sum(differs) > 0 ORDER BY currency",
        unequal.join(" OR "),
        side("gross", 1),
        side("gross", -1),
        side("net", 1),
        side("net", -1),
        folded(NOT_QUEUED),
    );
    query(db, &sql, vec![handle.into()]).await
}

/// From now on until the transaction ends, nobody folds into a handle's earnings.
pub async fn hold(db: &impl ConnectionTrait, handle: Uuid) -> Result<(), DbErr> {
    match Dialect::of(db) {
        Dialect::Postgres => {
            // Counted apart from whatever else may be locked by a number: 'earn' in ASCII.
            let sql = "SELECT pg_advisory_xact_lock(1700885102, hashtext(CAST(CAST($1 AS uuid) AS text)))";
            execute(db, sql, vec![handle.into()]).await.map(drop)
        }
        // There is one writer at a time.
        Dialect::Sqlite => Ok(()),
    }
}

/// Writes the earnings of a handle anew from its ledger. Who does so [holds](hold) them.
pub async fn rewrite(db: &impl ConnectionTrait, handle: Uuid) -> Result<(), DbErr> {
    execute(db, "DELETE FROM earnings WHERE handle_id = $1", vec![handle.into()]).await?;
    let sql =
        format!("INSERT INTO earnings ({KEY}, {}) {}", FIGURES.join(", "), folded(NOT_QUEUED));
    execute(db, &sql, vec![handle.into()]).await.map(drop)
}

#[derive(FromQueryResult)]
struct Next {
    handle_id: Uuid,
}

/// The next handle that has earnings, or sales in the ledger, after a handle.
pub async fn next_any_handle(
    db: &impl ConnectionTrait,
    after: Uuid,
) -> Result<Option<Uuid>, DbErr> {
    let sql = "SELECT handle_id FROM ( \
               SELECT * FROM (SELECT handle_id FROM earnings WHERE handle_id > $1 \
               ORDER BY handle_id LIMIT 1) AS rolled_up \
               UNION ALL SELECT * FROM (SELECT handle_id FROM ledger_transaction \
               WHERE handle_id > $1 AND checkout_id IS NOT NULL ORDER BY handle_id LIMIT 1) AS posted \
               ) AS next ORDER BY handle_id LIMIT 1";
    let next: Option<Next> = query_one(db, sql, vec![after.into()]).await?;
    Ok(next.map(|next| next.handle_id))
}
