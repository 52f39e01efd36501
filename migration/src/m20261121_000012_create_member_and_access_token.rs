//! Who may act on a handle, and the tokens that people give to programs.

use sea_orm_migration::prelude::*;

use crate::dialect;

/// Creates `member` and `access_token`. Whoever owns a handle by then is its first member.
#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["member", "access_token"];

const UP: &str = "
CREATE TABLE member (
    handle_id UUID NOT NULL REFERENCES handle (id),
    subject TEXT NOT NULL,
    role TEXT NOT NULL,
    added_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (handle_id, subject)
);
INSERT INTO member (handle_id, subject, role, added_by, created_at)
    SELECT id, owner, 'owner', owner, created_at FROM handle;
CREATE TABLE access_token (
    id UUID NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    handles TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX access_token_subject ON access_token (subject, id);
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
