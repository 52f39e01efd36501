//! Page publish: telling the outside that a page is on sale, or no longer. One run for each page.
//!
//! That the page *is* published is decided, by its version, in the transaction that accepts the command.
//! This machine promises that the outside hears the newest version in the end: one marker is on its way at
//! a time, and what changes meanwhile leads to one more.
//!
//! Diagram: `workflows/diagrams/page_publish.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure, Marker},
    id::PageId,
    record::{MarkerUpdate, Record, SyncStatus},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What the publishing of a page remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// The marker of this version is on its way.
    Syncing { wanted: Wanted },
    /// A marker is on its way, and a newer one must follow.
    Publishing { sending: Wanted, wanted: Wanted },
    /// The outside knows that the page is on sale.
    Published { wanted: Wanted },
    /// The outside knows that the page is not on sale.
    Unpublished { wanted: Wanted },
    /// The outside refused the marker.
    SyncFailed { wanted: Wanted, reason: String },
}

/// What the outside is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// Which page.
    pub page: PageId,
    /// Its version.
    pub version: i32,
    /// On sale, or not.
    pub marker: Marker,
}

/// What can happen to the publishing of a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The page was published or unpublished, and this is its version now.
    Sync(Wanted),
    /// The outside knows this version.
    Synced { version: i32 },
    /// The outside refused this version.
    SyncFailed { version: i32, failure: Failure },
    /// A person calls the marker off.
    Cancel,
    /// Not used: nothing here waits for time.
    TimerFired,
}

/// The publishing of a page.
pub struct PagePublish;

impl Workflow for PagePublish {
    const NAME: &'static str = "page_publish";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Sync(wanted) => Ok(send(*wanted)),
            _ => Err(Refused::because("publishing begins with a published page")),
        }
    }

    fn step(state: &State, event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (
                S::Syncing { wanted: known }
                | S::Publishing { wanted: known, .. }
                | S::Published { wanted: known }
                | S::Unpublished { wanted: known }
                | S::SyncFailed { wanted: known, .. },
                E::Sync(wanted),
            ) if wanted.version <= known.version => {
                Err(Refused::because("a newer version is known"))
            }
            (S::Syncing { wanted: sending } | S::Publishing { sending, .. }, E::Sync(wanted)) => {
                Ok(row(S::Publishing { sending, wanted: *wanted }, *wanted, SyncStatus::Syncing))
            }
            (
                S::Published { .. } | S::Unpublished { .. } | S::SyncFailed { .. },
                E::Sync(wanted),
            ) => Ok(send(*wanted)),

            (S::Syncing { wanted }, E::Synced { version }) if *version == wanted.version => {
                Ok(synced(wanted))
            }
            (S::Syncing { wanted }, E::SyncFailed { version, failure })
                if *version == wanted.version =>
            {
                let failed = S::SyncFailed { wanted, reason: failure.message.clone() };
                Ok(row(failed, wanted, SyncStatus::Failed))
            }
            (
                S::Publishing { sending, wanted },
                E::Synced { version } | E::SyncFailed { version, .. },
            ) if *version == sending.version => Ok(send(wanted)),

            (
                S::Syncing { .. }
                | S::Publishing { .. }
                | S::Published { .. }
                | S::Unpublished { .. }
                | S::SyncFailed { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        match (effect, answer) {
            (Effect::SyncMarker { version, .. }, Answer::MarkerSynced) => {
                Some(Event::Synced { version: *version })
            }
            (Effect::SyncMarker { version, .. }, Answer::Failed(failure)) => {
                Some(Event::SyncFailed { version: *version, failure: failure.clone() })
            }
            _ => None,
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Syncing { .. } | State::Publishing { .. } => {
                Standing::waiting("the marker to be synced")
            }
            State::Published { .. } | State::Unpublished { .. } | State::SyncFailed { .. } => {
                Standing::Done
            }
        }
    }
}

fn send(wanted: Wanted) -> Step<State> {
    let Wanted { page, version, marker } = wanted;
    row(State::Syncing { wanted }, wanted, SyncStatus::Syncing).effect(Effect::SyncMarker {
        page,
        version,
        marker,
    })
}

fn synced(wanted: Wanted) -> Step<State> {
    let state = match wanted.marker {
        Marker::Published => State::Published { wanted },
        Marker::Unpublished => State::Unpublished { wanted },
    };
    row(state, wanted, SyncStatus::Synced)
}

fn row(state: State, wanted: Wanted, sync: SyncStatus) -> Step<State> {
    let Wanted { page, version, marker } = wanted;
    Step::to(state).record(Record::Marker(MarkerUpdate { page, version, marker, sync }))
}
