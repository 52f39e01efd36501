//! An installation of real processes over a database of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    process::ExitStatus,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use entities::{
    Database,
    database::PoolSize,
    statement::{Number, execute, query, query_one},
};
use sea_orm::{DbErr, FromQueryResult};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    client::{Caller, Client},
    process::{Environment, Process, free_address, run, said, sluice},
    servers::{Postgres, Redis},
};

pub const SECRET: &str = "a-secret-of-the-tests";
/// How long a process may take to start on a machine that does much else.
const START: Duration = Duration::from_secs(60);

/// Of the tests themselves.
const CONNECTIONS: u32 = 4;

/// How the database is found.
#[derive(Clone, Copy)]
enum Schema {
    Current,
    Missing,
}

/// The processes, the files and the database. Fields are dropped in this order.
pub struct Installation {
    processes: Mutex<BTreeMap<&'static str, Process>>,
    pub database: Database,
    pub api: SocketAddr,
    pub simulator: SocketAddr,
    pub environment: Environment,
    pub redis: Option<tokio::sync::Mutex<Redis>>,
    pub postgres: Option<Postgres>,
    directory: tempfile::TempDir,
}

impl Installation {
    /// API and workers apart, over PostgreSQL and Redis; `None` where a server is missing. Nothing runs yet.
    pub async fn apart() -> Option<Self> {
        let (postgres, redis) = (Postgres::create().await?, Redis::start().await?);
        let mut more = vec![("DATABASE_URL", postgres.url()), ("REDIS_URL", redis.url())];
        more.push(("SLUICE_DATABASE_CONNECTIONS", "8".to_owned()));
        let mut installation = Self::new(more).await;
        installation.postgres = Some(postgres);
        installation.redis = Some(tokio::sync::Mutex::new(redis));
        Some(installation)
    }

    /// Everything in one process, over a file. Nothing runs yet.
    pub async fn together() -> Self {
        Self::new(Vec::new()).await
    }

    /// The same on an empty directory: what is missing is made by the first start.
    pub async fn empty() -> Self {
        Self::over(Vec::new(), Schema::Missing).await
    }

    async fn new(more: Environment) -> Self {
        Self::over(more, Schema::Current).await
    }

