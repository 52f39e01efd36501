//! What the tasks of a simulator share: the state behind its lock, and the way out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::state::State;
use crate::webhook;

/// Webhooks on their way at the same time.
const MAXIMUM_IN_FLIGHT: usize = 64;

/// What survives the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    StateFile,
}

/// Shared by all tasks.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) http: reqwest::Client,
    pub(crate) in_flight: Semaphore,
    /// How many webhooks were sent, acknowledged or not.
    pub(crate) sent: watch::Sender<u64>,
    /// How often the state has changed.
    pub(crate) changes: watch::Sender<u64>,
    /// How many of the changes are in the state file; without one, as many as there can be.
    pub(crate) kept: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(state: State, http: reqwest::Client, keeps: Keeps) -> Self {
        Self {
            state: Mutex::new(state),
            http,
            in_flight: Semaphore::new(MAXIMUM_IN_FLIGHT),
            sent: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            kept: watch::Sender::new(match keeps {
                Keeps::Nothing => u64::MAX,
                Keeps::StateFile => 0,
            }),
            stopping: watch::Sender::new(false),
        }
    }

    /// Does a piece of work at one instant of the clock, then sends what it queued.
    pub(crate) fn work<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let result = self.look(work);
        self.changes.send_modify(|changes| *changes += 1);
        result
    }

    /// The same for what need not be written to the state file.
    pub(crate) fn look<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let (result, deliveries) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.catch_up();
            (work(&mut state), std::mem::take(&mut state.undispatched))
        };
        for number in deliveries {
            webhook::dispatch(self, number);
        }
        result
    }

    /// Waits until whatever has changed so far survives the end of the process, if anything does. Nobody hears
    /// of a change before: Stripe does not forget, either.
    pub(crate) async fn kept(&self) {
        let changes = *self.changes.borrow();
        let mut kept = self.kept.subscribe();
        tokio::select! {
            // An error means that the sender is gone, which it is not while `self` is borrowed.
            _ = kept.wait_for(|kept| *kept >= changes) => {}
            () = self.stopped() => {}
        }
    }

    /// Ends all tasks.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until the simulator stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error means that the sender is gone, which it is not while `self` is borrowed.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Waits for a while, or until the simulator stops.
    pub(crate) async fn sleep(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.stopped() => {}
        }
    }
}
