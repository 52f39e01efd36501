//! Wake-ups between processes, through apalis-redis. Redis may be emptied, restarted or gone at any moment:
//! that costs time, never work.
//!
//! apalis keeps what it has carried for ever. So a wake-up has one of a few fixed ids, and whoever handles it
//! deletes its traces first: Redis holds a bounded number of keys however long it runs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncCommands, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use apalis::prelude::*;
use apalis_core::{backend::ext::BackendExt, task::builder::TaskBuilder};
use apalis_redis::{Config, RedisStorage};
use engine::{Wakeups, Work};
use futures::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{Bells, WakeUp, position};
use crate::supervise;

const QUEUE: &str = "sluice-wake-ups";
/// How often apalis asks Redis for wake-ups. Its own default leaves an idle queue alone for 28 seconds.
const POLL: Duration = Duration::from_millis(20);
/// How many fixed ids there are for each kind of work.
const RING: u64 = 64;
/// An outstanding wake-up that nobody has taken for so long is taken to be lost.
const OUTSTANDING_MS: u64 = 2_000;
/// How many wake-ups are handled at once; handling one is ringing a bell.
const CONCURRENCY: usize = 4;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// A connection that reconnects by itself, for as long as it takes.
pub async fn connect(url: &str) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECTION_TIMEOUT))
        .set_number_of_retries(usize::MAX)
        .set_max_delay(MAX_RECONNECT_DELAY);
    ConnectionManager::new_lazy_with_config(::redis::Client::open(url)?, config)
}

/// The sender. It never blocks: what is to be sent is noted, and a task of its own sends it.
#[derive(Clone)]
pub struct RedisWakeups {
    noted: Arc<Noted>,
}

#[derive(Default)]
struct Noted {
    works: [AtomicBool; Work::ALL.len()],
    any: Notify,
}

impl RedisWakeups {
    /// A sender whose task runs until it is stopped.
    pub fn start(connection: ConnectionManager, stop: CancellationToken) -> Self {
        let noted = Arc::<Noted>::default();
        tokio::spawn(send_noted(connection, noted.clone(), stop));
        Self { noted }
    }
}

impl Wakeups for RedisWakeups {
    fn wake(&self, work: Work) {
        self.noted.works[position(work)].store(true, Ordering::Release);
        self.noted.any.notify_one();
    }
}

async fn send_noted(mut connection: ConnectionManager, noted: Arc<Noted>, stop: CancellationToken) {
    let next = AtomicU64::new(rand::random());
    loop {
        tokio::select! {
            () = noted.any.notified() => {}
            () = stop.cancelled() => return,
        }
        for work in Work::ALL {
            if !noted.works[position(work)].swap(false, Ordering::AcqRel) {
                continue;
            }
            let id = next.fetch_add(1, Ordering::Relaxed) % RING;
            if let Err(error) = send(&mut connection, work, id).await {
                tracing::debug!(work = work.name(), %error, "a wake-up was not sent");
            }
        }
    }
}

/// Sends a wake-up, unless one is outstanding.
async fn send(connection: &mut ConnectionManager, work: Work, id: u64) -> Result<(), BoxDynError> {
    let fresh: Option<String> = ::redis::cmd("SET")
        .arg(outstanding_key(work))
        .arg(1)
        .arg("NX")
        .arg("PX")
        .arg(OUTSTANDING_MS)
        .query_async(connection)
        .await?;
    if fresh.is_none() {
        return Ok(());
    }
    let mut storage = RedisStorage::<WakeUp>::new(connection.clone()).with_config(config());
    let task = TaskBuilder::new(WakeUp { work: work.name().to_owned() })
        .task_id(TaskId::from_ulid(fixed_id(work, id)))
        .build();
    storage.push_task(task).await.map_err(|error| error.to_string())?;
    Ok(())
}

/// Rings bells for wake-ups from other processes until it is stopped.
pub async fn run(connection: ConnectionManager, bells: Bells, stop: CancellationToken) {
    let handler = Handler { bells, connection: connection.clone() };
    supervise("redis wake-ups", &stop, || {
        let stopped = stop.clone().cancelled_owned().map(Ok::<(), WorkerError>);
        let storage = RedisStorage::<WakeUp>::new(connection.clone()).with_config(config());
        // A name of its own for each start: apalis refuses a known one for half a minute.
        WorkerBuilder::new(format!("sluice-{}", Ulid::generate()))
            .backend(storage.poll_with_interval(POLL))
            .concurrency(CONCURRENCY)
            .data(handler.clone())
            .build(handle)
            .run_until(stopped)
    })
    .await;
}

#[derive(Clone)]
struct Handler {
    bells: Bells,
    connection: ConnectionManager,
}

/// Forgets that the wake-up was outstanding, then rings. Never fails: an apalis worker would end.
async fn handle(wake_up: WakeUp, handler: Data<Handler>, id: TaskId) -> Result<(), BoxDynError> {
    let Some(work) = Work::from_name(&wake_up.work) else { return Ok(()) };
    let mut connection = handler.connection.clone();
    if let Err(error) = forget(&mut connection, work, &id.to_string()).await {
        tracing::debug!(work = work.name(), %error, "an outstanding wake-up was not forgotten");
    }
    handler.bells.ring(work);
    Ok(())
}

async fn forget(
    connection: &mut ConnectionManager,
    work: Work,
    id: &str,
) -> Result<(), RedisError> {
    let config = config();
    let _: () = connection.hdel(config.job_data_hash(), id).await?;
    let _: () = connection.srem(config.done_jobs_set(), id).await?;
    connection.del(outstanding_key(work)).await
}

fn config() -> Config {
    Config::default().queue(QUEUE).lock_tasks(false).emit_events(false).persist_results(false)
}

fn outstanding_key(work: Work) -> String {
    format!("{QUEUE}:outstanding:{}", work.name())
}

fn fixed_id(work: Work, id: u64) -> Ulid {
    Ulid::from_parts(0, u128::from(id) * Work::ALL.len() as u128 + position(work) as u128)
}
