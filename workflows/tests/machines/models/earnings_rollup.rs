//! Earnings rollup: transactions that are queued at any moment, a rollup that folds before it says so, and a
//! sweeper that says "dirty" again while something is queued.

use stateright::{Model, Property};
use workflows::{
    earnings_rollup::{EarningsRollup, Event, State},
    effect::{Answer, Effect},
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{START, failure, handle};

const TRANSACTIONS_MAX: i64 = 4;

struct RollupModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: Option<State>,
    calls: Vec<Call>,
    posted: i64,
    queued: i64,
    folded: i64,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// A ledger transaction is posted, and queues itself.
    Post,
    /// A settlement or the sweeper says so, at any time and any number of times.
    Dirty,
    Cancel,
    Perform(usize),
    Fail(usize),
    Answer(usize),
}

#[test]
fn rollup() {
    check("earnings_rollup", RollupModel);
}

impl World {
    fn hear(&mut self, event: &Event) {
        let step = match &self.run {
            None => EarningsRollup::start(event, START),
            Some(state) => EarningsRollup::step(state, event, START),
        };
        let Ok(step) = step else {
            return;
        };
        self.run = Some(step.state);
        self.calls.extend(step.effects.into_iter().map(Call::new));
    }

    /// Takes exactly what is queued at this moment.
    fn perform(&mut self, call: usize) {
        assert_eq!(self.calls[call].effect, Effect::RollUp { handle: handle() });
        self.calls[call].answer = Some(Answer::RolledUp { transactions: self.queued });
        self.folded += self.queued;
        self.queued = 0;
    }

    fn answer(&mut self, call: usize) {
        let Call { effect, answer } = self.calls.remove(call);
        if let Some(event) = answer.and_then(|answer| EarningsRollup::on_answer(&effect, &answer)) {
            self.hear(&event);
        }
    }

    /// Nothing more is posted; the sweeper finds what is queued.
    fn left_alone(&self) -> World {
        let mut world = self.clone();
        for _ in 0..2 {
            while !world.calls.is_empty() {
                if world.calls[0].answer.is_none() {
                    world.perform(0);
                }
                world.answer(0);
            }
            if world.queued > 0 {
                world.hear(&Event::Dirty { handle: handle() });
            }
        }
        world
    }
}

impl Model for RollupModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World { run: None, calls: Vec::new(), posted: 0, queued: 0, folded: 0 }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.posted < TRANSACTIONS_MAX {
            actions.push(Action::Post);
        }
        actions.extend([Action::Dirty, Action::Cancel]);
        for (index, call) in world.calls.iter().enumerate() {
            if call.answer.is_some() {
                actions.push(Action::Answer(index));
            } else {
                actions.extend([Action::Perform(index), Action::Fail(index)]);
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Post => {
                world.posted += 1;
                world.queued += 1;
            }
            Action::Dirty => world.hear(&Event::Dirty { handle: handle() }),
            Action::Cancel => world.hear(&Event::Cancel),
            Action::Perform(call) => world.perform(call),
            Action::Fail(call) => {
                world.calls[call].answer = Some(Answer::Failed(failure("discarded")));
            }
            Action::Answer(call) => world.answer(call),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one rollup at a time", |_, world: &World| world.calls.len() <= 1),
            Property::always("what is waited for is on its way", |_, world: &World| {
                let waits = |state| EarningsRollup::standing(state) != Standing::Done;
                world.run.as_ref().is_some_and(waits) != world.calls.is_empty()
            }),
            Property::always("left alone, nothing queued is left behind", |_, world: &World| {
                let world = world.left_alone();
                world.queued == 0 && world.folded == world.posted
            }),
            Property::sometimes("something is queued while a rollup runs", |_, world: &World| {
                world.queued > 0 && world.calls.iter().any(|call| call.answer.is_some())
            }),
            Property::sometimes("all is folded", |_, world: &World| {
                world.folded == TRANSACTIONS_MAX
            }),
        ]
    }
}
