//! Customers that Stripe does not know: gone, or asked for with a wrong key.

use workflows::record::{PlanLinkFailure, PlanLinkPurpose};

use super::*;
use crate::examples::{link_failed, open_portal, plan_link, subscribe_as};

const MISSING: &str = "resource_missing";

/// Stripe says that there is no such customer.
fn misses(run: &mut Run, at: Timestamp) {
    let event = billing_unreadable(run.readings, MISSING);
    run.hears(&event, at);
}

/// A wrong key for an hour: nobody loses what they pay for, and a person is told.
#[test]
fn a_customer_that_is_missing_for_a_moment_keeps_the_plan() {
    let mut run = Run::subscribed();
    let mut at = START.plus(30 * Timestamp::DAY);
    run.hears(&Event::Changed, at);
    misses(&mut run, at);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    assert_eq!(run.cases(), [("customer_missing", "cus_1")]);
    for minutes in [5, 10, 20] {
        let looks_at = run.step.wake_at.expect("a timer");
        assert_eq!(looks_at, at.plus(minutes * Timestamp::MINUTE));
        at = looks_at;
        run.hears(&Event::TimerFired, at);
        misses(&mut run, at);
        run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    }
    at = run.step.wake_at.expect("a timer");
    run.hears(&Event::TimerFired, at);
    let event = billing_retrieved(run.readings, billing(SubscriptionStatus::Active));
    let step = run.hears(&event, at);
    assert_eq!(step.wake_at, Some(at.plus(Timestamp::DAY)), "as ever");
    // Another moment, weeks later, has nothing to do with the first.
    at = at.plus(20 * Timestamp::DAY);
    run.hears(&Event::Changed, at);
    misses(&mut run, at);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
}

#[test]
fn a_customer_that_is_missing_for_a_week_is_gone() {
    let mut run = Run::subscribed();
    let first = START.plus(30 * Timestamp::DAY);
    let mut at = first;
    run.hears(&Event::Changed, at);
    misses(&mut run, at);
    while !matches!(run.state, State::Unbilled { .. }) {
        run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
        at = run.step.wake_at.expect("a timer");
        assert!(at <= first.plus(GRACE), "looked at too late");
        run.hears(&Event::TimerFired, at);
        misses(&mut run, at);
    }
    assert_eq!(at, first.plus(GRACE));
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::None);
    assert_eq!(run.row().customer, None);
    let step = run.hears(&subscribe(), at);
    assert!(matches!(step.effects[..], [Effect::CreateCustomer { .. }]));
}

/// The week is over, and Stripe cannot be read for another reason: that proves nothing, and is no reason to ask
/// without a pause.
#[test]
fn only_an_answer_proves_that_a_customer_is_gone() {
    let mut run = Run::subscribed();
    run.hears(&Event::Changed, START);
    misses(&mut run, START);
    let over = START.plus(GRACE);
    run.hears(&Event::TimerFired, over);
    let event = billing_unreadable(run.readings, "discarded");
    let step = run.hears(&event, over);
    assert!(step.wake_at.is_some_and(|wake_at| wake_at > over), "{:?}", step.wake_at);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
}

/// A request that was waiting when the customer is believed to be gone is told so.
#[test]
fn whoever_waits_for_a_link_of_a_customer_that_is_gone_is_told() {
    let mut run = Run::subscribed();
    run.hears(&Event::Changed, START);
    misses(&mut run, START);
    run.hears(&open_portal(2), START);
    run.hears(&Event::Changed, START.plus(GRACE));
    misses(&mut run, START.plus(GRACE));
    let message = "it failed: resource_missing".to_owned();
    let failed = PlanLinkFailure { request: Some(plan_link(2)), message };
    assert_eq!(run.row().link, PlanLinkChange::Failed(failed));
}

/// Nothing is lost by making the customer anew, and the creator need not wait for a week.
#[test]
fn a_page_that_finds_no_customer_has_it_made_anew() {
    let mut run = Run::begin(&subscribe());
    run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
    run.hears(&link_failed(1, PlanLinkPurpose::Checkout, MISSING), START);
    assert!(matches!(run.state, State::Unbilled { .. }));
    let message = "it failed: resource_missing".to_owned();
    let failed = PlanLinkFailure { request: Some(plan_link(1)), message };
    assert_eq!(run.row().link, PlanLinkChange::Failed(failed));
    let step = run.hears(&subscribe_as(2), START);
    assert!(matches!(step.effects[..], [Effect::CreateCustomer { .. }]));
}

/// Somebody may be subscribing on the page that is open, and somebody has subscribed: neither is forgotten.
#[test]
fn a_page_that_finds_no_customer_costs_nobody_the_plan() {
    let mut open = Run::awaiting();
    open.hears(&subscribe_as(2), START);
    open.hears(&link_failed(2, PlanLinkPurpose::Checkout, MISSING), START);
    assert!(matches!(open.state, State::AwaitingCheckout { .. }));
    assert_eq!(open.cases(), [("customer_missing", "cus_1")]);
    assert_eq!(open.step.wake_at, Some(START.plus(5 * Timestamp::MINUTE)));
    open.reads(billing(SubscriptionStatus::Active), START);
    open.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);

    let mut paid = Run::awaiting();
    paid.hears(&subscribe_as(2), START);
    paid.reads(billing(SubscriptionStatus::Active), START);
    paid.hears(&link_failed(2, PlanLinkPurpose::Checkout, MISSING), START);
    paid.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    assert_eq!(paid.cases(), [("customer_missing", "cus_1")]);
}

/// A reading of the customer that is gone says nothing of the one that took its place, whatever its number.
#[test]
fn what_is_read_of_another_customer_does_not_count() {
    let mut run = Run::begin(&subscribe());
    run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
    run.hears(&Event::Changed, START);
    let late = billing_retrieved(run.readings, billing(SubscriptionStatus::Active));
    run.hears(&link_failed(1, PlanLinkPurpose::Checkout, MISSING), START);
    run.hears(&subscribe_as(2), START);
    run.hears(&Event::CustomerCreated { customer: "cus_2".to_owned() }, START);
    run.hears(&Event::Changed, START);
    assert!(matches!(late, Event::BillingRetrieved { reading, .. } if reading == run.readings));
    assert!(run.refuses(&late, START).contains("earlier reading"));
}
