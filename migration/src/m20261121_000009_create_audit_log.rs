//! Who did what: the actions of people on handles and on the installation.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `audit_log`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["audit_log"];

const UP: &str = "
CREATE TABLE audit_log (
    id UUID NOT NULL PRIMARY KEY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    handle_id UUID,
    target TEXT NOT NULL,
    reason TEXT,
    request_id TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX audit_log_handle ON audit_log (handle_id, id) WHERE handle_id IS NOT NULL;
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
