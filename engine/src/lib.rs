//! The durable engine: inbox, a pure step, outbox.
//!
//! Whatever happens to a run is a row in the inbox ([`send`](Engine::send), [`ingest`]). A
//! [drain](Engine::drain) takes runs, steps their machines in memory and writes state, history, records and
//! effects in one transaction. [Effects](Engine::perform_due) are performed outside of it under a lease, and
//! their answers are messages again. The database is the queue; [wake-ups](wake) only save time.

mod answer;
mod backoff;
mod cases;
mod check;
mod close_checkouts;
mod commit;
mod drain;
mod earnings;
mod error;
mod gather;
pub mod group_buy;
pub mod ingest;
pub mod interest;
mod local;
mod machine;
mod operate;
mod perform;
mod records;
mod replay;
mod retention;
mod send;
mod step;
pub mod stripe_event;
mod sweep;
mod upgrade;
mod wait;
pub mod wake;
mod write_off;

use std::sync::{Arc, atomic::AtomicI64};

use entities::{Database, statement::Clock};

pub use cases::Remedy;
pub use check::{Finding, Invariant};
pub use drain::BATCH;
pub use earnings::{Compared, EarningsDifference, Recomputed};
pub use error::{EngineError, is_passing};
pub use machine::{Machine, Registry};
pub use operate::By;
pub use perform::{LEASE, PERFORM_DEADLINE, Perform, Slots, Task, Trouble};
pub use replay::{Difference, Replayed};
pub use retention::Retained;
pub use send::{Letter, Sent};
pub use upgrade::UnreadableRun;
pub use wait::Awaited;
pub use wake::{WakeUp, Wakeups, Work};
pub use write_off::WrittenOff;

/// One process's part of the engine. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    clock: Clock,
    registry: Registry,
    wakeups: Arc<dyn Wakeups>,
    /// Unique for each start of a process: the owner of its leases.
    node: Arc<str>,
    waiters: wait::Waiters,
    /// How many more runs are taken singly, each try counted before it is made.
    cautious: Arc<AtomicI64>,
    rollups: Arc<sweep::Rollups>,
}

impl Engine {
    /// An engine over an open, migrated database. `node` must be unique for each start of a process.
    pub fn new(database: Database, wakeups: Arc<dyn Wakeups>, node: impl Into<Arc<str>>) -> Self {
        Self {
            waiters: wait::Waiters::new(database.clone()),
            database,
            clock: Clock::default(),
            registry: Registry::standard(),
            wakeups,
            node: node.into(),
            cautious: Arc::new(AtomicI64::new(drain::CAUTIOUS_RUNS)),
            rollups: Arc::default(),
        }
    }

    /// With other machines than the standard ones: for tests of the engine itself.
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The clock, which tests move.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Who this process is.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The machines.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Gives wake-ups, after the transaction that made the work has committed.
    pub fn wake(&self, wake_up: WakeUp) {
        for work in wake_up.into_works() {
            self.wakeups.wake(work);
        }
    }
}
