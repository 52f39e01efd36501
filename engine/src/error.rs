//! What can go wrong in the engine itself.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The engine could not do its work. Nothing is half done: the transaction was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database refused or could not be reached.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// A value could not be written as JSON.
    #[error("a value cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A run had another version than the one it was locked with.
    #[error("a run changed while it was locked")]
    StaleVersion,
    /// Another release asked for an effect: only that one knows who is to hear the answer.
    #[error("the workflow {0} is unknown to this release")]
    UnknownWorkflow(String),
    /// A newer release stored it.
    #[error(transparent)]
    Unreadable(#[from] workflows::workflow::Unreadable),
    /// The connection broke while it was being committed: whoever asked may ask again, and is told the same.
    #[error("whether it was committed is not known: {0}")]
    Uncertain(DbErr),
    /// The part of the process that does this has stopped.
    #[error("the process is shutting down")]
    ShuttingDown,
}

/// Codes of PostgreSQL that say nothing about the data: deadlock, serialization failure, lock not available,
/// connection and resource trouble, shutdown, a transaction that idled too long, a server that only reads.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const PASSING_CODES: &[&str] = &["08", "25P03", "25006", "40", "53", "55", "57", "58"];

/// Whether the same statement may succeed later: such a failure is no attempt.
pub fn is_passing(error: &EngineError) -> bool {
    let EngineError::Database(error) = error else {
        return matches!(
            error,
            EngineError::StaleVersion | EngineError::ShuttingDown | EngineError::Uncertain(_)
        );
    };
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match error.as_database_error() {
                Some(error) => error.code().is_some_and(|code| {
                    // SQLite: 5 is BUSY, 6 is LOCKED, extended codes keep it in the low byte.
                    PASSING_CODES.iter().any(|passing| code.len() == 5 && code.starts_with(passing))
                        || code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
                            && code.len() < 5
                }),
                None => is_of_the_connection(error),
            }
        }
        _ => false,
    }
}

/// A row that cannot be decoded stays what it is; a connection may be better next time.
fn is_of_the_connection(error: &sqlx::Error) -> bool {
    use sqlx::Error;
    matches!(
        error,
        Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed
    )
}
