//! Links to Stripe: to the form, which answer the newest wish, and to the dashboard, for whoever asked.

use super::{
    Known, Reading, State,
    steps::{begin_reading, handle_of, look_next, stay, to, unchanged},
    words,
};
use crate::{
    effect::{Effect, Failure, LinkRequest, OnboardingUrls},
    id::LoginLinkId,
    record::{ConnectAccountUpdate, LinkChange, LoginLink, OnboardingLink, Record},
    timestamp::Timestamp,
    workflow::Step,
};

/// The status stays what it is: a creator who may sell goes on selling while a link is made. The timer stays,
/// too: a link is no look.
pub(super) fn create_link(
    known: Known,
    request: &LinkRequest,
    urls: &OnboardingUrls,
) -> Step<State> {
    let known = Known { request: request.id, looks: 0, ..known };
    let effect = account_link(&known, request, urls);
    let row = ConnectAccountUpdate {
        link: LinkChange::Drop,
        request: Some(request.id),
        ..unchanged(&known)
    };
    to(State::CreatingLink { known }).effect(effect).record(Record::ConnectAccount(Box::new(row)))
}

pub(super) fn account_link(known: &Known, request: &LinkRequest, urls: &OnboardingUrls) -> Effect {
    Effect::CreateAccountLink {
        account: known.account.clone(),
        request: request.clone(),
        urls: urls.clone(),
    }
}

pub(super) fn link_created(
    known: Known,
    url: &str,
    expires_at: Timestamp,
    at: Timestamp,
) -> Step<State> {
    let link = OnboardingLink { url: url.to_owned(), expires_at };
    let row = ConnectAccountUpdate { link: LinkChange::Set(link), ..unchanged(&known) };
    after_link(known, row, at)
}

pub(super) fn link_failed(known: Known, failure: &Failure, at: Timestamp) -> Step<State> {
    let row = ConnectAccountUpdate { failure: Some(words::of(failure)), ..unchanged(&known) };
    after_link(known, row, at)
}

/// The account is read too: a creator who asked for a link though all was well goes back to Connected.
fn after_link(known: Known, row: ConnectAccountUpdate, at: Timestamp) -> Step<State> {
    let row = Record::ConnectAccount(Box::new(row));
    match known.reading {
        Reading::Idle => {
            let (known, effect) = begin_reading(known, at);
            to(look_next(State::AwaitingCreator { known }, at)).effect(effect).record(row)
        }
        Reading::UnderWay | Reading::OnceMore => to(State::AwaitingCreator { known }).record(row),
    }
}

pub(super) fn late_link(
    state: &State,
    known: &Known,
    url: &str,
    expires_at: Timestamp,
) -> Step<State> {
    let link = OnboardingLink { url: url.to_owned(), expires_at };
    let row = ConnectAccountUpdate { link: LinkChange::Set(link), ..unchanged(known) };
    stay(state).record(Record::ConnectAccount(Box::new(row)))
}

pub(super) fn create_login_link(state: &State, known: Known, request: LoginLinkId) -> Step<State> {
    stay(state).effect(Effect::CreateLoginLink { account: known.account, request })
}

/// Whoever asked waits for it, whatever has become of the account since.
pub(super) fn login_link(
    state: &State,
    request: LoginLinkId,
    made: Result<String, String>,
) -> Step<State> {
    let handle = handle_of(state);
    stay(state).record(Record::LoginLink(LoginLink { request, handle, made }))
}
