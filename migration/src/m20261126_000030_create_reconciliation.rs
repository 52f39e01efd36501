//! What reconciliation has looked at and found, who is at work on it, and how cases end.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["lease", "reconciliation", "verdict"];

const UP: &str = "
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    finished_at BIGINT NOT NULL
);
CREATE TABLE reconciliation (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    window_from BIGINT NOT NULL,
    window_to BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    added BIGINT NOT NULL,
    matched BIGINT NOT NULL,
    missing_here BIGINT NOT NULL,
    missing_at_stripe BIGINT NOT NULL,
    amount_differs BIGINT NOT NULL,
    elsewhere BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    error TEXT
);
CREATE INDEX reconciliation_started ON reconciliation (started_at);
CREATE TABLE verdict (
    key TEXT NOT NULL PRIMARY KEY,
    verdict TEXT NOT NULL,
    account TEXT NOT NULL,
    balance_transaction TEXT NOT NULL,
    stripe_object TEXT NOT NULL,
    side TEXT NOT NULL,
    amount BIGINT,
    currency TEXT NOT NULL,
    judged_at BIGINT NOT NULL
);
CREATE INDEX verdict_differs ON verdict (key) WHERE verdict <> 'matched';
CREATE INDEX ledger_transaction_of_dispute ON ledger_transaction (stripe_object)
    WHERE kind IN ('dispute_withdrawn', 'dispute_reinstated');
ALTER TABLE operator_case ADD COLUMN closed_at BIGINT;
ALTER TABLE operator_case ADD COLUMN closed_because TEXT;
";

const DOWN: &str = "
DROP INDEX ledger_transaction_of_dispute;
ALTER TABLE operator_case DROP COLUMN closed_because;
ALTER TABLE operator_case DROP COLUMN closed_at;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await?;
        dialect::drop_tables(manager, TABLES).await
    }
}
