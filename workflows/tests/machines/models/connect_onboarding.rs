//! Connect onboarding: accounts that change at Stripe while they are read, calls that go dead, and a creator
//! who may leave and come back, while buyers have payment pages open.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use stateright::{Model, Property};
use workflows::{
    connect_onboarding::{ConnectOnboarding, Event, Reading, State},
    effect::{Answer, Effect},
    record::ConnectStatus,
    workflow::{Standing, Workflow},
};

use super::{
    Call, check,
    connect_world::{Reader, Truth, World},
};
use crate::examples::{START, failure, onboard, onboard_again};

/// Whether the creator may take the access back, and come back with the same account or another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    Stays,
    Leaves,
    /// Has left, and comes back: impatiently.
    Returns,
    /// Stays, and a call goes dead.
    Dead,
}

impl Setting {
    /// How often accounts change at most.
    fn changes_max(self) -> u8 {
        match self {
            Self::Stays => 4,
            // There, gone, and there again.
            Self::Leaves => 3,
            Self::Returns | Self::Dead => 2,
        }
    }

    /// How often the creator asks at most.
    fn wishes_max(self) -> u8 {
        match self {
            Self::Stays | Self::Leaves | Self::Dead => 2,
            // Asks again while it is seen whether the account lets us in.
            Self::Returns => 3,
        }
    }

    /// How far the timer's backoff is followed.
    fn looks_max(self) -> u8 {
        match self {
            Self::Stays => 2,
            Self::Leaves | Self::Returns | Self::Dead => 1,
        }
    }

    /// How many readings may be on their way.
    fn reads_max(self) -> usize {
        match self {
            Self::Stays | Self::Dead => 1,
            // Whoever comes back does not wait for one that is.
            Self::Leaves => 2,
            Self::Returns => 3,
        }
    }

    /// What an account may become.
    fn next(self, truth: Truth) -> &'static [Truth] {
        match (self, truth) {
            (Self::Returns, Truth::Deauthorized) => &[Truth::Enabled],
            (Self::Returns, Truth::Incomplete) => &[Truth::Submitted],
            (Self::Returns, _) => &[Truth::Deauthorized],
            (Self::Leaves, Truth::Incomplete) => &[Truth::Enabled, Truth::Deauthorized],
            (Self::Leaves, Truth::Deauthorized) => &[Truth::Enabled],
            (Self::Leaves, _) => &[Truth::Deauthorized],
            (Self::Dead, Truth::Incomplete) => &[Truth::Enabled],
            (Self::Stays, Truth::Incomplete) => &[Truth::Submitted],
            (Self::Stays | Self::Dead, Truth::Submitted | Truth::Restricted) => {
                &[Truth::Enabled, Truth::Rejected]
            }
            (Self::Stays | Self::Dead, Truth::Enabled) => &[Truth::Restricted],
            (Self::Stays | Self::Dead, Truth::Rejected | Truth::Deauthorized) => &[],
        }
    }
}

struct OnboardingModel(Setting);

#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "the checker makes and drops them one at a time")]
enum Action {
    Onboard,
    Change(usize, Truth),
    /// A buyer asks for a payment page.
    Buy,
    Perform(usize),
    Fail(usize),
    Die(usize),
    /// An operator retries a dead call.
    Retry(usize),
    /// An operator discards a dead call.
    Discard(usize),
    Answer(usize),
    Deliver(Event),
    Timer,
    Cancel,
}

#[test]
fn stays() {
    check("connect_onboarding, stays", OnboardingModel(Setting::Stays));
}

#[test]
fn leaves() {
    check("connect_onboarding, leaves", OnboardingModel(Setting::Leaves));
}

#[test]
fn returns() {
    check("connect_onboarding, returns", OnboardingModel(Setting::Returns));
}

#[test]
fn dead() {
    check("connect_onboarding, dead", OnboardingModel(Setting::Dead));
}

