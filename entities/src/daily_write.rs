//! How often a handle was written to, by day (UTC).

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::statement::{Number, execute, query_one};

/// Counts a write to a handle on a day (days since the epoch), in the transaction of the write itself, and
/// says how many there are with it. The handle's earlier days are forgotten with the first of a day.
pub async fn count(db: &impl ConnectionTrait, handle: Uuid, day: i64) -> Result<i64, DbErr> {
    let sql = "INSERT INTO daily_write (handle_id, day, number) VALUES ($1, $2, 1) \
               ON CONFLICT (handle_id, day) DO UPDATE SET number = daily_write.number + 1 \
               RETURNING number";
    let counted: Option<Number> = query_one(db, sql, vec![handle.into(), day.into()]).await?;
    let number = counted.map_or(0, |counted| counted.number);
    if number == 1 {
        let sql = "DELETE FROM daily_write WHERE handle_id = $1 AND day < $2";
        execute(db, sql, vec![handle.into(), day.into()]).await?;
    }
    Ok(number)
}

/// How often a handle was written to on a day.
pub async fn on_day(db: &impl ConnectionTrait, handle: Uuid, day: i64) -> Result<i64, DbErr> {
    let sql = "SELECT number FROM daily_write WHERE handle_id = $1 AND day = $2";
    let counted: Option<Number> = query_one(db, sql, vec![handle.into(), day.into()]).await?;
    Ok(counted.map_or(0, |counted| counted.number))
}
