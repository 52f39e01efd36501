//! The one shape that every machine has.

use std::{fmt::Debug, hash::Hash};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    effect::{Answer, Effect},
    record::Record,
    timestamp::Timestamp,
};

/// One kind of business as a pure state machine: no clock, no network, no database, no chance.
pub trait Workflow {
    /// The name in the database and the API, in lower snake case. Never changed once stored.
    const NAME: &'static str;
    /// Raised when this code would step a stored run differently than before.
    const VERSION: u32;
    /// What a run remembers. Serialised into `run.state`.
    type State: Clone
        + Debug
        + PartialEq
        + Eq
        + Hash
        + Serialize
        + DeserializeOwned
        + Into<&'static str>
        + Send
        + Sync;
    /// What can happen to a run. Serialised into `inbox.event` and `history.event`.
    type Event: Clone
        + Debug
        + PartialEq
        + Eq
        + Hash
        + Serialize
        + DeserializeOwned
        + Into<&'static str>
        + Send
        + Sync;

    /// The event of a timer: `wake_at` has passed.
    const TIMER_FIRED: Self::Event;
    /// The event of a person who calls the run off.
    const CANCEL: Self::Event;

    /// The first step of a run that does not exist yet.
    fn start(event: &Self::Event, at: Timestamp) -> Result<Step<Self::State>, Refused>;
    /// Every later step. `at` never goes back within a run.
    fn step(
        state: &Self::State,
        event: &Self::Event,
        at: Timestamp,
    ) -> Result<Step<Self::State>, Refused>;
    /// The event that an effect's answer is, if this machine listens for it.
    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Self::Event>;
    /// What the run is doing, as a person reads it.
    fn standing(state: &Self::State) -> Standing;
    /// The event as history may keep it, where it holds a secret (a single-use link).
    fn masked(_event: &Self::Event) -> Option<Self::Event> {
        None
    }
    /// A state that an older version stored. The default reads it as it is.
    fn upgrade(version: u32, stored: Value) -> Result<Self::State, Unreadable> {
        serde_json::from_value(stored).map_err(|error| Unreadable {
            workflow: Self::NAME,
            version,
            reason: error.to_string(),
        })
    }
}

/// Where an accepted event leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<S> {
    /// The next state.
    pub state: S,
    /// What is asked of the outside world. Performed concurrently and in no order, at least once each.
    pub effects: Vec<Effect>,
    /// What is written with the state, exactly once, in the same transaction.
    pub records: Vec<Record>,
    /// When to wake the run. `None` clears the timer.
    pub wake_at: Option<Timestamp>,
}

impl<S> Step<S> {
    /// To a state, asking for nothing.
    pub fn to(state: S) -> Self {
        Self { state, effects: Vec::new(), records: Vec::new(), wake_at: None }
    }

    /// And an effect.
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// And a record.
    pub fn record(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }

    /// And a timer.
    pub fn wake_at(mut self, at: Timestamp) -> Self {
        self.wake_at = Some(at);
        self
    }
}

/// The event means nothing in this state: nothing changes, and the timeline says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// For the person who reads the timeline.
    pub reason: String,
}

impl Refused {
    /// A refusal with its reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// For the last arms of a machine: the state has no use for the event.
    pub fn unplaced(state: impl Into<&'static str>, event: impl Into<&'static str>) -> Self {
        Self::because(format!("{} means nothing in {}", event.into(), state.into()))
    }
}

/// What a run is doing, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Something has to happen. Stored as ACTIVE.
    Waiting(Waiting),
    /// Waits for nothing, yet still accepts events (a refund, a dispute). Stored as DONE.
    Done,
    /// Called off. Stored as CANCELLED.
    Cancelled,
}

/// What a run waits for: "waiting for *the buyer to pay*, until 14:05".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Completes the sentence "waiting for …".
    pub what: &'static str,
    /// When the run goes on by itself, if it does.
    pub until: Option<Timestamp>,
}

impl Standing {
    /// Waiting for something without a known end.
    pub fn waiting(what: &'static str) -> Self {
        Self::Waiting(Waiting { what, until: None })
    }

    /// Waiting for something until a moment.
    pub fn waiting_until(what: &'static str, until: Timestamp) -> Self {
        Self::Waiting(Waiting { what, until: Some(until) })
    }
}

/// A stored state that this release cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {workflow} state of version {version} cannot be read: {reason}")]
pub struct Unreadable {
    /// The machine's name.
    pub workflow: &'static str,
    /// The version that stored it.
    pub version: u32,
    /// What serde said.
    pub reason: String,
}
