//! What can happen to the plan of a handle, step by step and with the time it takes.

use workflows::{
    Timestamp,
    effect::Effect,
    plan::Plan,
    plan_subscription::{Event, GRACE, PlanSubscription, State},
    record::{PlanLinkChange, PlanSource, PlanStatus, PlanSubscriptionUpdate, Record},
    stripe::{Billing, Subscription, SubscriptionStatus},
    workflow::{Step, Workflow},
};

use crate::examples::{
    CLOSES, START, billing, billing_retrieved, billing_unreadable, checkout_created, invoice,
    portal_created, set_manually, subscribe, subscription,
};

mod links;
mod missing;

/// A run, and the last row that it wrote.
struct Run {
    state: State,
    readings: u32,
    step: Step<State>,
}

impl Run {
    fn begin(event: &Event) -> Self {
        let step = PlanSubscription::start(event, START).unwrap();
        Self { state: step.state.clone(), readings: 0, step }
    }

    fn hears(&mut self, event: &Event, at: Timestamp) -> &Step<State> {
        self.step = PlanSubscription::step(&self.state, event, at).unwrap();
        self.state = self.step.state.clone();
        for effect in &self.step.effects {
            if let Effect::RetrieveBilling { reading, .. } = effect {
                self.readings = *reading;
            }
        }
        &self.step
    }

    /// A handle that has the page to subscribe on.
    fn awaiting() -> Self {
        let mut run = Self::begin(&subscribe());
        run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
        run.hears(&checkout_created("cs_1", CLOSES), START);
        run
    }

    /// A handle that has subscribed and paid.
    fn subscribed() -> Self {
        let mut run = Self::awaiting();
        run.reads(billing(SubscriptionStatus::Active), START);
        run
    }

    #[track_caller]
    fn refuses(&self, event: &Event, at: Timestamp) -> String {
        PlanSubscription::step(&self.state, event, at).expect_err("refused").reason
    }

    /// A webhook comes, and this is what is read then.
    fn reads(&mut self, billing: Billing, at: Timestamp) -> &Step<State> {
        self.hears(&Event::Changed, at);
        let event = billing_retrieved(self.readings, billing);
        self.hears(&event, at)
    }

    #[track_caller]
    fn row(&self) -> &PlanSubscriptionUpdate {
        let mut rows = self.step.records.iter().filter_map(|record| match record {
            Record::PlanSubscription(row) => Some(row.as_ref()),
            _ => None,
        });
        rows.next_back().expect("a row")
    }

    #[track_caller]
    fn stands(&self, plan: Plan, source: PlanSource, status: PlanStatus) {
        let row = self.row();
        assert_eq!((row.plan, row.source, row.status), (plan, source, status));
    }

    /// The kinds and keys of the cases that were opened.
    fn cases(&self) -> Vec<(&'static str, &str)> {
        let cases = self.step.records.iter().filter_map(|record| match record {
            Record::OperatorCase(case) => Some((case.kind.into(), case.key.as_str())),
            _ => None,
        });
        cases.collect()
    }

    fn posted(&self) -> Vec<&str> {
        let postings = self.step.records.iter().filter_map(|record| match record {
            Record::Ledger(posting) => Some(posting.key.as_str()),
            _ => None,
        });
        postings.collect()
    }
}

#[test]
fn a_creator_subscribes() {
    let mut run = Run::begin(&subscribe());
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::None);
    let step = run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
    assert!(matches!(step.effects[..], [Effect::CreatePlanSession(_)]));
    assert!(step.records.contains(&Record::StripeObject("cus_1".to_owned())));
    run.hears(&checkout_created("cs_1", CLOSES), START);
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::Pending);
    assert!(matches!(run.row().link, PlanLinkChange::Set(_)));
    run.reads(billing(SubscriptionStatus::Active), START);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    assert_eq!(run.posted(), ["plan_invoice:in_1"]);
    assert_eq!(run.row().link, PlanLinkChange::Drop, "the page is used up");
}

/// No event says anything: the timer finds out by itself.
#[test]
fn a_lost_webhook_costs_only_time() {
    let mut run = Run::begin(&subscribe());
    run.hears(&Event::CustomerCreated { customer: "cus_1".to_owned() }, START);
    let step = run.hears(&checkout_created("cs_1", CLOSES), START);
    let looks_at = step.wake_at.expect("a timer");
    assert_eq!(looks_at, START.plus(5 * Timestamp::MINUTE));
    run.hears(&Event::TimerFired, looks_at);
    run.hears(&billing_retrieved(1, billing(SubscriptionStatus::Active)), looks_at);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
}

