//! Things that a person must decide.

use entities::operator_case;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;
use workflows::{Timestamp, id::RunId, record::OperatorCase};

/// Opens cases, once for each kind and key.
pub async fn write(
    db: &impl ConnectionTrait,
    cases: &[(Timestamp, RunId, OperatorCase)],
) -> Result<(), DbErr> {
    if cases.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = cases
        .iter()
        .map(|(at, run, case)| {
            let kind: &'static str = case.kind.into();
            operator_case::OperatorCase {
                id: Uuid::now_v7(),
                kind: kind.to_owned(),
                key: case.key.clone(),
                run_id: Some(run.0),
                detail: case.detail.clone(),
                status: "OPEN".to_owned(),
                created_at: at.millis(),
            }
        })
        .collect();
    operator_case::open(db, &rows).await
}
