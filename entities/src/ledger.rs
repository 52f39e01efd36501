//! The ledger: double entry, append-only.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{
    database::Dialect,
    rows::Rows,
    statement::{Number, query, query_one},
    together::Together,
};

/// A transaction to post.
#[derive(Clone, Debug)]
pub struct NewTransaction {
    /// Unique: a posting happens once.
    pub key: String,
    /// `paid`, `processor_fee` …
    pub kind: &'static str,
    /// Of every entry.
    pub currency: String,
    /// The creator.
    pub handle_id: Uuid,
    /// The purchase, if it is about one: then it counts among the creator's earnings.
    pub checkout_id: Option<Uuid>,
    /// What was sold, if something was.
    pub page_id: Option<Uuid>,
    /// Through which campaign.
    pub campaign: Option<String>,
    /// What explains it at Stripe.
    pub stripe_object: String,
    /// From when `available_amount` can be paid out.
    pub available_at: Option<i64>,
    /// Minor units of the creator's.
    pub available_amount: i64,
    /// When.
    pub at: i64,
    /// Account and minor units; they sum to zero.
    pub entries: Vec<(String, i64)>,
}

/// A posted transaction.
#[derive(Clone, Debug, FromQueryResult)]
struct Posted {
    id: i64,
    key: String,
}

/// Posts transactions whose keys are new; their entries, and those of sales' places in the queue of the rollup, are
/// written together with the rest of the batch.
pub async fn post(
    db: &impl ConnectionTrait,
    together: &mut Together,
    transactions: &[NewTransaction],
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let rows = Rows::new()
        .text("key", transactions.iter().map(|posting| posting.key.as_str()))
        .text("kind", transactions.iter().map(|posting| posting.kind))
        .text("currency", transactions.iter().map(|posting| posting.currency.as_str()))
        .id("handle_id", transactions.iter().map(|posting| posting.handle_id))
        .optional_id("checkout_id", transactions.iter().map(|posting| posting.checkout_id))
        .optional_id("page_id", transactions.iter().map(|posting| posting.page_id))
        .optional_text("campaign", transactions.iter().map(|posting| posting.campaign.as_deref()))
        .text("object", transactions.iter().map(|posting| posting.stripe_object.as_str()))
        .optional_number("available_at", transactions.iter().map(|posting| posting.available_at))
        .number("available_amount", transactions.iter().map(|posting| posting.available_amount))
        .number("at", transactions.iter().map(|posting| posting.at));
    let sql = format!(
        "INSERT INTO ledger_transaction (key, kind, currency, handle_id, checkout_id, page_id, campaign, \
         stripe_object, available_at, available_amount, at) \
         SELECT key, kind, currency, handle_id, checkout_id, page_id, campaign, object, available_at, \
         available_amount, at FROM {} WHERE true ORDER BY key \
         ON CONFLICT (key) DO NOTHING RETURNING id, key",
        rows.source(dialect, 1)
    );
    let posted: Vec<Posted> = query(db, &sql, rows.values(dialect)).await?;
    if posted.is_empty() {
        return Ok(());
    }
    let mut ids: HashMap<_, _> = posted.into_iter().map(|row| (row.key, row.id)).collect();
    // The first of two with the same key is the one that was posted.
    let posted: Vec<_> = transactions
        .iter()
        .filter_map(|posting| ids.remove(&posting.key).map(|id| (id, posting)))
        .collect();
    insert_entries(together, &posted);
    queue_for_rollup(together, &posted);
    Ok(())
}

