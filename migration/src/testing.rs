//! A migrated database of its own for each test: a file on SQLite, a schema on PostgreSQL.

use std::env;

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectOptions, Database, DatabaseConnection},
};

use crate::Migrator;

/// Where the tests find PostgreSQL.
pub const POSTGRES_URL: &str = "SLUICE_TEST_POSTGRES_URL";
/// Set (to anything) where a missing server must fail the tests, as in CI.
pub const REQUIRE_SERVERS: &str = "SLUICE_TEST_REQUIRE_SERVERS";
const LOCAL_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A database that goes when the test ends.
pub struct TestDatabase {
    url: String,
    _directory: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A new SQLite file.
    #[allow(clippy::expect_used, reason = "a test without its database cannot go on")]
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite://{}", directory.path().join("sluice.db").display());
        migrate(&format!("{url}?mode=rwc")).await;
        Self { url, _directory: Some(directory) }
    }

    /// A new schema on the tests' PostgreSQL, or `None`, said loudly, where there is no server.
    #[allow(
        clippy::expect_used,
        clippy::panic,
        reason = "a test without its database cannot go on"
    )]
    pub async fn postgres() -> Option<Self> {
        let server = env::var(POSTGRES_URL).unwrap_or_else(|_| LOCAL_POSTGRES.to_owned());
        let db = match connect(&server).await {
            Ok(db) => db,
            Err(error) if env::var_os(REQUIRE_SERVERS).is_some() => {
                panic!("PostgreSQL is required ({POSTGRES_URL}): {error}")
            }
            Err(error) => {
                eprintln!("SKIPPED: no PostgreSQL for this test; set {POSTGRES_URL}. {error}");
                return None;
            }
        };
        let schema = format!("test_{}", uuid::Uuid::now_v7().simple());
        db.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.expect("a new schema");
        db.close().await.expect("closing");
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options[search_path]={schema}");
        migrate(&url).await;
        Some(Self { url, _directory: None })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[allow(clippy::expect_used, reason = "a test without its database cannot go on")]
async fn migrate(url: &str) {
    let db = connect(url).await.expect("the test's database");
    Migrator::up(&db, None).await.expect("the migrations");
    db.close().await.expect("closing");
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options.acquire_timeout(std::time::Duration::from_secs(10));
    Database::connect(options).await
}
