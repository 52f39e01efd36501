//! The outbox: effects that leave the house.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["outbox"];

const UP: &str = "
CREATE TABLE outbox (
    id UUID NOT NULL PRIMARY KEY,
    run_id UUID NOT NULL,
    run_version BIGINT NOT NULL,
    n INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    effect TEXT NOT NULL,
    status TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    key_generation INTEGER NOT NULL,
    first_attempt_at BIGINT,
    absent_since BIGINT,
    lease_owner TEXT,
    lease_until BIGINT,
    epoch BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    answered_at BIGINT
) FILL_UPDATED;
CREATE INDEX outbox_due ON outbox (queue, due_at) WHERE status = 'PENDING';
CREATE INDEX outbox_leased ON outbox (lease_until) WHERE status = 'LEASED';
CREATE INDEX outbox_dead ON outbox (id) WHERE status = 'DEAD';
CREATE INDEX outbox_run ON outbox (run_id);
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
