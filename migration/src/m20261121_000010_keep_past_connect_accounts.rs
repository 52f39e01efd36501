//! What a connected account may do, the accounts that handles have left, and links to Stripe's dashboard on
//! their way to whoever asked.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["connect_account_past", "login_link"];

const UP: &str = "
ALTER TABLE connect_account ADD COLUMN capabilities TEXT NOT NULL DEFAULT '{}';
CREATE TABLE connect_account_past (
    account_id TEXT NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    left_at BIGINT NOT NULL
);
CREATE INDEX connect_account_past_handle ON connect_account_past (handle_id, left_at);
CREATE TABLE login_link (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    url TEXT,
    failure TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX login_link_created ON login_link (created_at);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_tables(manager, TABLES).await?;
        dialect::run(manager, "ALTER TABLE connect_account DROP COLUMN capabilities").await
    }
}
