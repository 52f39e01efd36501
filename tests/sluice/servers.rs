//! PostgreSQL and Redis for the tests: a database and a Redis of their own, so that nobody else is hurt.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use entities::{Database, database::PoolSize};
use migration::testing::{POSTGRES_URL, REQUIRE_SERVERS};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::process::free_address;

const LOCAL_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// Says loudly that a test is not run, or fails it where servers are required.
fn missing(what: &str) {
    assert!(std::env::var_os(REQUIRE_SERVERS).is_none(), "{what}, and {REQUIRE_SERVERS} is set");
    eprintln!("SKIPPED: {what}");
}

/// A database that goes when the test ends.
pub struct Postgres {
    server: String,
    name: String,
}

impl Postgres {
    /// A new, empty one; `None`, said loudly, where there is no server.
    pub async fn create() -> Option<Self> {
        let server = std::env::var(POSTGRES_URL).unwrap_or_else(|_| LOCAL_POSTGRES.to_owned());
        let name = format!("sluice_test_{}", Uuid::now_v7().simple());
        match Database::open(&server, PoolSize(1)).await {
            Ok(admin) => {
                let sql = format!("CREATE DATABASE {name}");
                admin.write().execute_unprepared(&sql).await.expect("a new database");
                admin.close().await.expect("closing");
                Some(Self { server, name })
            }
            Err(error) => {
                missing(&format!("no PostgreSQL for this test; set {POSTGRES_URL}. {error}"));
                None
            }
        }
    }

    pub fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').expect("a database in the address");
        format!("{base}/{}", self.name)
    }

    /// Cuts every connection to the database, as a restart of the server would, and says how many.
    pub async fn cut_connections(&self) -> i64 {
        let admin = Database::open(&self.server, PoolSize(1)).await.expect("PostgreSQL");
        let sql = "SELECT count(pg_terminate_backend(pid)) AS number FROM pg_stat_activity \
                   WHERE datname = $1 AND pid <> pg_backend_pid()";
        let values = vec![self.name.as_str().into()];
        let cut =
            entities::statement::query_one(admin.write(), sql, values).await.expect("a count");
        admin.close().await.expect("closing");
        cut.map_or(0, |cut: entities::statement::Number| cut.number)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own: this may run inside of one, or in the middle of a panic.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let Ok(admin) = Database::open(&server, PoolSize(1)).await else { return };
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                let _left_behind = admin.write().execute_unprepared(&sql).await;
            });
        });
        let _panicked = dropping.join();
    }
}

/// A Redis of its own, which may be emptied and stopped.
pub struct Redis {
    address: SocketAddr,
    child: Option<Child>,
}

impl Redis {
    /// `None`, said loudly, where the binary is missing.
    pub async fn start() -> Option<Self> {
        let mut redis = Self { address: free_address(), child: None };
        match redis.spawn() {
            Ok(child) => redis.child = Some(child),
            Err(error) => {
                missing(&format!("redis-server cannot be started: {error}"));
                return None;
            }
        }
        redis.wait_until_ready().await;
        Some(redis)
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let port = self.address.port().to_string();
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends it, with everything in it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("redis-server");
            child.wait().expect("redis-server");
        }
    }

    /// Starts it again, empty.
    pub async fn start_again(&mut self) {
        self.stop();
        self.child = Some(self.spawn().expect("redis-server"));
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&self) {
        for _ in 0..400 {
            if self.ask("PING").await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("redis-server did not start");
    }

    /// Empties it.
    pub async fn empty(&self) {
        self.ask("FLUSHALL").await.expect("Redis");
    }

    /// How many keys there are, and how many entries the largest of them has.
    pub async fn keys(&self) -> (usize, usize) {
        let client = redis::Client::open(self.url()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("keys");
        let mut largest = 0;
        for key in &keys {
            let kind: String =
                redis::cmd("TYPE").arg(key).query_async(&mut connection).await.expect("a type");
            let length = match kind.as_str() {
                "hash" => "HLEN",
                "set" => "SCARD",
                "zset" => "ZCARD",
                "list" => "LLEN",
                _ => continue,
            };
            let length: usize =
                redis::cmd(length).arg(key).query_async(&mut connection).await.expect("a length");
            largest = largest.max(length);
        }
        (keys.len(), largest)
    }

    async fn ask(&self, command: &str) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(command).query_async(&mut connection).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
