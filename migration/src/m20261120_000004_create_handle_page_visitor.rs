//! Creators' handles and pages, and the visitors who sign in to them.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLES: &[&str] = &["handle", "page", "visitor", "visitor_session", "magic_link"];

const UP: &str = "
CREATE TABLE handle (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE page (
    id UUID NOT NULL PRIMARY KEY,
    handle_id UUID NOT NULL REFERENCES handle (id),
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    mode TEXT NOT NULL,
    price BIGINT NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    published_at BIGINT,
    marker_version INTEGER,
    marker_status TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (handle_id, slug)
);
CREATE TABLE visitor (
    id UUID NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE visitor_session (
    id UUID NOT NULL PRIMARY KEY,
    visitor_id UUID NOT NULL REFERENCES visitor (id),
    token_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX visitor_session_visitor ON visitor_session (visitor_id);
CREATE TABLE magic_link (
    id UUID NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    handle_id UUID,
    return_to TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX magic_link_email ON magic_link (email, id);
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
