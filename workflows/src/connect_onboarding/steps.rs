//! Where an onboarding goes and what it asks for on the way: each state with its effects and records.

use super::{
    Known, Onboard, Purchases, Reading, State,
    links::{account_link, create_link},
    purchases::{close_purchases, known_of},
    verdict::judge,
    words,
};
use crate::{
    effect::{Effect, Failure, LinkRequest, OnboardingUrls},
    id::HandleId,
    record::{ConnectAccountUpdate, ConnectStatus, LinkChange, PastConnectAccount, Record},
    stripe::Account,
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// The first look is after five minutes, each later one twice as long after, a day at most.
fn next_look(looks: u8) -> i64 {
    ((5 * Timestamp::MINUTE) << looks.min(9)).min(Timestamp::DAY)
}

/// Effects are tried for some four hours. What has no answer after that has gone dead.
const GIVE_UP: i64 = Timestamp::DAY;

pub(super) fn retrieved(
    state: &State,
    known: Known,
    account: &Account,
    at: Timestamp,
) -> Step<State> {
    let (known, mut effects) = reading_over(known, at);
    let status = judge(account);
    let known = match status {
        ConnectStatus::Connected => Known { purchases: Purchases::Possible, ..known },
        ConnectStatus::Rejected => close_purchases(known, &mut effects, at),
        _ if !account.can_be_paid() => close_purchases(known, &mut effects, at),
        _ => known,
    };
    let row = ConnectAccountUpdate {
        status: Some(status),
        account: Some(account.clone()),
        // Nobody is asked for documents for nothing.
        link: if status == ConnectStatus::Rejected { LinkChange::Drop } else { LinkChange::Keep },
        ..unchanged(&known)
    };
    let next = match (state, status) {
        (_, ConnectStatus::Rejected) => State::Rejected { known },
        // It lets us in again: the creator goes on with it.
        (State::Reconnecting { wish, .. }, _) => {
            effects.push(account_link(&known, &wish.request, &wish.urls));
            State::CreatingLink { known }
        }
        // The link is still being made, and leads on: the account is read again then.
        (State::CreatingLink { .. }, _) => State::CreatingLink { known },
        (_, status) => placed(status, known),
    };
    Step { effects, ..to(look_next(next, at)) }.record(Record::ConnectAccount(Box::new(row)))
}

/// The account was read, or could not be: once more, if something happened meanwhile.
fn reading_over(known: Known, at: Timestamp) -> (Known, Vec<Effect>) {
    match known.reading {
        Reading::OnceMore => {
            let (known, again) = begin_reading(known, at);
            (known, vec![again])
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
    match known.reading {
        Reading::Idle => Ok(read(state, known, at)),
        Reading::UnderWay => {
            Ok(to(with_known(state, Known { reading: Reading::OnceMore, ..known })))
        }
        Reading::OnceMore => Err(Refused::because("the account is read once more already")),
    }
}

/// Reads the account, even if it is being read: that has gone dead. The first look leaves a link that is being
/// made its time, the second gives it up; the creator may ask for another.
pub(super) fn look_at_last(state: &State, known: Known, at: Timestamp) -> Step<State> {
    match state {
        State::CreatingLink { known: before } if known.looks > 1 => {
            read(&State::AwaitingCreator { known: before.clone() }, known, at)
        }
        _ => read(state, known, at),
    }
}

fn read(state: &State, known: Known, at: Timestamp) -> Step<State> {
    let (known, effect) = begin_reading(known, at);
    to(look_next(with_known(state, known), at)).effect(effect)
}

/// From now on the answer to an earlier reading means nothing.
pub(super) fn begin_reading(known: Known, at: Timestamp) -> (Known, Effect) {
    let effect = Effect::RetrieveAccount { account: known.account.clone(), begun_at: at };
    (Known { reading: Reading::UnderWay, begun_at: at, ..known }, effect)
}

/// The same state, knowing something else.
fn with_known(state: &State, known: Known) -> State {
    match state {
        State::CreatingLink { .. } => State::CreatingLink { known },
        State::PendingVerification { .. } => State::PendingVerification { known },
        State::Connected { .. } => State::Connected { known },
        State::Restricted { .. } => State::Restricted { known },
        State::Rejected { .. } => State::Rejected { known },
        State::Disconnected { .. } => State::Disconnected { known },
        State::Reconnecting { wish, .. } => State::Reconnecting { known, wish: wish.clone() },
        State::AwaitingCreator { .. } | State::CreatingAccount { .. } | State::Failed { .. } => {
            State::AwaitingCreator { known }
        }
    }
}

pub(super) fn stay(state: &State) -> Step<State> {
    to(state.clone())
}

/// To a state, with the timer that it has.
pub(super) fn to(state: State) -> Step<State> {
    let wake_at = match &state {
        State::CreatingLink { known }
        | State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Connected { known }
        | State::Restricted { known }
        | State::Disconnected { known }
        | State::Reconnecting { known, .. } => Some(known.look_at),
        State::CreatingAccount { .. } | State::Rejected { .. } | State::Failed { .. } => None,
    };
    Step { wake_at, ..Step::to(state) }
}

/// Sets down when the timer looks next, so that a lost webhook only costs time: often while something is open,
/// else daily. While an answer is on its way, it is the safety net.
pub(super) fn look_next(state: State, at: Timestamp) -> State {
    let Some(known) = known_of(&state).cloned() else { return state };
    let after = match &state {
        _ if known.reading != Reading::Idle => GIVE_UP,
        State::CreatingLink { .. } | State::Reconnecting { .. } => GIVE_UP,
        State::AwaitingCreator { .. }
        | State::PendingVerification { .. }
        | State::Restricted { .. } => next_look(known.looks),
        State::Connected { .. }
        | State::Disconnected { .. }
        | State::CreatingAccount { .. }
        | State::Rejected { .. }
        | State::Failed { .. } => Timestamp::DAY,
    };
    with_known(&state, Known { look_at: at.plus(after), ..known })
}

pub(super) fn create_account(wish: &Onboard) -> Step<State> {
    let effect = Effect::CreateAccount { handle: wish.handle, country: wish.country.clone() };
    let row = ConnectAccountUpdate {
        handle: wish.handle,
        status: Some(ConnectStatus::Onboarding),
        account: None,
        account_id: None,
        link: LinkChange::Drop,
        request: Some(wish.request.id),
        failure: None,
    };
    Step::to(creating_account(wish.handle, wish))
        .effect(effect)
        .record(Record::ConnectAccount(Box::new(row)))
}

fn creating_account(handle: HandleId, wish: &Onboard) -> State {
    State::CreatingAccount { handle, request: wish.request.clone(), urls: wish.urls.clone() }
}

/// A second wish while the account is made: the link will be its.
pub(super) fn wait_for_account(handle: HandleId, wish: &Onboard) -> Step<State> {
    let row = ConnectAccountUpdate {
        handle,
        status: None,
        account: None,
        account_id: None,
        link: LinkChange::Drop,
        request: Some(wish.request.id),
        failure: None,
    };
    Step::to(creating_account(handle, wish)).record(Record::ConnectAccount(Box::new(row)))
}

/// The earlier account is kept: what was sold through it is reversed through it.
fn replace_account(known: &Known, wish: &Onboard) -> Step<State> {
    let past = PastConnectAccount { handle: known.handle, account: known.account.clone() };
    create_account(wish).record(Record::PastConnectAccount(past))
}

pub(super) fn account_created(
    handle: HandleId,
    account: &str,
    request: &LinkRequest,
    urls: &OnboardingUrls,
    at: Timestamp,
) -> Step<State> {
    let known = Known {
        handle,
        account: account.to_owned(),
        reading: Reading::Idle,
        begun_at: Timestamp::default(),
        look_at: at.plus(GIVE_UP),
        looks: 0,
        request: request.id,
        purchases: Purchases::Closed,
    };
    create_link(known, request, urls).record(Record::StripeObject(account.to_owned()))
}

/// The creator begins again. Whether the account lets us in is seen by reading it, even if it is being read:
/// that answer may be from before, or have gone dead. The timer stays where a reading under way has put it.
pub(super) fn reconnect(known: Known, wish: &Onboard, at: Timestamp) -> Step<State> {
    let was_idle = known.reading == Reading::Idle;
    let (known, effect) = begin_reading(Known { request: wish.request.id, ..known }, at);
    let row = ConnectAccountUpdate {
        link: LinkChange::Drop,
        request: Some(wish.request.id),
        ..unchanged(&known)
    };
    let next = State::Reconnecting { known, wish: Box::new(wish.clone()) };
    let next = if was_idle { look_next(next, at) } else { next };
    to(next).effect(effect).record(Record::ConnectAccount(Box::new(row)))
}

/// An account that no longer lets us in was disconnected.
/// <https://docs.stripe.com/error-codes#account-invalid>
pub(super) fn unreadable(
    state: &State,
    known: Known,
    failure: &Failure,
    at: Timestamp,
) -> Step<State> {
    let gone = failure.code == "account_invalid";
    let (known, effects) = reading_over(known, at);
    match state {
        // It is read once more before anything is decided.
        State::Reconnecting { .. } if !effects.is_empty() => {}
        State::Reconnecting { wish, .. } if gone => return replace_account(&known, wish),
        State::Reconnecting { .. } => {
            let failure = Some(words::of(failure));
            let row = ConnectAccountUpdate { failure, ..unchanged(&known) };
            return to(look_next(State::Disconnected { known }, at))
                .record(Record::ConnectAccount(Box::new(row)));
        }
        State::Disconnected { .. } => {}
        _ if gone => return disconnected(known, effects, at),
        _ => {}
    }
    Step { effects, ..to(look_next(with_known(state, known), at)) }
}

fn disconnected(known: Known, mut effects: Vec<Effect>, at: Timestamp) -> Step<State> {
    let known = close_purchases(known, &mut effects, at);
    let row = ConnectAccountUpdate {
        status: Some(ConnectStatus::Disconnected),
        // What it could do once means nothing now.
        account: Some(Account { id: known.account.clone(), ..Account::default() }),
        link: LinkChange::Drop,
        ..unchanged(&known)
    };
    let next = look_next(State::Disconnected { known }, at);
    Step { effects, ..to(next) }.record(Record::ConnectAccount(Box::new(row)))
}

pub(super) fn failed(handle: HandleId, failure: &Failure) -> Step<State> {
    let row = ConnectAccountUpdate {
        handle,
        status: Some(ConnectStatus::NotStarted),
        account: None,
        account_id: None,
        link: LinkChange::Drop,
        request: None,
        failure: Some(words::of(failure)),
    };
    Step::to(State::Failed { handle, reason: failure.code.clone() })
        .record(Record::ConnectAccount(Box::new(row)))
}

pub(super) fn handle_of(state: &State) -> HandleId {
    match state {
        State::CreatingAccount { handle, .. } | State::Failed { handle, .. } => *handle,
        State::CreatingLink { known }
        | State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Connected { known }
        | State::Restricted { known }
        | State::Rejected { known }
        | State::Disconnected { known }
        | State::Reconnecting { known, .. } => known.handle,
    }
}

pub(super) fn unchanged(known: &Known) -> ConnectAccountUpdate {
    ConnectAccountUpdate {
        handle: known.handle,
        status: None,
        account: None,
        account_id: Some(known.account.clone()),
        link: LinkChange::Keep,
        request: None,
        failure: None,
    }
}
