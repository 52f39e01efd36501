//! Connect onboarding: how a handle comes to be able to sell. One run for each handle.
//!
//! It promises:
//! - one connected account for each handle, however often onboarding is asked for;
//! - the state follows only from the account *as it was retrieved*, never from an event's body, so that late,
//!   early and repeated events cannot move it: not even the one that says that the access was taken back;
//! - only the answer to the newest retrieval counts, so that an old one never overwrites a newer one. There is
//!   one at a time, and what happens meanwhile leads to one more; but a creator who comes back waits for none;
//! - a link answers the newest wish for one, and no earlier wish;
//! - a link that was used leads on to the form, and begins nothing anew;
//! - a creator who took the access back may start again: with the same account if it lets us in, else with
//!   another one, and the earlier one is kept for what was sold through it;
//! - what is still on its way about an earlier account means nothing to the new one;
//! - an account that can no longer be paid has its open purchases closed, page by page;
//! - a lost webhook costs only time: a timer looks, often while something is open, daily when all is well or
//!   the account is gone; nothing but a look puts the next one off; and a look, or a link, that never comes to
//!   an answer is given up after a day or two.
//!
//! This file says which event leads where; `steps` says with which effects and records, `links` the same of
//! links, `verdict` what a retrieved account means, `purchases` what becomes of what is open, `payouts` how
//! payouts are handed on, `words` what people are told, `upgrade` how older states are read.
//!
//! Diagram: `workflows/diagrams/connect_onboarding.mmd`, explored from this file.

mod answers;
mod links;
mod payouts;
mod purchases;
mod steps;
mod upgrade;
mod verdict;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    effect::{Answer, Effect, Failure, LinkRequest, OnboardingUrls},
    id::{CheckoutId, HandleId, LoginLinkId, OnboardingLinkId},
    stripe::{Account, Payout},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Unreadable, Workflow},
};
use links::*;
use payouts::payout_reported;
use purchases::checkouts_closed;
use steps::*;

/// What an onboarding remembers. No link is among it: links are secrets.
///
/// While an account is read, or a link made, the timer is a day away: a safety net, for effects are tried for
/// hours, not for days. One that went dead must not end the looking for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Stripe is asked for an account.
    CreatingAccount { handle: HandleId, request: LinkRequest, urls: OnboardingUrls },
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
    /// The creator took the access back, or so it seems: it is looked at daily, for a wrong key of ours looks the
    /// same.
    Disconnected { known: Known },
    /// The creator wants to begin again: the account is read, for it may let us in again.
    Reconnecting { known: Known, wish: Box<Onboard> },
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
    /// When the newest reading was begun. Its answer is known by that.
    pub begun_at: Timestamp,
    /// When the timer looks. Only a look sets it.
    pub look_at: Timestamp,
    /// How often the timer has looked since the account last changed, or a link was asked for.
    pub looks: u8,
    /// The newest wish for a link.
    pub request: OnboardingLinkId,
    /// Whether there may be open purchases that pay it.
    pub purchases: Purchases,
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

/// Whether there may be open purchases that pay an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purchases {
    /// There may be: it could sell since they were last closed.
    Possible,
    /// It never could, or they are told to close.
    Closed,
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
    LinkCreated {
        account: String,
        #[serde(default)]
        request: OnboardingLinkId,
        url: String,
        expires_at: Timestamp,
    },
    /// Stripe will not mint a link.
    LinkFailed {
        account: String,
        #[serde(default)]
        request: OnboardingLinkId,
        failure: Failure,
    },
    /// Something about the account changed: a webhook, or the creator came back from the form.
    AccountChanged,
    /// The account as it is.
    AccountRetrieved {
        #[serde(default)]
        begun_at: Timestamp,
        #[serde(flatten)]
        account: Account,
    },
    /// The account cannot be read.
    AccountUnreadable {
        account: String,
        #[serde(default)]
        begun_at: Timestamp,
        failure: Failure,
    },
    /// Stripe says that the creator took the access back.
    Deauthorized { account: String },
    /// The creator wants to see Stripe's dashboard.
    OpenDashboard { request: LoginLinkId },
    /// The link to the dashboard was minted.
    LoginLinkCreated { request: LoginLinkId, url: String },
    /// Stripe will not mint a link to the dashboard.
    LoginLinkFailed { request: LoginLinkId, failure: Failure },
    /// Open purchases that pay the account were told to close, up to this one if there may be more.
    CheckoutsClosed { account: String, after: Option<CheckoutId> },
    /// Stripe says how a payout of one of the handle's accounts stands.
    PayoutReported { account: String, payout: Payout },
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
    /// Which link is wanted, and by whom.
    #[serde(default)]
    pub request: LinkRequest,
    /// Where Stripe sends the creator.
    pub urls: OnboardingUrls,
}

impl Onboard {
    /// Whether it was asked for with a used link: that leads on to the form, and begins nothing anew.
    fn is_by_used_link(&self) -> bool {
        self.request.proven_at.is_some()
    }
}

/// The onboarding of a handle.
pub struct ConnectOnboarding;

/// The states that follow from the account as it was retrieved.
macro_rules! placed {
    ($known:ident) => {
        S::AwaitingCreator { known: $known }
            | S::PendingVerification { known: $known }
            | S::Connected { known: $known }
            | S::Restricted { known: $known }
    };
}

/// The states with an account that the creator goes on with.
macro_rules! live {
    ($known:ident) => {
        S::CreatingLink { known: $known } | placed!($known)
    };
}

