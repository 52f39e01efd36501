//! Runs and their append-only history.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["run", "history"];

const UP: &str = "
CREATE TABLE run (
    id UUID NOT NULL PRIMARY KEY,
    workflow TEXT NOT NULL,
    subject UUID NOT NULL,
    state_name TEXT NOT NULL,
    state TEXT NOT NULL,
    machine_version INTEGER NOT NULL,
    version BIGINT NOT NULL,
    status TEXT NOT NULL,
    wake_at BIGINT,
    handle_id UUID,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) FILL_UPDATED;
CREATE INDEX run_wake ON run (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE history (
    run_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    event_name TEXT NOT NULL,
    event TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT,
    refused TEXT,
    machine_version INTEGER NOT NULL,
    inbox_seq BIGINT,
    at BIGINT NOT NULL,
    PRIMARY KEY (run_id, seq)
);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_tables(manager, TABLES).await
    }
}
