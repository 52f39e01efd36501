//! Which request a link to subscribe by or to the portal answers: two at once must not get each other's.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Adds the requests to `plan_subscription`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "
ALTER TABLE plan_subscription ADD COLUMN link_request UUID;
ALTER TABLE plan_subscription ADD COLUMN failure_request UUID;
";

const DOWN: &str = "
ALTER TABLE plan_subscription DROP COLUMN failure_request;
ALTER TABLE plan_subscription DROP COLUMN link_request;
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
