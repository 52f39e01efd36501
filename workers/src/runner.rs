//! Runners: one for each kind of work. A runner waits for its bell, works until it finds nothing, and
//! lingers a moment, since more often follows.

use std::{future::Future, time::Duration};

use engine::{Engine, EngineError, Work};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workflows::effect::Queue;

use crate::{MAX_DELAY, Pace, Performers, supervise, wakeups::Bells};

/// How long a runner stays awake after the last work.
const LINGER: Duration = Duration::from_millis(250);
/// How often it looks while it lingers.
const PROBE: Duration = Duration::from_millis(3);

pub fn start(
    tasks: &mut JoinSet<()>,
    engine: &Engine,
    bells: &Bells,
    performers: &Performers,
    pace: Pace,
    stop: &CancellationToken,
) {
    for work in Work::ALL {
        let (engine, bells, performers, stop) =
            (engine.clone(), bells.clone(), performers.clone(), stop.clone());
        tasks.spawn(async move {
            supervise(work.name(), MAX_DELAY, &stop, async || {
                // After a failure, nobody performs any more what was in hand.
                if let Some(queue) = work.queue() {
                    engine.give_back(queue).await?;
                }
                run(&bells, work, &stop, || perform(&engine, work, &performers, pace, &stop)).await
            })
            .await;
        });
    }
}

/// Works off one kind of work until nothing is due.
async fn perform(
    engine: &Engine,
    work: Work,
    performers: &Performers,
    pace: Pace,
    stop: &CancellationToken,
) -> Result<usize, EngineError> {
    match work {
        Work::Inbox => engine.drain_batch().await,
        Work::Stripe => {
            let stripe = performers.stripe.as_ref();
            engine.perform_due(Queue::Stripe, stripe, pace.stripe, stop).await
        }
        Work::Mail => {
            engine.perform_due(Queue::Mail, performers.mail.as_ref(), pace.mail, stop).await
        }
        Work::Marker => {
            engine.perform_due(Queue::Marker, performers.marker.as_ref(), pace.marker, stop).await
        }
        Work::Local => engine.perform_local().await,
    }
}

async fn run<F, Fut>(
    bells: &Bells,
    work: Work,
    stop: &CancellationToken,
    mut perform: F,
) -> Result<(), EngineError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<usize, EngineError>>,
{
    loop {
        tokio::select! {
            () = bells.heard(work) => {}
            () = stop.cancelled() => return Ok(()),
        }
        let mut last_work = tokio::time::Instant::now();
        while last_work.elapsed() < LINGER && !stop.is_cancelled() {
            if perform().await? > 0 {
                last_work = tokio::time::Instant::now();
            } else {
                tokio::time::sleep(PROBE).await;
            }
        }
    }
}