    async fn over(more: Environment, schema: Schema) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (api, simulator) = (free_address(), free_address());
        let data = directory.path().join("data");
        let mut environment = vec![
            ("SLUICE_DATA_DIR", data.display().to_string()),
            ("SLUICE_BIND", api.to_string()),
            ("SLUICE_SIMULATOR_BIND", simulator.to_string()),
            ("SLUICE_SECRET", SECRET.to_owned()),
            ("SLUICE_BALANCE_TRANSACTIONS_SECONDS", "2".to_owned()),
        ];
        environment.extend(more);
        match schema {
            Schema::Current => {
                let migrated = run(&environment, &["migrate", "up"]);
                assert!(migrated.status.success(), "{}", said(&migrated));
            }
            Schema::Missing => std::fs::create_dir(&data).expect("a directory"),
        }
        let own = environment.iter().find(|(name, _)| *name == "DATABASE_URL");
        let url = match own {
            Some((_, url)) => url.clone(),
            None => format!("sqlite://{}", data.join("sluice.db").display()),
        };
        let database = Database::open(&url, PoolSize(CONNECTIONS)).await.expect("the database");
        let processes = Mutex::default();
        let (redis, postgres) = (None, None);
        Self { processes, database, api, simulator, environment, redis, postgres, directory }
    }

    /// Lets everybody call this simulator: one of its own, which is not killed with the rest.
    pub async fn start_simulator(&mut self) {
        let base = ("STRIPE_API_BASE", format!("http://{}", self.simulator));
        self.environment.push(base);
        let to = format!("http://{}", self.api);
        self.start("simulator", &["simulator", "--webhooks-to", &to]);
        let client = self.stripe();
        let clock = client.get(&Caller::Anybody, "/_sim/clock");
        tokio::time::timeout(START, clock).await.expect("the simulator");
    }

    /// Starts a process. Its name is also that of its log.
    pub fn start(&self, name: &'static str, arguments: &[&str]) {
        let command = sluice(&self.environment, arguments);
        let process = Process::start(name, command, self.directory.path());
        self.with(|processes| processes.insert(name, process));
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<&'static str, Process>) -> T) -> T {
        act(&mut self.processes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// SIGKILL.
    pub fn kill(&self, name: &str) -> Option<u32> {
        self.with(|processes| processes.get_mut(name).expect("a process").kill())
    }

    pub fn restart(&self, name: &str) {
        self.with(|processes| processes.get_mut(name).expect("a process").restart());
    }

    pub fn signal(&self, name: &str, signal: &str) -> u32 {
        self.with(|processes| {
            let process = processes.get(name).expect("a process");
            process.signal(signal);
            process.pid()
        })
    }

    /// Asks a process to stop and waits for it.
    pub async fn terminate(&self, name: &'static str, within: Duration) -> ExitStatus {
        let mut process = self.with(|processes| processes.remove(name).expect("a process"));
        process.signal("TERM");
        let status = process.ended(within).await;
        self.with(|processes| processes.insert(name, process));
        status
    }

    pub async fn wait_until_ready(&self) {
        let ready = async {
            let client = self.sluice();
            let path = "/readyz";
            while !client
                .ask(&Caller::Anybody, reqwest::Method::GET, path, None, None)
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(START, ready).await.expect("the API to become ready");
    }

    /// To talk to Sluice.
    pub fn sluice(&self) -> Client {
        Client::new(&format!("http://{}", self.api))
    }

    /// To talk to the simulator.
    pub fn stripe(&self) -> Client {
        Client::new(&format!("http://{}", self.simulator))
    }

    pub async fn stripe_post(&self, path: &str, body: &Value) -> Value {
        self.stripe().post(&Caller::Anybody, path, "unused", body).await.json
    }

    pub async fn summary(&self) -> Value {
        self.stripe().get(&Caller::Anybody, "/_sim/summary").await
    }

    pub async fn set_faults(&self, faults: &Value) {
        let path = "/_sim/faults";
        let client = self.stripe();
        let set =
            client.settle(&Caller::Anybody, reqwest::Method::PUT, path, None, Some(faults)).await;
        assert_eq!(set.status, 200, "{set:?}");
    }

    pub fn mails(&self) -> PathBuf {
        self.data().join("mail")
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A bearer token, as a developer gets one.
    pub fn token(&self, subject: &str) -> Caller {
        let minted = run(&self.environment, &["token", "--sub", subject]);
        assert!(minted.status.success(), "{}", said(&minted));
        Caller::Creator(String::from_utf8(minted.stdout).expect("text").trim().to_owned())
    }

    /// A bearer token of an administrator of the platform's.
    pub fn admin(&self) -> Caller {
        let role = ["token", "--sub", "platform", "--role", "platform_admin"];
        let minted = run(&self.environment, &role);
        assert!(minted.status.success(), "{}", said(&minted));
        Caller::Creator(String::from_utf8(minted.stdout).expect("text").trim().to_owned())
    }

    /// Runs a statement and says how many rows it touched.
    pub async fn execute(&self, sql: &str) -> u64 {
        patiently(sql, || execute(self.database.write(), sql, vec![])).await
    }

    /// The single number of a query.
    pub async fn number(&self, sql: &str) -> i64 {
        let read = || query_one(self.database.read(), sql, vec![]);
        let row: Option<Number> = patiently(sql, read).await;
        row.expect("a row").number
    }

    pub async fn rows<T: FromQueryResult>(&self, sql: &str) -> Vec<T> {
        patiently(sql, || query(self.database.read(), sql, vec![])).await
    }

    /// Stands in for so many seconds passing, for calls that wait to be tried again.
    pub async fn let_retries_come_due(&self, seconds: i64) {
        let sql = format!(
            "UPDATE outbox SET due_at = due_at - {0}, first_attempt_at = first_attempt_at - {0} \
             WHERE status = 'PENDING' AND attempt > 0",
            seconds * 1_000
        );
        self.execute(&sql).await;
        // What was asked for with the wrong key, or failed in its transaction, waits as well.
        let sql = "UPDATE inbox SET due_at = 0 WHERE status = 'PENDING' AND attempt > 0";
        self.execute(sql).await;
    }

    /// Stands in for the minute passing that a dead process's leases last.
    pub async fn let_leases_run_out(&self, pid: u32) {
        let sql = format!("UPDATE outbox SET lease_until = 0 WHERE lease_owner LIKE '{pid}-%'");
        self.execute(&sql).await;
    }

    /// Stands in for the time passing for which the API's dead process holds the keys of its requests.
    pub async fn let_requests_run_out(&self) {
        self.execute("UPDATE idempotency SET locked_until = 0 WHERE status IS NULL").await;
    }

    /// Stands in for the half day passing in which payment pages close. Nothing may be running.
    pub async fn let_half_a_day_pass(&self) {
        let body = json!({ "advance_seconds": 12 * 3_600 + 600 });
        self.stripe_post("/_sim/clock", &body).await;
        self.execute("UPDATE run SET wake_at = 1 WHERE wake_at IS NOT NULL").await;
        self.execute("UPDATE outbox SET lease_until = 0 WHERE status = 'LEASED'").await;
        self.let_retries_come_due(70).await;
        self.let_requests_run_out().await;
    }

    /// What is not finished, if anything: a line for each kind of it.
    pub async fn unfinished(&self) -> Vec<String> {
        #[derive(FromQueryResult)]
        struct Row {
            what: String,
        }
        let sql = "SELECT 'inbox ' || source || ' ' || workflow || ' ' || CAST(count(*) AS TEXT) AS what \
                   FROM inbox WHERE status = 'PENDING' GROUP BY source, workflow \
                   UNION ALL SELECT 'outbox ' || kind || ' ' || status || ' ' || CAST(count(*) AS TEXT) \
                   || ' ' || COALESCE(max(last_error), '') FROM outbox \
                   WHERE status IN ('PENDING', 'LEASED') GROUP BY kind, status \
                   UNION ALL SELECT 'rollup ' || CAST(count(*) AS TEXT) FROM rollup_queue HAVING count(*) > 0 \
                   UNION ALL SELECT 'run ' || workflow || ' ' || state_name || ' ' || CAST(count(*) AS TEXT) \
                   FROM run WHERE status = 'ACTIVE' AND workflow IN ('checkout', 'earnings_rollup') \
                   AND state_name NOT IN ('AwaitingPayment', 'AwaitingFunds', 'Quarantined') \
                   GROUP BY workflow, state_name \
                   UNION ALL SELECT 'timers ' || CAST(count(*) AS TEXT) FROM run WHERE wake_at = 1 \
                   HAVING count(*) > 0";
        let mut lines: Vec<_> =
            self.rows::<Row>(sql).await.into_iter().map(|row| row.what).collect();
        let summary = self.summary().await;
        if summary["counts"]["webhooks_pending"] != 0 {
            lines.push(format!("webhooks {}", summary["counts"]["webhooks_pending"]));
        }
        let fees = "SELECT count(*) AS number FROM ledger_transaction WHERE kind = 'processor_fee'";
        let (fees, charges) = (self.number(fees).await, &summary["counts"]["charges_succeeded"]);
        if *charges != fees {
            lines.push(format!("processor fees of {fees} of {charges} charges"));
        }
        lines
    }

    /// Waits until nothing is unfinished, while the time that retries wait for is made short.
    pub async fn wait_until_quiet(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut last_pushed = Instant::now();
        loop {
            let unfinished = self.unfinished().await;
            if unfinished.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "it never became quiet: {unfinished:#?}");
            if last_pushed.elapsed() > Duration::from_secs(2) {
                self.let_retries_come_due(70).await;
                last_pushed = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The last of what each process has said.
    pub fn show_logs(&self) {
        self.with(|processes| {
            for process in processes.values() {
                eprintln!("{}", process.tail());
            }
        });
    }

    /// `sluice check` and `sluice replay`, as an operator runs them.
    pub fn check(&self) {
        let checked = run(&self.environment, &["check"]);
        assert!(checked.status.success(), "sluice check:\n{}", said(&checked));
        assert!(said(&checked).contains("clean"), "{}", said(&checked));
        let replayed = run(&self.environment, &["replay"]);
        assert!(replayed.status.success(), "sluice replay:\n{}", said(&replayed));
    }
}

/// The tests' own connections are cut as well, each once.
async fn patiently<T, F>(sql: &str, mut run: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, DbErr>>,
{
    for _ in 0..CONNECTIONS {
        if let Ok(done) = run().await {
            return done;
        }
    }
    run().await.expect(sql)
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        self.with(BTreeMap::clear);
    }
}
