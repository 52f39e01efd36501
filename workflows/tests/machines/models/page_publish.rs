//! Page publish: wishes that arrive in any order, and an outside that takes a marker before we hear of it.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use workflows::{
    effect::{Answer, Effect, Marker},
    page_publish::{Event, PagePublish, State},
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{START, failure, wanted};

/// The newest version of the page: 1 and 3 are on sale, 2 and 4 are not.
const NEWEST: i32 = 4;

struct PublishModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// The run begins with whichever wish comes first.
    run: Option<State>,
    calls: Vec<Call>,
    /// Versions whose wish has arrived. It may arrive again.
    arrived: BTreeSet<i32>,
    /// What the outside knows.
    outside: Option<(i32, Marker)>,
    went_back: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Wish(i32),
    Cancel,
    Perform(usize),
    Fail(usize),
    Answer(usize),
}

#[test]
fn publish() {
    check("page_publish", PublishModel);
}

impl World {
    fn hear(&mut self, event: &Event) {
        let step = match &self.run {
            None => PagePublish::start(event, START),
            Some(state) => PagePublish::step(state, event, START),
        };
        let Ok(step) = step else {
            return;
        };
        assert_eq!(step.wake_at, None, "nothing here waits for time");
        self.run = Some(step.state);
        self.calls.extend(step.effects.into_iter().map(Call::new));
    }

    fn perform(&mut self, call: usize) {
        let Effect::SyncMarker { version, marker, .. } = self.calls[call].effect else {
            panic!("not an effect of publishing");
        };
        self.went_back |= self.outside.is_some_and(|(known, _)| version < known);
        self.outside = Some((version, marker));
        self.calls[call].answer = Some(Answer::MarkerSynced);
    }

    fn answer(&mut self, call: usize) {
        let Call { effect, answer } = self.calls.remove(call);
        if let Some(event) = answer.and_then(|answer| PagePublish::on_answer(&effect, &answer)) {
            self.hear(&event);
        }
    }

    fn left_alone(&self) -> World {
        let mut world = self.clone();
        while !world.calls.is_empty() {
            if world.calls[0].answer.is_none() {
                world.perform(0);
            }
            world.answer(0);
        }
        world
    }

    /// The newest of what arrived is what the outside knows, or what it has refused.
    fn is_synced(&self) -> bool {
        let newest = self.arrived.last().map(|version| wanted(*version));
        match &self.run {
            None => newest.is_none(),
            Some(State::SyncFailed { wanted, .. }) => Some(*wanted) == newest,
            Some(State::Published { wanted } | State::Unpublished { wanted }) => {
                Some(*wanted) == newest && self.outside == Some((wanted.version, wanted.marker))
            }
            Some(State::Syncing { .. } | State::Publishing { .. }) => false,
        }
    }
}

impl Model for PublishModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            run: None,
            calls: Vec::new(),
            arrived: BTreeSet::new(),
            outside: None,
            went_back: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend((1..=NEWEST).map(Action::Wish));
        actions.push(Action::Cancel);
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
            Action::Wish(version) => {
                world.arrived.insert(version);
                world.hear(&Event::Sync(wanted(version)));
            }
            Action::Cancel => world.hear(&Event::Cancel),
            Action::Perform(call) => world.perform(call),
            Action::Fail(call) => {
                world.calls[call].answer = Some(Answer::Failed(failure("unreachable")));
            }
            Action::Answer(call) => world.answer(call),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one marker is on its way at a time", |_, world: &World| {
                world.calls.len() <= 1
            }),
            Property::always("the outside never hears an older version", |_, world: &World| {
                !world.went_back
            }),
            Property::always("what is waited for is on its way", |_, world: &World| {
                let waits = |state| PagePublish::standing(state) != Standing::Done;
                world.run.as_ref().is_some_and(waits) != world.calls.is_empty()
            }),
            Property::always("left alone, the outside knows the newest", |_, world: &World| {
                world.left_alone().is_synced()
            }),
            Property::sometimes("published", |_, world: &World| {
                matches!(world.run, Some(State::Published { .. }))
            }),
            Property::sometimes("unpublished", |_, world: &World| {
                matches!(world.run, Some(State::Unpublished { .. }))
            }),
            Property::sometimes("a newer one must follow", |_, world: &World| {
                matches!(world.run, Some(State::Publishing { .. }))
            }),
            Property::sometimes("the outside refused", |_, world: &World| {
                matches!(world.run, Some(State::SyncFailed { .. }))
            }),
        ]
    }
}
