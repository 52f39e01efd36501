//! Connect onboarding: accounts that change at Stripe while they are read, and a creator who may leave and
//! come back.

use stateright::{Model, Property};
use workflows::{
    connect_onboarding::{ConnectOnboarding, Event, Reading, State},
    effect::{Answer, Effect},
    record::Record,
    stripe::Account,
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{
    START, enabled, failure, incomplete, onboard, rejected, restricted, submitted,
};

/// How often the creator asks, and how often an account changes, at most.
const WISHES_MAX: u8 = 2;
const CHANGES_MAX: u8 = 4;
/// How far the timer's backoff is followed.
const LOOKS_MAX: u8 = 2;

/// Whether the creator may take the access back, and come back with another account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    Stays,
    Leaves,
}

struct OnboardingModel(Setting);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: State,
    timer: bool,
    calls: Vec<Reader>,
    /// `acct_1` and so on, at Stripe.
    accounts: Vec<Truth>,
    wishes: u8,
    /// How many changes there were, of all accounts.
    changes: u8,
    /// The change count at which the facts in the row were read.
    row_read_at: u8,
    overwritten: bool,
    made_twice: bool,
}

/// A call, and the change count at which it was performed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reader {
    call: Call,
    at: u8,
}

/// An account as it really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Truth {
    Incomplete,
    Submitted,
    Enabled,
    Restricted,
    Rejected,
    Deauthorized,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Onboard,
    Change(usize, Truth),
    Perform(usize),
    Fail(usize),
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

impl World {
    fn hear(&mut self, event: &Event, read_at: u8) {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = ConnectOnboarding::step(&self.run, event, START) else {
            return;
        };
        let live = !matches!(self.run, State::Failed { .. } | State::Disconnected { .. });
        self.timer = step.wake_at.is_some();
        self.run = step.state;
        for effect in step.effects {
            self.made_twice |= live && matches!(effect, Effect::CreateAccount { .. });
            self.calls.push(Reader { call: Call::new(effect), at: 0 });
        }
        for record in step.records {
            if let Record::ConnectAccount(row) = record
                && row.account.is_some()
            {
                self.overwritten |= read_at < self.row_read_at;
                self.row_read_at = read_at;
            }
        }
    }

    fn perform(&mut self, call: usize) {
        let answer = match &self.calls[call].call.effect {
            Effect::CreateAccount { .. } => {
                self.accounts.push(Truth::Incomplete);
                Answer::AccountCreated { account: format!("acct_{}", self.accounts.len()) }
            }
            Effect::CreateAccountLink { account, .. } => match self.read(account) {
                Answer::AccountRetrieved(_) => {
                    Answer::AccountLinkCreated { url: "https://…".to_owned(), expires_at: START }
                }
                refused => refused,
            },
            Effect::RetrieveAccount { account } => self.read(account),
            effect => panic!("not an effect of an onboarding: {effect:?}"),
        };
        if matches!(answer, Answer::AccountRetrieved(_)) {
            self.calls[call].at = self.changes;
        }
        self.calls[call].call.answer = Some(answer);
    }

    fn read(&self, id: &str) -> Answer {
        let number: usize = id.trim_start_matches("acct_").parse().unwrap();
        self.accounts[number - 1].seen(id)
    }

    fn answer(&mut self, call: usize) {
        let Reader { call: Call { effect, answer }, at } = self.calls.remove(call);
        if let Some(event) =
            answer.and_then(|answer| ConnectOnboarding::on_answer(&effect, &answer))
        {
            self.hear(&event, at);
        }
    }

    fn reads_of(&self, account: usize) -> usize {
        let id = format!("acct_{}", account + 1);
        let reads = |reader: &&Reader| matches!(&reader.call.effect, Effect::RetrieveAccount { account } if *account == id);
        self.calls.iter().filter(reads).count()
    }

    fn left_alone(&self) -> World {
        let mut world = self.clone();
        for _ in 0..5 {
            while !world.calls.is_empty() {
                if world.calls[0].call.answer.is_none() {
                    world.perform(0);
                }
                world.answer(0);
            }
            if world.timer {
                world.hear(&Event::TimerFired, world.changes);
            }
        }
        world
    }

    fn agrees_with_stripe(&self) -> bool {
        match (&self.run, self.accounts.last()) {
            (State::Failed { .. }, _)
            // Refused for good, whatever comes later.
            | (State::Rejected { .. }, Some(Truth::Rejected | Truth::Deauthorized))
            | (State::AwaitingCreator { .. }, Some(Truth::Incomplete))
            | (State::PendingVerification { .. }, Some(Truth::Submitted))
            | (State::Connected { .. }, Some(Truth::Enabled))
            | (State::Restricted { .. }, Some(Truth::Restricted))
            | (State::Disconnected { .. }, Some(Truth::Deauthorized)) => true,
            _ => false,
        }
    }

