//! Buckets that all API processes share, in Redis: one round trip a request, and keys that go by themselves.
//!
//! Redis going away is no outage. The first requests that miss it wait a tenth of a second at most; from
//! then on nobody asks it, until a task of its own has heard from it again.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{Decision, Limit, Standing};

/// How often Redis is asked whether it is back, and how long it may take to say so.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(1);
const PREFIX: &str = "sluice-throttle:";

/// Buckets that all API processes share. Clones share everything.
#[derive(Clone)]
pub struct SharedThrottle(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    patience: Duration,
    script: Script,
    away: AtomicBool,
}

impl SharedThrottle {
    /// How long a request waits for Redis before it goes on without, unless configured otherwise.
    pub const PATIENCE: Duration = Duration::from_millis(100);

    /// Buckets in the Redis of this address, for which a request waits so long at most. That it cannot be
    /// reached now is no error. To be called within a tokio runtime.
    pub fn connect(url: &str, patience: Duration) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(patience))
            .set_connection_timeout(Some(CONNECTING))
            .set_max_delay(ASK_AGAIN);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        let script = Script::new(include_str!("bucket.lua"));
        let away = AtomicBool::new(false);
        Ok(Self(Arc::new(Inner { connection, patience, script, away })))
    }

    /// Counts a request in a bucket; `None` while Redis is away.
    pub(super) async fn decide(&self, bucket: &str, limit: Limit) -> Option<Decision> {
        if self.0.away.load(Ordering::Relaxed) {
            return None;
        }
        match tokio::time::timeout(self.0.patience, self.0.count(bucket, limit)).await {
            Ok(Ok(decision)) => Some(decision),
            Ok(Err(error)) => self.miss(&error.to_string()),
            Err(_) => self.miss("no answer in time"),
        }
    }

    fn miss(&self, reason: &str) -> Option<Decision> {
        if !self.0.away.swap(true, Ordering::Relaxed) {
            metrics::counter!("sluice_throttle_redis_misses_total").increment(1);
            tracing::warn!(reason, "Redis is away: each process throttles by itself");
            tokio::spawn(watch(Arc::downgrade(&self.0)));
        }
        None
    }
}

impl Inner {
    async fn count(&self, bucket: &str, limit: Limit) -> Result<Decision, RedisError> {
        let mut connection = self.connection.clone();
        let interval = limit.interval.as_micros().max(1);
        let (allowed, remaining, reset, wait): (u8, u32, u64, u64) = self
            .script
            .key(format!("{PREFIX}{bucket}"))
            .arg(u64::try_from(interval).unwrap_or(u64::MAX))
            .arg(limit.burst.get())
            .invoke_async(&mut connection)
            .await?;
        let reset = Duration::from_micros(reset);
        Ok(Decision {
            standing: Standing { limit: limit.burst.get(), remaining, reset },
            wait: (allowed == 0).then(|| Duration::from_micros(wait)),
        })
    }

    async fn answers(&self) -> bool {
        let mut connection = self.connection.clone();
        let ping = redis::cmd("PING");
        let answer = ping.query_async::<String>(&mut connection);
        matches!(tokio::time::timeout(ASK_AGAIN, answer).await, Ok(Ok(_)))
    }
}

/// Asks Redis until it answers, or nobody wants to know any more.
async fn watch(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.answers().await {
            inner.away.store(false, Ordering::Relaxed);
            tracing::info!("Redis is back: all processes throttle together");
            return;
        }
    }
}
