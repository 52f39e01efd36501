//! Plans of handles, what is written in a day, and ledger transactions that belong to no sale.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `plan_subscription` and `daily_write`, and lets ledger transactions be about a plan.
#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["plan_subscription", "daily_write"];

const UP: &str = "
CREATE TABLE plan_subscription (
    handle_id UUID NOT NULL PRIMARY KEY,
    plan TEXT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    customer_id TEXT,
    subscription_id TEXT,
    price TEXT,
    subscribed_plan TEXT,
    period_start BIGINT,
    period_end BIGINT,
    cancel_at BIGINT,
    grace_until BIGINT,
    link_purpose TEXT,
    link_url TEXT,
    link_expires_at BIGINT,
    failure TEXT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX plan_subscription_link ON plan_subscription (link_expires_at) WHERE link_expires_at IS NOT NULL;
CREATE TABLE daily_write (
    handle_id UUID NOT NULL,
    day BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (handle_id, day)
);
";

const WIDEN_ON_POSTGRES: &str = "
ALTER TABLE ledger_transaction ALTER COLUMN checkout_id DROP NOT NULL;
ALTER TABLE ledger_transaction ALTER COLUMN page_id DROP NOT NULL;
";

/// SQLite cannot take a constraint off a column: the table is made anew. Dropping a table fires no triggers.
const WIDEN_ON_SQLITE: &str = "
CREATE TABLE ledger_transaction_wide (
    id SEQUENCE,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    handle_id UUID NOT NULL,
    checkout_id UUID,
    page_id UUID,
    campaign TEXT,
    stripe_object TEXT NOT NULL,
    available_at BIGINT,
    available_amount BIGINT NOT NULL,
    at BIGINT NOT NULL
);
INSERT INTO ledger_transaction_wide (id, key, kind, currency, handle_id, checkout_id, page_id, campaign,
    stripe_object, available_at, available_amount, at)
    SELECT id, key, kind, currency, handle_id, checkout_id, page_id, campaign,
    stripe_object, available_at, available_amount, at FROM ledger_transaction;
DROP TABLE ledger_transaction;
ALTER TABLE ledger_transaction_wide RENAME TO ledger_transaction;
CREATE TRIGGER ledger_transaction_no_update BEFORE UPDATE ON ledger_transaction
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
CREATE TRIGGER ledger_transaction_no_delete BEFORE DELETE ON ledger_transaction
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await?;
        dialect::run_on_postgres(manager, WIDEN_ON_POSTGRES).await?;
        dialect::run_on_sqlite(manager, WIDEN_ON_SQLITE).await
    }

    /// The ledger stays wide: what was posted to plans is never deleted.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_tables(manager, TABLES).await
    }
}
