//! The tests' Redis behind a proxy that may fall silent, or be gone, without disturbing anybody else.

use std::env;

use migration::testing::REQUIRE_SERVERS;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// Where the tests find Redis.
pub const REDIS_URL: &str = "SLUICE_TEST_REDIS_URL";
const LOCAL_REDIS: &str = "redis://127.0.0.1:6379";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Passing,
    /// Connections stay, and nothing comes back.
    Silent,
    /// Connections are closed as soon as they are made.
    Gone,
}

pub struct RedisProxy {
    pub url: String,
    mode: watch::Sender<Mode>,
}

/// The tests' Redis, or `None`, said loudly, where there is none.
pub async fn redis_url() -> Option<String> {
    let url = env::var(REDIS_URL).unwrap_or_else(|_| LOCAL_REDIS.to_owned());
    match TcpStream::connect(address(&url)).await {
        Ok(_) => Some(url),
        Err(error) if env::var_os(REQUIRE_SERVERS).is_some() => {
            panic!("Redis is required ({REDIS_URL}): {error}")
        }
        Err(error) => {
            eprintln!("SKIPPED: no Redis for this test; set {REDIS_URL}. {error}");
            None
        }
    }
}

fn address(url: &str) -> String {
    let url: url::Url = url.parse().unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(6_379))
}

impl RedisProxy {
    pub async fn start() -> Option<Self> {
        let server = redis_url().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut url: url::Url = server.parse().unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        let (mode, modes) = watch::channel(Mode::Passing);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() == Mode::Gone {
                    continue;
                }
                let server = TcpStream::connect(address(&server)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pipe(from_client, to_server, modes.clone()));
                tokio::spawn(pipe(from_server, to_client, modes.clone()));
            }
        });
        Some(Self { url: url.into(), mode })
    }

    pub fn turn(&self, mode: Mode) {
        self.mode.send(mode).unwrap();
    }
}

async fn pipe(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut modes: watch::Receiver<Mode>) {
    let mut buffer = [0; 4_096];
    let mut leaving = modes.clone();
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = leaving.wait_for(|mode| *mode == Mode::Gone) => return,
        };
        let mode = modes.wait_for(|mode| *mode != Mode::Silent).await.map(|mode| *mode);
        if read == 0
            || !matches!(mode, Ok(Mode::Passing))
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
