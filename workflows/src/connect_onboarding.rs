//! Connect onboarding: how a handle comes to be able to sell. One run for each handle.
//!
//! It promises:
//! - one connected account for each handle, however often onboarding is asked for;
//! - the state follows only from the account *as it was retrieved*, never from an event's body, so that late,
//!   early and repeated events cannot move it backwards;
//! - one retrieval at a time: what happens meanwhile leads to one more, so an old answer never overwrites a
//!   newer one;
//! - a lost webhook costs only time: while something is open, a timer looks.
//!
//! Diagram: `workflows/diagrams/connect_onboarding.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure, OnboardingUrls},
    id::HandleId,
    record::{ConnectAccountUpdate, ConnectStatus, LinkChange, OnboardingLink, Record},
    stripe::Account,
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What an onboarding remembers. The single-use link is not among it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Stripe is asked for an account.
    CreatingAccount { handle: HandleId, urls: OnboardingUrls },
    /// Stripe is asked for a single-use link to the form.
    CreatingLink { known: Known },
    /// The creator has the form to fill in.
    AwaitingCreator { known: Known },
    /// Stripe is checking what was filled in.
    PendingVerification { known: Known },
    /// May sell.
    Connected { known: Known },
    /// May not sell until something is mended.
    Restricted { known: Known },
    /// Refused by Stripe for good.
    Rejected { known: Known },
    /// The creator took the access back.
    Disconnected { known: Known },
    /// Stripe would not make an account.
    Failed { handle: HandleId, reason: String },
}

/// What is known of a connected account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Known {
    /// Whose.
    pub handle: HandleId,
    /// `acct_…`
    pub account: String,
    /// Whether the account is being read right now.
    pub reading: Reading,
    /// How often the timer has looked since the account last changed.
    pub looks: u8,
}

/// Whether the account is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// No.
    Idle,
    /// Yes.
    UnderWay,
    /// Yes, and something happened since: read once more.
    OnceMore,
}

/// What can happen to an onboarding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// The creator wants to begin, or wants a fresh link.
    Onboard(Box<Onboard>),
    /// The account exists.
    AccountCreated { account: String },
    /// Stripe will not make an account.
    AccountFailed(Failure),
    /// The link was minted.
    LinkCreated { url: String, expires_at: Timestamp },
    /// Stripe will not mint a link.
    LinkFailed(Failure),
    /// Something about the account changed: a webhook, or the creator came back from the form.
    AccountChanged,
    /// The account as it is.
    AccountRetrieved(Account),
    /// The account cannot be read.
    AccountUnreadable(Failure),
    /// The creator took the access back.
    Deauthorized,
    /// A person calls the onboarding off.
    Cancel,
    /// The timer: time to look.
    TimerFired,
}

/// A wish to be onboarded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Onboard {
    /// Whose.
    pub handle: HandleId,
    /// ISO 3166 two-letter country of the account, when it is made.
    pub country: Option<String>,
    /// Where Stripe sends the creator.
    pub urls: OnboardingUrls,
}

/// The first look is after five minutes, each later one twice as long after, a day at most.
fn next_look(looks: u8) -> i64 {
    (5 * Timestamp::MINUTE << looks.min(9)).min(Timestamp::DAY)
}

/// The onboarding of a handle.
pub struct ConnectOnboarding;

impl Workflow for ConnectOnboarding {
    const NAME: &'static str = "connect_onboarding";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Onboard(wish) => Ok(create_account(wish)),
            _ => Err(Refused::because("an onboarding begins with the creator's wish")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::CreatingAccount { handle, urls }, E::AccountCreated { account }) => {
                Ok(account_created(handle, account, urls))
            }
            (S::CreatingAccount { handle, .. }, E::AccountFailed(failure)) => {
                Ok(failed(handle, failure))
            }
            (S::Failed { .. } | S::Disconnected { .. }, E::Onboard(wish)) => {
                Ok(create_account(wish))
            }

