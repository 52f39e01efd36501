//! Counts by day, so that nothing scans a whole table to draw a page.

use sea_orm::{ConnectionTrait, DbErr};

use crate::statement::execute;

/// Adds to a day's total (days since the epoch, UTC).
pub async fn add(
    db: &impl ConnectionTrait,
    day: i64,
    name: &str,
    number: i64,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO daily_total (day, name, total) VALUES ($1, $2, $3) \
               ON CONFLICT (day, name) DO UPDATE SET total = daily_total.total + excluded.total";
    execute(db, sql, vec![day.into(), name.into(), number.into()]).await.map(drop)
}
