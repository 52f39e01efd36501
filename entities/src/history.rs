//! History: the append-only timeline of each run.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::{rows::Rows, statement::query, together::Together};

/// One event of a run, accepted or refused.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct History {
    /// Whose timeline.
    pub run_id: Uuid,
    /// 1, 2, 3 … without gaps: the run's version after the event.
    pub seq: i64,
    /// The event's name.
    pub event_name: String,
    /// The event as JSON, with secrets masked.
    pub event: String,
    /// The state before, if the run had begun.
    pub from_state: Option<String>,
    /// The state after, if the event was accepted.
    pub to_state: Option<String>,
    /// Why the event was refused, if it was.
    pub refused: Option<String>,
    /// The machine's version that judged.
    pub machine_version: i32,
    /// The inbox row that it came from; absent for timers.
    pub inbox_seq: Option<i64>,
    /// When.
    pub at: i64,
}

/// Appends to timelines.
pub fn append(together: &mut Together, lines: &[History]) {
    let dialect = together.dialect();
    let rows = Rows::new()
        .id("run_id", lines.iter().map(|line| line.run_id))
        .number("seq", lines.iter().map(|line| line.seq))
        .text("event_name", lines.iter().map(|line| line.event_name.as_str()))
        .text("event", lines.iter().map(|line| line.event.as_str()))
        .optional_text("from_state", lines.iter().map(|line| line.from_state.as_deref()))
        .optional_text("to_state", lines.iter().map(|line| line.to_state.as_deref()))
        .optional_text("refused", lines.iter().map(|line| line.refused.as_deref()))
        .number("machine_version", lines.iter().map(|line| line.machine_version))
        .optional_number("inbox_seq", lines.iter().map(|line| line.inbox_seq))
        .number("at", lines.iter().map(|line| line.at));
    let sql = format!(
        "INSERT INTO history (run_id, seq, event_name, event, from_state, to_state, refused, \
         machine_version, inbox_seq, at) SELECT run_id, seq, event_name, event, from_state, to_state, \
         refused, machine_version, inbox_seq, at FROM {} WHERE true",
        rows.source(dialect, together.first())
    );
    together.add(sql, rows.values(dialect));
}

/// The timeline of a run from a place on. Whoever asks has been allowed to see the run.
pub async fn of_run(
    db: &impl ConnectionTrait,
    run: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<History>, DbErr> {
    let sql =
        format!("SELECT * FROM history WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT {limit}");
    query(db, &sql, vec![run.into(), after.into()]).await
}
