//! Connect onboarding: accounts that change at Stripe while they are read, calls that go dead, and a creator
//! who may leave and come back, while buyers have payment pages open.

use stateright::{Model, Property};
use workflows::{
    connect_onboarding::{ConnectOnboarding, Event, Reading, State},
    effect::{Answer, Effect},
    record::{ConnectStatus, Record},
    stripe::Account,
    workflow::{Standing, Workflow},
};

use super::{Call, check};
use crate::examples::{
    START, enabled, failure, incomplete, onboard, rejected, restricted, submitted,
};

/// How often the creator asks at most.
const WISHES_MAX: u8 = 2;

/// Whether the creator may take the access back, and come back with the same account or another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    Stays,
    Leaves,
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
            Self::Dead => 2,
        }
    }

    /// How far the timer's backoff is followed.
    fn looks_max(self) -> u8 {
        match self {
            Self::Stays => 2,
            Self::Leaves | Self::Dead => 1,
        }
    }
}

struct OnboardingModel(Setting);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: State,
    timer: bool,
    calls: Vec<Reader>,
    /// Calls that went dead: an operator may retry them, or discard them.
    dead: Vec<Call>,
    deaths: u8,
    /// `acct_1` and so on, at Stripe.
    accounts: Vec<Truth>,
    /// Whether there are open purchases that pay the account.
    open: Vec<bool>,
    /// What the row says.
    row: Option<ConnectStatus>,
    /// Accounts that were kept.
    past: Vec<String>,
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
fn dead() {
    check("connect_onboarding, dead", OnboardingModel(Setting::Dead));
}

impl World {
    fn hear(&mut self, event: &Event, read_at: u8) {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = ConnectOnboarding::step(&self.run, event, START) else {
            return;
        };
        let live = !matches!(self.run, State::Failed { .. } | State::Reconnecting { .. });
        self.timer = step.wake_at.is_some();
        self.run = step.state;
        for effect in step.effects {
            self.made_twice |= live && matches!(effect, Effect::CreateAccount { .. });
            self.calls.push(Reader { call: Call::new(effect), at: 0 });
        }
        for record in step.records {
            match record {
                Record::ConnectAccount(row) => {
                    self.row = row.status.or(self.row);
                    if row.account.is_some() {
                        self.overwritten |= read_at < self.row_read_at;
                        self.row_read_at = read_at;
                    }
                }
                Record::PastConnectAccount(past) => self.past.push(past.account),
                _ => {}
            }
        }
    }

    fn perform(&mut self, call: usize) {
        let answer = match &self.calls[call].call.effect {
            Effect::CreateAccount { .. } => {
                self.accounts.push(Truth::Incomplete);
                self.open.push(false);
                Answer::AccountCreated { account: format!("acct_{}", self.accounts.len()) }
            }
            Effect::CreateAccountLink { account, .. } => match self.read(account) {
                Answer::AccountRetrieved(_) => {
                    Answer::AccountLinkCreated { url: "https://…".to_owned(), expires_at: START }
                }
                refused => refused,
            },
            Effect::RetrieveAccount { account } => self.read(account),
            Effect::CloseCheckouts { account, .. } => {
                let index = number(account) - 1;
                self.open[index] = false;
                Answer::CheckoutsClosed { after: None }
            }
            effect => panic!("not an effect of an onboarding: {effect:?}"),
        };
        self.calls[call].at = self.changes;
        self.calls[call].call.answer = Some(answer);
    }

    fn read(&self, id: &str) -> Answer {
        self.accounts[number(id) - 1].seen(id)
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
        for _ in 0..6 {
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

    /// What is open pays an account that can be paid.
    fn closed_what_cannot_be_paid(&self) -> bool {
        let payable = |truth: &Truth| *truth == Truth::Enabled;
        self.open.iter().zip(&self.accounts).all(|(open, truth)| !open || payable(truth))
    }

    /// Whether the timer may fire: the safety net is so far away that nothing is under way any more.
    fn timer_may_fire(&self) -> bool {
        self.timer && (self.calls.is_empty() || self.reading() == Some(Reading::Idle))
    }

    fn reading(&self) -> Option<Reading> {
        match &self.run {
            State::AwaitingCreator { known }
            | State::PendingVerification { known }
            | State::Connected { known }
            | State::Restricted { known } => Some(known.reading),
            _ => None,
        }
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
            // Who comes back without asking us, and without a word of Stripe's, is not looked for.
            | (State::Disconnected { .. }, Some(Truth::Deauthorized | Truth::Enabled)) => true,
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
            (Setting::Leaves, Self::Deauthorized) => &[Self::Enabled],
            (Setting::Leaves, _) => &[Self::Deauthorized],
            (Setting::Dead, Self::Incomplete) => &[Self::Enabled],
            (Setting::Stays, Self::Incomplete) => &[Self::Submitted],
            (Setting::Stays | Setting::Dead, Self::Submitted | Self::Restricted) => {
                &[Self::Enabled, Self::Rejected]
            }
            (Setting::Stays | Setting::Dead, Self::Enabled) => &[Self::Restricted],
            (Setting::Stays | Setting::Dead, Self::Rejected | Self::Deauthorized) => &[],
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
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.wishes < WISHES_MAX {
            actions.push(Action::Onboard);
        }
        for (index, truth) in world.accounts.iter().enumerate() {
            if world.changes < self.0.changes_max() {
                let next = truth.next(self.0);
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
                world.hear(&onboard(), 0);
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
                world.calls[call].at = world.changes;
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

fn number(account: &str) -> usize {
    account.trim_start_matches("acct_").parse().unwrap()
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
