//! Running SQL of fixed text.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use crate::database::Dialect;

/// Runs a query and reads its rows.
pub async fn query<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Vec<T>, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| T::from_query_result(row, "")).collect()
}

/// Runs a query of at most one row.
pub async fn query_one<T: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<Option<T>, DbErr> {
    Ok(query(db, sql, values).await?.into_iter().next())
}

/// Runs a statement and says how many rows it touched.
pub async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

/// A single number.
#[derive(FromQueryResult)]
pub struct Number {
    /// The column must be called `number`.
    pub number: i64,
}

/// The time, as statements see it. Tests move it; production leaves it alone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// Moves this clock, and every copy of it, by a number of milliseconds.
    pub fn advance(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::Relaxed);
    }

    /// What a statement binds to the placeholder of [`Dialect::now`].
    pub fn bind(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Postgres => self.offset.load(Ordering::Relaxed).into(),
            Dialect::Sqlite => self.local_millis().into(),
        }
    }

    /// This machine's time, moved like the rest. For event times and token expiry, never for leases.
    pub fn local_millis(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        now.saturating_add(self.offset.load(Ordering::Relaxed))
    }
}
