//! Wake-ups within one process, through apalis' in-memory backend: the embedded default.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use apalis::prelude::*;
use apalis_core::backend::dequeue::VecDequeBackend;
use engine::{Wakeups, Work};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Bells, WakeUp, position};
use crate::supervise;

/// How many wake-ups are handled at once; handling one is ringing a bell.
const CONCURRENCY: usize = 4;

/// The sender. Clones share the queue.
#[derive(Clone)]
pub struct MemoryWakeups {
    queue: VecDequeBackend<WakeUp>,
    outstanding: Arc<[AtomicBool; Work::ALL.len()]>,
}

impl MemoryWakeups {
    /// An empty queue.
    pub fn new() -> Self {
        Self { queue: VecDequeBackend::new(), outstanding: Arc::default() }
    }

    /// Rings bells for wake-ups until it is stopped.
    pub async fn run(self, bells: Bells, stop: CancellationToken) {
        let handler = Handler { bells, outstanding: self.outstanding.clone() };
        supervise("memory wake-ups", &stop, || {
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
        if self.outstanding[position(work)].swap(true, Ordering::AcqRel) {
            return;
        }
        let mut queue = self.queue.clone();
        let wake_up = WakeUp { work: work.name().to_owned() };
        // The in-memory backend takes a task without waiting.
        if queue.push(wake_up).now_or_never().is_none_or(|pushed| pushed.is_err()) {
            self.outstanding[position(work)].store(false, Ordering::Release);
        }
    }
}

#[derive(Clone)]
struct Handler {
    bells: Bells,
    outstanding: Arc<[AtomicBool; Work::ALL.len()]>,
}

async fn handle(wake_up: WakeUp, handler: Data<Handler>) -> Result<(), BoxDynError> {
    if let Some(work) = Work::from_name(&wake_up.work) {
        handler.outstanding[position(work)].store(false, Ordering::Release);
        handler.bells.ring(work);
    }
    Ok(())
}
