//! Payouts: money on its way from Stripe to a bank.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `payout`. `handle_id` is absent for the platform's own.
#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["payout"];

const UP: &str = "
CREATE TABLE payout (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID,
    account TEXT,
    stripe_payout TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    arrives_at BIGINT NOT NULL,
    failure TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX payout_of_handle ON payout (handle_id, created_at, id);
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
