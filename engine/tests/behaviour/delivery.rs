//! Messages are delivered once each, in order, to the run they are for.

use entities::{Dialect, inbox, ledger, operator_case, together::Together};
use workflows::{
    checkout::{Checkout, Event},
    id::RunId,
    workflow::Workflow,
};

use crate::{
    on_both,
    world::{World, paid},
};
use engine::wake::NoWakeups;

on_both! {
    async fn a_sale_goes_all_the_way(world: World) {
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        assert_eq!(world.timeline(id).await, ["Request", "SessionCreated", "SessionReported"]);
        assert_eq!(world.state(id).await, "Settled");
        let kinds: Vec<_> = world.effects(id).await.into_iter().map(|e| (e.kind, e.status)).collect();
        let done = |kind: &str| (kind.to_owned(), "DONE".to_owned());
        assert_eq!(kinds, [done("create_checkout_session"), done("send_mail")]);
        let balances = ledger::balances_any_handle(world.engine.database().read()).await.unwrap();
        let balances: Vec<_> = balances.into_iter().map(|b| (b.account, b.balance)).collect();
        assert_eq!(
            balances,
            [("creator:acct_1".to_owned(), -950), ("platform_fee".to_owned(), -50), ("stripe".to_owned(), 1_000)]
        );
        world.check().await;
    }

    async fn s01_the_webhook_may_be_faster_than_the_answer(world: World) {
        let id = world.request().await;
        world.engine.drain().await.unwrap();
        world.pay(id, "evt_early").await;
        world.engine.drain().await.unwrap();
        assert_eq!(world.state(id).await, "Settled");
        world.settle_down().await;
        let timeline = world.timeline(id).await;
        assert_eq!(timeline, ["Request", "SessionReported", "(SessionCreated)"]);
        world.check().await;
    }

    async fn s02_a_duplicate_has_no_second_effect(world: World) {
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_1").await;
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        assert_eq!(world.timeline(id).await.len(), 3);
        world.check().await;
    }

    async fn s03_different_events_may_tell_the_same_fact(world: World) {
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_completed").await;
        world.pay(id, "evt_async_payment_succeeded").await;
        world.settle_down().await;
        let timeline = world.timeline(id).await;
        assert_eq!(timeline, ["Request", "SessionCreated", "SessionReported", "(SessionReported)"]);
        let count = ledger::count_any_handle(world.engine.database().read()).await.unwrap();
        assert_eq!(count, 1);
        world.check().await;
    }

    async fn s04_two_workers_take_the_same_purchase(world: World) {
        let other = world.another_process().await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(world.request().await);
        }
        world.settle_down().await;
        for (n, id) in ids.iter().enumerate() {
            world.pay(*id, &format!("evt_{n}")).await;
        }
        let (one, two) = tokio::join!(world.engine.drain(), other.drain());
        assert!(one.unwrap() + two.unwrap() >= 20);
        for id in ids {
            assert_eq!(world.timeline(id).await, ["Request", "SessionCreated", "SessionReported"]);
        }
        let count = ledger::count_any_handle(world.engine.database().read()).await.unwrap();
        assert_eq!(count, 20);
        world.check().await;
    }

    async fn a_refused_event_is_in_the_timeline_and_is_no_error(world: World) {
        let id = world.awaiting_payment().await;
        let before = world.run(id).await.version;
        world.send(id, "evt_odd", Event::SessionCreated { session: "cs_x".into(), url: String::new() }).await;
        world.settle_down().await;
        assert_eq!(world.run(id).await.version, before + 1);
        let line = world.history(id).await.pop().unwrap();
        assert_eq!(line.refused.as_deref(), Some("SessionCreated means nothing in AwaitingPayment"));
        let row = inbox::find(world.engine.database().read(), "stripe", "evt_odd").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.last_error), ("IGNORED", line.refused));
    }

    async fn a_sender_that_rolls_back_has_sent_nothing(world: World) {
        let id = world.awaiting_payment().await;
        let transaction = world.engine.database().begin().await.unwrap();
        let letter = engine::Letter {
            source: "stripe",
            source_id: "evt_1".to_owned(),
            message: workflows::message::Message::Checkout(id, Event::SessionReported(paid(id))),
            handle: None,
        };
        let _sent = world.engine.send(&transaction, letter).await.unwrap();
        transaction.rollback().await.unwrap();
        world.settle_down().await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn many_messages_of_a_run_apply_in_order(world: World) {
        let id = world.awaiting_payment().await;
        for n in 0..70 {
            world.send(id, &format!("evt_{n}"), Event::SessionCreated { session: format!("cs_{n}"), url: String::new() }).await;
        }
        world.settle_down().await;
        let events: Vec<_> = world.history(id).await.into_iter().skip(2).map(|line| line.event).collect();
        let expected: Vec<_> = (0..70)
            .map(|n| format!(r#"{{"session_created":{{"session":"cs_{n}","url":""}}}}"#))
            .collect();
        assert_eq!(events, expected);
        world.check().await;
    }

    async fn s40_an_event_that_no_run_knows_is_routed_later_or_set_aside(world: World) {
        let id = world.awaiting_payment().await;
        let db = world.engine.database().write();
        let unrouted = |object: &str, source_id: &str| inbox::NewInbox {
            source: "stripe",
            source_id: source_id.to_owned(),
            run_id: None,
            workflow: Checkout::NAME,
            subject: None,
            handle_id: None,
            stripe_object: Some(object.to_owned()),
            event: serde_json::to_string(&Event::SessionReported(paid(id))).unwrap(),
            status: "PENDING",
            last_error: None,
        };
        let messages = [unrouted("cs_late", "evt_late"), unrouted("cs_foreign", "evt_foreign")];
        inbox::insert(db, world.engine.clock(), &messages).await.unwrap();
        world.engine.sweep(&NoWakeups).await.unwrap();
        world.settle_down().await;
        assert_eq!(world.state(id).await, "AwaitingPayment");

        let known = entities::stripe_object::StripeObject {
            id: "cs_late".to_owned(),
            run_id: RunId::of(Checkout::NAME, id.0).0,
        };
        let mut together = Together::new(Dialect::of(db));
        entities::stripe_object::insert(&mut together, &[known]);
        together.execute(db).await.unwrap();
        world.engine.sweep(&NoWakeups).await.unwrap();
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Settled");

        world.engine.clock().advance(11 * 60_000);
        world.engine.sweep(&NoWakeups).await.unwrap();
        let row = inbox::find(db, "stripe", "evt_foreign").await.unwrap().unwrap();
        assert_eq!(row.status, "IGNORED");
        let cases = operator_case::list_open_any_handle(db, 10).await.unwrap();
        assert_eq!((cases.len(), cases[0].kind.as_str()), (1, "unmatched_webhook"));
        world.check().await;
    }
}
