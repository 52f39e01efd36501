//! Earnings rollup: folding new ledger transactions into the totals of a handle. One run for each handle.
//!
//! Every ledger transaction queues itself for its handle; a rollup takes the queued ones and folds exactly
//! those, in one transaction of its own. A settlement never waits for it. It promises that one rollup runs at
//! a time for a handle, and that what was queued meanwhile is taken by the next.
//!
//! Diagram: `workflows/diagrams/earnings_rollup.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect},
    id::HandleId,
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What a rollup remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Nothing to fold, as far as is known.
    Idle { handle: HandleId },
    /// The queued transactions are being folded.
    Rolling { handle: HandleId },
}

/// What can happen to a rollup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// Transactions of this handle are queued.
    Dirty { handle: HandleId },
    /// They are folded.
    RolledUp { transactions: i64 },
    /// They could not be folded; the next time they will be.
    RollUpFailed,
    /// Not used: a rollup is never called off.
    Cancel,
    /// Not used: nothing here waits for time.
    TimerFired,
}

/// The rollup of a handle.
pub struct EarningsRollup;

impl Workflow for EarningsRollup {
    const NAME: &'static str = "earnings_rollup";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Dirty { handle } => Ok(roll(*handle)),
            _ => Err(Refused::because("a rollup begins with a queued transaction")),
        }
    }

    fn step(state: &State, event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Idle { handle }, E::Dirty { .. }) => Ok(roll(handle)),
            (S::Rolling { handle }, E::RolledUp { .. } | E::RollUpFailed) => {
                Ok(Step::to(S::Idle { handle }))
            }

            (S::Idle { .. } | S::Rolling { .. }, _) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        match (effect, answer) {
            (_, Answer::RolledUp { transactions }) => {
                Some(Event::RolledUp { transactions: *transactions })
            }
            (Effect::RollUp { .. }, Answer::Failed(_)) => Some(Event::RollUpFailed),
            _ => None,
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Rolling { .. } => Standing::waiting("the totals to be folded"),
            State::Idle { .. } => Standing::Done,
        }
    }
}

fn roll(handle: HandleId) -> Step<State> {
    Step::to(State::Rolling { handle }).effect(Effect::RollUp { handle })
}
