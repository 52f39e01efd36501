//! Wake-ups within one process, through apalis' in-memory backend: the embedded default.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use apalis::prelude::*;
use apalis_core::backend::dequeue::VecDequeBackend;
use engine::{Wakeups, Work};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Bells, MAX_DELAY, OUTSTANDING, WakeUp, position};
use crate::supervise;

/// How many wake-ups are handled at once; handling one is ringing a bell.
const CONCURRENCY: usize = 4;

/// The sender. Clones share the queue.
#[derive(Clone)]
pub struct MemoryWakeups {
    queue: VecDequeBackend<WakeUp>,
    outstanding: Arc<Outstanding>,
}

impl MemoryWakeups {
    /// An empty queue.
    pub fn new() -> Self {
        Self { queue: VecDequeBackend::new(), outstanding: Arc::default() }
    }

    /// Rings bells for wake-ups until it is stopped.
    pub async fn run(self, bells: Bells, stop: CancellationToken) {
        let handler = Handler { bells, outstanding: self.outstanding.clone() };
        supervise("memory wake-ups", MAX_DELAY, &stop, || {
            let stopped = stop.clone().cancelled_owned().map(Ok::<(), WorkerError>);
            WorkerBuilder::new("sluice-wake-ups")
                .backend(self.queue.clone())
                .concurrency(CONCURRENCY)
                .data(handler.clone())
                .build(handle)
                .run_until(stopped)
        })
        .await;
    }
}

impl Default for MemoryWakeups {
    fn default() -> Self {
        Self::new()
    }
}

impl Wakeups for MemoryWakeups {
    fn wake(&self, work: Work) {
        if !self.outstanding.note(work) {
            return;
        }
        let mut queue = self.queue.clone();
        let wake_up = WakeUp { work: work.name().to_owned() };
        // The in-memory backend takes a task without waiting.
        if queue.push(wake_up).now_or_never().is_none_or(|pushed| pushed.is_err()) {
            self.outstanding.forget(work);
        }
    }
}

/// When each kind of wake-up that nobody has taken yet was sent: milliseconds from the start on, 0 for none.
///
/// Not just whether: apalis' queue can miss what is pushed while its worker starts, and nobody would be woken
/// for that kind of work ever again.
struct Outstanding {
    started: Instant,
    sent: [AtomicU64; Work::ALL.len()],
}

impl Default for Outstanding {
    fn default() -> Self {
        Self { started: Instant::now(), sent: Default::default() }
    }
}

impl Outstanding {
    /// Notes that one is about to be sent. Returns whether it should be.
    fn note(&self, work: Work) -> bool {
        let sent = &self.sent[position(work)];
        let (last, now) = (sent.load(Ordering::Acquire), self.now());
        if last != 0 && now.saturating_sub(last) < OUTSTANDING.as_millis() as u64 {
            return false;
        }
        // Whoever was faster has sent it now, or has taken the last one and is about to ring.
        sent.compare_exchange(last, now, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn forget(&self, work: Work) {
        self.sent[position(work)].store(0, Ordering::Release);
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }
}

#[derive(Clone)]
struct Handler {
    bells: Bells,
    outstanding: Arc<Outstanding>,
}

async fn handle(wake_up: WakeUp, handler: Data<Handler>) -> Result<(), BoxDynError> {
    if let Some(work) = Work::from_name(&wake_up.work) {
        handler.outstanding.forget(work);
        handler.bells.ring(work);
    }
    Ok(())
}
