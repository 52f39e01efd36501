//! A Redis of the test's own: it may be emptied, killed and started again without disturbing anybody.

use std::{
    env,
    process::{Child, Command, Stdio},
};

use migration::testing::REQUIRE_SERVERS;

use crate::patience::{LONG, until};

/// Where the tests find a Redis that is not their own.
pub const REDIS_URL: &str = "SLUICE_TEST_REDIS_URL";
/// A database that nothing else uses.
const LOCAL_REDIS: &str = "redis://127.0.0.1:6379/13";

pub struct RedisServer {
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// A server that runs, or `None`, said loudly, where there is no such program.
    pub async fn start() -> Option<Self> {
        let mut server = Self::stopped()?;
        server.run().await;
        Some(server)
    }

    /// An address at which nothing listens yet.
    pub fn stopped() -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if let Err(error) = version {
            skip(&format!("redis-server cannot be run: {error}"));
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Some(Self { port: free.local_addr().unwrap().port(), child: None })
    }

    pub async fn run(&mut self) {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the server answers", LONG, async || self.ping().await).await;
    }

    /// As if its machine had lost power.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command, and reads what it answers.
    pub async fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        cmd.arg(words.collect::<Vec<_>>());
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        cmd.query_async(&mut connection).await.unwrap()
    }

    async fn ping(&self) -> Option<()> {
        let client = redis::Client::open(self.url()).ok()?;
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd("PING").query_async(&mut connection).await.ok()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address of a Redis that others use, too, or `None`, said loudly, where there is none.
pub async fn shared() -> Option<String> {
    let url = env::var(REDIS_URL).unwrap_or_else(|_| LOCAL_REDIS.to_owned());
    let reached = async {
        let client = redis::Client::open(url.as_str())?;
        client.get_multiplexed_async_connection().await
    };
    match reached.await {
        Ok(_) => Some(url),
        Err(error) => {
            skip(&format!("no Redis; set {REDIS_URL}. {error}"));
            None
        }
    }
}

fn skip(why: &str) {
    assert!(env::var_os(REQUIRE_SERVERS).is_none(), "Redis is required: {why}");
    eprintln!("SKIPPED: {why}");
}
