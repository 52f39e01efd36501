//! What comes back of payments, as the API shows it.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["refund", "dispute"];

const UP: &str = "
CREATE TABLE refund (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    checkout_id UUID NOT NULL,
    page_id UUID NOT NULL,
    status TEXT NOT NULL,
    amount BIGINT,
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    requested_by TEXT,
    stripe_refund TEXT,
    failure TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) FILL_UPDATED;
CREATE INDEX refund_handle ON refund (handle_id, created_at, id);
CREATE INDEX refund_checkout ON refund (checkout_id);
CREATE TABLE dispute (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL,
    checkout_id UUID NOT NULL,
    page_id UUID NOT NULL,
    stripe_dispute TEXT NOT NULL,
    status TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    withdrawn BIGINT NOT NULL,
    fee BIGINT NOT NULL,
    reinstated BIGINT NOT NULL,
    evidence_due BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) FILL_UPDATED;
CREATE INDEX dispute_handle ON dispute (handle_id, created_at, id);
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
