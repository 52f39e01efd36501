//! What operators see and steer, and what outlives a request: queues, nodes, cases, cursors, idempotency.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] =
    &["queue_control", "node", "operator_case", "cursor", "idempotency", "daily_total"];

const UP: &str = "
CREATE TABLE queue_control (
    queue TEXT NOT NULL PRIMARY KEY,
    paused_at BIGINT
);
CREATE TABLE node (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL,
    release TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE TABLE operator_case (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    run_id UUID,
    detail TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (kind, key)
);
CREATE INDEX operator_case_run ON operator_case (run_id);
CREATE TABLE cursor (
    name TEXT NOT NULL PRIMARY KEY,
    position TEXT NOT NULL
);
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    subject UUID NOT NULL,
    locked_until BIGINT NOT NULL,
    status INTEGER,
    body TEXT,
    location TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE TABLE daily_total (
    day BIGINT NOT NULL,
    name TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (day, name)
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
