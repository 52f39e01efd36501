//! Failed tries: the same key again, a look-up, a new key, a person.

use engine::{By, Trouble};
use workflows::{
    Timestamp,
    effect::{Failure, Queue},
    id::EffectId,
};

use crate::{on_both, world::World};
use engine::wake::NoWakeups;

/// With a wait of a minute: without one, a slow machine would see the next try within the same breath.
fn passing() -> Trouble {
    let retry_after = Some(Timestamp::MINUTE);
    Trouble::Transient { retry_after, message: "connection reset".to_owned() }
}

fn replayed() -> Trouble {
    Trouble::Replayed { message: "Stripe answered 500".to_owned() }
}

fn olga() -> By {
    By::new("olga")
}

/// Past every backoff.
async fn later(world: &World, millis: i64) {
    world.engine.clock().advance(millis);
    world.engine.sweep(&NoWakeups).await.unwrap();
    world.settle_down().await;
}

on_both! {
    async fn s17_a_passing_failure_is_tried_again_with_the_same_key(world: World) {
        let id = world.request().await;
        world.stripe.next(passing());
        world.settle_down().await;
        let effect = world.effects(id).await.remove(0);
        assert_eq!((effect.status.as_str(), effect.attempt), ("PENDING", 1));
        assert_eq!(effect.last_error.as_deref(), Some("connection reset"));
        later(&world, 20 * Timestamp::MINUTE).await;
        let calls = world.stripe.calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0], calls[1]);
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn the_other_sides_wish_to_wait_is_heard(world: World) {
        let id = world.request().await;
        let wish = Timestamp::HOUR;
        world.stripe.next(Trouble::Transient { retry_after: Some(wish), message: "429".to_owned() });
        world.settle_down().await;
        later(&world, wish - Timestamp::MINUTE).await;
        assert_eq!(world.stripe.calls().len(), 1);
        later(&world, Timestamp::MINUTE).await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn s47_a_stored_500_is_looked_up_before_a_new_key_is_used(world: World) {
        let id = world.request().await;
        world.stripe.next(replayed());
        world.settle_down().await;
        assert_eq!(*world.stripe.lookups.lock().unwrap(), 1);
        // Not there, but that is not certain yet: the same key.
        assert_eq!(world.effects(id).await[0].key_generation, 0);
        for _ in 0..7 {
            world.stripe.next(replayed());
            later(&world, 11 * Timestamp::SECOND).await;
        }
        // The looks belong to the first try; what counts as the second is the one with the new key.
        let effect = world.effects(id).await.remove(0);
        assert_eq!((effect.key_generation, effect.attempt), (1, 2));
        world.stripe.troubles.lock().unwrap().clear();
        later(&world, Timestamp::SECOND).await;
        let calls = world.stripe.calls();
        assert!(calls.first().unwrap().ends_with(":0") && calls.last().unwrap().ends_with(":1"), "{calls:?}");
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn what_is_found_is_the_answer(world: World) {
        let id = world.request().await;
        world.engine.drain().await.unwrap();
        // The work was done, the answer was a 500.
        let effect = world.effects(id).await.remove(0);
        let key = format!("{}:0", EffectId(effect.id));
        let answer = workflows::effect::Answer::SessionCreated {
            session: "cs_found".to_owned(),
            url: "https://pay.test".to_owned(),
        };
        world.stripe.objects.lock().unwrap().insert(key, answer);
        world.stripe.next(replayed());
        world.settle_down().await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
        assert!(world.run(id).await.state.contains("cs_found"));
    }

    async fn s18_an_old_key_is_not_used_blindly(world: World) {
        let id = world.request().await;
        world.stripe.next(passing());
        world.settle_down().await;
        // A day later Stripe has forgotten the key. Not there, but lists lag: that is certain a minute on.
        later(&world, 24 * Timestamp::HOUR).await;
        assert_eq!(*world.stripe.lookups.lock().unwrap(), 1);
        for _ in 0..7 {
            later(&world, 11 * Timestamp::SECOND).await;
        }
        let effect = EffectId(world.effects(id).await[0].id).to_string();
        let calls: Vec<_> =
            world.stripe.calls().into_iter().filter(|key| key.starts_with(&effect)).collect();
        assert_eq!(calls, [format!("{effect}:0"), format!("{effect}:1")]);
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn a_permanent_failure_is_for_the_machine(world: World) {
        let id = world.request().await;
        let failure = Failure { code: "account_invalid".to_owned(), message: "no".to_owned() };
        world.stripe.next(Trouble::Permanent(failure));
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Failed");
        assert_eq!(world.stripe.calls().len(), 1);
        world.check().await;
    }

    async fn an_effect_goes_dead_and_a_person_retries_it(world: World) {
        let id = world.request().await;
        for _ in 0..50 {
            world.stripe.next(passing());
            later(&world, 11 * Timestamp::MINUTE).await;
        }
        let effect = world.effects(id).await.remove(0);
        assert_eq!((effect.status.as_str(), effect.attempt), ("DEAD", 50));
        assert_eq!(world.perform(Queue::Stripe).await, 0);
        assert!(world.engine.retry_effect(EffectId(effect.id), &olga()).await.unwrap());
        assert!(!world.engine.retry_effect(EffectId(effect.id), &olga()).await.unwrap(), "it is not dead any more");
        later(&world, 0).await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }

    async fn a_person_discards_a_dead_effect_and_the_machine_hears_it(world: World) {
        let id = world.request().await;
        for _ in 0..50 {
            world.stripe.next(passing());
            later(&world, 11 * Timestamp::MINUTE).await;
        }
        let effect = world.effects(id).await.remove(0);
        assert!(world.engine.discard_effect(EffectId(effect.id), &olga()).await.unwrap());
        assert!(!world.engine.discard_effect(EffectId(effect.id), &olga()).await.unwrap());
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Failed");
        world.check().await;
    }

    async fn a_cancelled_purchase_never_meets_stripe(world: World) {
        let id = world.request().await;
        world.engine.drain().await.unwrap();
        let run = world.run(id).await;
        assert!(world.engine.cancel(workflows::id::RunId(run.id), "r1", &olga()).await.unwrap());
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Cancelled");
        assert_eq!(world.run(id).await.status, "CANCELLED");
        assert_eq!(world.effects(id).await[0].status, "CANCELLED");
        assert!(world.stripe.calls().is_empty());
        world.check().await;
    }
}
