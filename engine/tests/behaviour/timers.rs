//! Timers, and waiting.

use std::time::Duration;

use engine::Awaited;
use workflows::{Timestamp, checkout::Checkout, id::RunId, workflow::Workflow};

use crate::{on_both, world::World};

on_both! {
    async fn a_timer_fires_when_its_time_has_come(world: World) {
        let id = world.awaiting_payment().await;
        world.engine.clock().advance(11 * Timestamp::HOUR);
        world.settle_down().await;
        assert_eq!(world.timeline(id).await.len(), 2, "not yet");
        world.engine.clock().advance(Timestamp::HOUR + 2 * Timestamp::MINUTE);
        world.settle_down().await;
        let timeline = world.timeline(id).await;
        assert_eq!(timeline, ["Request", "SessionCreated", "TimerFired", "(SessionRetrieved)"]);
        let wake_at = world.run(id).await.wake_at.unwrap();
        assert!(wake_at > world.engine.clock().local_millis(), "it will look again");
    }

    async fn whoever_waits_is_told(world: World) {
        let id = world.request().await;
        let run = RunId::of(Checkout::NAME, id.0);
        let there = |run: &entities::run::Run| run.state_name == "AwaitingPayment";
        let (awaited, ()) = tokio::join!(
            world.engine.wait(run, Duration::from_secs(20), there),
            world.settle_down(),
        );
        assert!(matches!(awaited.unwrap(), Awaited::Reached(run) if run.state_name == "AwaitingPayment"));
    }

    async fn whoever_waits_in_vain_is_told_how_far_it_is(world: World) {
        let id = world.request().await;
        world.engine.drain().await.unwrap();
        let run = RunId::of(Checkout::NAME, id.0);
        let awaited = world.engine.wait(run, Duration::from_millis(60), |_| false).await.unwrap();
        assert!(matches!(awaited, Awaited::Elapsed(Some(run)) if run.state_name == "CreatingSession"));
    }
}
