//! Who does what only one process at a time is to do. A lease that is not given back frees itself.

use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    database::Dialect,
    statement::{Clock, execute},
};

/// Takes a lease, or keeps it longer, for so many milliseconds: unless another has it, or its work was finished
/// less than `rested` milliseconds ago. Says whether it is the owner's now.
pub async fn take(
    db: &impl ConnectionTrait,
    clock: &Clock,
    name: &str,
    owner: &str,
    held_for: i64,
    rested: i64,
) -> Result<bool, DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let sql = format!(
        "INSERT INTO lease (name, owner, held_until, finished_at) VALUES ($2, $3, {now} + $4, 0) \
         ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, held_until = excluded.held_until \
         WHERE (lease.held_until <= {now} OR lease.owner = excluded.owner) \
         AND lease.finished_at <= {now} - $5"
    );
    let values =
        vec![clock.bind(dialect), name.into(), owner.into(), held_for.into(), rested.into()];
    Ok(execute(db, &sql, values).await? == 1)
}

/// What became of the work that a lease was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It is finished: the next ones may rest.
    Finished,
    /// It is not: whoever comes next goes on.
    Unfinished,
}

/// Gives a lease back, if it is still the owner's.
pub async fn give_back(
    db: &impl ConnectionTrait,
    clock: &Clock,
    name: &str,
    owner: &str,
    work: Work,
) -> Result<(), DbErr> {
    let dialect = Dialect::of(db);
    let now = dialect.now("$1");
    let finished = match work {
        Work::Finished => now.as_str(),
        Work::Unfinished => "finished_at",
    };
    let sql = format!(
        "UPDATE lease SET held_until = {now}, finished_at = {finished} WHERE name = $2 AND owner = $3"
    );
    execute(db, &sql, vec![clock.bind(dialect), name.into(), owner.into()]).await.map(drop)
}
