//! Shutdown: nothing new is taken, what is in hand is finished or given back, and the process is forgotten.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use engine::{Letter, Perform, Task, Trouble};
use entities::{node, outbox};
use tokio::{sync::Semaphore, time::Instant};
use uuid::Uuid;
use workers::Performers;
use workflows::{
    effect::{Answer, Marker},
    id::{PageId, RunId},
    message::Message,
    page_publish::{Event, PagePublish, Wanted},
    workflow::Workflow,
};

use crate::{
    on_both,
    patience::{LONG, until_so},
    world::World,
};

/// Holds what it is given until it is let go.
struct Gate {
    taken: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn closed() -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), open: Semaphore::new(0) })
    }

    async fn has_taken(&self, number: usize) {
        let taken = async || self.taken.load(Ordering::Acquire) == number;
        until_so("the gate has it", LONG, taken).await;
    }
}

#[async_trait]
impl Perform for Gate {
    async fn perform(&self, _: &Task) -> Result<Answer, Trouble> {
        self.taken.fetch_add(1, Ordering::AcqRel);
        self.open.acquire().await.unwrap().forget();
        Ok(Answer::MarkerSynced)
    }

    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        self.perform(task).await.map(Some)
    }
}

fn gated(world: &World, gate: &Arc<Gate>) -> Performers {
    Performers { marker: gate.clone(), ..world.performers() }
}

/// A page whose marker is to be synced.
async fn publish(world: &World) -> RunId {
    let page = PageId(Uuid::now_v7());
    let wanted = Wanted { page, version: 1, marker: Marker::Published };
    let letter = Letter {
        source: "test",
        source_id: page.to_string(),
        message: Message::PagePublish(page, Event::Sync(wanted)),
        handle: None,
    };
    let sent = world.engine.send(world.engine.database().write(), letter).await.unwrap();
    world.engine.wake(sent.wake_up);
    RunId::of(PagePublish::NAME, page.0)
}

async fn effect(world: &World, run: RunId) -> Option<outbox::Outbox> {
    outbox::of_run(world.engine.database().read(), run.0).await.unwrap().pop()
}

async fn nodes(world: &World) -> Vec<String> {
    let nodes = node::list(world.engine.database().read()).await.unwrap();
    nodes.into_iter().map(|node| node.id).collect()
}

on_both! {
    async fn what_is_in_hand_is_finished_and_nothing_new_is_taken(world: World) {
        let gate = Gate::closed();
        let workers = world.start_workers(gated(&world, &gate));
        let in_hand = publish(&world).await;
        gate.has_taken(1).await;
        let waiting = publish(&world).await;
        until_so("the other one is in the outbox", LONG, async || effect(&world, waiting).await.is_some())
            .await;
        until_so("operators see the process", LONG, async || nodes(&world).await == [world.engine.node()])
            .await;

        let began = Instant::now();
        let stopping = tokio::spawn(workers.shutdown(LONG));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!stopping.is_finished(), "it waits for what is in hand");
        gate.open.add_permits(10);
        stopping.await.unwrap();
        assert!(began.elapsed() < LONG / 2, "it waits no longer than needed");

        assert_eq!(effect(&world, in_hand).await.unwrap().status, "DONE");
        let untouched = effect(&world, waiting).await.unwrap();
        assert_eq!((untouched.status.as_str(), untouched.attempt), ("PENDING", 0));
        assert_eq!(gate.taken.load(Ordering::Acquire), 1);
        assert!(nodes(&world).await.is_empty(), "the process is forgotten");

        // Whoever comes next goes on where this one stopped.
        let workers = world.start_workers(world.performers());
        until_so("the answers are heard", LONG, async || {
            let run = world.engine.find_run(PagePublish::NAME, in_hand.subject(PagePublish::NAME));
            run.await.unwrap().is_some_and(|run| run.state_name == "Published")
        })
        .await;
        workers.shutdown(LONG).await;
    }

    async fn what_hangs_is_given_back_when_the_grace_is_over(world: World) {
        let gate = Gate::closed();
        let workers = world.start_workers(gated(&world, &gate));
        let hung = publish(&world).await;
        gate.has_taken(1).await;
        assert_eq!(effect(&world, hung).await.unwrap().status, "LEASED");

        let began = Instant::now();
        workers.shutdown(Duration::from_millis(300)).await;
        assert!(began.elapsed() < LONG / 3, "the grace is kept to: {:?}", began.elapsed());
        let given_back = effect(&world, hung).await.unwrap();
        assert_eq!((given_back.status.as_str(), given_back.lease_owner), ("PENDING", None));
        assert!(nodes(&world).await.is_empty(), "the process is forgotten");

        // Another process need not wait for the lease to expire.
        let other = world.another_process().await;
        let slots = engine::Slots(std::num::NonZeroUsize::MIN);
        let (open, stop) = (Gate::closed(), tokio_util::sync::CancellationToken::new());
        open.open.add_permits(1);
        let queue = workflows::effect::Queue::Marker;
        assert_eq!(other.perform_due(queue, &*open, slots, &stop).await.unwrap(), 1);
        assert_eq!(effect(&world, hung).await.unwrap().status, "DONE");
    }

    async fn an_idle_process_stops_at_once(world: World) {
        let workers = world.start_workers(world.performers());
        until_so("operators see the process", LONG, async || nodes(&world).await == [world.engine.node()])
            .await;
        let began = Instant::now();
        workers.shutdown(LONG).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(nodes(&world).await.is_empty());
    }
}
