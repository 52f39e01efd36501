//! Ingest in groups, retention, replay and checks that can fail.

use engine::{
    Invariant,
    ingest::{Accepted, Ingest, Webhook},
};
use entities::{idempotency, inbox, statement::execute, webhook_body};
use workflows::{Timestamp, checkout::Event, message::Message};

use crate::{
    on_both,
    world::{World, paid},
};

fn webhook(id: workflows::id::CheckoutId, source_id: &str) -> Webhook {
    let message = Message::Checkout(id, Event::SessionReported(paid(id)));
    Webhook {
        message: inbox::NewInbox {
            source: "stripe",
            source_id: source_id.to_owned(),
            run_id: Some(message.run().0),
            workflow: message.workflow(),
            subject: Some(message.subject()),
            handle_id: None,
            stripe_object: None,
            event: message.event_json().unwrap(),
            status: "PENDING",
            last_error: None,
        },
        body: format!("body of {source_id} \u{1F4B6}").into_bytes(),
    }
}

on_both! {
    async fn webhooks_are_written_in_groups_once_each(world: World) {
        let ingest = Ingest::start(world.engine.clone());
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(world.request().await);
        }
        world.settle_down().await;
        let deliveries = ids.iter().enumerate().flat_map(|(n, id)| {
            let ingest = ingest.clone();
            (0..3).map(move |_| {
                let (ingest, webhook) = (ingest.clone(), webhook(*id, &format!("evt_{n}")));
                async move { ingest.accept(webhook).await.unwrap() }
            })
        });
        let accepted = futures::future::join_all(deliveries).await;
        assert_eq!(accepted.iter().filter(|a| **a == Accepted::New).count(), 20);
        assert_eq!(ingest.accept(webhook(ids[0], "evt_0")).await.unwrap(), Accepted::Duplicate);
        let db = world.engine.database().read();
        let row = inbox::find(db, "stripe", "evt_7").await.unwrap().unwrap();
        let body = webhook_body::find(db, row.seq).await.unwrap().unwrap();
        assert_eq!(body.body, "body of evt_7 \u{1F4B6}".as_bytes());
        world.settle_down().await;
        for id in ids {
            assert_eq!(world.state(id).await, "Settled");
        }
        world.check().await;
    }

    async fn retention_keeps_what_must_stay(world: World) {
        let id = world.awaiting_payment().await;
        let ingest = Ingest::start(world.engine.clone());
        ingest.accept(webhook(id, "evt_1")).await.unwrap();
        world.settle_down().await;
        assert_eq!(world.engine.retain().await.unwrap(), engine::Retained::default());
        world.engine.clock().advance(36 * Timestamp::DAY);
        let deleted = world.engine.retain().await.unwrap();
        assert_eq!((deleted.messages, deleted.effects), (3, 2));
        let db = world.engine.database().read();
        assert!(inbox::find(db, "stripe", "evt_1").await.unwrap().is_none());
        assert_eq!(world.timeline(id).await.len(), 3, "history stays");
        world.check().await;
    }

    async fn retention_deletes_more_than_a_chunk(world: World) {
        let db = world.engine.database().write();
        let now = world.engine.clock().local_millis();
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
                   INSERT INTO idempotency \
                   (caller, key, fingerprint, subject, locked_until, created_at) \
                   SELECT 'subject:alice', 'key-' || i, 'f', $1, 0, \
                   CASE WHEN i <= 2400 THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END FROM n";
        let subject = uuid::Uuid::now_v7();
        let values = vec![subject.into(), (now - Timestamp::DAY).into(), now.into()];
        execute(db, sql, values).await.unwrap();
        assert_eq!(world.engine.retain().await.unwrap().answers, 2_400);
        assert_eq!(world.engine.retain().await.unwrap().answers, 0);
        let caller = "subject:alice";
        assert!(idempotency::find(db, caller, "key-2400").await.unwrap().is_none());
        assert!(idempotency::find(db, caller, "key-2500").await.unwrap().is_some());
    }

    async fn a_check_finds_what_is_wrong(world: World) {
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        world.check().await;
        let db = world.engine.database().write();
        let found = async || {
            let findings = world.engine.check().await.unwrap();
            findings.into_iter().map(|finding| finding.invariant).collect::<Vec<_>>()
        };
        execute(db, "DELETE FROM entitlement", vec![]).await.unwrap();
        assert_eq!(found().await, [Invariant::I6]);
        execute(db, "UPDATE earnings SET net = net + 1", vec![]).await.unwrap();
        assert_eq!(found().await, [Invariant::I6, Invariant::I7]);
        execute(db, "UPDATE history SET to_state = 'Failed' WHERE seq = 3", vec![]).await.unwrap();
        assert_eq!(found().await, [Invariant::I4, Invariant::I6, Invariant::I7]);
        execute(db, "UPDATE inbox SET status = 'DEAD' WHERE source_id = 'evt_1'", vec![]).await.unwrap();
        assert_eq!(found().await[0], Invariant::I1);
        execute(db, "UPDATE checkout SET status = 'OPEN'", vec![]).await.unwrap();
        assert!(found().await.contains(&Invariant::I2));
    }
}
