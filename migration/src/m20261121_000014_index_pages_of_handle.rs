//! An index for the list of a handle's pages, which is in the order they were made.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `page_handle`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "CREATE INDEX page_handle ON page (handle_id, id);";
const DOWN: &str = "DROP INDEX page_handle;";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}
