//! Plans of handles: the row that the API reads, and what is posted.

use engine::{Invariant, Letter};
use entities::{
    ledger, operator_case,
    plan_subscription::{self, PlanSubscription},
    rollup_queue,
};
use uuid::Uuid;
use workflows::{
    Timestamp,
    effect::Failure,
    id::PlanLinkId,
    message::Message,
    money::Currency,
    plan::Plan,
    plan_subscription::{Event, Manual, Subscribe},
    record::PlanLinkPurpose,
    stripe::{Billing, PaidInvoice, Subscription, SubscriptionStatus},
};

use crate::{on_both, world::World};

async fn hear(world: &World, events: Vec<Event>) {
    for event in events {
        let letter = Letter {
            source: "test",
            source_id: Uuid::now_v7().to_string(),
            message: Message::PlanSubscription(world.handle, event),
            handle: Some(world.handle),
        };
        let sent = world.engine.send(world.engine.database().write(), letter).await.unwrap();
        world.engine.wake(sent.wake_up);
        world.engine.drain().await.unwrap();
    }
}

fn subscribed(world: &World) -> Vec<Event> {
    let now = Timestamp::from_millis(world.engine.clock().local_millis());
    let until = now.plus(Timestamp::HOUR);
    let subscription = Subscription {
        id: "sub_1".to_owned(),
        status: SubscriptionStatus::Active,
        price: "price_1".to_owned(),
        plan: Some(Plan::Pro),
        period_start: now,
        period_end: now.plus(30 * Timestamp::DAY),
        cancel_at: None,
    };
    let invoice = PaidInvoice { id: "in_1".to_owned(), amount: 2_900, currency: Currency::USD };
    let billing =
        Billing { subscription: Some(subscription), others: Vec::new(), paid: vec![invoice] };
    vec![
        Event::Subscribe(Box::new(Subscribe {
            handle: world.handle,
            name: "Maria".to_owned(),
            price: "price_1".to_owned(),
            success_url: "https://sluice.test/".to_owned(),
            cancel_url: "https://sluice.test/".to_owned(),
            expires_at: until,
            request: Some(plan_link(1)),
        })),
        Event::CustomerCreated { customer: "cus_1".to_owned() },
        Event::CheckoutCreated {
            session: "cs_1".to_owned(),
            url: "https://stripe.test/secret".to_owned(),
            expires_at: until,
            request: Some(plan_link(1)),
        },
        Event::Changed,
        Event::BillingRetrieved { reading: 1, customer: None, billing },
    ]
}

fn plan_link(number: u128) -> PlanLinkId {
    PlanLinkId(Uuid::from_u128(number))
}

async fn row(world: &World) -> PlanSubscription {
    let db = world.engine.database().write();
    plan_subscription::of_handle(db, world.handle.0).await.unwrap().unwrap()
}

