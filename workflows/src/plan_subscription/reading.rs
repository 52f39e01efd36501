//! Reading Stripe: when it is done, and what follows from what was read.

use super::{
    GRACE, Grace, Known, Reading, State, is_live, missing_until, placement::*, steps::unbilled,
};
use crate::{
    effect::{Effect, Failure},
    ledger,
    record::{CaseKind, OperatorCase, PlanLinkChange, PlanLinkPurpose, Record},
    stripe::{Billing, Subscription, SubscriptionStatus},
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// Stripe does not know the object. <https://docs.stripe.com/error-codes#resource-missing>
pub(super) const GONE: &str = "resource_missing";

/// How long something that happens waits for a reading that is under way, in milliseconds. One that takes longer
/// is in trouble, and may never be answered.
const PATIENCE: i64 = Timestamp::HOUR;

/// Reads Stripe, unless it is being read: then once more afterwards.
pub(super) fn look(state: &State, known: Known, at: Timestamp) -> Result<Step<State>, Refused> {
    match known.reading {
        Reading::Idle => Ok(read(state, known, PlanLinkChange::Keep, at)),
        Reading::UnderWay(since) | Reading::OnceMore(since) if since.plus(PATIENCE) <= at => {
            Ok(read(state, known, PlanLinkChange::Keep, at))
        }
        Reading::UnderWay(since) => {
            let known = Known { reading: Reading::OnceMore(since), ..known };
            Ok(step(resumed(state, known, at), PlanLinkChange::Keep, at))
        }
        Reading::OnceMore(_) => Err(Refused::because("Stripe is read once more already")),
    }
}

fn read(state: &State, known: Known, link: PlanLinkChange, at: Timestamp) -> Step<State> {
    let number = known.readings.saturating_add(1);
    let effect = Effect::RetrieveBilling { customer: known.customer.clone(), reading: number };
    let known = Known { reading: Reading::UnderWay(at), readings: number, ..known };
    step(resumed(state, known, at), link, at).effect(effect)
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
            read(state, Known { looks, ..known }, PlanLinkChange::Keep, at)
        }
    }
}

pub(super) fn retrieved(
    state: &State,
    known: Known,
    billing: &Billing,
    at: Timestamp,
) -> Step<State> {
    let subscription = billing.subscription.clone().map(|read| remembered(read, &known));
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
    let cases = cases(billing, subscription.as_ref());
    // Whoever has just subscribed needs no page for it; a link to the portal is as good as before.
    let for_portal = known.wanted.is_some_and(|link| link.purpose == PlanLinkPurpose::Portal);
    let link = match live && !known.is_subscribed() && !for_portal {
        true => PlanLinkChange::Drop,
        false => PlanLinkChange::Keep,
    };
    let missing_since = None;
    let known = Known { missing_since, subscription, checkout, open_until, grace, posted, ..known };
    let mut next = close(reading_over(state, known, link, at), closing);
    next.records.extend(postings);
    next.records.extend(cases);
    next
}

/// A subscription that goes on as it was has the plan that it had, also when configuration has forgotten its
/// price meanwhile: nobody loses what they pay for by that.
fn remembered(read: Subscription, known: &Known) -> Subscription {
    let as_before = known
        .subscription
        .as_ref()
        .filter(|before| before.id == read.id && before.price == read.price);
    let plan = read.plan.or(as_before.and_then(|before| before.plan));
    Subscription { plan, ..read }
}

fn began(reading: Reading) -> Option<Timestamp> {
    match reading {
        Reading::Idle => None,
        Reading::UnderWay(since) | Reading::OnceMore(since) => Some(since),
    }
}

/// What a person must look at.
fn cases(billing: &Billing, counted: Option<&Subscription>) -> Vec<Record> {
    let several = billing.others.iter().map(|other| OperatorCase {
        kind: CaseKind::SeveralSubscriptions,
        key: other.clone(),
        detail: format!(
            "the handle pays for {other} beside another subscription: cancel one of them"
        ),
    });
    let priceless = billing.subscription.iter().filter(|one| is_live(one) && one.plan.is_none());
    let priceless = priceless.map(|subscription| {
        let meanwhile = match counted.and_then(|counted| counted.plan) {
            Some(plan) => format!("the handle keeps {plan}, which it had by it"),
            None => "the handle has no plan by it".to_owned(),
        };
        OperatorCase {
            kind: CaseKind::UnknownPrice,
            key: subscription.id.clone(),
            detail: format!(
                "{} is for {}, which is the price of no plan, and {meanwhile}: add the price to the \
                 formerStripePrices of its plan in SLUICE_PLANS, or cancel the subscription",
                subscription.id, subscription.price
            ),
        }
    });
    several.chain(priceless).map(Record::OperatorCase).collect()
}

/// A customer that Stripe does not know may be gone; or it was asked with the key of another account, or of
/// the other mode. Only who has been missing for long enough is believed to be gone, and made anew when a plan
/// is wished for again.
pub(super) fn unreadable(
    state: &State,
    known: Known,
    failure: &Failure,
    at: Timestamp,
) -> Step<State> {
    if failure.code != GONE {
        return reading_over(state, known, PlanLinkChange::Keep, at);
    }
    if known.missing_since.is_some_and(|since| missing_until(since) <= at) {
        let asked = match state {
            State::CreatingLink { .. } => known.wanted.and_then(|wanted| wanted.request),
            State::Unbilled { .. }
            | State::CreatingCustomer { .. }
            | State::AwaitingCheckout { .. }
            | State::Subscribed { .. }
            | State::PastDue { .. }
            | State::Lapsed { .. }
            | State::Unsubscribed { .. } => None,
        };
        return unbilled(known.handle, known.manual, failure, asked);
    }
    let (known, case) = missing(known, failure, at);
    reading_over(state, known, PlanLinkChange::Keep, at).record(case)
}

/// All that is known stays, a person is told, and the timer looks again soon.
pub(super) fn missing(known: Known, failure: &Failure, at: Timestamp) -> (Known, Record) {
    let known = match known.missing_since {
        Some(_) => known,
        None => Known { missing_since: Some(at), looks: 0, ..known },
    };
    let case = OperatorCase {
        kind: CaseKind::CustomerMissing,
        key: known.customer.clone(),
        detail: format!(
            "Stripe does not know {} ({}). The handle keeps its plan for {} days, and Stripe is asked again \
             until then: check that STRIPE_SECRET_KEY is the key of the account and mode that the customer was \
             made in, in every process. If the customer was deleted, the plan ends by itself",
            known.customer,
            failure.message,
            GRACE / Timestamp::DAY,
        ),
    };
    (known, Record::OperatorCase(case))
}

/// Stripe was read, or could not be: once more, if something happened meanwhile.
fn reading_over(state: &State, known: Known, link: PlanLinkChange, at: Timestamp) -> Step<State> {
    match known.reading {
        Reading::OnceMore(_) => read(state, known, link, at),
        Reading::Idle | Reading::UnderWay(_) => {
            let known = Known { reading: Reading::Idle, ..known };
            step(resumed(state, known, at), link, at)
        }
    }
}