/// The states in which an account is looked at.
macro_rules! watched {
    ($known:ident) => {
        live!($known) | S::Disconnected { known: $known } | S::Reconnecting { known: $known, .. }
    };
}

impl Workflow for ConnectOnboarding {
    const NAME: &'static str = "connect_onboarding";
    const VERSION: u32 = 3;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Onboard(wish) if !wish.is_by_used_link() => Ok(create_account(wish)),
            _ => Err(Refused::because("an onboarding begins with the creator's wish")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (
                S::CreatingAccount { .. }
                | S::Disconnected { .. }
                | S::Reconnecting { .. }
                | S::Failed { .. },
                E::Onboard(wish),
            ) if wish.is_by_used_link() => {
                Err(Refused::because("a used link begins nothing anew: the creator must sign in"))
            }
            (S::CreatingAccount { handle, request, urls }, E::AccountCreated { account }) => {
                Ok(account_created(handle, account, &request, &urls, at))
            }
            (S::CreatingAccount { handle, .. }, E::Onboard(wish)) => {
                Ok(wait_for_account(handle, wish))
            }
            (S::CreatingAccount { handle, .. }, E::AccountFailed(failure)) => {
                Ok(failed(handle, failure))
            }
            (S::Failed { .. }, E::Onboard(wish)) => Ok(create_account(wish)),

            // An answer or a webhook from before the creator started again.
            (
                watched!(known),
                E::LinkCreated { account, .. }
                | E::LinkFailed { account, .. }
                | E::AccountRetrieved { account: Account { id: account, .. }, .. }
                | E::AccountUnreadable { account, .. }
                | E::Deauthorized { account },
            ) if *account != known.account => {
                Err(Refused::because("this is about an earlier account"))
            }
            (watched!(known), E::LinkCreated { request, .. } | E::LinkFailed { request, .. })
                if *request != known.request =>
            {
                Err(Refused::because("this answers an earlier wish for a link"))
            }

            // A second wish while a link is made: one more link, the newest wins.
            (live!(known), E::Onboard(wish)) => Ok(create_link(known, &wish.request, &wish.urls)),
            (S::Disconnected { known } | S::Reconnecting { known, .. }, E::Onboard(wish)) => {
                Ok(reconnect(known, wish, at))
            }
            (S::CreatingLink { known }, E::LinkCreated { url, expires_at, .. }) => {
                Ok(link_created(known, url, *expires_at, at))
            }
            (S::CreatingLink { known }, E::LinkFailed { failure, .. }) => {
                Ok(link_failed(known, failure, at))
            }
            // The link was given up, and came after all.
            (placed!(known), E::LinkCreated { url, expires_at, .. }) => {
                Ok(late_link(state, &known, url, *expires_at))
            }

            // That the access was taken back shows when the account is read.
            (watched!(known), E::AccountChanged | E::Deauthorized { .. }) => {
                look(state, Known { looks: 0, ..known }, at)
            }
            (watched!(known), E::TimerFired) => {
                let looks = known.looks.saturating_add(1);
                Ok(look_at_last(state, Known { looks, ..known }, at))
            }
            (
                watched!(known),
                E::AccountRetrieved { begun_at, .. } | E::AccountUnreadable { begun_at, .. },
            ) if known.reading == Reading::Idle || *begun_at != known.begun_at => {
                Err(Refused::because("this is the answer to an earlier reading"))
            }
            (watched!(known), E::AccountRetrieved { account, .. }) => {
                Ok(retrieved(state, known, account, at))
            }
            (watched!(known), E::AccountUnreadable { failure, .. }) => {
                Ok(unreadable(state, known, failure, at))
            }

            (live!(known), E::OpenDashboard { request }) => {
                Ok(create_login_link(state, known, *request))
            }
            (_, E::LoginLinkCreated { request, url }) => {
                Ok(login_link(state, *request, Ok(url.clone())))
            }
            (_, E::LoginLinkFailed { request, failure }) => {
                Ok(login_link(state, *request, Err(words::of(failure))))
            }
            (_, E::CheckoutsClosed { account, after }) => checkouts_closed(state, account, *after),
            (_, E::PayoutReported { account, payout }) => {
                Ok(payout_reported(state, account, payout))
            }

            (
                S::CreatingAccount { .. }
                | S::CreatingLink { .. }
                | S::AwaitingCreator { .. }
                | S::PendingVerification { .. }
                | S::Connected { .. }
                | S::Restricted { .. }
                | S::Rejected { .. }
                | S::Disconnected { .. }
                | S::Reconnecting { .. }
                | S::Failed { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        answers::event_of(effect, answer)
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
            State::Reconnecting { .. } => {
                Standing::waiting("Stripe to say whether the account can be used again")
            }
            State::Connected { .. }
            | State::Rejected { .. }
            | State::Disconnected { .. }
            | State::Failed { .. } => Standing::Done,
        }
    }

    /// Links are secrets, and used up soon.
    fn masked(event: &Event) -> Option<Event> {
        let masked = || "(masked)".to_owned();
        match event {
            Event::LinkCreated { account, request, expires_at, .. } => Some(Event::LinkCreated {
                account: account.clone(),
                request: *request,
                url: masked(),
                expires_at: *expires_at,
            }),
            Event::LoginLinkCreated { request, .. } => {
                Some(Event::LoginLinkCreated { request: *request, url: masked() })
            }
            _ => None,
        }
    }

    fn upgrade(version: u32, stored: Value) -> Result<State, Unreadable> {
        upgrade::read(version, stored)
    }
}
