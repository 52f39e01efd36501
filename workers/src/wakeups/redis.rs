//! Wake-ups between processes, through apalis-redis. Redis may be emptied, restarted or gone at any moment:
//! that costs time, never work.
//!
//! apalis keeps what it has carried for ever. So a wake-up has one of a few fixed ids, whoever handles it
//! deletes its traces first, and a worker that ends its own: Redis holds a bounded number of keys however long
//! it runs. apalis' worker ends with the first error, and begins again; what was in its hands is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ::redis::{
    RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use apalis::prelude::*;
use apalis_core::{
    backend::ext::poll_strategy::{PollSnapshot, PollStrategy, PollWith},
    task::builder::TaskBuilder,
};
use apalis_redis::{Config, RedisStorage};
use engine::{Wakeups, Work};
use futures::FutureExt;
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::{Bells, MAX_DELAY, OUTSTANDING, WakeUp, position};
use crate::supervise;

const QUEUE: &str = "sluice-wake-ups";
/// How often apalis asks Redis for wake-ups. Its own default leaves an idle queue alone for 28 seconds.
const POLL: Duration = Duration::from_millis(20);
/// How many fixed ids there are for each kind of work.
const RING: u64 = 64;
/// How many wake-ups are handled at once; handling one is ringing a bell.
const CONCURRENCY: usize = 4;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// How long a worker that is told to stop may take: Redis may be gone.
const STOPPING: Duration = Duration::from_secs(1);
/// How long the description of a worker whose process was killed stays in Redis, in seconds.
const DESCRIBED_FOR: i64 = 86_400;

/// A connection that reconnects by itself. Clones share it.
pub type Connection = ConnectionManager;

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
        .arg(OUTSTANDING.as_millis() as u64)
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
    supervise("redis wake-ups", MAX_DELAY, &stop, || {
        listen(connection.clone(), bells.clone(), stop.clone())
    })
    .await;
}

/// One apalis worker, from its registration until it ends, which takes no more than one error.
///
/// It has a name of its own: apalis refuses a known one for half a minute.
async fn listen(
    mut connection: ConnectionManager,
    bells: Bells,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let name = format!("sluice-{}", Ulid::generate());
    let traces = Traces::of(&name);
    let handler =
        Handler { bells: bells.clone(), connection: connection.clone(), held: traces.held.clone() };
    let stopped = stop.clone().cancelled_owned();
    let storage = RedisStorage::<WakeUp>::new(connection.clone()).with_config(config());
    let worker = WorkerBuilder::new(name)
        .backend(PollWith::new(storage, Polling::start()))
        .concurrency(CONCURRENCY)
        .data(handler)
        .build(handle)
        .run_until(stopped.map(Ok::<(), WorkerError>));
    let ended = tokio::select! {
        ended = async {
            traces.expire(&mut connection).await;
            worker.await
        } => ended,
        // While Redis is gone, apalis waits for it and hears nothing else.
        () = over(&stop) => return Ok(()),
    };
    let cleared = async {
        traces.remove(&mut connection).await?;
        if ended.is_err() { clear_queue(&mut connection).await } else { Ok(()) }
    };
    tokio::select! {
        cleared = cleared => if let Err(error) = cleared {
            tracing::debug!(%error, "what a worker left behind stays in Redis");
        },
        () = over(&stop) => {}
    }
    if ended.is_err() {
        // Wake-ups may be lost: it costs little to look.
        Work::ALL.into_iter().for_each(|work| bells.ring(work));
    }
    ended
}

async fn over(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOPPING).await;
}

/// What an apalis worker leaves behind in Redis for ever, unless somebody removes it.
struct Traces {
    name: String,
    described: String,
    held: String,
}

impl Traces {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            described: format!("{}:metadata:{name}", config().workers_set()),
            held: format!("{}:{name}", config().inflight_jobs_set()),
        }
    }

    /// For processes that are killed: the description goes by itself. The rest of apalis' worker is
    /// forgotten by another one.
    async fn expire(&self, connection: &mut ConnectionManager) {
        let expired: Result<(), _> = ::redis::pipe()
            .atomic()
            .hset(&self.described, "service", "")
            .expire(&self.described, DESCRIBED_FOR)
            .query_async(connection)
            .await;
        if let Err(error) = expired {
            tracing::debug!(%error, "the description of a worker will stay in Redis");
        }
    }

    async fn remove(&self, connection: &mut ConnectionManager) -> Result<(), RedisError> {
        ::redis::pipe()
            .atomic()
            .del(&self.described)
            .del(&self.held)
            .zrem(config().workers_set(), &self.name)
            .query_async(connection)
            .await
    }
}

/// After an error the whole queue goes: something in it may have been the reason, and would be again.
async fn clear_queue(connection: &mut ConnectionManager) -> Result<(), RedisError> {
    let config = config();
    let mut pipe = ::redis::pipe();
    pipe.atomic()
        .del(config.active_jobs_list())
        .del(config.scheduled_jobs_set())
        .del(config.job_data_hash())
        .del(config.signal_list());
    for work in Work::ALL {
        pipe.del(outstanding_key(work));
    }
    pipe.query_async(connection).await
}

/// Wakes the worker at an interval. apalis' own `poll_with_interval` does so, too, unless its timer and the
/// answer of Redis come at the same moment: then it sleeps until the next heartbeat, half a minute on.
struct Polling(Interval);

impl Polling {
    fn start() -> Self {
        let mut interval = tokio::time::interval(POLL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(interval)
    }
}

impl PollStrategy for Polling {
    fn poll_drive(&mut self, context: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut polled = Poll::Pending;
        // Until it is pending: only then will the next tick wake the worker.
        while self.0.poll_tick(context).is_ready() {
            polled = Poll::Ready(Some(()));
        }
        polled
    }
}

#[derive(Clone)]
struct Handler {
    bells: Bells,
    connection: ConnectionManager,
    /// The key of what the worker holds.
    held: String,
}

/// Forgets that the wake-up was outstanding, then rings. Never fails: an apalis worker would end.
async fn handle(wake_up: WakeUp, handler: Data<Handler>, id: TaskId) -> Result<(), BoxDynError> {
    let Some(work) = Work::from_name(&wake_up.work) else { return Ok(()) };
    let mut connection = handler.connection.clone();
    if let Err(error) = forget(&mut connection, work, &handler.held, &id.to_string()).await {
        tracing::debug!(work = work.name(), %error, "an outstanding wake-up was not forgotten");
    }
    handler.bells.ring(work);
    Ok(())
}

/// All at once, so that the same id, sent again, finds either everything or nothing. What stayed with the
/// worker would be taken back after its end, and handled a second time.
async fn forget(
    connection: &mut ConnectionManager,
    work: Work,
    held: &str,
    id: &str,
) -> Result<(), RedisError> {
    let config = config();
    ::redis::pipe()
        .atomic()
        .hdel(config.job_data_hash(), id)
        .del(format!("{}:{id}", config.job_meta_hash()))
        .srem(held, id)
        .del(outstanding_key(work))
        .query_async(connection)
        .await
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
