//! The state that follows from what is known, with its timer and its row.

use super::{Grace, Known, Manual, OpenCheckout, Reading, State, missing_until};
use crate::{
    effect::Effect,
    id::HandleId,
    plan::Plan,
    record::{PlanLinkChange, PlanSource, PlanStatus, PlanSubscriptionUpdate, Record},
    stripe::SubscriptionStatus,
    timestamp::Timestamp,
    workflow::Step,
};

/// The first look is after five minutes, each later one twice as long after, a day at most.
fn next_look(looks: u8) -> i64 {
    ((5 * Timestamp::MINUTE) << looks.min(9)).min(Timestamp::DAY)
}

/// While a link is being made the state says so; else it follows from what is known.
pub(super) fn resumed(state: &State, known: Known, at: Timestamp) -> State {
    match state {
        State::CreatingLink { .. } => State::CreatingLink { known: aged(known, at) },
        State::Unbilled { .. }
        | State::CreatingCustomer { .. }
        | State::AwaitingCheckout { .. }
        | State::Subscribed { .. }
        | State::PastDue { .. }
        | State::Lapsed { .. }
        | State::Unsubscribed { .. } => placed(known, at),
    }
}

/// A grace period that is over stays so, until the plan is paid.
fn aged(known: Known, at: Timestamp) -> Known {
    match known.grace {
        Grace::Until(until) if until <= at => Known { grace: Grace::Over(until), ..known },
        Grace::NotNeeded | Grace::Until(_) | Grace::Over(_) => known,
    }
}

/// The state that follows from what is known.
pub(super) fn placed(known: Known, at: Timestamp) -> State {
    let known = aged(known, at);
    match known.status() {
        Some(SubscriptionStatus::Active) => State::Subscribed { known },
        Some(SubscriptionStatus::PastDue) if matches!(known.grace, Grace::Until(_)) => {
            State::PastDue { known }
        }
        Some(SubscriptionStatus::PastDue) => State::Lapsed { known },
        Some(SubscriptionStatus::Incomplete | SubscriptionStatus::Ended) | None => {
            match known.checkout {
                Some(_) => State::AwaitingCheckout { known },
                None => State::Unsubscribed { known },
            }
        }
    }
}

/// To a state, with its timer and its row.
pub(super) fn step(next: State, link: PlanLinkChange, at: Timestamp) -> Step<State> {
    let row = row_of(&next, link, at);
    let wake_at = timer_of(&next, at);
    let step = Step { wake_at, ..Step::to(next) };
    match row {
        Some(row) => written(step, row),
        None => step,
    }
}

pub(super) fn written(step: Step<State>, row: PlanSubscriptionUpdate) -> Step<State> {
    step.record(Record::PlanSubscription(Box::new(row)))
}

/// And closes a page, if there is one.
pub(super) fn close(step: Step<State>, checkout: Option<OpenCheckout>) -> Step<State> {
    match checkout {
        Some(OpenCheckout { session, .. }) => step.effect(Effect::ExpirePlanSession { session }),
        None => step,
    }
}

fn known_in(state: &State) -> Option<&Known> {
    match state {
        State::CreatingLink { known }
        | State::AwaitingCheckout { known }
        | State::Subscribed { known }
        | State::PastDue { known }
        | State::Lapsed { known }
        | State::Unsubscribed { known } => Some(known),
        State::Unbilled { .. } | State::CreatingCustomer { .. } => None,
    }
}

/// A deadline, or the next look, whichever is sooner. While Stripe is being read, the answer sets the timer;
/// should none come in a day, the timer gives the reading up.
fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    let known = known_in(state)?;
    let soon = at.plus(next_look(known.looks));
    let look = match (known.reading, known.status()) {
        (Reading::UnderWay(since) | Reading::OnceMore(since), _) => Some(given_up(since)),
        (Reading::Idle, _) if known.missing_since.is_some() => Some(soon),
        (Reading::Idle, Some(SubscriptionStatus::Active)) => Some(at.plus(Timestamp::DAY)),
        (Reading::Idle, Some(SubscriptionStatus::PastDue | SubscriptionStatus::Incomplete)) => {
            Some(soon)
        }
        (Reading::Idle, Some(SubscriptionStatus::Ended) | None) => known.open_until.map(|_| soon),
    };
    let grace = match known.grace {
        Grace::Until(until) => Some(until),
        Grace::NotNeeded | Grace::Over(_) => None,
    };
    let closes = known.open_until.filter(|until| at < *until);
    let believed = known.missing_since.map(missing_until).filter(|until| at < *until);
    [look, grace, closes, believed].into_iter().flatten().min()
}

/// When a reading that nobody answers is given up.
pub(super) fn given_up(since: Timestamp) -> Timestamp {
    since.plus(Timestamp::DAY)
}

pub(super) fn without_customer(
    handle: HandleId,
    manual: Option<&Manual>,
    link: PlanLinkChange,
) -> PlanSubscriptionUpdate {
    let (plan, source) = in_force(None, manual);
    PlanSubscriptionUpdate {
        handle,
        plan,
        source,
        status: PlanStatus::None,
        reason: manual.map(|manual| manual.reason.clone()),
        customer: None,
        subscription: None,
        grace_until: None,
        link,
    }
}

fn row_of(state: &State, link: PlanLinkChange, at: Timestamp) -> Option<PlanSubscriptionUpdate> {
    let known = known_in(state)?;
    let status = match placed(known.clone(), at) {
        State::AwaitingCheckout { .. } => PlanStatus::Pending,
        State::Subscribed { .. } => PlanStatus::Active,
        State::PastDue { .. } => PlanStatus::PastDue,
        State::Lapsed { .. } => PlanStatus::Lapsed,
        State::Unbilled { .. }
        | State::CreatingCustomer { .. }
        | State::CreatingLink { .. }
        | State::Unsubscribed { .. } => PlanStatus::None,
    };
    let paid = matches!(status, PlanStatus::Active | PlanStatus::PastDue);
    let subscribed = known.subscription.as_ref().filter(|_| paid).and_then(|paid| paid.plan);
    let (plan, source) = in_force(subscribed, known.manual.as_ref());
    Some(PlanSubscriptionUpdate {
        handle: known.handle,
        plan,
        source,
        status,
        reason: known.manual.as_ref().map(|manual| manual.reason.clone()),
        customer: Some(known.customer.clone()),
        subscription: known.subscription.clone(),
        grace_until: match known.grace {
            Grace::NotNeeded => None,
            Grace::Until(until) | Grace::Over(until) => Some(until),
        },
        link,
    })
}

/// What was set by hand wins over what is paid for, and that over nothing.
fn in_force(subscribed: Option<Plan>, manual: Option<&Manual>) -> (Plan, PlanSource) {
    match (manual, subscribed) {
        (Some(manual), _) => (manual.plan, PlanSource::Manual),
        (None, Some(plan)) => (plan, PlanSource::Stripe),
        (None, None) => (Plan::Free, PlanSource::Default),
    }
}
