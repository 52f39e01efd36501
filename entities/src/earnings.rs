//! Earnings: the ledger folded by handle, page, campaign, currency and day.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query},
};

/// Which postings count as what. `net` is what the creator's accounts were credited:
/// gross − platform fee kept − refunded.
const FOLD: &str = "\
    CAST(sum(CASE WHEN t.kind IN ('paid', 'quarantined') AND e.account = 'stripe' THEN e.amount ELSE 0 END) \
    AS BIGINT) AS gross, \
    CAST(sum(CASE WHEN e.account = 'platform_fee' THEN -e.amount ELSE 0 END) AS BIGINT) AS platform_fee, \
    CAST(sum(CASE WHEN e.account = 'processor_fee' THEN e.amount ELSE 0 END) AS BIGINT) AS processor_fee, \
    CAST(sum(CASE WHEN t.kind = 'refund' AND e.account = 'stripe' THEN -e.amount ELSE 0 END) AS BIGINT) \
    AS refunded, \
    CAST(sum(CASE WHEN e.account LIKE 'creator:%' THEN -e.amount ELSE 0 END) AS BIGINT) AS net";

const DAY: i64 = 86_400_000;

/// Figures of a page, campaign, currency and day. Minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Figures {
    /// Which page.
    pub page_id: Uuid,
    /// Through which campaign; empty for none.
    pub campaign: String,
    /// ISO 4217.
    pub currency: String,
    /// What buyers paid.
    pub gross: i64,
    /// What the platform kept of it.
    pub platform_fee: i64,
    /// What the processor kept. For information: the platform pays it.
    pub processor_fee: i64,
    /// What buyers got back.
    pub refunded: i64,
    /// What is the creator's.
    pub net: i64,
    /// What of it can be paid out.
    pub available: i64,
}

/// Folds ledger transactions of a handle into its earnings. Each must be folded once.
pub async fn fold(
    db: &impl ConnectionTrait,
    handle: Uuid,
    transactions: &[i64],
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = || Rows::new().number("id", transactions.iter().copied());
    let source = rows().source(dialect, 2);
    // The figures count on the day of the posting, what can be paid out on the day that it can be.
    let folds = [
        format!(
            "SELECT t.handle_id, t.page_id, COALESCE(t.campaign, ''), t.currency, t.at / {DAY}, {FOLD}, 0 \
             FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id \
             WHERE t.handle_id = $1 AND t.id IN (SELECT id FROM {source}) \
             GROUP BY t.handle_id, t.page_id, COALESCE(t.campaign, ''), t.currency, t.at / {DAY}"
        ),
        format!(
            "SELECT t.handle_id, t.page_id, COALESCE(t.campaign, ''), t.currency, t.available_at / {DAY}, \
             0, 0, 0, 0, 0, CAST(sum(t.available_amount) AS BIGINT) FROM ledger_transaction t \
             WHERE t.handle_id = $1 AND t.available_at IS NOT NULL AND t.id IN (SELECT id FROM {source}) \
             GROUP BY t.handle_id, t.page_id, COALESCE(t.campaign, ''), t.currency, t.available_at / {DAY}"
        ),
    ];
    for fold in folds {
        let sql = format!(
            "INSERT INTO earnings (handle_id, page_id, campaign, currency, day, gross, platform_fee, \
             processor_fee, refunded, net, available) SELECT * FROM ({fold}) AS folded WHERE true \
             ON CONFLICT (handle_id, page_id, campaign, currency, day) DO UPDATE SET \
             gross = earnings.gross + excluded.gross, \
             platform_fee = earnings.platform_fee + excluded.platform_fee, \
             processor_fee = earnings.processor_fee + excluded.processor_fee, \
             refunded = earnings.refunded + excluded.refunded, net = earnings.net + excluded.net, \
             available = earnings.available + excluded.available"
        );
        let mut values = vec![handle.into()];
        values.extend(rows().values(dialect));
        execute(db, &sql, values).await?;
    }
    Ok(())
}

/// The earnings of a handle by page, campaign and currency, from the rollup. `available` counts what can be
/// paid out by the given day (days since the epoch, UTC).
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
    today: i64,
) -> Result<Vec<Figures>, DbErr> {
    let sql = "SELECT page_id, campaign, currency, CAST(sum(gross) AS BIGINT) AS gross, \
               CAST(sum(platform_fee) AS BIGINT) AS platform_fee, \
               CAST(sum(processor_fee) AS BIGINT) AS processor_fee, \
               CAST(sum(refunded) AS BIGINT) AS refunded, CAST(sum(net) AS BIGINT) AS net, \
               CAST(sum(CASE WHEN day <= $2 THEN available ELSE 0 END) AS BIGINT) AS available \
               FROM earnings WHERE handle_id = $1 GROUP BY page_id, campaign, currency \
               ORDER BY currency, page_id, campaign";
    query(db, sql, vec![handle.into(), today.into()]).await
}

/// What the platform kept of a handle's sales in a currency.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Fees {
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub platform_fee: i64,
}

/// What the platform kept of a handle's sales from one day to another (days since the epoch, UTC; both count),
/// by currency, from the rollup.
pub async fn platform_fees(
    db: &impl ConnectionTrait,
    handle: Uuid,
    (from, to): (i64, i64),
) -> Result<Vec<Fees>, DbErr> {
    let sql = "SELECT currency, CAST(sum(platform_fee) AS BIGINT) AS platform_fee FROM earnings \
               WHERE handle_id = $1 AND day BETWEEN $2 AND $3 GROUP BY currency \
               HAVING sum(platform_fee) <> 0 ORDER BY currency";
    query(db, sql, vec![handle.into(), from.into(), to.into()]).await
}

/// A handle whose rollup and ledger disagree.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Difference {
    /// Whose.
    pub handle_id: Uuid,
    /// ISO 4217.
    pub currency: String,
    /// Net by the rollup, minor units.
    pub rolled_up: i64,
    /// Net by the ledger, minor units.
    pub posted: i64,
}

/// Where the rollup and the ledger disagree. Nowhere, once the queue is empty.
pub async fn differences_any_handle(db: &impl ConnectionTrait) -> Result<Vec<Difference>, DbErr> {
    let sql = format!(
        "SELECT handle_id, currency, CAST(sum(rolled_up) AS BIGINT) AS rolled_up, \
         CAST(sum(posted) AS BIGINT) AS posted FROM ( \
         SELECT handle_id, currency, gross, platform_fee, processor_fee, refunded, \
         net AS rolled_up, 0 AS posted FROM earnings \
         UNION ALL SELECT t.handle_id, t.currency, -x.gross, -x.platform_fee, -x.processor_fee, \
         -x.refunded, 0, x.net FROM (SELECT t.id, {FOLD} FROM ledger_transaction t \
         JOIN ledger_entry e ON e.transaction_id = t.id GROUP BY t.id) x \
         JOIN ledger_transaction t ON t.id = x.id) AS both_sides GROUP BY handle_id, currency \
         HAVING sum(rolled_up) <> sum(posted) OR sum(gross) <> 0 OR sum(platform_fee) <> 0 \
         OR sum(processor_fee) <> 0 OR sum(refunded) <> 0 ORDER BY handle_id, currency LIMIT 100"
    );
    query(db, &sql, vec![]).await
}
