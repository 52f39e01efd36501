//! The registry: every machine the engine can step, behind one plain shape.

use std::{collections::BTreeMap, sync::Arc};

use workflows::{
    checkout::Checkout,
    connect_onboarding::ConnectOnboarding,
    dispute::Dispute,
    earnings_rollup::EarningsRollup,
    effect::{Answer, Effect},
    group_buy::GroupBuy,
    magic_link::MagicLink,
    page_publish::PagePublish,
    payout::Payout,
    plan_subscription::PlanSubscription,
    refund::Refund,
    workflow::{Standing, Unreadable, Workflow},
};

use crate::{
    replay::{self, Folded},
    step::{self, Walk, Walked},
};

/// A machine with its types hidden: events and states are JSON.
#[derive(Clone, Copy)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// The version that this release steps with.
    pub version: u32,
    pub(crate) walk: fn(Walk<'_>) -> Result<Walked, Unreadable>,
    pub(crate) on_answer: fn(&Effect, &Answer) -> Result<Option<String>, serde_json::Error>,
    pub(crate) cancel: fn() -> Result<String, serde_json::Error>,
    pub(crate) standing: fn(u32, &str) -> Result<Standing, Unreadable>,
    pub(crate) fold: fn(&[entities::history::History]) -> Result<Folded, replay::Difference>,
}

impl Machine {
    /// The machine of a workflow.
    pub fn of<W: Workflow + 'static>() -> Self {
        Self {
            name: W::NAME,
            version: W::VERSION,
            walk: step::walk::<W>,
            on_answer: |effect, answer| {
                W::on_answer(effect, answer).map(|event| serde_json::to_string(&event)).transpose()
            },
            cancel: || serde_json::to_string(&W::CANCEL),
            standing: |version, state| step::read::<W>(version, state).map(|s| W::standing(&s)),
            fold: replay::fold::<W>,
        }
    }

    /// What a stored state waits for.
    pub fn standing(&self, version: u32, state: &str) -> Result<Standing, Unreadable> {
        (self.standing)(version, state)
    }
}

/// The machines by name.
#[derive(Clone)]
pub struct Registry(Arc<BTreeMap<&'static str, Machine>>);

impl Registry {
    /// Every machine of Sluice. A new one is one line here.
    pub fn standard() -> Self {
        Self::of([
            Machine::of::<Checkout>(),
            Machine::of::<ConnectOnboarding>(),
            Machine::of::<EarningsRollup>(),
            Machine::of::<GroupBuy>(),
            Machine::of::<MagicLink>(),
            Machine::of::<PagePublish>(),
            Machine::of::<Payout>(),
            Machine::of::<PlanSubscription>(),
            Machine::of::<Refund>(),
            Machine::of::<Dispute>(),
        ])
    }

    /// These machines.
    pub fn of(machines: impl IntoIterator<Item = Machine>) -> Self {
        Self(Arc::new(machines.into_iter().map(|machine| (machine.name, machine)).collect()))
    }

    /// The machine of a name, if this release knows it.
    pub fn find(&self, name: &str) -> Option<&Machine> {
        self.0.get(name)
    }

    /// The machine that can step a stored run: it must know the workflow and its stored version.
    pub fn reader_of(&self, workflow: &str, version: i32) -> Option<&Machine> {
        self.find(workflow).filter(|machine| i64::from(version) <= i64::from(machine.version))
    }

    /// All of them.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.0.values()
    }
}
