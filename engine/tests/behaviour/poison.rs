//! Scenario 44: a message that cannot be stepped hurts only itself.

use engine::{Machine, Registry, wake::NoWakeups};
use entities::inbox;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use workflows::{
    Timestamp,
    checkout::Checkout,
    effect::{Answer, Effect},
    id::RunId,
    workflow::{Refused, Standing, Step, Workflow},
};

use crate::{on_both, world::World};

/// Panics when it is told to.
struct Fragile;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Count(u32);

impl From<Count> for &'static str {
    fn from(_: Count) -> Self {
        "Count"
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Said {
    Tick,
    Panic,
    Timer,
    Cancel,
}

impl From<Said> for &'static str {
    fn from(said: Said) -> Self {
        match said {
            Said::Tick => "Tick",
            Said::Panic => "Panic",
            Said::Timer => "Timer",
            Said::Cancel => "Cancel",
        }
    }
}

impl Workflow for Fragile {
    const NAME: &'static str = "fragile";
    const VERSION: u32 = 1;
    type State = Count;
    type Event = Said;
    const TIMER_FIRED: Said = Said::Timer;
    const CANCEL: Said = Said::Cancel;

    fn start(event: &Said, at: Timestamp) -> Result<Step<Count>, Refused> {
        Self::step(&Count(0), event, at)
    }

    fn step(state: &Count, event: &Said, _: Timestamp) -> Result<Step<Count>, Refused> {
        assert!(*event != Said::Panic, "told to");
        Ok(Step::to(Count(state.0 + 1)))
    }

    fn on_answer(_: &Effect, _: &Answer) -> Option<Said> {
        None
    }

    fn standing(_: &Count) -> Standing {
        Standing::Done
    }
}

fn message(subject: Uuid, n: usize, event: &str) -> inbox::NewInbox {
    inbox::NewInbox {
        source: "test",
        source_id: format!("{subject}:{n}"),
        run_id: Some(RunId::of("fragile", subject).0),
        workflow: "fragile",
        subject: Some(subject),
        handle_id: None,
        stripe_object: None,
        event: event.to_owned(),
        status: "PENDING",
        last_error: None,
    }
}

on_both! {
    async fn s44_a_panic_goes_dead_and_the_others_go_on(world: World) {
        let engine = world.engine.clone()
            .with_registry(Registry::of([Machine::of::<Fragile>(), Machine::of::<Checkout>()]));
        let (sick, well) = (Uuid::now_v7(), Uuid::now_v7());
        let messages = [
            message(sick, 0, r#""Tick""#),
            message(sick, 1, r#""Panic""#),
            message(sick, 2, r#""Tick""#),
            message(sick, 3, "not even JSON"),
            message(well, 0, r#""Tick""#),
        ];
        let db = engine.database().write();
        inbox::insert(db, engine.clock(), &messages).await.unwrap();
        for _ in 0..12 {
            engine.drain().await.unwrap();
            engine.clock().advance(11 * Timestamp::MINUTE);
        }
        let row = |n: usize| inbox::find(db, "test", Box::leak(format!("{sick}:{n}").into_boxed_str()));
        let dead = row(1).await.unwrap().unwrap();
        assert_eq!(dead.status, "DEAD");
        assert!(dead.last_error.unwrap().contains("told to"));
        assert_eq!(row(3).await.unwrap().unwrap().status, "DEAD");
        assert_eq!(row(2).await.unwrap().unwrap().status, "DONE", "a dead message does not block its run");
        let run = engine.find_run("fragile", sick).await.unwrap().unwrap();
        assert_eq!(run.state, "2");
        let run = engine.find_run("fragile", well).await.unwrap().unwrap();
        assert_eq!(run.state, "1");
        // A person may try again.
        assert!(engine.retry_message(dead.seq, &engine::By::new("olga")).await.unwrap());
        assert_eq!(row(1).await.unwrap().unwrap().status, "PENDING");
    }

    async fn a_message_that_nobody_survives_goes_dead(world: World) {
        let subject = Uuid::now_v7();
        let db = world.engine.database().write();
        let mut row = message(subject, 0, r#""Tick""#);
        row.workflow = Checkout::NAME;
        row.run_id = Some(RunId::of(Checkout::NAME, subject).0);
        inbox::insert(db, world.engine.clock(), &[row]).await.unwrap();
        let run = RunId::of(Checkout::NAME, subject).0;
        // Ten processes counted a try and died.
        for _ in 0..10 {
            inbox::count_try(db, world.engine.clock(), run).await.unwrap();
        }
        let fresh = world.another_process().await;
        fresh.drain().await.unwrap();
        let row = inbox::find(db, "test", &format!("{subject}:0")).await.unwrap().unwrap();
        assert_eq!(row.status, "DEAD");
    }

    async fn s50_a_run_of_a_newer_release_is_left_alone(world: World) {
        let id = world.awaiting_payment().await;
        let run = world.run(id).await;
        let db = world.engine.database().write();
        let sql = "UPDATE run SET machine_version = 99 WHERE id = $1";
        entities::statement::execute(db, sql, vec![run.id.into()]).await.unwrap();
        world.pay(id, "evt_1").await;
        world.settle_down().await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
        let row = inbox::find(db, "stripe", "evt_1").await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.attempt), ("PENDING", 0), "leaving it alone is no failure");
        // The newer release comes.
        let sql = "UPDATE run SET machine_version = 1 WHERE id = $1";
        entities::statement::execute(db, sql, vec![run.id.into()]).await.unwrap();
        world.engine.clock().advance(6_000);
        world.settle_down().await;
        assert_eq!(world.state(id).await, "Settled");
    }

    async fn what_cannot_be_written_is_tried_singly(world: World) {
        // A NUL cannot be stored as text by PostgreSQL: the whole batch fails, its runs are taken singly.
        let good = world.awaiting_payment().await;
        let bad = world.awaiting_payment().await;
        world.pay(good, "evt_good").await;
        let text = serde_json::to_string(&"\u{0}").unwrap();
        let event = format!(r#"{{"session_failed":{{"code":{text},"message":"m"}}}}"#);
        let reported = r#"{"session_reported":{"id":"cs_\u0000","outcome":{"paid":{"intent":"pi_\u0000","amount":1000,"currency":"USD"}}}}"#;
        let db = world.engine.database().write();
        for (n, event) in [event, reported.to_owned()].into_iter().enumerate() {
            let mut row = message(bad.0, n, &event);
            row.workflow = Checkout::NAME;
            row.run_id = Some(RunId::of(Checkout::NAME, bad.0).0);
            inbox::insert(db, world.engine.clock(), &[row]).await.unwrap();
        }
        for _ in 0..12 {
            world.engine.drain().await.unwrap();
            world.engine.clock().advance(11 * Timestamp::MINUTE);
        }
        assert_eq!(world.state(good).await, "Settled");
        if world.engine.database().dialect() == entities::Dialect::Postgres {
            let row = inbox::find(db, "test", &format!("{}:1", bad.0)).await.unwrap().unwrap();
            assert_eq!(row.status, "DEAD");
            assert_eq!(world.state(bad).await, "AwaitingPayment");
        }
    }

    async fn an_engine_without_wakeups_still_works(world: World) {
        let url = world.url.clone();
        let database = entities::Database::open(&url, entities::database::PoolSize(2)).await.unwrap();
        let engine = engine::Engine::new(database, std::sync::Arc::new(NoWakeups), "lonely");
        let id = world.request().await;
        crate::world::settle_down(&engine, &*world.stripe).await;
        assert_eq!(world.state(id).await, "AwaitingPayment");
    }
}
