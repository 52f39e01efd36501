//! Earnings: the ledger folded by handle, page, campaign, currency and day.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{execute, query},
};

/// Which postings count as what: the one place that says so. `net`, what is the creator's, follows from it
/// ([`NET`]), and is what creator, due and dispute_hold were credited by sales.
pub const FOLD: &str = "\
    CAST(sum(CASE WHEN t.kind IN ('paid', 'quarantined') AND e.account = 'stripe' THEN e.amount ELSE 0 END) \
    AS BIGINT) AS gross, \
    CAST(sum(CASE WHEN e.account = 'platform_fee' THEN -e.amount ELSE 0 END) AS BIGINT) AS platform_fee, \
    CAST(sum(CASE WHEN e.account = 'processor_fee' THEN e.amount ELSE 0 END) AS BIGINT) AS processor_fee, \
    CAST(sum(CASE WHEN t.kind IN ('refund', 'refund_failed') AND e.account = 'stripe' THEN -e.amount \
    ELSE 0 END) AS BIGINT) AS refunded, \
    CAST(sum(CASE WHEN t.kind IN ('dispute_withdrawn', 'dispute_reinstated') \
    AND e.account LIKE 'dispute_hold:%' THEN e.amount ELSE 0 END) AS BIGINT) AS disputed, \
    CAST(sum(CASE WHEN e.account LIKE 'due:%' THEN e.amount ELSE 0 END) AS BIGINT) AS due";

/// What is the creator's, of the figures of [`FOLD`].
pub const NET: &str = "gross - platform_fee - refunded - disputed";

/// What is owed or held is not there to be paid out, from the moment of its posting on.
const CLAIMED: &str = "\
    CAST(sum(CASE WHEN e.account LIKE 'due:%' OR e.account LIKE 'dispute_hold:%' THEN -e.amount ELSE 0 END) \
    AS BIGINT) AS available";

/// The figures of a row, in the order in which they are written.
pub(crate) const FIGURES: [&str; 8] =
    ["gross", "platform_fee", "processor_fee", "refunded", "disputed", "due", "net", "available"];

/// What makes a row.
pub(crate) const KEY: &str = "handle_id, page_id, campaign, currency, day";

const DAY: i64 = 86_400_000;

/// Figures of a page, campaign and currency. Minor units.
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
    /// What is disputed, or was lost in disputes.
    pub disputed: i64,
    /// What is the creator's.
    pub net: i64,
    /// What the creator owes for it, whatever range was asked for. Negative: what is owed to the creator.
    pub due: i64,
    /// What of it cannot be paid out yet, whatever range was asked for.
    pub pending: i64,
    /// What of it can be paid out, whatever range was asked for.
    pub available: i64,
}

/// Days since the epoch, UTC; both count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
}

impl Days {
    /// All of them.
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };
}

/// The rows that ledger transactions `t` of a handle ($1) come to, by a condition on them. The figures count on
/// the day of the posting, what can be paid out on the day that it can be.
pub(crate) fn folded(condition: &str) -> String {
    let key = |at: &str| {
        format!(
            "t.handle_id, t.page_id, COALESCE(t.campaign, '') AS campaign, t.currency, t.{at} / {DAY} AS day"
        )
    };
    let group = |at: &str| {
        format!(
            "GROUP BY t.handle_id, t.page_id, COALESCE(t.campaign, ''), t.currency, t.{at} / {DAY}"
        )
    };
    let sales = format!("t.handle_id = $1 AND t.checkout_id IS NOT NULL AND {condition}");
    let sums: Vec<_> = FIGURES
        .iter()
        .map(|figure| match *figure {
            "net" => format!("CAST(sum({NET}) AS BIGINT) AS net"),
            figure => format!("CAST(sum({figure}) AS BIGINT) AS {figure}"),
        })
        .collect();
    format!(
        "SELECT {KEY}, {} FROM ( \
         SELECT {}, {FOLD}, {CLAIMED} FROM ledger_transaction t \
         JOIN ledger_entry e ON e.transaction_id = t.id WHERE {sales} {} \
         UNION ALL \
         SELECT {}, 0, 0, 0, 0, 0, 0, CAST(sum(t.available_amount) AS BIGINT) FROM ledger_transaction t \
         WHERE {sales} AND t.available_at IS NOT NULL {}) AS posted GROUP BY {KEY}",
        sums.join(", "),
        key("at"),
        group("at"),
        key("available_at"),
        group("available_at"),
    )
}

