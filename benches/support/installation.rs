//! An installation to measure: real processes over a database of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use engine::{Engine, wake::NoWakeups};
use entities::{
    Database,
    database::PoolSize,
    queue_control,
    statement::{Number, query_one},
};
use sea_orm::ConnectionTrait;
use workflows::effect::Queue;

use crate::process::{self, Usage};

/// By which the sessions of visitors are hashed.
pub const SECRET: &str = "a-secret-of-the-benchmarks";

/// The running processes and what is needed to look into their database.
pub struct Installation {
    pub address: SocketAddr,
    pub engine: Engine,
    processes: Vec<(String, Child)>,
    servers: Vec<&'static str>,
    /// A database to drop in the end, and where it was made.
    made: Option<(Database, String)>,
    _data: tempfile::TempDir,
}

/// `sluice api` and `sluice worker` over a new database of a PostgreSQL.
pub async fn postgres(server: &str, redis: &str) -> Installation {
    let admin = Database::open(server, PoolSize(1)).await.expect("PostgreSQL");
    let name = format!("sluice_bench_{}", std::process::id());
    admin.write().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').expect("a database in the address");
    let url = format!("{base}/{name}");
    let servers = vec!["postgres", "redis-server"];
    let mut installation = start(url, Some(redis), &["api", "worker"], servers).await;
    installation.made = Some((admin, name));
    installation
}

/// `sluice serve` over a file.
pub async fn sqlite() -> Installation {
    start(String::new(), None, &["serve"], Vec::new()).await
}

async fn start(
    url: String,
    redis: Option<&str>,
    commands: &[&str],
    servers: Vec<&'static str>,
) -> Installation {
    let data = tempfile::tempdir().unwrap();
    let url = match url.is_empty() {
        true => format!("sqlite://{}", data.path().join("sluice.db").display()),
        false => url,
    };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut environment = vec![
        ("DATABASE_URL", url.clone()),
        ("SLUICE_DATA_DIR", data.path().display().to_string()),
        ("SLUICE_BIND", address.to_string()),
        // Nobody is called: the sessions are made up, and mails are paused.
        ("STRIPE_API_BASE", "http://127.0.0.1:9".to_owned()),
        ("STRIPE_SECRET_KEY", "sk_test_bench".to_owned()),
        ("SLUICE_SECRET", SECRET.to_owned()),
        ("SLUICE_BALANCE_TRANSACTIONS_SECONDS", "3600".to_owned()),
        ("RUST_LOG", "error".to_owned()),
    ];
    environment.extend(redis.map(|redis| ("REDIS_URL", redis.to_owned())));
    let migrated = command(&environment, &["migrate", "up"]).stdout(Stdio::null()).status();
    assert!(migrated.unwrap().success());
    let database = Database::open(&url, PoolSize(4)).await.unwrap();
    for queue in [Queue::Mail, Queue::News] {
        queue_control::set(database.write(), queue.into(), Some(1)).await.unwrap();
    }
    let engine = Engine::new(database, Arc::new(NoWakeups), "bench");
    let processes = commands
        .iter()
        .map(|name| ((*name).to_owned(), command(&environment, &[name]).spawn().unwrap()))
        .collect();
    let installation =
        Installation { address, engine, processes, servers, made: None, _data: data };
    installation.wait_until_ready().await;
    installation
}

fn command(environment: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

impl Installation {
    async fn wait_until_ready(&self) {
        let url = format!("http://{}/readyz", self.address);
        for _ in 0..600 {
            if reqwest::get(&url).await.is_ok_and(|response| response.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the installation never became ready");
    }

    /// The planner is to know how large the seeded tables are, as it would after a while. Tables that are
    /// still empty are left alone: known to be empty, they would be read as a whole for ever after.
    pub async fn analyze(&self, tables: &[&str]) {
        let db = self.engine.database().write();
        for table in tables {
            db.execute_unprepared(&format!("ANALYZE {table}")).await.unwrap();
        }
    }

    pub fn usage(&self) -> Usage {
        let processes: Vec<_> = self
            .processes
            .iter()
            .map(|(name, child)| (format!("sluice {name}"), child.id()))
            .collect();
        Usage::of(&processes, &self.servers)
    }

    pub fn peak_memory(&self) -> f64 {
        self.processes.iter().map(|(_, child)| process::peak_megabytes(child.id())).sum()
    }

    async fn wait_until_rolled_up(&self) {
        for _ in 0..1_200 {
            let sql = "SELECT count(*) AS number FROM rollup_queue";
            let queued = query_one::<Number>(self.engine.database().read(), sql, vec![]).await;
            if queued.unwrap().is_none_or(|queued| queued.number == 0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the earnings were never rolled up");
    }

    /// Ends the processes as an operator would, and checks the invariants.
    pub async fn stop_and_check(&mut self) {
        self.wait_until_rolled_up().await;
        for (_, child) in &mut self.processes {
            let pid = child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            child.wait().unwrap();
        }
        let findings = self.engine.check().await.unwrap();
        // The paused mails, and nothing else, are unfinished.
        for finding in findings {
            assert!(finding.what.contains("send_mail"), "{}", finding.what);
        }
        println!("  invariants           hold");
        if let Some((admin, name)) = &self.made {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            admin.write().execute_unprepared(&drop).await.unwrap();
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            let _ended = child.kill();
            let _waited = child.wait();
        }
    }
}
