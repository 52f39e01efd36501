//! Verdicts: how each of Stripe's movements of money stands to the ledger.
//!
//! A verdict is kept under the key of the posting that a movement must have led to, so that the ledger and
//! Stripe's lists can be held against each other from both sides, however long after each other they learn
//! of a thing.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use crate::{
    database::Dialect,
    operator_case::SETTLED,
    rows::Rows,
    statement::{execute, query, query_one},
};

/// Postings that may follow each other, the first of which has the key.
const IN_PARTS: &str = "('dispute_withdrawn', 'dispute_reinstated')";

/// A posting that a movement must have led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its key in the ledger: `paid:pi_…`
    pub key: String,
    /// The account, or the kind of accounts, whose entries are compared: `stripe`, `creator`.
    pub side: &'static str,
    /// It is Sluice's if a run knows this object.
    pub known_by: Option<String>,
    /// It is Sluice's if this posting is in the ledger.
    pub because_of: Option<String>,
}

/// What the ledger says of a posting that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Found {
    /// Which of those asked for.
    pub n: i64,
    /// The posting, if there is one.
    pub transaction_id: Option<i64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Minor units on the side that is compared: positive is debit.
    pub amount: Option<i64>,
    /// One, if the object is Sluice's.
    pub known: i64,
}

/// Holds wanted postings against the ledger, in one query, and answers in their order.
pub async fn compare(db: &impl ConnectionTrait, wanted: &[Wanted]) -> Result<Vec<Found>, DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .number("n", 0..wanted.len() as i64)
        .text("key", wanted.iter().map(|row| row.key.as_str()))
        .text("side", wanted.iter().map(|row| row.side))
        .optional_text("known_by", wanted.iter().map(|row| row.known_by.as_deref()))
        .optional_text("because_of", wanted.iter().map(|row| row.because_of.as_deref()));
    let sql = format!(
        "SELECT t.n, p.id AS transaction_id, p.currency, \
         (SELECT CAST(sum(e.amount) AS BIGINT) FROM ledger_entry e WHERE e.transaction_id = p.id \
         AND (e.account = t.side OR e.account LIKE t.side || ':%')) \
         + CASE WHEN p.kind IN {IN_PARTS} THEN COALESCE((SELECT CAST(sum(e.amount) AS BIGINT) \
         FROM ledger_transaction s JOIN ledger_entry e ON e.transaction_id = s.id \
         WHERE s.kind IN {IN_PARTS} AND s.kind = p.kind AND s.stripe_object = p.stripe_object \
         AND s.id <> p.id AND (e.account = t.side OR e.account LIKE t.side || ':%')), 0) \
         ELSE 0 END AS amount, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM stripe_object o WHERE o.id = t.known_by) \
         OR EXISTS (SELECT 1 FROM ledger_transaction k WHERE k.key = t.because_of) \
         THEN 1 ELSE 0 END AS BIGINT) AS known \
         FROM {} LEFT JOIN ledger_transaction p ON p.key = t.key ORDER BY t.n",
        rows.source(dialect, 1)
    );
    query(db, &sql, rows.values(dialect)).await
}

/// How a movement stands to the ledger.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Verdict {
    /// The key that its posting has, or must have.
    pub key: String,
    /// `matched`, `missing_here`, `missing_at_stripe` or `amount_differs`; `under_way`, while Stripe itself does
    /// not know what comes of it.
    pub verdict: String,
    /// `acct_…`, or nothing for the platform.
    pub account: String,
    /// `txn_…`, or nothing, where Stripe lists none.
    pub balance_transaction: String,
    /// `pi_…`, `re_…`: what moved the money.
    pub stripe_object: String,
    /// The account, or the kind of accounts, whose entries are compared.
    pub side: String,
    /// Minor units that must be posted there, if that can be said.
    pub amount: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// When; of what is under way, when it is looked at again.
    pub judged_at: i64,
}

/// Keeps verdicts, each under its key. What has not changed is not written again.
pub async fn keep(db: &impl ConnectionTrait, verdicts: &[Verdict]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .text("key", verdicts.iter().map(|row| row.key.as_str()))
        .text("verdict", verdicts.iter().map(|row| row.verdict.as_str()))
        .text("account", verdicts.iter().map(|row| row.account.as_str()))
        .text("movement", verdicts.iter().map(|row| row.balance_transaction.as_str()))
        .text("object", verdicts.iter().map(|row| row.stripe_object.as_str()))
        .text("side", verdicts.iter().map(|row| row.side.as_str()))
        .optional_number("amount", verdicts.iter().map(|row| row.amount))
        .text("currency", verdicts.iter().map(|row| row.currency.as_str()))
        .number("judged_at", verdicts.iter().map(|row| row.judged_at));
    let sql = format!(
        "INSERT INTO verdict (key, verdict, account, balance_transaction, stripe_object, side, amount, \
         currency, judged_at) SELECT key, verdict, account, movement, object, side, amount, currency, \
         judged_at FROM {} WHERE true ORDER BY key ON CONFLICT (key) DO UPDATE SET \
         verdict = excluded.verdict, account = excluded.account, \
         balance_transaction = excluded.balance_transaction, stripe_object = excluded.stripe_object, \
         side = excluded.side, amount = excluded.amount, currency = excluded.currency, \
         judged_at = excluded.judged_at \
         WHERE verdict.verdict <> excluded.verdict OR excluded.verdict = 'under_way'",
        rows.source(dialect, 1)
    );
    execute(db, &sql, rows.values(dialect)).await.map(drop)
}