/// Folds ledger transactions of a handle into its earnings. Each must be folded once.
pub async fn fold(
    db: &impl ConnectionTrait,
    handle: Uuid,
    transactions: &[i64],
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new().number("id", transactions.iter().copied());
    let folded = folded(&format!("t.id IN (SELECT id FROM {})", rows.source(dialect, 2)));
    let added: Vec<_> = FIGURES
        .iter()
        .map(|figure| format!("{figure} = earnings.{figure} + excluded.{figure}"))
        .collect();
    let sql = format!(
        "INSERT INTO earnings ({KEY}, {}) SELECT * FROM ({folded}) AS folded WHERE true \
         ON CONFLICT ({KEY}) DO UPDATE SET {}",
        FIGURES.join(", "),
        added.join(", ")
    );
    let mut values = vec![handle.into()];
    values.extend(rows.values(dialect));
    execute(db, &sql, values).await.map(drop)
}

/// The earnings of a handle by page, campaign and currency, from the rollup. `available` counts what can be
/// paid out by the given day (days since the epoch, UTC).
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: Uuid,
    today: i64,
) -> Result<Vec<Figures>, DbErr> {
    of_days(db, handle, Days::ALL, today).await
}

/// The same, with what was posted on certain days. What is due, pending and available is as it stands today.
pub async fn of_days(
    db: &impl ConnectionTrait,
    handle: Uuid,
    days: Days,
    today: i64,
) -> Result<Vec<Figures>, DbErr> {
    let within = |figure: &str| {
        format!(
            "CAST(sum(CASE WHEN day BETWEEN $3 AND $4 THEN {figure} ELSE 0 END) AS BIGINT) AS {figure}"
        )
    };
    let flows = ["gross", "platform_fee", "processor_fee", "refunded", "disputed", "net"];
    let available = "CAST(sum(CASE WHEN day <= $2 THEN available ELSE 0 END) AS BIGINT)";
    let sql = format!(
        "SELECT page_id, campaign, currency, {}, CAST(sum(due) AS BIGINT) AS due, \
         CAST(sum(net) AS BIGINT) - {available} AS pending, {available} AS available \
         FROM earnings WHERE handle_id = $1 GROUP BY page_id, campaign, currency \
         ORDER BY currency, page_id, campaign",
        flows.map(within).join(", ")
    );
    let values = vec![handle.into(), today.into(), days.from.into(), days.to.into()];
    query(db, &sql, values).await
}

/// Figures of a day. Minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct DayFigures {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// What buyers paid.
    pub gross: i64,
    /// What the platform kept.
    pub platform_fee: i64,
    /// What the processor kept.
    pub processor_fee: i64,
    /// What buyers got back.
    pub refunded: i64,
    /// What was disputed.
    pub disputed: i64,
    /// What is the creator's.
    pub net: i64,
}

/// What was posted for a handle in a currency, day by day. Days without a posting are left out.
pub async fn by_day(
    db: &impl ConnectionTrait,
    handle: Uuid,
    currency: &str,
    days: Days,
) -> Result<Vec<DayFigures>, DbErr> {
    let flows = ["gross", "platform_fee", "processor_fee", "refunded", "disputed", "net"];
    let sums = flows.map(|figure| format!("CAST(sum({figure}) AS BIGINT) AS {figure}"));
    let any = flows.map(|figure| format!("{figure} <> 0"));
    let sql = format!(
        "SELECT day, {} FROM earnings WHERE handle_id = $1 AND currency = $2 AND day BETWEEN $3 AND $4 \
         AND ({}) GROUP BY day ORDER BY day",
        sums.join(", "),
        any.join(" OR ")
    );
    let values = vec![handle.into(), currency.into(), days.from.into(), days.to.into()];
    query(db, &sql, values).await
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
