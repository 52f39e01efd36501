//! The world of one onboarding: accounts as they really are at Stripe, what is on its way, and what our records
//! come to.

use workflows::{
    Timestamp,
    connect_onboarding::{ConnectOnboarding, Event, Known, Reading, State},
    effect::{Answer, Effect},
    id::LoginLinkId,
    record::{ConnectStatus, LinkChange, Record},
    stripe::Account,
    workflow::Workflow,
};

use super::Call;
use crate::examples::{
    START, checkout_id, enabled, failure, incomplete, onboard, rejected, restricted, submitted,
    wish,
};

/// A moment after everything that has happened.
const NOW: Timestamp = START.plus(1);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub run: State,
    pub timer: bool,
    pub calls: Vec<Reader>,
    /// Calls that went dead: an operator may retry them, or discard them.
    pub dead: Vec<Call>,
    pub deaths: u8,
    /// `acct_1` and so on, at Stripe.
    pub accounts: Vec<Truth>,
    /// Whether there are open purchases that pay the account.
    pub open: Vec<bool>,
    /// What the row says.
    pub row: Option<ConnectStatus>,
    /// Accounts that were kept.
    pub past: Vec<String>,
    pub wishes: u8,
    /// How many changes there were, of all accounts.
    pub changes: u8,
    /// The change count at which the facts in the row were read.
    pub row_read_at: u8,
    pub overwritten: bool,
    pub made_twice: bool,
    /// Whether a link answered another wish than the newest.
    pub mixed_up: bool,
}

/// A call, and the change count at which the account was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub call: Call,
    pub at: u8,
}

/// An account as it really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    Incomplete,
    Submitted,
    Enabled,
    Restricted,
    Rejected,
    Deauthorized,
}

impl World {
    pub fn hear(&mut self, event: &Event, read_at: u8) {
        if *event == Event::TimerFired {
            self.timer = false;
        }
        let Ok(step) = ConnectOnboarding::step(&self.run, event, NOW) else {
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
                    self.mixed_up |= matches!(row.link, LinkChange::Set(_))
                        && !matches!(event, Event::LinkCreated { request, .. }
                            if *request == wish(self.wishes));
                    if row.account.is_some() {
                        self.overwritten |= read_at < self.row_read_at;
                        self.row_read_at = read_at;
                    }
                }
                Record::PastConnectAccount(past) => self.past.push(past.account),
                _ => {}
            }
        }
        self.forget_when();
    }

    /// The newest reading is told from earlier ones by when it was begun, which means nothing else: it is
    /// counted as begun at the start, and all earlier ones before. How far away the timer is means nothing
    /// either, for it may fire at any moment. So there is an end to the states.
    pub fn forget_when(&mut self) {
        let Some(known) = known_in(&mut self.run) else { return };
        known.look_at = START;
        let newest = std::mem::replace(&mut known.begun_at, START);
        let all = self.calls.iter_mut().map(|reader| &mut reader.call);
        for call in all.chain(&mut self.dead) {
            if let Effect::RetrieveAccount { begun_at, .. } = &mut call.effect {
                *begun_at = if *begun_at == newest { START } else { Timestamp::default() };
            }
        }
    }

    /// Whatever may happen but a look, its end, or a step that leaves the account: it does not put the next
    /// look off.
    pub fn puts_the_look_off(&self) -> bool {
        let request = LoginLinkId(checkout_id().0);
        let account = || format!("acct_{}", self.accounts.len());
        let events = [
            onboard(),
            Event::LinkCreated {
                account: account(),
                request: wish(self.wishes),
                url: String::new(),
                expires_at: START,
            },
            Event::LinkFailed {
                account: account(),
                request: wish(self.wishes),
                failure: failure("discarded"),
            },
            Event::AccountChanged,
            Event::Deauthorized { account: account() },
            Event::OpenDashboard { request },
            Event::LoginLinkCreated { request, url: String::new() },
            Event::LoginLinkFailed { request, failure: failure("discarded") },
            Event::CheckoutsClosed { account: account(), after: Some(checkout_id()) },
            Event::CheckoutsClosed { account: account(), after: None },
        ];
        events.iter().any(|event| {
            let later = START.plus(Timestamp::HOUR);
            let Ok(step) = ConnectOnboarding::step(&self.run, event, later) else { return false };
            let is_look = |effect: &Effect| matches!(effect, Effect::RetrieveAccount { .. });
            // It is due at the start, however far away that is.
            self.timer && !step.effects.iter().any(is_look) && step.wake_at != Some(START)
        })
    }

    pub fn perform(&mut self, call: usize) {
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
            Effect::RetrieveAccount { account, .. } => self.read(account),
            Effect::CloseCheckouts { account, .. } => {
                let index = number(account) - 1;
                self.open[index] = false;
                Answer::CheckoutsClosed { after: None }
            }
            effect => panic!("not an effect of an onboarding: {effect:?}"),
        };
        if let Effect::RetrieveAccount { .. } = self.calls[call].call.effect {
            self.calls[call].at = self.changes;
        }
        self.calls[call].call.answer = Some(answer);
    }

    pub fn read(&self, id: &str) -> Answer {
        self.accounts[number(id) - 1].seen(id)
    }

    pub fn answer(&mut self, call: usize) {
        let Reader { call: Call { effect, answer }, at } = self.calls.remove(call);
        if let Some(event) =
            answer.and_then(|answer| ConnectOnboarding::on_answer(&effect, &answer))
        {
            self.hear(&event, at);
        }
    }

    pub fn reads_of(&self, account: usize) -> usize {
        let id = format!("acct_{}", account + 1);
        let reads = |reader: &&Reader| matches!(&reader.call.effect, Effect::RetrieveAccount { account, .. } if *account == id);
        self.calls.iter().filter(reads).count()
    }

    pub fn left_alone(&self) -> World {
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

    /// The account is made, and gone.
    pub fn leave(&mut self) {
        for _ in 0..2 {
            self.perform(0);
            self.answer(0);
        }
        self.accounts[0] = Truth::Deauthorized;
        self.perform(0);
        self.answer(0);
        assert!(matches!(self.run, State::Disconnected { .. }) && self.calls.is_empty());
    }

    /// What is open pays an account that can be paid.
    pub fn closed_what_cannot_be_paid(&self) -> bool {
        let payable = |truth: &Truth| *truth == Truth::Enabled;
        self.open.iter().zip(&self.accounts).all(|(open, truth)| !open || payable(truth))
    }

    /// Whether the timer may fire: the safety net is so far away that nothing is under way any more.
    pub fn timer_may_fire(&self) -> bool {
        let idle = self.known().is_some_and(|known| known.reading == Reading::Idle);
        self.timer && (self.calls.is_empty() || idle)
    }

    pub fn known(&self) -> Option<Known> {
        known_in(&mut self.run.clone()).cloned()
    }

    pub fn agrees_with_stripe(&self) -> bool {
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

    pub fn looks(&self) -> u8 {
        self.known().map_or(0, |known| known.looks)
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
}

fn known_in(state: &mut State) -> Option<&mut Known> {
    match state {
        State::CreatingAccount { .. } | State::Failed { .. } => None,
        State::CreatingLink { known }
        | State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Connected { known }
        | State::Restricted { known }
        | State::Rejected { known }
        | State::Disconnected { known }
        | State::Reconnecting { known, .. } => Some(known),
    }
}

fn number(account: &str) -> usize {
    account.trim_start_matches("acct_").parse().unwrap()
}
