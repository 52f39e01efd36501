//! Purchases and the access that they give.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["checkout", "entitlement"];

const UP: &str = "
CREATE TABLE checkout (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    page_id UUID NOT NULL,
    page_version INTEGER NOT NULL,
    visitor_id UUID NOT NULL,
    campaign TEXT,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    fee BIGINT NOT NULL,
    account TEXT NOT NULL,
    status TEXT NOT NULL,
    session_id TEXT,
    url TEXT,
    payment_intent TEXT,
    reason TEXT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) FILL_UPDATED;
CREATE INDEX checkout_handle ON checkout (handle_id, id);
CREATE INDEX checkout_visitor ON checkout (visitor_id, page_id);
CREATE TABLE entitlement (
    page_id UUID NOT NULL,
    visitor_id UUID NOT NULL,
    kind TEXT NOT NULL,
    checkout_id UUID NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (page_id, visitor_id)
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