#[test]
fn an_invoice_is_posted_once() {
    let mut run = Run::subscribed();
    run.reads(billing(SubscriptionStatus::Active), START);
    assert_eq!(run.posted(), [""; 0]);
    let paid = vec![invoice("in_2"), invoice("in_1")];
    let renewed = Billing { paid, ..billing(SubscriptionStatus::Active) };
    run.reads(renewed, START.plus(30 * Timestamp::DAY));
    assert_eq!(run.posted(), ["plan_invoice:in_2"]);
}

#[test]
fn a_failed_payment_costs_the_plan_when_the_grace_period_is_over() {
    let mut run = Run::subscribed();
    let failed = START.plus(30 * Timestamp::DAY);
    run.reads(billing(SubscriptionStatus::PastDue), failed);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::PastDue);
    let over = failed.plus(GRACE);
    assert_eq!(run.row().grace_until, Some(over));
    // Another failure does not move the deadline.
    run.reads(billing(SubscriptionStatus::PastDue), failed.plus(3 * Timestamp::DAY));
    assert_eq!(run.row().grace_until, Some(over));
    run.hears(&Event::TimerFired, over);
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::Lapsed);
    assert!(matches!(run.state, State::Lapsed { .. }));
    // Paid after all.
    let event = billing_retrieved(run.readings, billing(SubscriptionStatus::Active));
    run.hears(&event, over.plus(Timestamp::DAY));
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    assert_eq!(run.row().grace_until, None);
}

/// The look comes no later than the deadline, however far apart looks have become.
#[test]
fn the_grace_period_ends_on_time() {
    let mut run = Run::subscribed();
    let mut at = START.plus(Timestamp::DAY);
    run.reads(billing(SubscriptionStatus::PastDue), at);
    let over = at.plus(GRACE);
    while at < over {
        at = run.step.wake_at.expect("a timer");
        assert!(at <= over);
        run.hears(&Event::TimerFired, at);
        let event = billing_retrieved(run.readings, billing(SubscriptionStatus::PastDue));
        run.hears(&event, at);
    }
    assert_eq!(at, over);
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::Lapsed);
}

#[test]
fn cancelled_it_counts_until_the_period_ends() {
    let mut run = Run::subscribed();
    let mut cancelled = subscription(SubscriptionStatus::Active);
    cancelled.cancel_at = Some(cancelled.period_end);
    let cancelled =
        Billing { subscription: Some(cancelled), ..billing(SubscriptionStatus::Active) };
    run.reads(cancelled, START.plus(Timestamp::DAY));
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    let over = Billing { subscription: None, ..billing(SubscriptionStatus::Ended) };
    let step = run.reads(over, START.plus(30 * Timestamp::DAY));
    assert_eq!(step.wake_at, None, "nothing is left to look at");
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::None);
}

#[test]
fn what_is_set_by_hand_wins_until_it_is_cleared() {
    let mut run = Run::subscribed();
    run.hears(&set_manually(Some(Plan::Business)), START);
    run.stands(Plan::Business, PlanSource::Manual, PlanStatus::Active);
    run.reads(billing(SubscriptionStatus::PastDue), START);
    run.stands(Plan::Business, PlanSource::Manual, PlanStatus::PastDue);
    run.reads(billing(SubscriptionStatus::Active), START);
    run.hears(&set_manually(None), START);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    // Also downwards, and without anything at Stripe.
    run.hears(&set_manually(Some(Plan::Free)), START);
    run.stands(Plan::Free, PlanSource::Manual, PlanStatus::Active);
    let gift = Run::begin(&set_manually(Some(Plan::Pro)));
    gift.stands(Plan::Pro, PlanSource::Manual, PlanStatus::None);
}

#[test]
fn a_newer_page_takes_the_place_of_an_older() {
    let mut run = Run::awaiting();
    run.hears(&subscribe(), START);
    let step = run.hears(&checkout_created("cs_2", CLOSES), START);
    let close = Effect::ExpirePlanSession { session: "cs_1".to_owned() };
    assert_eq!(step.effects, [close]);
}

#[test]
fn whoever_is_subscribed_is_not_subscribed_again() {
    let run = Run::subscribed();
    let refused = PlanSubscription::step(&run.state, &subscribe(), START).unwrap_err();
    assert!(refused.reason.contains("portal"), "{refused}");
}