            (
                S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::Onboard(wish),
            ) => Ok(create_link(known, &wish.urls)),
            // A second wish while a link is made: one more link, the newest wins.
            (S::CreatingLink { known }, E::Onboard(wish)) => Ok(create_link(known, &wish.urls)),
            (S::CreatingLink { known }, E::LinkCreated { url, expires_at }) => {
                Ok(link_created(known, url, *expires_at, at))
            }
            (S::CreatingLink { known }, E::LinkFailed(failure)) => {
                Ok(link_failed(known, failure, at))
            }
            // The link of an earlier wish, after the state went on.
            (
                S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::LinkCreated { url, expires_at },
            ) => Ok(late_link(state, &known, url, *expires_at, at)),

            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::AccountChanged,
            ) => look(state, Known { looks: 0, ..known }, at),
            (
                S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Restricted { known },
                E::TimerFired,
            ) => {
                let looks = known.looks.saturating_add(1);
                look(state, Known { looks, ..known }, at)
            }
            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::AccountRetrieved(account),
            ) => Ok(retrieved(state, known, account, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::AccountUnreadable(failure),
            ) => Ok(unreadable(state, known, failure, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::Deauthorized,
            ) => Ok(disconnected(known)),

            (
                S::CreatingAccount { .. }
                | S::CreatingLink { .. }
                | S::AwaitingCreator { .. }
                | S::PendingVerification { .. }
                | S::Connected { .. }
                | S::Restricted { .. }
                | S::Rejected { .. }
                | S::Disconnected { .. }
                | S::Failed { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        Some(match (effect, answer) {
            (_, Answer::AccountCreated { account }) => {
                Event::AccountCreated { account: account.clone() }
            }
            (_, Answer::AccountLinkCreated { url, expires_at }) => {
                Event::LinkCreated { url: url.clone(), expires_at: *expires_at }
            }
            (_, Answer::AccountRetrieved(account)) => Event::AccountRetrieved(account.clone()),
            (Effect::CreateAccount { .. }, Answer::Failed(failure)) => {
                Event::AccountFailed(failure.clone())
            }
            (Effect::CreateAccountLink { .. }, Answer::Failed(failure)) => {
                Event::LinkFailed(failure.clone())
            }
            (Effect::RetrieveAccount { .. }, Answer::Failed(failure)) => {
                Event::AccountUnreadable(failure.clone())
            }
            _ => return None,
        })
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::CreatingAccount { .. } => Standing::waiting("Stripe to make the account"),
            State::CreatingLink { .. } => Standing::waiting("Stripe to make the onboarding link"),
            State::AwaitingCreator { .. } => {
                Standing::waiting("the creator to fill in Stripe's form")
            }
            State::PendingVerification { .. } => Standing::waiting("Stripe to verify the creator"),
            State::Restricted { .. } => {
                Standing::waiting("the creator to give Stripe what is missing")
            }
            State::Connected { .. }
            | State::Rejected { .. }
            | State::Disconnected { .. }
            | State::Failed { .. } => Standing::Done,
        }
    }

    /// The link is a secret, and used up soon.
    fn masked(event: &Event) -> Option<Event> {
        match event {
            Event::LinkCreated { expires_at, .. } => {
                Some(Event::LinkCreated { url: "(masked)".to_owned(), expires_at: *expires_at })
            }
            _ => None,
        }
    }
}

/// What a retrieved account means. <https://docs.stripe.com/connect/handling-api-verification>
fn judge(account: &Account) -> ConnectStatus {
    let due = &account.requirements;
    let disabled = due.disabled_reason.as_deref();
    if disabled.is_some_and(|reason| reason.starts_with("rejected.")) {
        ConnectStatus::Rejected
    } else if account.charges_enabled
        && account.payouts_enabled
        && account.transfers_active
        && disabled.is_none()
    {
        ConnectStatus::Connected
    } else if !account.details_submitted {
        ConnectStatus::Onboarding
    } else if due.currently_due.is_empty() && due.past_due.is_empty() {
        ConnectStatus::PendingVerification
    } else {
        ConnectStatus::Restricted
    }
}

fn retrieved(state: &State, known: Known, account: &Account, at: Timestamp) -> Step<State> {
    let again = known.reading == Reading::OnceMore;
    let known = Known { reading: if again { Reading::UnderWay } else { Reading::Idle }, ..known };
    let status = judge(account);
    let row = ConnectAccountUpdate {
        status: Some(status),
        account: Some(account.clone()),
        ..unchanged(&known)
    };
    let next = match (state, status) {
        (_, ConnectStatus::Rejected) => State::Rejected { known: known.clone() },
        // The link is still being made, and leads on: the account is read again then.
        (State::CreatingLink { .. }, _) => State::CreatingLink { known: known.clone() },
        (_, status) => placed(status, known.clone()),
    };
    let timer = timer_of(&next, at);
    let step =
        Step { wake_at: timer, ..Step::to(next) }.record(Record::ConnectAccount(Box::new(row)));
    if again { step.effect(Effect::RetrieveAccount { account: known.account }) } else { step }
}

fn placed(status: ConnectStatus, known: Known) -> State {
    match status {
        ConnectStatus::Connected => State::Connected { known },
        ConnectStatus::PendingVerification => State::PendingVerification { known },
        ConnectStatus::Restricted => State::Restricted { known },
        ConnectStatus::Rejected => State::Rejected { known },
        ConnectStatus::Disconnected => State::Disconnected { known },
        ConnectStatus::NotStarted | ConnectStatus::Onboarding => State::AwaitingCreator { known },
    }
}

/// Reads the account, unless it is being read: then once more afterwards.
fn look(state: &State, known: Known, at: Timestamp) -> Result<Step<State>, Refused> {
    let reading = match known.reading {
        Reading::Idle => Reading::UnderWay,
        Reading::UnderWay => Reading::OnceMore,
        Reading::OnceMore => return Err(Refused::because("the account is read once more already")),
    };
    let starts = known.reading == Reading::Idle;
    let known = Known { reading, ..known };
    let account = known.account.clone();
    let next = with_known(state, known);
    let step = Step { wake_at: timer_of(&next, at), ..Step::to(next) };
    Ok(if starts { step.effect(Effect::RetrieveAccount { account }) } else { step })
}

fn with_known(state: &State, known: Known) -> State {
    match state {
        State::CreatingLink { .. } => State::CreatingLink { known },
        State::PendingVerification { .. } => State::PendingVerification { known },
        State::Connected { .. } => State::Connected { known },
        State::Restricted { .. } => State::Restricted { known },
        State::AwaitingCreator { .. }
        | State::CreatingAccount { .. }
        | State::Rejected { .. }
        | State::Disconnected { .. }
        | State::Failed { .. } => State::AwaitingCreator { known },
    }
}

/// While something is open a timer looks, so that a lost webhook only costs time.
fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    match state {
        State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Restricted { known } => Some(at.plus(next_look(known.looks))),
        _ => None,
    }
}

