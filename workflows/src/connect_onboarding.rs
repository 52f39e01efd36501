//! Connect onboarding: how a handle comes to be able to sell. One run for each handle.
//!
//! It promises:
//! - one connected account for each handle, however often onboarding is asked for;
//! - the state follows only from the account *as it was retrieved*, never from an event's body, so that late,
//!   early and repeated events cannot move it backwards;
//! - one retrieval at a time: what happens meanwhile leads to one more, so an old answer never overwrites a
//!   newer one;
//! - a creator who took the access back may start again, and what is still on its way about the earlier
//!   account means nothing to the new one;
//! - a lost webhook costs only time: a timer looks, often while something is open, daily when all is well.
//!
//! This file says which event leads where; `steps` says with which effects and records.
//!
//! Diagram: `workflows/diagrams/connect_onboarding.mmd`, explored from this file.

mod steps;

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure, OnboardingUrls},
    id::HandleId,
    stripe::Account,
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};
use steps::*;

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
    LinkCreated { account: String, url: String, expires_at: Timestamp },
    /// Stripe will not mint a link.
    LinkFailed { account: String, failure: Failure },
    /// Something about the account changed: a webhook, or the creator came back from the form.
    AccountChanged,
    /// The account as it is.
    AccountRetrieved(Account),
    /// The account cannot be read.
    AccountUnreadable { account: String, failure: Failure },
    /// The creator took the access back.
    Deauthorized { account: String },
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

            // An answer or a webhook from before the creator started again.
            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::LinkCreated { account, .. }
                | E::LinkFailed { account, .. }
                | E::AccountRetrieved(Account { id: account, .. })
                | E::AccountUnreadable { account, .. }
                | E::Deauthorized { account },
            ) if *account != known.account => {
                Err(Refused::because("this is about an earlier account"))
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
            (S::CreatingLink { known }, E::LinkCreated { url, expires_at, .. }) => {
                Ok(link_created(known, url, *expires_at, at))
            }
            (S::CreatingLink { known }, E::LinkFailed { failure, .. }) => {
                Ok(link_failed(known, failure, at))
            }
            // The link of an earlier wish, after the state went on.
            (
                S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::LinkCreated { url, expires_at, .. },
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
                | S::Connected { known }
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
                E::AccountUnreadable { failure, .. },
            ) => Ok(unreadable(state, known, failure, at)),
            (
                S::CreatingLink { known }
                | S::AwaitingCreator { known }
                | S::PendingVerification { known }
                | S::Connected { known }
                | S::Restricted { known },
                E::Deauthorized { .. },
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
            (
                Effect::CreateAccountLink { account, .. },
                Answer::AccountLinkCreated { url, expires_at },
            ) => Event::LinkCreated {
                account: account.clone(),
                url: url.clone(),
                expires_at: *expires_at,
            },
            (_, Answer::AccountRetrieved(account)) => Event::AccountRetrieved(account.clone()),
            (Effect::CreateAccount { .. }, Answer::Failed(failure)) => {
                Event::AccountFailed(failure.clone())
            }
            (Effect::CreateAccountLink { account, .. }, Answer::Failed(failure)) => {
                Event::LinkFailed { account: account.clone(), failure: failure.clone() }
            }
            (Effect::RetrieveAccount { account }, Answer::Failed(failure)) => {
                Event::AccountUnreadable { account: account.clone(), failure: failure.clone() }
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
            Event::LinkCreated { account, expires_at, .. } => Some(Event::LinkCreated {
                account: account.clone(),
                url: "(masked)".to_owned(),
                expires_at: *expires_at,
            }),
            _ => None,
        }
    }
}
