//! Where an onboarding goes and what it asks for on the way: each state with its effects and records.

use super::{Known, Onboard, Reading, State};
use crate::{
    effect::{Effect, Failure, OnboardingUrls},
    id::HandleId,
    record::{ConnectAccountUpdate, ConnectStatus, LinkChange, OnboardingLink, Record},
    stripe::Account,
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// The first look is after five minutes, each later one twice as long after, a day at most.
fn next_look(looks: u8) -> i64 {
    ((5 * Timestamp::MINUTE) << looks.min(9)).min(Timestamp::DAY)
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

pub(super) fn retrieved(
    state: &State,
    known: Known,
    account: &Account,
    at: Timestamp,
) -> Step<State> {
    let (known, again) = reading_over(known);
    let status = judge(account);
    let row = ConnectAccountUpdate {
        status: Some(status),
        account: Some(account.clone()),
        ..unchanged(&known)
    };
    let next = match (state, status) {
        (_, ConnectStatus::Rejected) => State::Rejected { known },
        // The link is still being made, and leads on: the account is read again then.
        (State::CreatingLink { .. }, _) => State::CreatingLink { known },
        (_, status) => placed(status, known),
    };
    Step { wake_at: timer_of(&next, at), effects: again, ..Step::to(next) }
        .record(Record::ConnectAccount(Box::new(row)))
}

/// The account was read, or could not be: once more, if something happened meanwhile.
fn reading_over(known: Known) -> (Known, Vec<Effect>) {
    match known.reading {
        Reading::OnceMore => {
            let again = Effect::RetrieveAccount { account: known.account.clone() };
            (Known { reading: Reading::UnderWay, ..known }, vec![again])
        }
        Reading::Idle | Reading::UnderWay => {
            (Known { reading: Reading::Idle, ..known }, Vec::new())
        }
    }
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
pub(super) fn look(state: &State, known: Known, at: Timestamp) -> Result<Step<State>, Refused> {
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

/// A timer looks, so that a lost webhook only costs time: often while something is open, else daily. While
/// the account is being read, the answer sets it.
fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    let after = match state {
        State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Restricted { known }
            if known.reading == Reading::Idle =>
        {
            next_look(known.looks)
        }
        State::Connected { known } if known.reading == Reading::Idle => Timestamp::DAY,
        State::AwaitingCreator { .. }
        | State::PendingVerification { .. }
        | State::Connected { .. }
        | State::Restricted { .. }
        | State::CreatingAccount { .. }
        | State::CreatingLink { .. }
        | State::Rejected { .. }
        | State::Disconnected { .. }
        | State::Failed { .. } => return None,
    };
    Some(at.plus(after))
}

pub(super) fn create_account(wish: &Onboard) -> Step<State> {
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

pub(super) fn account_created(
    handle: HandleId,
    account: &str,
    urls: OnboardingUrls,
) -> Step<State> {
    let known = Known { handle, account: account.to_owned(), reading: Reading::Idle, looks: 0 };
    let step = create_link(known, &urls);
    step.record(Record::StripeObject(account.to_owned()))
}

/// The status stays what it is: a creator who may sell goes on selling while a link is made.
pub(super) fn create_link(known: Known, urls: &OnboardingUrls) -> Step<State> {
    let effect = Effect::CreateAccountLink { account: known.account.clone(), urls: urls.clone() };
    let row = ConnectAccountUpdate { link: LinkChange::Drop, ..unchanged(&known) };
    Step::to(State::CreatingLink { known })
        .effect(effect)
        .record(Record::ConnectAccount(Box::new(row)))
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

pub(super) fn late_link(
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
pub(super) fn unreadable(
    state: &State,
    known: Known,
    failure: &Failure,
    at: Timestamp,
) -> Step<State> {
    if failure.code == "account_invalid" {
        return disconnected(known);
    }
    let (known, again) = reading_over(known);
    let next = with_known(state, known);
    Step { wake_at: timer_of(&next, at), effects: again, ..Step::to(next) }
}

pub(super) fn disconnected(known: Known) -> Step<State> {
    let row = ConnectAccountUpdate {
        status: Some(ConnectStatus::Disconnected),
        link: LinkChange::Drop,
        ..unchanged(&known)
    };
    Step::to(State::Disconnected { known }).record(Record::ConnectAccount(Box::new(row)))
}

pub(super) fn failed(handle: HandleId, failure: &Failure) -> Step<State> {
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
