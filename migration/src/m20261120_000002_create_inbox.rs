//! The inbox, the raw webhooks behind it, and where a Stripe object's events go.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["inbox", "webhook_body", "stripe_object"];

const UP: &str = "
CREATE TABLE inbox (
    seq SEQUENCE,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    run_id UUID,
    workflow TEXT NOT NULL,
    subject UUID,
    handle_id UUID,
    stripe_object TEXT,
    event TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    last_error TEXT,
    received_at BIGINT NOT NULL,
    UNIQUE (source, source_id)
) FILL_UPDATED;
CREATE INDEX inbox_pending ON inbox (seq) WHERE status = 'PENDING';
CREATE INDEX inbox_pending_run ON inbox (run_id, seq) WHERE status = 'PENDING';
CREATE INDEX inbox_unrouted ON inbox (stripe_object) WHERE status = 'PENDING' AND run_id IS NULL;
CREATE INDEX inbox_dead ON inbox (seq) WHERE status = 'DEAD';
CREATE TABLE webhook_body (
    inbox_seq BIGINT NOT NULL PRIMARY KEY,
    body BYTES NOT NULL
);
CREATE TABLE stripe_object (
    id TEXT NOT NULL PRIMARY KEY,
    run_id UUID NOT NULL
);
";

/// Bodies stay as they came: compressing them would cost more than the disk they take.
const BODIES_UNCOMPRESSED: &str = "
ALTER TABLE webhook_body ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE webhook_body SET (toast_tuple_target = 8160);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await?;
        dialect::run_on_postgres(manager, BODIES_UNCOMPRESSED).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::drop_tables(manager, TABLES).await
    }
}
