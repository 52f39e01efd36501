//! Where the plan of a handle goes and what it asks for on the way: each state with its effects and records.

use super::{GRACE, Grace, Known, Manual, OpenCheckout, Reading, State, Subscribe};
use crate::{
    effect::{Effect, Failure, PlanSessionRequest},
    id::HandleId,
    ledger,
    plan::Plan,
    record::{
        CaseKind, OperatorCase, PlanLink, PlanLinkChange, PlanLinkPurpose, PlanSource, PlanStatus,
        PlanSubscriptionUpdate, Record,
    },
    stripe::{Billing, Subscription, SubscriptionStatus},
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// Stripe no longer knows the customer. <https://docs.stripe.com/error-codes#resource-missing>
const GONE: &str = "resource_missing";

/// The first look is after five minutes, each later one twice as long after, a day at most.
fn next_look(looks: u8) -> i64 {
    ((5 * Timestamp::MINUTE) << looks.min(9)).min(Timestamp::DAY)
}

pub(super) fn unbilled(
    handle: HandleId,
    manual: Option<Manual>,
    failure: Option<&Failure>,
) -> Step<State> {
    let row = PlanSubscriptionUpdate {
        failure: failure.map(|failure| failure.message.clone()),
        ..without_customer(handle, manual.as_ref())
    };
    let reason = failure.map(|failure| failure.code.clone());
    written(Step::to(State::Unbilled { handle, manual, reason }), row)
}

/// Stripe is asked for one customer only: the wish waits for it.
pub(super) fn create_customer(wish: &Subscribe, manual: Option<Manual>) -> Step<State> {
    let effect = Effect::CreateCustomer { handle: wish.handle, name: wish.name.clone() };
    creating_customer(wish.handle, manual, Box::new(wish.clone())).effect(effect)
}

pub(super) fn creating_customer(
    handle: HandleId,
    manual: Option<Manual>,
    wish: Box<Subscribe>,
) -> Step<State> {
    let row = without_customer(handle, manual.as_ref());
    written(Step::to(State::CreatingCustomer { handle, manual, wish }), row)
}

pub(super) fn customer_created(
    handle: HandleId,
    customer: &str,
    manual: Option<Manual>,
    wish: &Subscribe,
    at: Timestamp,
) -> Step<State> {
    let known = Known {
        handle,
        customer: customer.to_owned(),
        subscription: None,
        checkout: None,
        open_until: None,
        grace: Grace::NotNeeded,
        manual,
        reading: Reading::Idle,
        readings: 0,
        looks: 0,
        posted: Vec::new(),
    };
    create_checkout(known, wish, at).record(Record::StripeObject(customer.to_owned()))
}

pub(super) fn create_checkout(known: Known, wish: &Subscribe, at: Timestamp) -> Step<State> {
    let effect = Effect::CreatePlanSession(Box::new(PlanSessionRequest {
        handle: known.handle,
        customer: known.customer.clone(),
        price: wish.price.clone(),
        success_url: wish.success_url.clone(),
        cancel_url: wish.cancel_url.clone(),
        expires_at: wish.expires_at,
    }));
    creating_link(known, at).effect(effect)
}

pub(super) fn create_portal_link(known: Known, return_url: &str, at: Timestamp) -> Step<State> {
    let (customer, return_url) = (known.customer.clone(), return_url.to_owned());
    creating_link(known, at).effect(Effect::CreatePortalSession { customer, return_url })
}

/// The plan stays what it is while a link is made.
fn creating_link(known: Known, at: Timestamp) -> Step<State> {
    step(State::CreatingLink { known }, PlanLinkChange::Drop, at)
}

/// A newer page takes the place of an older one, which is closed: whoever subscribes on both pays twice.
pub(super) fn checkout_created(
    known: Known,
    session: &str,
    url: &str,
    until: Timestamp,
    at: Timestamp,
) -> Step<State> {
    let link =
        PlanLink { purpose: PlanLinkPurpose::Checkout, url: url.to_owned(), expires_at: until };
    let replaced = known.checkout.clone();
    let checkout = Some(OpenCheckout { session: session.to_owned(), until });
    let open_until = known.open_until.max(Some(until));
    let next = placed(Known { checkout, open_until, looks: 0, ..known }, at);
    let next =
        step(next, PlanLinkChange::Set(link), at).record(Record::StripeObject(session.to_owned()));
    close(next, replaced)
}

fn close(step: Step<State>, checkout: Option<OpenCheckout>) -> Step<State> {
    match checkout {
        Some(OpenCheckout { session, .. }) => step.effect(Effect::ExpirePlanSession { session }),
        None => step,
    }
}

/// Whatever is done in the portal is looked for by the timer, too, should every webhook be lost.
pub(super) fn portal_created(
    known: Known,
    url: &str,
    expires_at: Timestamp,
    at: Timestamp,
) -> Step<State> {
    let link = PlanLink { purpose: PlanLinkPurpose::Portal, url: url.to_owned(), expires_at };
    step(placed(Known { looks: 0, ..known }, at), PlanLinkChange::Set(link), at)
}

pub(super) fn link_failed(known: Known, failure: &Failure, at: Timestamp) -> Step<State> {
    let mut next = step(placed(known, at), PlanLinkChange::Keep, at);
    for record in &mut next.records {
        if let Record::PlanSubscription(row) = record {
            row.failure = Some(failure.message.clone());
        }
    }
    next
}

/// Reads Stripe, unless it is being read: then once more afterwards.
pub(super) fn look(state: &State, known: Known, at: Timestamp) -> Result<Step<State>, Refused> {
    match known.reading {
        Reading::Idle => Ok(read(state, known, at)),
        Reading::UnderWay(since) => {
            let known = Known { reading: Reading::OnceMore(since), ..known };
            Ok(step(resumed(state, known, at), PlanLinkChange::Keep, at))
        }
        Reading::OnceMore(_) => Err(Refused::because("Stripe is read once more already")),
    }
}

fn read(state: &State, known: Known, at: Timestamp) -> Step<State> {
    let number = known.readings.saturating_add(1);
    let effect = Effect::RetrieveBilling { customer: known.customer.clone(), reading: number };
    let known = Known { reading: Reading::UnderWay(at), readings: number, ..known };
    step(resumed(state, known, at), PlanLinkChange::Keep, at).effect(effect)
}

/// Time to look, or a deadline. A reading without an answer for a day is given up: an operator's matter, but
/// no reason not to look again.
pub(super) fn timer_fired(state: &State, known: Known, at: Timestamp) -> Step<State> {
    match known.reading {
        Reading::UnderWay(since) | Reading::OnceMore(since) if at < given_up(since) => {
            step(resumed(state, known, at), PlanLinkChange::Keep, at)
        }
        Reading::Idle | Reading::UnderWay(_) | Reading::OnceMore(_) => {
            let looks = known.looks.saturating_add(1);
            read(state, Known { looks, ..known }, at)
        }
    }
}

fn given_up(since: Timestamp) -> Timestamp {
    since.plus(Timestamp::DAY)
}

pub(super) fn retrieved(
    state: &State,
    known: Known,
    billing: &Billing,
    at: Timestamp,
) -> Step<State> {
    let was_live = known.subscription.as_ref().is_some_and(is_live);
    let subscription = billing.subscription.clone();
    let live = subscription.as_ref().is_some_and(is_live);
    let status = subscription.as_ref().map(|subscription| subscription.status);
    let grace = match (status, known.grace) {
        (Some(SubscriptionStatus::PastDue), Grace::NotNeeded) => Grace::Until(at.plus(GRACE)),
        (Some(SubscriptionStatus::PastDue), begun) => begun,
        _ => Grace::NotNeeded,
    };
    // What was read after a page had closed by itself knows all that could come of it.
    let began = began(known.reading);
    let open_until = known.open_until.filter(|until| began.is_none_or(|since| since < *until));
    let (checkout, closing) = match known.checkout.clone() {
        // Subscribed: on this page, or on another while this one is open still.
        Some(checkout) if live => (None, Some(checkout)),
        checkout => (checkout.filter(|_| open_until.is_some()), None),
    };
    let postings: Vec<_> = billing
        .paid
        .iter()
        .filter(|invoice| !known.posted.contains(&invoice.id))
        .map(|invoice| Record::Ledger(ledger::plan_invoice(known.handle, invoice)))
        .collect();
    let posted = billing.paid.iter().map(|invoice| invoice.id.clone()).collect();
    let cases = cases(billing);
    let link = if live && !was_live { PlanLinkChange::Drop } else { PlanLinkChange::Keep };
    let known = Known { subscription, checkout, open_until, grace, posted, ..known };
    let mut next = close(reading_over(state, known, link, at), closing);
    next.records.extend(postings);
    next.records.extend(cases);
    next
}

fn began(reading: Reading) -> Option<Timestamp> {
    match reading {
        Reading::Idle => None,
        Reading::UnderWay(since) | Reading::OnceMore(since) => Some(since),
    }
}

pub(super) fn is_live(subscription: &Subscription) -> bool {
    matches!(subscription.status, SubscriptionStatus::Active | SubscriptionStatus::PastDue)
}

/// What a person must look at.
fn cases(billing: &Billing) -> Vec<Record> {
    let several = billing.others.iter().map(|other| OperatorCase {
        kind: CaseKind::SeveralSubscriptions,
        key: other.clone(),
        detail: format!(
            "the handle pays for {other} beside another subscription: cancel one of them"
        ),
    });
    let priceless = billing.subscription.iter().filter(|one| is_live(one) && one.plan.is_none());
    let priceless = priceless.map(|subscription| OperatorCase {
        kind: CaseKind::UnknownPrice,
        key: subscription.id.clone(),
        detail: format!(
            "{} is for {}, which is the price of no plan: configure the price, or cancel",
            subscription.id, subscription.price
        ),
    });
    several.chain(priceless).map(Record::OperatorCase).collect()
}

/// A customer that is gone is made anew when a plan is wished for again.
pub(super) fn unreadable(
    state: &State,
    known: Known,
    failure: &Failure,
    at: Timestamp,
) -> Step<State> {
    if failure.code == GONE {
        return unbilled(known.handle, known.manual, Some(failure));
    }
    reading_over(state, known, PlanLinkChange::Keep, at)
}

/// Stripe was read, or could not be: once more, if something happened meanwhile.
fn reading_over(state: &State, known: Known, link: PlanLinkChange, at: Timestamp) -> Step<State> {
    match known.reading {
        Reading::OnceMore(_) => {
            let number = known.readings.saturating_add(1);
            let customer = known.customer.clone();
            let effect = Effect::RetrieveBilling { customer, reading: number };
            let known = Known { reading: Reading::UnderWay(at), readings: number, ..known };
            step(resumed(state, known, at), link, at).effect(effect)
        }
        Reading::Idle | Reading::UnderWay(_) => {
            let known = Known { reading: Reading::Idle, ..known };
            step(resumed(state, known, at), link, at)
        }
    }
}

pub(super) fn set_manually(state: &State, known: Known, at: Timestamp) -> Step<State> {
    step(resumed(state, known, at), PlanLinkChange::Keep, at)
}

/// While a link is being made the state says so; else it follows from what is known.
fn resumed(state: &State, known: Known, at: Timestamp) -> State {
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
fn placed(known: Known, at: Timestamp) -> State {
    let known = aged(known, at);
    let status = known.subscription.as_ref().map(|subscription| subscription.status);
    match status {
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
fn step(next: State, link: PlanLinkChange, at: Timestamp) -> Step<State> {
    let row = row_of(&next, link, at);
    let wake_at = timer_of(&next, at);
    let step = Step { wake_at, ..Step::to(next) };
    match row {
        Some(row) => written(step, row),
        None => step,
    }
}

fn written(step: Step<State>, row: PlanSubscriptionUpdate) -> Step<State> {
    step.record(Record::PlanSubscription(Box::new(row)))
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
    let status = known.subscription.as_ref().map(|subscription| subscription.status);
    let look = match (known.reading, status) {
        (Reading::UnderWay(since) | Reading::OnceMore(since), _) => Some(given_up(since)),
        (Reading::Idle, Some(SubscriptionStatus::Active)) => Some(at.plus(Timestamp::DAY)),
        (Reading::Idle, Some(SubscriptionStatus::PastDue | SubscriptionStatus::Incomplete)) => {
            Some(at.plus(next_look(known.looks)))
        }
        (Reading::Idle, Some(SubscriptionStatus::Ended) | None) => {
            known.open_until.map(|_| at.plus(next_look(known.looks)))
        }
    };
    let grace = match known.grace {
        Grace::Until(until) => Some(until),
        Grace::NotNeeded | Grace::Over(_) => None,
    };
    let closes = known.open_until.filter(|until| at < *until);
    [look, grace, closes].into_iter().flatten().min()
}

fn without_customer(handle: HandleId, manual: Option<&Manual>) -> PlanSubscriptionUpdate {
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
        link: PlanLinkChange::Drop,
        failure: None,
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
        failure: None,
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
