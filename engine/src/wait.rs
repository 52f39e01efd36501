//! Waiting for a run to get somewhere: subscribe, then read, then await. One poller for each process reads
//! all awaited runs in one statement.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use entities::{Database, run};
use tokio::sync::mpsc;
use uuid::Uuid;
use workflows::{id::RunId, workflow::Workflow};

use crate::{Engine, EngineError, step};

/// How often awaited runs are read.
const POLL: Duration = Duration::from_millis(15);

/// How a wait ended.
#[derive(Clone, Debug)]
pub enum Awaited {
    /// The run got there.
    Reached(run::Run),
    /// The time was over; this is how far the run was, if it exists.
    Elapsed(Option<run::Run>),
}

#[derive(Clone)]
pub struct Waiters {
    database: Database,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    next: u64,
    polling: bool,
    waiting: HashMap<u64, (Uuid, mpsc::Sender<run::Run>)>,
}

impl Engine {
    /// How far the run of a subject is; none, if there is none yet.
    pub async fn state<W: Workflow>(&self, subject: Uuid) -> Result<Option<W::State>, EngineError> {
        let run = RunId::of(W::NAME, subject);
        let Some(run) = run::find_any_handle(self.database.read(), run.0).await? else {
            return Ok(None);
        };
        // Made with a message, and not stepped yet.
        if run.state_name.is_empty() {
            return Ok(None);
        }
        Ok(Some(step::read::<W>(run.machine_version.unsigned_abs(), &run.state)?))
    }

    /// Waits until a run satisfies a condition, or the time is over.
    pub async fn wait(
        &self,
        run: RunId,
        at_most: Duration,
        reached: impl Fn(&run::Run) -> bool,
    ) -> Result<Awaited, EngineError> {
        let (mut reads, _subscription) = self.waiters.subscribe(run.0);
        let mut last = run::find_any_handle(self.database.read(), run.0).await?;
        let deadline = tokio::time::Instant::now() + at_most;
        loop {
            match last {
                Some(run) if reached(&run) => return Ok(Awaited::Reached(run)),
                _ => {}
            }
            match tokio::time::timeout_at(deadline, reads.recv()).await {
                Ok(read) => last = read,
                Err(_) => return Ok(Awaited::Elapsed(last)),
            }
        }
    }
}

/// Ends the subscription when the waiter goes, however it goes.
struct Subscription {
    id: u64,
    shared: Arc<Mutex<Shared>>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.shared).waiting.remove(&self.id);
    }
}

impl Waiters {
    pub fn new(database: Database) -> Self {
        Self { database, shared: Arc::default() }
    }

    fn subscribe(&self, run: Uuid) -> (mpsc::Receiver<run::Run>, Subscription) {
        let (sender, receiver) = mpsc::channel(1);
        let mut shared = lock(&self.shared);
        let id = shared.next;
        shared.next += 1;
        shared.waiting.insert(id, (run, sender));
        if !std::mem::replace(&mut shared.polling, true) {
            tokio::spawn(poll(self.clone()));
        }
        (receiver, Subscription { id, shared: self.shared.clone() })
    }

    /// The awaited runs, or `None` when nobody waits any more.
    fn awaited(&self) -> Option<Vec<Uuid>> {
        let mut shared = lock(&self.shared);
        if shared.waiting.is_empty() {
            shared.polling = false;
            return None;
        }
        Some(shared.waiting.values().map(|(run, _)| *run).collect())
    }

    fn tell(&self, runs: &HashMap<Uuid, run::Run>) {
        for (id, sender) in lock(&self.shared).waiting.values() {
            if let Some(run) = runs.get(id) {
                // A waiter that has not looked at the last read yet gets the next one.
                let _busy = sender.try_send(run.clone());
            }
        }
    }
}

async fn poll(waiters: Waiters) {
    loop {
        tokio::time::sleep(POLL).await;
        let Some(mut awaited) = waiters.awaited() else { return };
        awaited.sort_unstable();
        awaited.dedup();
        match run::find_many_any_handle(waiters.database.read(), &awaited).await {
            Ok(runs) => waiters.tell(&runs.into_iter().map(|run| (run.id, run)).collect()),
            Err(error) => tracing::warn!(%error, "awaited runs cannot be read"),
        }
    }
}

/// A panic while the lock is held leaves plain data behind.
fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