#[test]
fn what_a_person_must_look_at_becomes_a_case() {
    let mut run = Run::subscribed();
    let mut unknown = subscription(SubscriptionStatus::Active);
    (unknown.plan, unknown.price) = (None, "price_old".to_owned());
    let odd = Billing {
        subscription: Some(unknown),
        others: vec!["sub_2".to_owned()],
        ..billing(SubscriptionStatus::Active)
    };
    run.reads(odd, START);
    assert_eq!(run.cases(), [("several_subscriptions", "sub_2"), ("unknown_price", "sub_1")]);
    run.stands(Plan::Free, PlanSource::Default, PlanStatus::Active);
}

/// What is read of a subscription to a price that configuration does not know.
fn unknown_price(id: &str, price: &str) -> Billing {
    let subscription = Subscription {
        id: id.to_owned(),
        price: price.to_owned(),
        plan: None,
        ..subscription(SubscriptionStatus::Active)
    };
    Billing { subscription: Some(subscription), ..billing(SubscriptionStatus::Active) }
}

/// A new price takes the place of the old in the configuration: whoever pays the old one has what they pay for,
/// and a person is told to name it.
#[test]
fn a_price_that_is_forgotten_costs_nobody_the_plan() {
    let mut run = Run::subscribed();
    for day in 1..3 {
        run.reads(unknown_price("sub_1", "price_pro"), START.plus(day * Timestamp::DAY));
        run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
        assert_eq!(run.cases(), [("unknown_price", "sub_1")]);
    }
    let mut late = unknown_price("sub_1", "price_pro");
    late.subscription.as_mut().unwrap().status = SubscriptionStatus::PastDue;
    run.reads(late, START.plus(3 * Timestamp::DAY));
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::PastDue);
}

/// What is paid now is not what the plan was had by.
#[test]
fn another_price_is_no_plan_by_what_was_paid_before() {
    for odd in [unknown_price("sub_1", "price_other"), unknown_price("sub_2", "price_pro")] {
        let mut run = Run::subscribed();
        run.reads(odd, START);
        run.stands(Plan::Free, PlanSource::Default, PlanStatus::Active);
        // Nor does it come back by the old price, which nobody knows any more.
        run.reads(unknown_price("sub_1", "price_pro"), START);
        run.stands(Plan::Free, PlanSource::Default, PlanStatus::Active);
    }
}

/// A reading that nobody answers (a dead effect) does not keep the plan from ever being looked at again; and
/// should it be answered after all, the newer one counts.
#[test]
fn a_reading_without_an_answer_is_given_up_after_a_day() {
    let mut run = Run::subscribed();
    let begun = CLOSES.plus(Timestamp::DAY);
    let step = run.hears(&Event::Changed, begun);
    let given_up = step.wake_at.expect("a timer");
    assert_eq!(given_up, begun.plus(Timestamp::DAY));
    let old = run.readings;
    run.hears(&Event::TimerFired, given_up);
    assert_ne!(run.readings, old);
    let late = billing_retrieved(old, Billing::default());
    assert!(PlanSubscription::step(&run.state, &late, given_up).is_err());
}

/// Stripe was away for so long that a reading went dead: what happens afterwards does not wait for it.
#[test]
fn whatever_happens_does_not_wait_for_a_reading_that_is_in_trouble() {
    let mut run = Run::awaiting();
    run.hears(&Event::Changed, START);
    let old = run.readings;
    let step = run.hears(&Event::Changed, START.plus(Timestamp::MINUTE));
    assert_eq!(step.effects, [], "the one under way is as good as over");
    let later = START.plus(8 * Timestamp::HOUR);
    let step = run.hears(&Event::Changed, later);
    assert!(matches!(step.effects[..], [Effect::RetrieveBilling { .. }]));
    assert_ne!(run.readings, old);
    run.hears(&billing_retrieved(run.readings, billing(SubscriptionStatus::Active)), later);
    run.stands(Plan::Pro, PlanSource::Stripe, PlanStatus::Active);
    let late = billing_retrieved(old, Billing::default());
    assert!(run.refuses(&late, later).contains("earlier reading"));
}

#[test]
fn links_are_masked_in_history() {
    for event in [checkout_created("cs_1", CLOSES), portal_created(1)] {
        let masked = PlanSubscription::masked(&event).expect("masked");
        let text = serde_json::to_string(&masked).unwrap();
        assert!(!text.contains("https://"), "{text}");
    }
}
