//! Connected accounts as the API shows them.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["connect_account"];

const UP: &str = "
CREATE TABLE connect_account (
    handle_id UUID NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    account_id TEXT,
    charges_enabled BOOLEAN NOT NULL,
    payouts_enabled BOOLEAN NOT NULL,
    requirements TEXT NOT NULL,
    link_url TEXT,
    link_expires_at BIGINT,
    failure TEXT,
    updated_at BIGINT NOT NULL
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
