//! Disputes and debts in the earnings, and the indexes by which a figure is explained from the ledger.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Adds `disputed` and `due` to `earnings`, and indexes to `ledger_transaction`.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Nothing was disputed or owed before these columns came: zero is what the ledger says, too. An index of
/// the ledger holds no more than its list does: a payment is in three of them.
const UP: &str = "
ALTER TABLE earnings ADD COLUMN disputed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE earnings ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ledger_transaction_sale ON ledger_transaction (handle_id, page_id, id)
    WHERE checkout_id IS NOT NULL;
CREATE INDEX ledger_transaction_handle ON ledger_transaction (handle_id, id)
    WHERE checkout_id IS NOT NULL;
CREATE INDEX ledger_transaction_checkout ON ledger_transaction (checkout_id, id)
    WHERE checkout_id IS NOT NULL;
CREATE INDEX ledger_transaction_campaign ON ledger_transaction (handle_id, campaign, id)
    WHERE campaign IS NOT NULL;
CREATE INDEX ledger_transaction_return ON ledger_transaction (handle_id, id)
    WHERE kind NOT IN ('paid', 'processor_fee');
CREATE INDEX ledger_transaction_balance ON ledger_transaction (handle_id, id)
    WHERE checkout_id IS NULL;
";

const DOWN: &str = "
DROP INDEX ledger_transaction_sale;
DROP INDEX ledger_transaction_handle;
DROP INDEX ledger_transaction_checkout;
DROP INDEX ledger_transaction_campaign;
DROP INDEX ledger_transaction_return;
DROP INDEX ledger_transaction_balance;
ALTER TABLE earnings DROP COLUMN disputed;
ALTER TABLE earnings DROP COLUMN due;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}