impl Model for OnboardingModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let step = ConnectOnboarding::start(&onboard(), START).unwrap();
        let calls =
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 });
        let mut world = World {
            run: step.state,
            timer: step.wake_at.is_some(),
            calls: calls.collect(),
            dead: Vec::new(),
            deaths: 0,
            accounts: Vec::new(),
            open: Vec::new(),
            row: None,
            past: Vec::new(),
            wishes: 1,
            changes: 0,
            row_read_at: 0,
            overwritten: false,
            made_twice: false,
            mixed_up: false,
        };
        if self.0 == Setting::Returns {
            world.leave();
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wishes < self.0.wishes_max() {
            actions.push(Action::Onboard);
        }
        for (index, truth) in world.accounts.iter().enumerate() {
            if world.changes < self.0.changes_max() {
                let next = self.0.next(*truth);
                actions.extend(next.iter().map(|truth| Action::Change(index, *truth)));
            }
            // It may be late: the creator may have come back since.
            if self.0 == Setting::Leaves && world.changes > 0 {
                let account = format!("acct_{}", index + 1);
                actions.push(Action::Deliver(Event::Deauthorized { account }));
            }
        }
        for (index, reader) in world.calls.iter().enumerate() {
            if reader.call.answer.is_some() {
                actions.push(Action::Answer(index));
            } else {
                actions.push(Action::Perform(index));
                // What is done in our own database does not fail for good.
                if !matches!(reader.call.effect, Effect::CloseCheckouts { .. }) {
                    actions.push(Action::Fail(index));
                }
                let may_die = !matches!(
                    reader.call.effect,
                    Effect::CreateAccount { .. } | Effect::CloseCheckouts { .. }
                );
                if self.0 == Setting::Dead && world.deaths == 0 && may_die {
                    actions.push(Action::Die(index));
                }
            }
        }
        // An operator looks first whether the account is being read anew.
        if (0..world.accounts.len()).all(|account| world.reads_of(account) == 0) {
            for index in 0..world.dead.len() {
                actions.extend([Action::Retry(index), Action::Discard(index)]);
            }
        }
        if world.row == Some(ConnectStatus::Connected) {
            actions.push(Action::Buy);
        }
        if world.changes > 0 {
            actions.push(Action::Deliver(Event::AccountChanged));
        }
        if world.timer_may_fire() && world.looks() < self.0.looks_max() {
            actions.push(Action::Timer);
        }
        actions.push(Action::Cancel);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Onboard => {
                world.wishes += 1;
                world.hear(&onboard_again(world.wishes), 0);
            }
            Action::Change(account, truth) => {
                world.accounts[account] = truth;
                world.changes += 1;
            }
            Action::Buy => {
                if let Some(open) = world.open.last_mut() {
                    *open = true;
                }
            }
            Action::Perform(call) => world.perform(call),
            Action::Die(call) => {
                world.deaths += 1;
                let died = world.calls.remove(call).call;
                world.dead.push(died);
            }
            Action::Retry(call) => {
                let again = world.dead.remove(call);
                world.calls.push(Reader { call: again, at: 0 });
                let last = world.calls.len() - 1;
                world.perform(last);
                world.answer(last);
            }
            Action::Discard(call) => {
                let call = world.dead.remove(call);
                let answer = Some(Answer::Failed(failure("discarded")));
                world.calls.push(Reader { call: Call { answer, ..call }, at: world.changes });
                let last = world.calls.len() - 1;
                world.answer(last);
            }
            Action::Fail(call) => {
                world.calls[call].call.answer = Some(Answer::Failed(failure("discarded")));
            }
            Action::Answer(call) => world.answer(call),
            Action::Deliver(event) => world.hear(&event, 0),
            Action::Timer => world.hear(&Event::TimerFired, 0),
            Action::Cancel => world.hear(&Event::Cancel, 0),
        }
        // Calls are in no order.
        world
            .calls
            .sort_by_cached_key(|call| BuildHasherDefault::<DefaultHasher>::new().hash_one(call));
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(
                "one retrieval of an account at a time",
                |model: &Self, world: &World| {
                    let most = model.0.reads_max();
                    (0..world.accounts.len()).all(|account| world.reads_of(account) <= most)
                },
            ),
            Property::always("only a look puts the next look off", |_, world: &World| {
                !world.puts_the_look_off()
            }),
            Property::always("a link answers the newest wish", |_, world: &World| !world.mixed_up),
            Property::always("one account, until it is left", |_, world: &World| !world.made_twice),
            Property::always("no older answer overwrites a newer", |_, world: &World| {
                !world.overwritten
            }),
            Property::always("what is waited for is on its way", |_, world: &World| {
                world.timer
                    || !world.calls.is_empty()
                    || ConnectOnboarding::standing(&world.run) == Standing::Done
            }),
            Property::always("a timer is not set in vain", |_, world: &World| {
                let fired = &Event::TimerFired;
                !world.timer || ConnectOnboarding::step(&world.run, fired, START).is_ok()
            }),
            Property::always("left alone, it agrees with Stripe", |_, world: &World| {
                world.left_alone().agrees_with_stripe()
            }),
            Property::always("left alone, what cannot be paid is closed", |_, world: &World| {
                world.left_alone().closed_what_cannot_be_paid()
            }),
            Property::always("every account that was left is kept", |_, world: &World| {
                let left = world.accounts.len().saturating_sub(1);
                (1..=left).all(|number| world.past.contains(&format!("acct_{number}")))
            }),
        ];
        properties.extend(sometimes(self.0));
        properties
    }
}

