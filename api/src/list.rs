//! Lists: how much of one is shown, and where the next part begins.

use crate::problem::Problem;

/// How many entries a list holds, unless asked otherwise, and at most.
const PER_LIST: (u32, u32) = (20, 100);

/// How many entries are asked for.
pub fn limit(given: Option<u32>) -> Result<u64, Problem> {
    let limit = given.unwrap_or(PER_LIST.0);
    match (1..=PER_LIST.1).contains(&limit) {
        true => Ok(limit.into()),
        false => Err(Problem::field("limit", format!("must be 1 to {}", PER_LIST.1))),
    }
}

/// The problem of a cursor that was not given out.
pub fn no_cursor() -> Problem {
    Problem::field("cursor", "is not a nextCursor")
}

/// Cuts rows that were read with one more than asked for, and says where the next part begins, if there is one.
pub fn cut<T>(
    mut rows: Vec<T>,
    limit: u64,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    (rows, next)
}
