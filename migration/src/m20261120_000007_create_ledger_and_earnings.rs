//! The ledger, the queue of transactions to fold, and the folded earnings.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["ledger_transaction", "ledger_entry", "rollup_queue", "earnings"];

const UP: &str = "
CREATE TABLE ledger_transaction (
    id SEQUENCE,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    handle_id UUID NOT NULL,
    checkout_id UUID NOT NULL,
    page_id UUID NOT NULL,
    campaign TEXT,
    stripe_object TEXT NOT NULL,
    available_at BIGINT,
    available_amount BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE ledger_entry (
    transaction_id BIGINT NOT NULL,
    n INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (transaction_id, n)
);
CREATE TABLE rollup_queue (
    handle_id UUID NOT NULL,
    transaction_id BIGINT NOT NULL,
    PRIMARY KEY (handle_id, transaction_id)
);
CREATE TABLE earnings (
    handle_id UUID NOT NULL,
    page_id UUID NOT NULL,
    campaign TEXT NOT NULL,
    currency TEXT NOT NULL,
    day BIGINT NOT NULL,
    gross BIGINT NOT NULL,
    platform_fee BIGINT NOT NULL,
    processor_fee BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    net BIGINT NOT NULL,
    available BIGINT NOT NULL,
    PRIMARY KEY (handle_id, page_id, campaign, currency, day)
);
";

/// Nothing in the ledger is ever updated or deleted.
const REFUSE_ON_POSTGRES: &str = "
CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: post a compensating transaction';
END $$;
CREATE TRIGGER ledger_transaction_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON ledger_transaction, ledger_entry FROM PUBLIC;
";

const REFUSE_ON_SQLITE: &str = "
CREATE TRIGGER ledger_transaction_no_update BEFORE UPDATE ON ledger_transaction
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
CREATE TRIGGER ledger_transaction_no_delete BEFORE DELETE ON ledger_transaction
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: post a compensating transaction'); END;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await?;
        dialect::run_on_postgres(manager, REFUSE_ON_POSTGRES).await?;
        dialect::run_on_sqlite(manager, REFUSE_ON_SQLITE).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_tables(manager, TABLES).await?;
        dialect::run_on_postgres(manager, "DROP FUNCTION IF EXISTS ledger_is_append_only").await
    }
}
