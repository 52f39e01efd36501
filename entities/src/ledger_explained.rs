//! The ledger as the explanation of figures: which transactions of a handle make one up, and what each adds.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::{
    database::Dialect,
    earnings::{Days, FOLD, NET},
    rows::Rows,
    statement::query,
};

const MILLIS_OF_A_DAY: i64 = 86_400_000;

/// Which transactions of a handle's sales. What is absent does not matter.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this page.
    pub page: Option<Uuid>,
    /// Through this campaign; empty for none.
    pub campaign: Option<String>,
    /// Of this purchase.
    pub checkout: Option<Uuid>,
    /// In this currency.
    pub currency: Option<String>,
    /// That change this figure.
    pub figure: Option<Figure>,
    /// On these days.
    pub days: Days,
}

/// A figure of the earnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// What buyers paid.
    Gross,
    /// What the platform kept.
    PlatformFee,
    /// What the processor kept.
    ProcessorFee,
    /// What buyers got back.
    Refunded,
    /// What is disputed, or lost.
    Disputed,
    /// What is the creator's.
    Net,
}

impl Figure {
    /// The kinds of transactions that can change it. `refunded` and `disputed` are rare, and say so in the very
    /// words of their index.
    fn condition(self) -> &'static str {
        match self {
            Self::Gross => "t.kind IN ('paid', 'quarantined')",
            Self::PlatformFee => {
                "EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id \
                 AND e.account = 'platform_fee')"
            }
            Self::ProcessorFee => "t.kind = 'processor_fee'",
            Self::Refunded => {
                "t.kind NOT IN ('paid', 'processor_fee') AND t.kind IN ('refund', 'refund_failed')"
            }
            Self::Disputed => {
                "t.kind NOT IN ('paid', 'processor_fee') \
                 AND t.kind IN ('dispute_withdrawn', 'dispute_reinstated')"
            }
            Self::Net => {
                "EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id \
                 AND (e.account LIKE 'creator:%' OR e.account LIKE 'due:%' \
                 OR e.account LIKE 'dispute_hold:%'))"
            }
        }
    }
}

/// A transaction, with what Stripe calls its purchase.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Explained {
    /// Its place in the ledger.
    pub id: i64,
    /// Unique.
    pub key: String,
    /// `paid`, `refund` …
    pub kind: String,
    /// Of every entry.
    pub currency: String,
    /// The purchase.
    pub checkout_id: Uuid,
    /// What was sold.
    pub page_id: Uuid,
    /// Through which campaign.
    pub campaign: Option<String>,
    /// What explains it at Stripe.
    pub stripe_object: String,
    /// When.
    pub at: i64,
    /// `cs_…`
    pub session_id: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
}

/// Transactions of a handle's sales, the newest first, from before a place in the ledger.
pub async fn list(
    db: &impl ConnectionTrait,
    handle: Uuid,
    filter: &Filter,
    before: i64,
    limit: u64,
) -> Result<Vec<Explained>, DbErr> {
    let mut values: Vec<Value> = vec![handle.into(), before.into()];
    let mut conditions = String::new();
    let mut equal = |column: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.push(value);
            conditions.push_str(&format!(" AND t.{column} = ${}", values.len()));
        }
    };
    equal("page_id", filter.page.map(Into::into));
    equal("checkout_id", filter.checkout.map(Into::into));
    equal("currency", filter.currency.clone().map(Into::into));
    let campaign = filter.campaign.clone();
    equal("campaign", campaign.filter(|campaign| !campaign.is_empty()).map(Into::into));
    if filter.campaign.as_deref() == Some("") {
        conditions.push_str(" AND t.campaign IS NULL");
    }
    for (bound, day) in [(">=", filter.days.from), ("<", filter.days.to.saturating_add(1))] {
        // A day that no moment reaches is no bound.
        if let Some(moment) = day.checked_mul(MILLIS_OF_A_DAY) {
            values.push(moment.into());
            conditions.push_str(&format!(" AND t.at {bound} ${}", values.len()));
        }
    }
    if let Some(figure) = filter.figure {
        conditions.push_str(&format!(" AND {}", figure.condition()));
    }
    let sql = format!(
        "SELECT t.id, t.key, t.kind, t.currency, t.checkout_id, t.page_id, t.campaign, t.stripe_object, \
         t.at, c.session_id, c.payment_intent FROM ledger_transaction t \
         LEFT JOIN checkout c ON c.id = t.checkout_id \
         WHERE t.handle_id = $1 AND t.checkout_id IS NOT NULL AND t.id < $2{conditions} \
         ORDER BY t.id DESC LIMIT {limit}"
    );
    query(db, &sql, values).await
}

