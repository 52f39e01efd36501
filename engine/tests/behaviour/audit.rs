//! What a person does to runs and queues is in the audit log, with the act itself or not at all.

use engine::{By, Trouble};
use entities::audit_log::{self, AuditEntry};
use uuid::Uuid;
use workflows::{
    Timestamp,
    effect::Queue,
    id::{EffectId, RunId},
};

use crate::{on_both, world::World};

async fn entries(world: &World) -> Vec<AuditEntry> {
    audit_log::list_any_handle(world.engine.database().read(), Uuid::max(), 100).await.unwrap()
}

on_both! {
    async fn what_a_person_does_is_noted(world: World) {
        let id = world.request().await;
        for _ in 0..50 {
            let message = "connection reset".to_owned();
            world.stripe.next(Trouble::Transient { retry_after: Some(Timestamp::MINUTE), message });
            world.engine.clock().advance(11 * Timestamp::MINUTE);
            world.settle_down().await;
        }
        let effect = EffectId(world.effects(id).await[0].id);
        let run = world.run(id).await;
        let olga = By { reason: Some("Stripe is back".to_owned()), ..By::new("olga") };
        assert!(world.engine.retry_effect(effect, &olga).await.unwrap());
        // What comes to nothing is not noted.
        assert!(!world.engine.retry_effect(effect, &olga).await.unwrap());
        assert!(!world.engine.discard_effect(effect, &olga).await.unwrap());
        assert!(!world.engine.retry_message(4711, &olga).await.unwrap());
        assert!(!world.engine.cancel(RunId(Uuid::now_v7()), "r0", &olga).await.unwrap());
        for _ in 0..2 {
            assert!(world.engine.cancel(RunId(run.id), "r1", &By::new("otto")).await.unwrap());
        }
        world.engine.pause(Queue::Mail, &By::new("otto")).await.unwrap();
        world.engine.resume(Queue::Mail, &By::new("otto")).await.unwrap();
        let seen: Vec<_> = entries(&world).await.into_iter().rev().collect();
        let told: Vec<_> = seen
            .iter()
            .map(|entry| (entry.actor.as_str(), entry.action.as_str(), entry.target.clone()))
            .collect();
        assert_eq!(told, [
            ("olga", "effect.retry", effect.to_string()),
            ("otto", "run.cancel", RunId(run.id).to_string()),
            ("otto", "queue.pause", "mail".to_owned()),
            ("otto", "queue.resume", "mail".to_owned()),
        ]);
        assert_eq!(seen[0].reason.as_deref(), Some("Stripe is back"));
        // The handle's owner can read what was done to their runs, and not what was done to queues.
        assert!(run.handle_id.is_some());
        let handles: Vec<_> = seen.iter().map(|entry| entry.handle_id).collect();
        assert_eq!(handles, [run.handle_id, run.handle_id, None, None]);
    }
}