fn create_account(wish: &Onboard) -> Step<State> {
    let effect = Effect::CreateAccount { handle: wish.handle, country: wish.country.clone() };
    let row = ConnectAccountUpdate {
        handle: wish.handle,
        status: Some(ConnectStatus::Onboarding),
        account: None,
        account_id: None,
        link: LinkChange::Drop,
        failure: None,
    };
    Step::to(State::CreatingAccount { handle: wish.handle, urls: wish.urls.clone() })
        .effect(effect)
        .record(Record::ConnectAccount(Box::new(row)))
}

fn account_created(handle: HandleId, account: &str, urls: OnboardingUrls) -> Step<State> {
    let known = Known { handle, account: account.to_owned(), reading: Reading::Idle, looks: 0 };
    let step = create_link(known, &urls);
    step.record(Record::StripeObject(account.to_owned()))
}

/// The status stays what it is: a creator who may sell goes on selling while a link is made.
fn create_link(known: Known, urls: &OnboardingUrls) -> Step<State> {
    let effect = Effect::CreateAccountLink { account: known.account.clone(), urls: urls.clone() };
    let row = ConnectAccountUpdate { link: LinkChange::Drop, ..unchanged(&known) };
    Step::to(State::CreatingLink { known })
        .effect(effect)
        .record(Record::ConnectAccount(Box::new(row)))
}

fn link_created(known: Known, url: &str, expires_at: Timestamp, at: Timestamp) -> Step<State> {
    let link = OnboardingLink { url: url.to_owned(), expires_at };
    let row = ConnectAccountUpdate { link: LinkChange::Set(link), ..unchanged(&known) };
    after_link(known, row, at)
}

fn link_failed(known: Known, failure: &Failure, at: Timestamp) -> Step<State> {
    let row = ConnectAccountUpdate { failure: Some(failure.message.clone()), ..unchanged(&known) };
    after_link(known, row, at)
}

/// The account is read too: a creator who asked for a link though all was well goes back to Connected.
fn after_link(known: Known, row: ConnectAccountUpdate, at: Timestamp) -> Step<State> {
    let starts = known.reading == Reading::Idle;
    let known = Known { reading: if starts { Reading::UnderWay } else { known.reading }, ..known };
    let account = known.account.clone();
    let next = State::AwaitingCreator { known };
    let step = Step { wake_at: timer_of(&next, at), ..Step::to(next) }
        .record(Record::ConnectAccount(Box::new(row)));
    if starts { step.effect(Effect::RetrieveAccount { account }) } else { step }
}

fn late_link(
    state: &State,
    known: &Known,
    url: &str,
    expires_at: Timestamp,
    at: Timestamp,
) -> Step<State> {
    let link = OnboardingLink { url: url.to_owned(), expires_at };
    let row = ConnectAccountUpdate { link: LinkChange::Set(link), ..unchanged(known) };
    Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) }
        .record(Record::ConnectAccount(Box::new(row)))
}

/// An account that no longer lets us in was disconnected.
/// <https://docs.stripe.com/error-codes#account-invalid>
fn unreadable(state: &State, known: Known, failure: &Failure, at: Timestamp) -> Step<State> {
    if failure.code == "account_invalid" {
        return disconnected(known);
    }
    let next = with_known(state, Known { reading: Reading::Idle, ..known });
    Step { wake_at: timer_of(&next, at), ..Step::to(next) }
}

fn disconnected(known: Known) -> Step<State> {
    let row = ConnectAccountUpdate {
        status: Some(ConnectStatus::Disconnected),
        link: LinkChange::Drop,
        ..unchanged(&known)
    };
    Step::to(State::Disconnected { known }).record(Record::ConnectAccount(Box::new(row)))
}

fn failed(handle: HandleId, failure: &Failure) -> Step<State> {
    let row = ConnectAccountUpdate {
        handle,
        status: Some(ConnectStatus::NotStarted),
        account: None,
        account_id: None,
        link: LinkChange::Drop,
        failure: Some(failure.message.clone()),
    };
    Step::to(State::Failed { handle, reason: failure.code.clone() })
        .record(Record::ConnectAccount(Box::new(row)))
}

fn unchanged(known: &Known) -> ConnectAccountUpdate {
    ConnectAccountUpdate {
        handle: known.handle,
        status: None,
        account: None,
        account_id: Some(known.account.clone()),
        link: LinkChange::Keep,
        failure: None,
    }
}
