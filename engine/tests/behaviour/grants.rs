//! Access and the ledger.

use entities::{entitlement, ledger};
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use workflows::{
    checkout::Event,
    id::VisitorId,
    money::Currency,
    stripe::{Outcome, Payment, Session},
};

use crate::{on_both, world::World};

on_both! {
    async fn s10_of_two_paid_sessions_one_is_granted_and_one_given_back(world: World) {
        let visitor = VisitorId(Uuid::now_v7());
        let (one, two) = (world.request_of(visitor).await, world.request_of(visitor).await);
        world.settle_down().await;
        world.pay(one, "evt_one").await;
        world.pay(two, "evt_two").await;
        world.settle_down().await;
        let mut states = [world.state(one).await, world.state(two).await];
        states.sort();
        assert_eq!(states, ["Refunded", "Settled"]);
        let db = world.engine.database().read();
        assert!(entitlement::find(db, world.page.0, visitor.0).await.unwrap().is_some());
        let stripe = ledger::balances_any_handle(db).await.unwrap();
        let stripe = stripe.into_iter().find(|balance| balance.account == "stripe").unwrap();
        assert_eq!(stripe.balance, 1_000, "one payment stays, the other went back");
        world.check().await;
    }

    async fn s13_another_amount_waits_for_a_person(world: World) {
        let id = world.awaiting_payment().await;
        let payment = Payment { intent: "pi_less".to_owned(), amount: 900, currency: Currency::USD };
        let session = Session { id: format!("cs_{id}"), outcome: Outcome::Paid(payment) };
        world.send(id, "evt_1", Event::SessionReported(session)).await;
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Quarantined");
        let db = world.engine.database().read();
        let run = world.run(id).await;
        assert_eq!(entities::operator_case::of_run(db, run.id).await.unwrap().len(), 1);
        assert!(entitlement::contradictions_any_handle(db).await.unwrap().is_empty());
        let posted = ledger::balances_any_handle(db).await.unwrap();
        let posted: Vec<_> = posted.into_iter().map(|b| (b.account, b.balance)).collect();
        assert_eq!(
            posted,
            [("creator:acct_1".to_owned(), -850), ("platform_fee".to_owned(), -50), ("stripe".to_owned(), 900)]
        );
        world.check().await;
    }

    async fn the_ledger_refuses_every_change(world: World) {
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        let db = world.engine.database().write();
        for sql in [
            "UPDATE ledger_entry SET amount = 0",
            "DELETE FROM ledger_entry",
            "UPDATE ledger_transaction SET key = 'x'",
            "DELETE FROM ledger_transaction",
        ] {
            let error = db.execute_unprepared(sql).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
        world.check().await;
    }

    async fn the_rollup_equals_the_ledger(world: World) {
        for n in 0..5 {
            let id = world.awaiting_payment().await;
            world.pay(id, &format!("evt_{n}")).await;
            world.settle_down().await;
            world.engine.sweep().await.unwrap();
        }
        world.check().await;
        let db = world.engine.database().read();
        let earned = entities::earnings::of_handle(db, world.handle.0, i64::MAX).await.unwrap();
        assert_eq!(earned.len(), 1);
        let earned = &earned[0];
        assert_eq!((earned.gross, earned.platform_fee, earned.net), (5_000, 250, 4_750));
        assert!(entities::rollup_queue::handles(db, 10).await.unwrap().is_empty());
    }
}
