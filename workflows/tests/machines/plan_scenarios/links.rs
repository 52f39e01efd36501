//! Requests for links: who gets which, and which pages are closed.

use workflows::record::{PlanLink, PlanLinkFailure, PlanLinkPurpose};

use super::*;
use crate::examples::{checkout_created_for, link_failed, open_portal, plan_link, subscribe_as};

fn close(session: &str) -> Effect {
    Effect::ExpirePlanSession { session: session.to_owned() }
}

impl Run {
    /// The request whose link is handed out by the last step.
    #[track_caller]
    fn linked(&self) -> &PlanLink {
        match &self.row().link {
            PlanLinkChange::Set(link) => link,
            other => panic!("no link, but {other:?}"),
        }
    }

    /// Two requests at once, while there is a customer.
    fn asked_twice(first: &Event, second: &Event) -> Self {
        let mut run = Self::awaiting();
        run.hears(first, START);
        run.hears(second, START);
        assert_eq!(run.row().link, PlanLinkChange::Asked(Some(plan_link(3))));
        run
    }
}

/// The older page has been answered with nobody's link, and nobody can subscribe on it.
#[test]
fn of_two_requests_the_newest_gets_the_page() {
    let mut run = Run::asked_twice(&subscribe_as(2), &subscribe_as(3));
    let step = run.hears(&checkout_created_for(2, "cs_2", CLOSES), START);
    assert_eq!(step.effects, [close("cs_2")]);
    assert!(matches!(step.state, State::CreatingLink { .. }), "the newest is waited for");
    assert_eq!(run.row().link, PlanLinkChange::Keep);
    let step = run.hears(&checkout_created_for(3, "cs_3", CLOSES), START);
    assert_eq!(step.effects, [close("cs_1")], "the page of before");
    assert_eq!(run.linked().request, Some(plan_link(3)));
    assert_eq!(run.linked().url, "https://checkout.example.com/cs_3");
}

#[test]
fn an_older_request_that_is_answered_late_gets_nothing() {
    let mut run = Run::asked_twice(&subscribe_as(2), &subscribe_as(3));
    run.hears(&checkout_created_for(3, "cs_3", CLOSES), START);
    assert_eq!(run.linked().request, Some(plan_link(3)));
    // It stays open for longer than the newest: reading looks for what may come of it until then.
    let later = CLOSES.plus(Timestamp::HOUR);
    let step = run.hears(&checkout_created_for(2, "cs_2", later), START);
    assert_eq!(step.effects, [close("cs_2")]);
    assert!(matches!(step.state, State::AwaitingCheckout { .. }));
    assert_eq!(run.row().link, PlanLinkChange::Keep, "the newest keeps its link");
    let State::AwaitingCheckout { known } = &run.state else { panic!() };
    assert_eq!((known.open_until, known.checkout.as_ref().unwrap().until), (Some(later), CLOSES));
}

#[test]
fn a_failure_goes_to_the_request_that_failed() {
    let checkout = PlanLinkPurpose::Checkout;
    // The older one fails: the newest knows nothing of it.
    let mut run = Run::asked_twice(&subscribe_as(2), &subscribe_as(3));
    let reason = run.refuses(&link_failed(2, checkout, "api_error"), START);
    assert!(reason.contains("newer request"), "{reason}");
    run.hears(&checkout_created_for(3, "cs_3", CLOSES), START);
    assert_eq!(run.linked().request, Some(plan_link(3)));

    // The newest fails: the older one's page is no consolation.
    let mut run = Run::asked_twice(&subscribe_as(2), &subscribe_as(3));
    run.hears(&checkout_created_for(2, "cs_2", CLOSES), START);
    run.hears(&link_failed(3, checkout, "api_error"), START);
    let message = "it failed: api_error".to_owned();
    let failed = PlanLinkFailure { request: Some(plan_link(3)), message };
    assert_eq!(run.row().link, PlanLinkChange::Failed(failed));
    // It stands there until somebody asks again, whatever happens meanwhile.
    for event in [Event::Changed, set_manually(Some(Plan::Pro)), set_manually(None)] {
        run.hears(&event, START);
        assert_eq!(run.row().link, PlanLinkChange::Keep, "{event:?}");
    }
    run.hears(&subscribe_as(4), START);
    assert_eq!(run.row().link, PlanLinkChange::Asked(Some(plan_link(4))));
}

