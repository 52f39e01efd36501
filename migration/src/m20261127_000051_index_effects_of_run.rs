//! The first effects of a run are found without sorting all of them: a run that mails a crowd has very many.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "
DROP INDEX outbox_run;
CREATE INDEX outbox_run ON outbox (run_id, run_version, n);
";

const DOWN: &str = "
DROP INDEX outbox_run;
CREATE INDEX outbox_run ON outbox (run_id);
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
