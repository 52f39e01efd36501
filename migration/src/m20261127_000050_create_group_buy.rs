//! Group buys, who is interested in them, the record of their activation, and offers that they open.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["group_buy", "interest", "group_buy_activation", "offer"];

/// `last_position` counts every change of an interest: what an interest began with, and what it ended with, so
/// that the interests of any moment can be read again at any later one.
const UP: &str = "
CREATE TABLE group_buy (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    target_quantity BIGINT NOT NULL,
    visitor_limit BIGINT NOT NULL,
    deadline_at BIGINT,
    status TEXT NOT NULL,
    interest_quantity BIGINT NOT NULL,
    interest_count BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    published_at BIGINT,
    ended_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (handle_id, slug)
) FILL_UPDATED;
CREATE INDEX group_buy_handle ON group_buy (handle_id, id);
CREATE TABLE interest (
    group_buy_id UUID NOT NULL,
    position BIGINT NOT NULL,
    visitor_id UUID NOT NULL,
    quantity BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_position BIGINT,
    PRIMARY KEY (group_buy_id, position)
);
CREATE UNIQUE INDEX interest_active ON interest (group_buy_id, visitor_id) WHERE ended_position IS NULL;
CREATE TABLE group_buy_activation (
    group_buy_id UUID NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    target_quantity BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    interest_count BIGINT NOT NULL,
    activated_at BIGINT NOT NULL,
    hash TEXT
);
CREATE TABLE offer (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    page_id UUID NOT NULL,
    title TEXT NOT NULL,
    group_buy_id UUID,
    require_active_interest BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX offer_handle ON offer (handle_id, id);
CREATE INDEX offer_page ON offer (page_id);
CREATE UNIQUE INDEX offer_group_buy ON offer (group_buy_id, page_id) WHERE group_buy_id IS NOT NULL;
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