/// One line of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Entry {
    /// Of which.
    pub transaction_id: i64,
    /// `stripe`, `creator:acct_…`
    pub account: String,
    /// Minor units: positive is debit.
    pub amount: i64,
}

/// The entries of transactions of a handle's.
pub async fn entries(
    db: &impl ConnectionTrait,
    handle: Uuid,
    transactions: &[i64],
) -> Result<Vec<Entry>, DbErr> {
    let sql = |source: &str| {
        format!(
            "SELECT e.transaction_id, e.account, e.amount FROM ledger_transaction t \
             JOIN ledger_entry e ON e.transaction_id = t.id \
             WHERE t.handle_id = $1 AND t.id IN (SELECT id FROM {source}) ORDER BY t.id, e.n"
        )
    };
    of_transactions(db, handle, transactions, sql).await
}

/// What a transaction adds to the earnings. Minor units.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Effect {
    /// Which.
    pub transaction_id: i64,
    /// To what buyers paid.
    pub gross: i64,
    /// To what the platform kept.
    pub platform_fee: i64,
    /// To what the processor kept.
    pub processor_fee: i64,
    /// To what buyers got back.
    pub refunded: i64,
    /// To what is disputed.
    pub disputed: i64,
    /// To what is the creator's.
    pub net: i64,
}

/// What each of a handle's transactions adds, by the very rule that the earnings are folded with.
pub async fn effects(
    db: &impl ConnectionTrait,
    handle: Uuid,
    transactions: &[i64],
) -> Result<Vec<Effect>, DbErr> {
    let sql = |source: &str| {
        format!(
            "SELECT transaction_id, gross, platform_fee, processor_fee, refunded, disputed, {NET} AS net \
             FROM (SELECT t.id AS transaction_id, {FOLD} FROM ledger_transaction t \
             JOIN ledger_entry e ON e.transaction_id = t.id \
             WHERE t.handle_id = $1 AND t.id IN (SELECT id FROM {source}) GROUP BY t.id) AS folded"
        )
    };
    of_transactions(db, handle, transactions, sql).await
}

async fn of_transactions<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    handle: Uuid,
    transactions: &[i64],
    sql: impl Fn(&str) -> String,
) -> Result<Vec<T>, DbErr> {
    if transactions.is_empty() {
        return Ok(Vec::new());
    }
    let dialect = Dialect::of(db);
    let rows = Rows::new().number("id", transactions.iter().copied());
    let sql = sql(&rows.source(dialect, 2));
    let mut values = vec![handle.into()];
    values.extend(rows.values(dialect));
    query(db, &sql, values).await
}

/// What became of a creator's balance beside sales, in a currency. Minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct Settled {
    /// ISO 4217.
    pub currency: String,
    /// What was paid out to the creator's bank, without what came back.
    pub paid_out: i64,
    /// Added to what is the creator's: a debt that was given up. Payouts count negatively.
    pub net: i64,
    /// Added to what the creator owes.
    pub due: i64,
}

/// What became of a handle's balance beside sales: payouts, and debts that were given up. A few a day at most.
pub async fn settled(db: &impl ConnectionTrait, handle: Uuid) -> Result<Vec<Settled>, DbErr> {
    let sum = |condition: &str, sign: &str| {
        format!("CAST(sum(CASE WHEN {condition} THEN {sign}e.amount ELSE 0 END) AS BIGINT)")
    };
    let sql = format!(
        "SELECT t.currency, {} AS paid_out, {} AS net, {} AS due FROM ledger_transaction t \
         JOIN ledger_entry e ON e.transaction_id = t.id \
         WHERE t.handle_id = $1 AND t.checkout_id IS NULL \
         AND t.kind NOT IN ('paid', 'processor_fee', 'plan_invoice') \
         GROUP BY t.currency ORDER BY t.currency",
        sum("t.kind IN ('payout', 'payout_failed') AND e.account LIKE 'creator:%'", ""),
        sum(
            "e.account LIKE 'creator:%' OR e.account LIKE 'due:%' OR e.account LIKE 'dispute_hold:%'",
            "-"
        ),
        sum("e.account LIKE 'due:%'", ""),
    );
    query(db, &sql, vec![handle.into()]).await
}