/// The verdict under a key.
pub async fn find(db: &impl ConnectionTrait, key: &str) -> Result<Option<Verdict>, DbErr> {
    query_one(db, "SELECT * FROM verdict WHERE key = $1", vec![key.into()]).await
}

/// Differences that an open case is about, after a key, in order.
pub async fn open_differences(
    db: &impl ConnectionTrait,
    after: &str,
    limit: u64,
) -> Result<Vec<Verdict>, DbErr> {
    let sql = format!(
        "SELECT v.* FROM verdict v WHERE v.verdict <> 'matched' AND v.key > $1 AND EXISTS \
         (SELECT 1 FROM operator_case c WHERE c.kind = v.verdict AND c.key = v.key AND c.status = 'OPEN') \
         ORDER BY v.key LIMIT {limit}"
    );
    query(db, &sql, vec![after.into()]).await
}

/// What was under way, and is to be looked at again by a moment, the oldest first.
pub async fn under_way(
    db: &impl ConnectionTrait,
    due_by: i64,
    limit: u64,
) -> Result<Vec<Verdict>, DbErr> {
    let sql = format!(
        "SELECT * FROM verdict WHERE verdict <> 'matched' AND verdict = 'under_way' AND judged_at <= $1 \
         ORDER BY judged_at, key LIMIT {limit}"
    );
    query(db, &sql, vec![due_by.into()]).await
}

/// A posting that no verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Unjudged {
    /// Its place in the ledger.
    pub id: i64,
    /// Its key.
    pub key: String,
    /// `pi_…`, `re_…`: what explains it at Stripe.
    pub stripe_object: String,
    /// ISO 4217.
    pub currency: String,
}

/// Postings after a place in the ledger, and up to another, that Stripe must have listed and no verdict is about.
pub async fn unjudged_any_handle(
    db: &impl ConnectionTrait,
    (after, up_to): (i64, i64),
    kinds: &str,
    limit: u64,
) -> Result<Vec<Unjudged>, DbErr> {
    let sql = format!(
        "SELECT p.id, p.key, p.stripe_object, p.currency FROM ledger_transaction p \
         LEFT JOIN verdict v ON v.key = p.key WHERE p.id > $1 AND p.id <= $2 AND p.kind IN ({kinds}) \
         AND (p.kind NOT IN {IN_PARTS} OR p.key = p.kind || ':' || p.stripe_object) \
         AND v.key IS NULL ORDER BY p.id LIMIT {limit}"
    );
    query(db, &sql, vec![after.into(), up_to.into()]).await
}

#[derive(FromQueryResult)]
struct Place {
    place: Option<i64>,
}

/// The last place in the ledger, after one, before which everything was posted before a moment. Places are given
/// out before they are committed, so that their order is not quite that of the postings' times.
pub async fn settled_up_to_any_handle(
    db: &impl ConnectionTrait,
    after: i64,
    before: i64,
) -> Result<i64, DbErr> {
    let sql = "SELECT COALESCE((SELECT min(id) - 1 FROM ledger_transaction WHERE id > $1 AND at >= $2), \
               (SELECT max(id) FROM ledger_transaction)) AS place";
    let found: Option<Place> = query_one(db, sql, vec![after.into(), before.into()]).await?;
    Ok(found.and_then(|row| row.place).unwrap_or(after))
}

/// Closes the cases of differences that are none any more, and says how many.
pub async fn close_settled(db: &impl ConnectionTrait, at: i64) -> Result<u64, DbErr> {
    let sql = "UPDATE operator_case SET status = 'CLOSED', closed_because = $1, closed_at = $2 \
               WHERE status = 'OPEN' AND kind IN ('missing_here', 'missing_at_stripe', 'amount_differs') \
               AND EXISTS (SELECT 1 FROM verdict v WHERE v.key = operator_case.key \
               AND v.verdict <> operator_case.kind AND v.verdict <> 'under_way')";
    execute(db, sql, vec![SETTLED.into(), at.into()]).await
}

#[derive(FromQueryResult)]
struct Count {
    number: i64,
}

/// How many differences wait for a person.
pub async fn count_open(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS number FROM operator_case WHERE status = 'OPEN' \
               AND kind IN ('missing_here', 'missing_at_stripe', 'amount_differs')";
    let count: Option<Count> = query_one(db, sql, vec![]).await?;
    Ok(count.map_or(0, |count| count.number))
}