#[test]
fn a_page_and_the_portal_are_not_mixed_up() {
    let mut run = Run::asked_twice(&subscribe_as(2), &open_portal(3));
    run.hears(&portal_created(3), START);
    let link = run.linked();
    assert_eq!((link.request, link.purpose), (Some(plan_link(3)), PlanLinkPurpose::Portal));
    let step = run.hears(&checkout_created_for(2, "cs_2", CLOSES), START);
    assert_eq!(step.effects, [close("cs_2")]);

    let mut run = Run::asked_twice(&open_portal(2), &subscribe_as(3));
    let reason = run.refuses(&portal_created(2), START);
    assert!(reason.contains("newer request"), "{reason}");
    run.hears(&checkout_created_for(3, "cs_3", CLOSES), START);
    assert_eq!(run.linked().purpose, PlanLinkPurpose::Checkout);
}

/// While the customer is made the newest wish wins, and the row says so.
#[test]
fn of_two_first_wishes_the_newest_is_asked_for() {
    let mut run = Run::begin(&subscribe_as(1));
    assert_eq!(run.row().link, PlanLinkChange::Asked(Some(plan_link(1))));
    run.hears(&subscribe_as(2), START);
    assert_eq!(run.row().link, PlanLinkChange::Asked(Some(plan_link(2))));
    let step = run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
    let [Effect::CreatePlanSession(request)] = &step.effects[..] else { panic!("{step:?}") };
    assert_eq!(request.request, Some(plan_link(2)));

    let mut run = Run::begin(&subscribe_as(1));
    run.hears(&subscribe_as(2), START);
    run.hears(&Event::CustomerFailed(crate::examples::failure("api_error")), START);
    let PlanLinkChange::Failed(failed) = &run.row().link else { panic!("{:?}", run.row()) };
    assert_eq!(failed.request, Some(plan_link(2)));
}

/// A second page is asked for, the first is paid, and only then the second is there: it must not be paid, too.
#[test]
fn whoever_subscribed_meanwhile_is_handed_no_page() {
    for status in [SubscriptionStatus::Active, SubscriptionStatus::PastDue] {
        let mut run = Run::awaiting();
        run.hears(&subscribe_as(2), START);
        run.reads(billing(status), START);
        assert!(matches!(run.state, State::CreatingLink { .. }));
        let step = run.hears(&checkout_created_for(2, "cs_2", CLOSES), START);
        assert_eq!(step.effects, [close("cs_2")]);
        assert!(matches!(step.state, State::Subscribed { .. } | State::PastDue { .. }));
        assert_eq!(run.row().link, PlanLinkChange::Drop, "nothing for those who would look there");
        assert!(matches!(run.row().status, PlanStatus::Active | PlanStatus::PastDue));
        // Should it have been paid before it was closed, reading finds out.
        let (State::Subscribed { known } | State::PastDue { known }) = &run.state else { panic!() };
        assert_eq!(known.open_until, Some(CLOSES));
        assert!(run.step.wake_at.is_some_and(|wake_at| wake_at <= CLOSES));
    }
}

/// A link to the portal stays good when the subscription begins meanwhile.
#[test]
fn a_link_to_the_portal_outlives_the_beginning() {
    let mut run = Run::awaiting();
    run.hears(&open_portal(2), START);
    run.hears(&portal_created(2), START);
    run.reads(billing(SubscriptionStatus::Active), START);
    assert_eq!(run.row().link, PlanLinkChange::Keep);
}