    fn looks(&self) -> u8 {
        match &self.run {
            State::AwaitingCreator { known }
            | State::PendingVerification { known }
            | State::Connected { known }
            | State::Restricted { known } => known.looks,
            _ => 0,
        }
    }
}

impl Truth {
    fn seen(self, id: &str) -> Answer {
        let account: fn(&str) -> Account = match self {
            Self::Incomplete => incomplete,
            Self::Submitted => submitted,
            Self::Enabled => enabled,
            Self::Restricted => restricted,
            Self::Rejected => rejected,
            Self::Deauthorized => return Answer::Failed(failure("account_invalid")),
        };
        Answer::AccountRetrieved(account(id))
    }

    fn next(self, setting: Setting) -> &'static [Truth] {
        match (setting, self) {
            (Setting::Leaves, Self::Incomplete) => &[Self::Enabled, Self::Deauthorized],
            (Setting::Leaves, Self::Deauthorized) => &[],
            (Setting::Leaves, _) => &[Self::Deauthorized],
            (Setting::Stays, Self::Incomplete) => &[Self::Submitted],
            (Setting::Stays, Self::Submitted | Self::Restricted) => {
                &[Self::Enabled, Self::Rejected]
            }
            (Setting::Stays, Self::Enabled) => &[Self::Restricted],
            (Setting::Stays, Self::Rejected | Self::Deauthorized) => &[],
        }
    }
}

impl Model for OnboardingModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let step = ConnectOnboarding::start(&onboard(), START).unwrap();
        let calls =
            step.effects.into_iter().map(|effect| Reader { call: Call::new(effect), at: 0 });
        vec![World {
            run: step.state,
            timer: step.wake_at.is_some(),
            calls: calls.collect(),
            accounts: Vec::new(),
            wishes: 1,
            changes: 0,
            row_read_at: 0,
            overwritten: false,
            made_twice: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wishes < WISHES_MAX {
            actions.push(Action::Onboard);
        }
        for (index, truth) in world.accounts.iter().enumerate() {
            if world.changes < CHANGES_MAX {
                let next = truth.next(self.0);
                actions.extend(next.iter().map(|truth| Action::Change(index, *truth)));
            }
            if *truth == Truth::Deauthorized {
                let account = format!("acct_{}", index + 1);
                actions.push(Action::Deliver(Event::Deauthorized { account }));
            }
        }
        for (index, reader) in world.calls.iter().enumerate() {
            if reader.call.answer.is_some() {
                actions.push(Action::Answer(index));
            } else {
                actions.extend([Action::Perform(index), Action::Fail(index)]);
            }
        }
        if world.changes > 0 {
            actions.push(Action::Deliver(Event::AccountChanged));
        }
        if world.timer && world.looks() < LOOKS_MAX {
            actions.push(Action::Timer);
        }
        actions.push(Action::Cancel);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Onboard => {
                world.wishes += 1;
                world.hear(&onboard(), 0);
            }
            Action::Change(account, truth) => {
                world.accounts[account] = truth;
                world.changes += 1;
            }
            Action::Perform(call) => world.perform(call),
            Action::Fail(call) => {
                world.calls[call].call.answer = Some(Answer::Failed(failure("discarded")));
            }
            Action::Answer(call) => world.answer(call),
            Action::Deliver(event) => world.hear(&event, 0),
            Action::Timer => world.hear(&Event::TimerFired, 0),
            Action::Cancel => world.hear(&Event::Cancel, 0),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("one retrieval of an account at a time", |_, world: &World| {
                (0..world.accounts.len()).all(|account| world.reads_of(account) <= 1)
            }),
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
        ];
        properties.extend(sometimes(self.0));
        properties
    }
}

fn sometimes(setting: Setting) -> Vec<Property<OnboardingModel>> {
    match setting {
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
        Setting::Leaves => vec![
            Property::sometimes(
                "left, and came back",
                |_, world: &World| matches!(&world.run, State::AwaitingCreator { known } if known.account == "acct_2"),
            ),
            Property::sometimes("reads once more", |_, world: &World| {
                matches!(&world.run,
                    State::AwaitingCreator { known } if known.reading == Reading::OnceMore)
            }),
        ],
    }
}