fn insert_entries(together: &mut Together, posted: &[(i64, &NewTransaction)]) {
    let dialect = together.dialect();
    let entries: Vec<_> = posted
        .iter()
        .flat_map(|(id, posting)| (1_i64..).zip(&posting.entries).map(|(n, entry)| (*id, n, entry)))
        .collect();
    let rows = Rows::new()
        .number("transaction_id", entries.iter().map(|(id, _, _)| *id))
        .number("n", entries.iter().map(|(_, n, _)| *n))
        .text("account", entries.iter().map(|(_, _, (account, _))| account.as_str()))
        .number("amount", entries.iter().map(|(_, _, (_, amount))| *amount));
    let sql = format!(
        "INSERT INTO ledger_entry (transaction_id, n, account, amount) \
         SELECT transaction_id, n, account, amount FROM {} WHERE true",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

fn queue_for_rollup(together: &mut Together, posted: &[(i64, &NewTransaction)]) {
    let dialect = together.dialect();
    let sales: Vec<_> =
        posted.iter().filter(|(_, posting)| posting.checkout_id.is_some()).collect();
    if sales.is_empty() {
        return;
    }
    let rows = Rows::new()
        .id("handle_id", sales.iter().map(|(_, posting)| posting.handle_id))
        .number("transaction_id", sales.iter().map(|(id, _)| *id));
    let sql = format!(
        "INSERT INTO rollup_queue (handle_id, transaction_id) SELECT handle_id, transaction_id FROM {} \
         WHERE true",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// The sum of an account's entries in a currency.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Balance {
    /// `stripe`, `creator:acct_…`
    pub account: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units: positive is debit.
    pub balance: i64,
}

/// Every balance: for checks.
pub async fn balances_any_handle(db: &impl ConnectionTrait) -> Result<Vec<Balance>, DbErr> {
    let sql = "SELECT e.account, t.currency, CAST(sum(e.amount) AS BIGINT) AS balance \
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id \
               GROUP BY e.account, t.currency ORDER BY e.account, t.currency";
    query(db, sql, vec![]).await
}

/// What Stripe and the platform hold for a creator in a currency: what is on the creator's accounts, less what
/// the creator owes and what banks dispute. Minor units; below zero, the creator owes it.
pub async fn balance_of_creator(
    db: &impl ConnectionTrait,
    handle: Uuid,
    currency: &str,
) -> Result<i64, DbErr> {
    let sql = "SELECT CAST(COALESCE(sum(-e.amount), 0) AS BIGINT) AS number FROM ledger_transaction t \
               JOIN ledger_entry e ON e.transaction_id = t.id \
               WHERE t.handle_id = $1 AND t.currency = $2 AND (e.account LIKE 'creator:%' \
               OR e.account LIKE 'due:%' OR e.account LIKE 'dispute_hold:%')";
    let balance = query_one::<Number>(db, sql, vec![handle.into(), currency.into()]).await?;
    Ok(balance.map_or(0, |balance| balance.number))
}

/// What a creator owes the platform in a currency, minor units; below zero, the platform owes the creator.
pub async fn debt_of_creator(
    db: &impl ConnectionTrait,
    handle: Uuid,
    currency: &str,
) -> Result<i64, DbErr> {
    let sql = "SELECT CAST(COALESCE(sum(e.amount), 0) AS BIGINT) AS number FROM ledger_transaction t \
               JOIN ledger_entry e ON e.transaction_id = t.id \
               WHERE t.handle_id = $1 AND t.currency = $2 AND e.account LIKE 'due:%'";
    let debt = query_one::<Number>(db, sql, vec![handle.into(), currency.into()]).await?;
    Ok(debt.map_or(0, |debt| debt.number))
}

/// A sum of entries by kind of transaction.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct KindBalance {
    /// `paid`, `refund` …
    pub kind: String,
    /// `stripe`, `creator:acct_…`
    pub account: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units: positive is debit.
    pub balance: i64,
}

/// Every balance by kind: to hold against what Stripe says.
pub async fn balances_by_kind_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<KindBalance>, DbErr> {
    let sql = "SELECT t.kind, e.account, t.currency, CAST(sum(e.amount) AS BIGINT) AS balance \
               FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id \
               GROUP BY t.kind, e.account, t.currency ORDER BY t.kind, e.account, t.currency";
    query(db, sql, vec![]).await
}

/// The keys of transactions whose entries do not sum to zero, and of those without entries. There are none.
pub async fn unbalanced_any_handle(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    #[derive(FromQueryResult)]
    struct Key {
        key: String,
    }
    let sql = "SELECT t.key FROM ledger_transaction t LEFT JOIN ledger_entry e \
               ON e.transaction_id = t.id GROUP BY t.id, t.key \
               HAVING sum(e.amount) IS NULL OR sum(e.amount) <> 0 ORDER BY t.key LIMIT 100";
    let keys: Vec<Key> = query(db, sql, vec![]).await?;
    Ok(keys.into_iter().map(|row| row.key).collect())
}

/// How many transactions there are.
pub async fn count_any_handle(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS number FROM ledger_transaction";
    Ok(query_one::<Number>(db, sql, vec![]).await?.map_or(0, |count| count.number))
}

/// A purchase whose state and posted payments disagree.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Settlement {
    /// Which.
    pub checkout_id: Uuid,
    /// What the API calls its state.
    pub status: String,
    /// How many payments are posted.
    pub payments: i64,
}

/// Settled purchases without a posted payment or with more than one, and unpaid ones with a payment. What was
/// given back may have been quarantined before.
pub async fn unsettled_or_doubly_settled_any_handle(
    db: &impl ConnectionTrait,
) -> Result<Vec<Settlement>, DbErr> {
    let sql = "SELECT c.id AS checkout_id, c.status, COALESCE(t.payments, 0) AS payments FROM checkout c \
               LEFT JOIN (SELECT checkout_id, count(*) AS payments FROM ledger_transaction \
               WHERE kind = 'paid' GROUP BY checkout_id) t ON t.checkout_id = c.id WHERE \
               (c.status IN ('SETTLED', 'PARTLY_REFUNDED', 'DISPUTED') AND c.amount > 0 AND COALESCE(t.payments, 0) <> 1) \
               OR (c.status IN ('OPEN', 'PROCESSING', 'EXPIRED', 'FAILED') AND t.payments > 0) \
               ORDER BY c.id LIMIT 100";
    query(db, sql, vec![]).await
}