on_both! {
    async fn what_is_paid_for_a_plan_is_posted_once_and_is_no_earnings(world: World) {
        let mut events = subscribed(&world);
        // Read once more, the same invoice is there.
        let Some(Event::BillingRetrieved { billing, .. }) = events.last().cloned() else { panic!() };
        events.extend([Event::Changed, Event::BillingRetrieved { reading: 2, customer: None, billing }]);
        hear(&world, events).await;
        let db = world.engine.database().read();
        let row = plan_subscription::of_handle(db, world.handle.0).await.unwrap().unwrap();
        let stands = (row.plan.as_str(), row.source.as_str(), row.status.as_str());
        assert_eq!(stands, ("PRO", "STRIPE", "ACTIVE"));
        assert_eq!((row.customer_id.as_deref(), row.link_url), (Some("cus_1"), None));
        let posted = ledger::balances_any_handle(db).await.unwrap();
        let posted: Vec<_> = posted.into_iter().map(|b| (b.account, b.balance)).collect();
        assert_eq!(posted, [("plan_revenue".to_owned(), -2_900), ("stripe".to_owned(), 2_900)]);
        assert!(!rollup_queue::is_waiting(db, world.handle.0).await.unwrap(), "it is no sale");
        // The calls to Stripe are not made here; all the rest holds.
        let findings = world.engine.check().await.unwrap();
        let others: Vec<_> =
            findings.iter().filter(|finding| finding.invariant != Invariant::I1).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    async fn a_plan_set_by_hand_is_in_the_row_at_once(world: World) {
        let set = |plan: Option<Plan>| Event::SetManually {
            handle: world.handle,
            manual: plan.map(|plan| Manual { plan, reason: "a friend".to_owned() }),
        };
        hear(&world, vec![set(Some(Plan::Business))]).await;
        let db = world.engine.database().read();
        let row = plan_subscription::of_handle(db, world.handle.0).await.unwrap().unwrap();
        assert_eq!((row.plan.as_str(), row.source.as_str()), ("BUSINESS", "MANUAL"));
        assert_eq!(row.reason.as_deref(), Some("a friend"));
        hear(&world, vec![set(None)]).await;
        let row = plan_subscription::of_handle(db, world.handle.0).await.unwrap().unwrap();
        assert_eq!((row.plan.as_str(), row.source.as_str(), row.reason), ("FREE", "DEFAULT", None));
    }

    async fn links_do_not_stay(world: World) {
        let mut events = subscribed(&world);
        events.truncate(3);
        hear(&world, events).await;
        let made = row(&world).await;
        assert_eq!(made.link_url.as_deref(), Some("https://stripe.test/secret"));
        assert_eq!(made.link_request, Some(plan_link(1).0));
        world.engine.clock().advance(2 * Timestamp::HOUR);
        world.engine.retain().await.unwrap();
        let row = row(&world).await;
        assert_eq!((row.link_purpose, row.link_url, row.link_expires_at), (None, None, None));
        assert_eq!(row.link_request, None);
    }

    async fn the_row_says_whose_link_it_is(world: World) {
        let mut events = subscribed(&world);
        events.truncate(3);
        hear(&world, events).await;
        let portal = |n| Event::OpenPortal {
            return_url: "https://sluice.test/".to_owned(),
            request: Some(plan_link(n)),
        };
        hear(&world, vec![portal(2)]).await;
        let asked = row(&world).await;
        assert_eq!((asked.link_request, asked.link_url), (Some(plan_link(2).0), None));
        let failure = Failure { code: "api_error".to_owned(), message: "no portal".to_owned() };
        let (purpose, request) = (PlanLinkPurpose::Portal, Some(plan_link(2)));
        let failed = Event::LinkFailed { purpose, failure, request };
        // What happens beside it changes nothing about it.
        hear(&world, vec![failed, Event::Changed]).await;
        let row_of_failure = row(&world).await;
        assert_eq!(row_of_failure.failure.as_deref(), Some("no portal"));
        assert_eq!(row_of_failure.failure_request, Some(plan_link(2).0));
        assert_eq!(row_of_failure.link_request, None);
        hear(&world, vec![portal(3)]).await;
        let asked = row(&world).await;
        assert_eq!((asked.failure, asked.failure_request), (None, None));
        assert_eq!(asked.link_request, Some(plan_link(3).0));
    }

    async fn a_customer_that_is_missing_is_a_case_for_a_person(world: World) {
        let mut events = subscribed(&world);
        let missing = |reading| Event::BillingUnreadable {
            reading,
            customer: Some("cus_1".to_owned()),
            failure: Failure {
                code: "resource_missing".to_owned(),
                message: "No such customer: 'cus_1'".to_owned(),
            },
        };
        events.extend([Event::Changed, missing(2), Event::Changed, missing(3)]);
        hear(&world, events).await;
        let row = row(&world).await;
        assert_eq!((row.plan.as_str(), row.status.as_str()), ("PRO", "ACTIVE"));
        let cases = operator_case::list_open_any_handle(world.engine.database().read(), 10).await;
        let cases = cases.unwrap();
        assert_eq!(cases.len(), 1, "{cases:?}");
        assert_eq!((cases[0].kind.as_str(), cases[0].key.as_str()), ("customer_missing", "cus_1"));
        assert!(cases[0].detail.contains("No such customer"), "{}", cases[0].detail);
    }
}
