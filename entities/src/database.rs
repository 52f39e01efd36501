//! Opening the database: one pool to write with, one to read with.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{
        postgres::PgConnectOptions,
        sqlite::{SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::no_delay;

/// Which of the two databases is meant, where their SQL differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Production.
    Postgres,
    /// The embedded default.
    Sqlite,
}

impl Dialect {
    /// The dialect that a connection speaks.
    pub fn of(db: &impl ConnectionTrait) -> Self {
        match db.get_database_backend() {
            DbBackend::Postgres => Self::Postgres,
            _ => Self::Sqlite,
        }
    }

    /// The clause that takes rows nobody else holds. SQLite has one writer, who holds everything.
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
            Self::Sqlite => "",
        }
    }

    /// The time now, in milliseconds, given the placeholder of [`Clock`](crate::statement::Clock)'s value:
    /// the database's own clock on PostgreSQL, so that processes need not agree on the time.
    pub fn now(self, placeholder: &str) -> String {
        match self {
            Self::Postgres => {
                // In a sub-select: it is evaluated once, and so can bound an index scan, which a volatile
                // function by itself cannot.
                format!(
                    "(SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + {placeholder})"
                )
            }
            Self::Sqlite => placeholder.to_owned(),
        }
    }
}

/// The open database.
#[derive(Clone, Debug)]
pub struct Database {
    write: DatabaseConnection,
    read: DatabaseConnection,
    dialect: Dialect,
}

/// How many connections a process may hold.
#[derive(Clone, Copy, Debug)]
pub struct PoolSize(pub u32);

impl Database {
    /// Opens `postgres://…` or `sqlite://…`. A SQLite file is created if it is missing.
    ///
    /// SQLite gets one writer and several readers over a write-ahead log. `synchronous=FULL`: a webhook that
    /// was acknowledged survives a power cut.
    pub async fn open(url: &str, size: PoolSize) -> Result<Self, DbErr> {
        if url.starts_with("sqlite:") {
            let write = sea_orm::Database::connect(sqlite(url, 1)).await?;
            let read = sea_orm::Database::connect(sqlite(url, size.0.clamp(2, 4))).await?;
            return Ok(Self { write, read, dialect: Dialect::Sqlite });
        }
        let port = url
            .parse::<PgConnectOptions>()
            .map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?
            .get_port();
        let both = sea_orm::Database::connect(postgres(url, size.0, port)).await?;
        Ok(Self { write: both.clone(), read: both, dialect: Dialect::Postgres })
    }

    /// To write with outside a transaction: each statement commits by itself.
    pub fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// To read with.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a transaction that will write: READ COMMITTED on PostgreSQL, IMMEDIATE on SQLite.
    ///
    /// Beginning goes on to its end even if whoever asked is gone (a client that hangs up). The driver
    /// forgets a BEGIN that is dropped on its way: the connection would go back to the pool inside an open
    /// transaction, and what others then write with it would never be committed.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let write = self.write.clone();
        let beginning = tokio::spawn(async move { write.begin_with_options(options).await });
        beginning.await.map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?
    }

    /// Closes every connection.
    pub async fn close(self) -> Result<(), DbErr> {
        self.read.close().await?;
        match self.dialect {
            Dialect::Sqlite => self.write.close().await,
            Dialect::Postgres => Ok(()),
        }
    }
}

fn sqlite(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(30))
                .foreign_keys(true)
        });
    options
}

/// A process that is stopped in the middle of a transaction holds its runs for ten seconds at most.
fn postgres(url: &str, connections: u32, port: u16) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .map_sqlx_postgres_pool_opts(move |options| no_delay::on_connect(options, port))
        .map_sqlx_postgres_opts(|options| {
            options.application_name("sluice").options([
                ("idle_in_transaction_session_timeout", "10s"),
                // The statements are fixed, touch few rows and are written for their indexes: a plan is made
                // once, never just-in-time, and one that is made while a table is small must not read it as a
                // whole for ever after. (A bitmap scan never clears what is finished out of a hot index.)
                ("jit", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
            ])
        });
    options
}
