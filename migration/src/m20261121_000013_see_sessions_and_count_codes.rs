//! When a visitor's session was last seen, how many codes were tried on a sign-in link, and indexes for the
//! lists and the retention of both.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Adds `visitor_session.last_seen_at` and `magic_link.code_tries`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &str = "
ALTER TABLE visitor_session ADD COLUMN last_seen_at BIGINT NOT NULL DEFAULT 0;
UPDATE visitor_session SET last_seen_at = created_at;
DROP INDEX visitor_session_visitor;
CREATE INDEX visitor_session_visitor ON visitor_session (visitor_id, id);
CREATE INDEX visitor_session_expiry ON visitor_session (expires_at);
ALTER TABLE magic_link ADD COLUMN code_tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX magic_link_expiry ON magic_link (expires_at);
";

const DOWN: &str = "
DROP INDEX magic_link_expiry;
ALTER TABLE magic_link DROP COLUMN code_tries;
DROP INDEX visitor_session_expiry;
DROP INDEX visitor_session_visitor;
CREATE INDEX visitor_session_visitor ON visitor_session (visitor_id);
ALTER TABLE visitor_session DROP COLUMN last_seen_at;
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
