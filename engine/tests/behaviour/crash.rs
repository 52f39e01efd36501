//! Scenario 5: the process dies between any two statements, and the result is the same.

use std::{future::Future, pin::pin, task::Poll};

use engine::Engine;
use workflows::{effect::Queue, id::CheckoutId};

use crate::{
    on_both,
    world::{World, perform, settle_down},
};
use engine::wake::NoWakeups;

/// Polls a future so many times and drops it, as a crash would. Returns whether it was done before.
pub async fn cut<F: Future>(future: F, polls: usize) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

/// Everything that must be the same, however the way there was.
async fn outcome(world: &World, id: CheckoutId) -> (String, Vec<String>, Vec<(String, String)>) {
    let effects = world.effects(id).await;
    let effects = effects.into_iter().map(|effect| (effect.kind, effect.status)).collect();
    (world.state(id).await, world.timeline(id).await, effects)
}

/// Takes a sale through to the end with one act cut at poll n, for every n, and compares.
async fn cut_everywhere<A, F>(world: &World, act: A)
where
    A: Fn(Engine) -> F,
    F: Future<Output = ()>,
{
    let whole = sale(world, None::<(usize, &A)>).await;
    let whole = outcome(world, whole).await;
    for polls in 0.. {
        let (id, finished) = sale_cut(world, polls, &act).await;
        assert_eq!(outcome(world, id).await, whole, "cut at poll {polls}");
        if finished {
            assert!(polls > 3, "the act was never in the middle of anything");
            break;
        }
        assert!(polls < 500, "the act does not end");
    }
    world.check().await;
}

async fn sale<A>(world: &World, _uncut: Option<(usize, &A)>) -> CheckoutId {
    let id = world.awaiting_payment().await;
    world.pay(id, &format!("evt_{id}")).await;
    world.settle_down().await;
    id
}

async fn sale_cut<A, F>(world: &World, polls: usize, act: &A) -> (CheckoutId, bool)
where
    A: Fn(Engine) -> F,
    F: Future<Output = ()>,
{
    let id = world.request().await;
    let mut finished = cut(act(world.engine.clone()), polls).await;
    recover(world).await;
    world.pay(id, &format!("evt_{id}")).await;
    finished &= cut(act(world.engine.clone()), polls).await;
    recover(world).await;
    (id, finished)
}

/// What a restart and the passing of time do. A server notices the end of a transaction that was cut a
/// moment later: until then its runs are skipped, and what is due stays due.
pub async fn recover(world: &World) {
    world.engine.clock().advance(engine::LEASE + 1);
    world.engine.sweep(&NoWakeups).await.unwrap();
    world.engine.clock().advance(1_001);
    loop {
        settle_down(&world.engine, &*world.stripe).await;
        // A claim that was cut on its way may be carried out after the sweep: then its lease runs out, too.
        let db = world.engine.database().write();
        let left = entities::outbox::count_unfinished_any_handle(db).await.unwrap();
        let leased = left.iter().any(|left| left.status == "LEASED");
        if !leased && world.engine.due().await.unwrap() == engine::WakeUp::default() {
            return;
        }
        if leased {
            world.engine.clock().advance(engine::LEASE + 1);
            world.engine.sweep(&NoWakeups).await.unwrap();
            world.engine.clock().advance(1_001);
        }
        tokio::task::yield_now().await;
    }
}

on_both! {
    async fn s05_a_drain_is_cut_at_every_await(world: World) {
        cut_everywhere(&world, |engine| async move {
            engine.drain().await.unwrap();
        })
        .await;
    }

    async fn s05_performing_is_cut_at_every_await(world: World) {
        let stripe = world.stripe.clone();
        cut_everywhere(&world, |engine| {
            let stripe = stripe.clone();
            async move {
                engine.drain().await.unwrap();
                perform(&engine, Queue::Stripe, &*stripe).await;
                perform(&engine, Queue::Mail, &*stripe).await;
                engine.drain().await.unwrap();
            }
        })
        .await;
        // However often it was called: one object for each key.
        let calls = world.stripe.calls();
        let distinct: std::collections::BTreeSet<_> = calls.iter().collect();
        assert!(calls.len() > distinct.len(), "no call was ever repeated");
        assert_eq!(world.stripe.objects(), distinct.len());
    }

    async fn a_begin_that_nobody_waits_for_leaves_no_open_transaction(world: World) {
        let database = world.engine.database().clone();
        for polls in 0..40 {
            cut(async { database.begin().await.map(drop).unwrap() }, polls % 10).await;
        }
        let mut ids = Vec::new();
        for _ in 0..12 {
            ids.push(world.awaiting_payment().await);
        }
        // What a connection wrote inside a forgotten transaction, others would not see.
        let other = world.another_process().await;
        for id in ids {
            let run = other.find_run("checkout", id.0).await.unwrap().unwrap();
            assert_eq!(run.state_name, "AwaitingPayment");
        }
    }

    async fn a_drain_that_stops_in_the_middle_holds_nobody_else_up(world: World) {
        if world.engine.database().dialect() == entities::Dialect::Sqlite {
            return; // One writer: whoever writes is alone.
        }
        let other = world.another_process().await;
        let (first, second) = (world.awaiting_payment().await, world.awaiting_payment().await);
        world.pay(first, "evt_first").await;
        for polls in [8, 14, 20, 26] {
            let mut stopped = Box::pin(world.engine.drain_batch());
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                let poll = stopped.as_mut().poll(context);
                if left == 0 || poll.is_ready() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            // What comes in meanwhile for the stopped one's run waits; another run does not.
            world.pay(first, &format!("evt_again_{polls}")).await;
            world.pay(second, &format!("evt_second_{polls}")).await;
            other.drain().await.unwrap();
            assert_eq!(world.state(second).await, "Settled");
            drop(stopped);
        }
        world.settle_down().await;
        assert_eq!(world.state(first).await, "Settled");
        let lines = world.history(first).await;
        let inbox: Vec<_> = lines.iter().filter_map(|line| line.inbox_seq).collect();
        assert!(inbox.is_sorted(), "messages were reordered: {inbox:?}");
        world.check().await;
    }
}
