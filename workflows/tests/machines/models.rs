//! Every reachable state of every machine, in a small world that repeats, reorders, delays and loses.
//!
//! What is common to the worlds:
//! - A **call** is an effect that was asked for. It is *performed* at some moment (which reads or changes the
//!   outside), and *answered* at some later one: the two are separate actions, in any order among calls. It
//!   is answered once, since the engine fences answers.
//! - A **fact** is an event that the outside has sent. From then on it may be delivered at any time and any
//!   number of times, or never. So repetition, reordering, delay and loss need no actions of their own, and
//!   no promise may rest on a delivery.
//! - The **timer** may fire at any moment once it is set. Firing clears it, and the step may set it again.
//! - **Left alone** is what becomes of a world in which nobody does anything more and every fact is lost: calls
//!   are performed and answered, timers fire. It must come to agree with the outside from every state.

mod checkout;
mod checkout_world;
mod connect_onboarding;
mod connect_world;
mod earnings_rollup;
mod group_buy;
mod magic_link;
mod page_publish;
mod payout;
mod plan_subscription;
mod plan_world;
mod returns;
pub mod returns_stripe;
pub mod returns_world;

use std::{fmt::Debug, hash::Hash};

use stateright::{Checker, HasDiscoveries, Model};
use workflows::effect::{Answer, Effect};

/// A world that leads to this many states, counted each time they are reached, is no longer small: something
/// grows without bound.
const STATES_MAX: usize = 2_000_000;

/// An effect on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    pub effect: Effect,
    /// What it came to, once it was performed.
    pub answer: Option<Answer>,
}

impl Call {
    fn new(effect: Effect) -> Self {
        Self { effect, answer: None }
    }
}

/// Explores every state, and checks every property in each.
fn check<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(STATES_MAX)
        .spawn_bfs()
        .join();
    println!("{name}: {} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.state_count() < STATES_MAX, "{name} was not explored to its end");
}
