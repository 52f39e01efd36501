//! Which wish the link to the onboarding form is for; and accounts that seem to be gone are looked at again.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Runs without a timer would never be looked at: they have one from now on.
const UP: &str = "
ALTER TABLE connect_account ADD COLUMN request_id UUID;
UPDATE run SET wake_at = updated_at
WHERE workflow = 'connect_onboarding' AND state_name = 'Disconnected' AND wake_at IS NULL;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, "ALTER TABLE connect_account DROP COLUMN request_id").await
    }
}
