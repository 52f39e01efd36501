//! Runners: one for each kind of work. A runner waits for its bell and works until it finds nothing. The one
//! for the inbox lingers a moment, since more often follows, and what follows comes from other processes.

use std::{future::Future, time::Duration};

use engine::{BATCH, Engine, EngineError, Work};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use workflows::effect::Queue;

use crate::{MAX_DELAY, Pace, Performers, supervise, wakeups::Bells};

/// How long the inbox's runner stays awake after the last work.
const LINGER: Duration = Duration::from_millis(250);
/// How often it looks while it is awake. Under load this is what gathers messages into batches: ten messages
/// in one transaction cost little more than one.
const PROBE: Duration = Duration::from_millis(1);

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
        Work::News => {
            engine.perform_due(Queue::News, performers.mail.as_ref(), pace.news, stop).await
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
        loop {
            let found = perform().await?;
            if found > 0 {
                last_work = tokio::time::Instant::now();
            }
            if stop.is_cancelled() || last_work.elapsed() >= linger(work) {
                break;
            }
            if found < BATCH as usize {
                tokio::time::sleep(PROBE).await;
            }
        }
    }
}

/// Effects come from steps of this process, which ring its bell themselves.
fn linger(work: Work) -> Duration {
    match work {
        Work::Inbox => LINGER,
        Work::Stripe | Work::Mail | Work::Marker | Work::News | Work::Local => Duration::ZERO,
    }
}