fn sometimes(setting: Setting) -> Vec<Property<OnboardingModel>> {
    match setting {
        Setting::Dead => vec![
            Property::sometimes("a look went dead", |_, world: &World| {
                world.dead.iter().any(|call| matches!(call.effect, Effect::RetrieveAccount { .. }))
            }),
            Property::sometimes("a link went dead", |_, world: &World| {
                world
                    .dead
                    .iter()
                    .any(|call| matches!(call.effect, Effect::CreateAccountLink { .. }))
            }),
        ],
        Setting::Stays => vec![
            Property::sometimes("may sell", |_, world: &World| {
                matches!(world.run, State::Connected { .. })
            }),
            Property::sometimes("must mend something", |_, world: &World| {
                matches!(world.run, State::Restricted { .. })
            }),
            Property::sometimes("refused for good", |_, world: &World| {
                matches!(world.run, State::Rejected { .. })
            }),
            Property::sometimes("no account could be made", |_, world: &World| {
                matches!(world.run, State::Failed { .. })
            }),
        ],
        Setting::Returns => vec![
            Property::sometimes("asked twice, and is read twice at once", |_, world: &World| {
                matches!(world.run, State::Reconnecting { .. }) && world.reads_of(0) == 2
            }),
            Property::sometimes("came back without asking", |_, world: &World| {
                matches!(world.run, State::Connected { .. }) && world.wishes == 1
            }),
        ],
        Setting::Leaves => vec![
            Property::sometimes(
                "left, and came back",
                |_, world: &World| matches!(&world.run, State::AwaitingCreator { known } if known.account == "acct_2"),
            ),
            Property::sometimes("left, and came back with the same account", |_, world: &World| {
                matches!(&world.run, State::CreatingLink { known }
                        if known.account == "acct_1" && world.wishes == 2)
                    && world.accounts == [Truth::Enabled]
            }),
            Property::sometimes(
                "a buyer was on the way when the creator left",
                |_, world: &World| {
                    world.open.contains(&true) && matches!(world.run, State::Disconnected { .. })
                },
            ),
            Property::sometimes("reads once more", |_, world: &World| {
                matches!(&world.run,
                    State::AwaitingCreator { known } if known.reading == Reading::OnceMore)
            }),
        ],
    }
}
