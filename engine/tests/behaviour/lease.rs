//! Leases and their epochs.

use std::{num::NonZeroUsize, time::Duration};

use async_trait::async_trait;
use engine::{By, Perform, Slots, Task, Trouble};
use entities::outbox::{self, Held, Lease};
use tokio_util::sync::CancellationToken;
use workflows::effect::{Answer, Queue};

use crate::{
    on_both,
    world::{World, perform},
};
use engine::wake::NoWakeups;

/// Needs the database while it performs, for longer than free slots wait before they claim again.
struct Writing<'a>(&'a World);

#[async_trait]
impl Perform for Writing<'_> {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        let transaction = self.0.engine.database().begin().await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
        transaction.rollback().await.unwrap();
        self.0.stripe.perform(task).await
    }

    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        self.0.stripe.find(task).await
    }
}

on_both! {
    async fn performing_may_take_every_connection(world: World) {
        for _ in 0..8 {
            world.request().await;
        }
        world.engine.drain().await.unwrap();
        let (slots, stop) = (Slots(NonZeroUsize::new(16).unwrap()), CancellationToken::new());
        let writing = Writing(&world);
        let performed = world.engine.perform_due(Queue::Stripe, &writing, slots, &stop).await;
        assert_eq!(performed.unwrap(), 8);
        assert_eq!(world.stripe.calls().len(), 8, "each once");
    }

    async fn s48_a_frozen_worker_answers_too_late(world: World) {
        let id = world.request().await;
        world.engine.drain().await.unwrap();
        let db = world.engine.database().write();
        let clock = world.engine.clock();
        let lease = Lease { owner: "frozen", duration: engine::LEASE };
        let frozen = outbox::claim(db, clock, Queue::Stripe.into(), &lease, 10).await.unwrap();
        assert_eq!(frozen.len(), 1);
        assert_eq!(world.perform(Queue::Stripe).await, 0, "the lease is held");

        clock.advance(engine::LEASE + 1);
        world.engine.sweep(&NoWakeups).await.unwrap();
        clock.advance(1_001);
        assert_eq!(world.perform(Queue::Stripe).await, 1);
        let late = Held { id: frozen[0].id, epoch: frozen[0].epoch };
        let answered = outbox::answer(db, clock, &[late]).await.unwrap();
        assert!(answered.is_empty(), "the late answer is refused by the epoch");
        world.settle_down().await;
        assert_eq!(world.timeline(id).await, ["Request", "SessionCreated"]);
    }

    async fn two_processes_never_hold_the_same_effect(world: World) {
        for _ in 0..30 {
            world.request().await;
        }
        world.engine.drain().await.unwrap();
        let other = world.another_process().await;
        let (one, two) = tokio::join!(
            world.perform(Queue::Stripe),
            perform(&other, Queue::Stripe, &*world.stripe)
        );
        assert_eq!(one + two, 30);
        assert_eq!(world.stripe.calls().len(), 30);
    }

    async fn a_process_that_stops_gives_back_what_it_holds(world: World) {
        world.request().await;
        world.engine.drain().await.unwrap();
        let db = world.engine.database().write();
        let lease = Lease { owner: world.engine.node(), duration: engine::LEASE };
        outbox::claim(db, world.engine.clock(), Queue::Stripe.into(), &lease, 10).await.unwrap();
        world.engine.deregister().await.unwrap();
        let other = world.another_process().await;
        assert_eq!(perform(&other, Queue::Stripe, &*world.stripe).await, 1);
    }

    async fn s49_a_wrong_clock_is_no_danger(world: World) {
        let wrong = world.another_process().await;
        wrong.clock().advance(-10 * 60_000);
        let id = world.awaiting_payment().await;
        world.pay(id, "evt_1").await;
        wrong.drain().await.unwrap();
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Settled");
        let times: Vec<_> = world.history(id).await.into_iter().map(|line| line.at).collect();
        assert!(times.is_sorted(), "time went back within a run: {times:?}");
        world.check().await;
    }

    async fn a_paused_queue_waits(world: World) {
        world.request().await;
        world.engine.drain().await.unwrap();
        world.engine.pause(Queue::Stripe, &By::new("olga")).await.unwrap();
        assert_eq!(world.perform(Queue::Stripe).await, 0);
        world.engine.resume(Queue::Stripe, &By::new("olga")).await.unwrap();
        assert_eq!(world.perform(Queue::Stripe).await, 1);
    }
}
