//! Where an onboarding goes and what it asks for on the way: each state with its effects and records.

use super::{
    Known, Onboard, Purchases, Reading, State, purchases::close_purchases, verdict::judge,
};
use crate::{
    effect::{Effect, Failure, OnboardingUrls},
    id::{HandleId, LoginLinkId},
    record::{
        ConnectAccountUpdate, ConnectStatus, LinkChange, LoginLink, OnboardingLink,
        PastConnectAccount, Record,
    },
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
    let (known, mut effects) = reading_over(known);
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
            effects.push(account_link(&known, &wish.urls));
            State::CreatingLink { known }
        }
        // The link is still being made, and leads on: the account is read again then.
        (State::CreatingLink { .. }, _) => State::CreatingLink { known },
        (_, status) => placed(status, known),
    };
    Step { wake_at: timer_of(&next, at), effects, ..Step::to(next) }
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
    match known.reading {
        Reading::Idle => Ok(read(state, known, at)),
        Reading::UnderWay => {
            let next = with_known(state, Known { reading: Reading::OnceMore, ..known });
            Ok(Step { wake_at: timer_of(&next, at), ..Step::to(next) })
        }
        Reading::OnceMore => Err(Refused::because("the account is read once more already")),
    }
}

/// Reads the account, even if it is being read: that has gone dead. So has a link that is still being made;
/// the creator may ask for another.
pub(super) fn look_at_last(state: &State, known: Known, at: Timestamp) -> Step<State> {
    match state {
        State::CreatingLink { known: before } => {
            read(&State::AwaitingCreator { known: before.clone() }, known, at)
        }
        _ => read(state, known, at),
    }
}

pub(super) fn read(state: &State, known: Known, at: Timestamp) -> Step<State> {
    let account = known.account.clone();
    let next = with_known(state, Known { reading: Reading::UnderWay, ..known });
    Step { wake_at: timer_of(&next, at), ..Step::to(next) }
        .effect(Effect::RetrieveAccount { account })
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

pub(super) fn stay(state: &State, at: Timestamp) -> Step<State> {
    Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) }
}

/// A timer looks, so that a lost webhook only costs time: often while something is open, else daily. While
/// an answer is on its way, it is the safety net.
fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    let after = match state {
        State::CreatingLink { .. } | State::Reconnecting { .. } => GIVE_UP,
        State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Restricted { known }
        | State::Connected { known }
        | State::Disconnected { known }
            if known.reading != Reading::Idle =>
        {
            GIVE_UP
        }
        State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Restricted { known } => next_look(known.looks),
        State::Connected { .. } => Timestamp::DAY,
        State::CreatingAccount { .. }
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

/// The earlier account is kept: what was sold through it is reversed through it.
fn replace_account(known: &Known, wish: &Onboard) -> Step<State> {
    let past = PastConnectAccount { handle: known.handle, account: known.account.clone() };
    create_account(wish).record(Record::PastConnectAccount(past))
}

pub(super) fn account_created(
    handle: HandleId,
    account: &str,
    urls: &OnboardingUrls,
    at: Timestamp,
) -> Step<State> {
    let known = Known {
        handle,
        account: account.to_owned(),
        reading: Reading::Idle,
        looks: 0,
        purchases: Purchases::Closed,
    };
    create_link(known, urls, at).record(Record::StripeObject(account.to_owned()))
}

/// The status stays what it is: a creator who may sell goes on selling while a link is made.
pub(super) fn create_link(known: Known, urls: &OnboardingUrls, at: Timestamp) -> Step<State> {
    let effect = account_link(&known, urls);
    let row = ConnectAccountUpdate { link: LinkChange::Drop, ..unchanged(&known) };
    let next = State::CreatingLink { known };
    Step { wake_at: timer_of(&next, at), ..Step::to(next) }
        .effect(effect)
        .record(Record::ConnectAccount(Box::new(row)))
}

fn account_link(known: &Known, urls: &OnboardingUrls) -> Effect {
    Effect::CreateAccountLink { account: known.account.clone(), urls: urls.clone() }
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
    stay(state, at).record(Record::ConnectAccount(Box::new(row)))
}

/// The creator begins again. Whether the account lets us in is seen by reading it.
pub(super) fn reconnect(known: Known, wish: &Onboard, at: Timestamp) -> Step<State> {
    let starts = known.reading == Reading::Idle;
    let known = Known { reading: if starts { Reading::UnderWay } else { known.reading }, ..known };
    let account = known.account.clone();
    let next = State::Reconnecting { known, wish: Box::new(wish.clone()) };
    let step = Step { wake_at: timer_of(&next, at), ..Step::to(next) };
    if starts { step.effect(Effect::RetrieveAccount { account }) } else { step }
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
    let (known, mut effects) = reading_over(known);
    match state {
        // It is read once more before anything is decided.
        State::Reconnecting { .. } if !effects.is_empty() => {}
        State::Reconnecting { wish, .. } if gone => return replace_account(&known, wish),
        State::Reconnecting { .. } => {
            let failure = Some(failure.message.clone());
            let row = ConnectAccountUpdate { failure, ..unchanged(&known) };
            return Step::to(State::Disconnected { known })
                .record(Record::ConnectAccount(Box::new(row)));
        }
        State::Disconnected { .. } => {}
        _ if gone => return disconnected(known, effects, at),
        _ => {}
    }
    let next = with_known(state, known);
    let wake_at = timer_of(&next, at);
    let mut step = Step { wake_at, ..Step::to(next) };
    step.effects.append(&mut effects);
    step
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
    let next = State::Disconnected { known };
    Step { wake_at: timer_of(&next, at), effects, ..Step::to(next) }
        .record(Record::ConnectAccount(Box::new(row)))
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

pub(super) fn create_login_link(
    state: &State,
    known: Known,
    request: LoginLinkId,
    at: Timestamp,
) -> Step<State> {
    stay(state, at).effect(Effect::CreateLoginLink { account: known.account, request })
}

/// Whoever asked waits for it, whatever has become of the account since.
pub(super) fn login_link(
    state: &State,
    request: LoginLinkId,
    made: Result<String, String>,
    at: Timestamp,
) -> Step<State> {
    let handle = handle_of(state);
    stay(state, at).record(Record::LoginLink(LoginLink { request, handle, made }))
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
