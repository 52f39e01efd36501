//! When reconciliation is due. apalis-cron says when, in every worker process at the same moment; the lease
//! lets one of them do it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apalis_cron::{CronScheduler, Schedule, Tick, timezone::Utc};
use engine::{Engine, EngineError};
use futures::{FutureExt, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Extent, Reconciler};
use crate::{MAX_DELAY, Pace, Performers, supervise};

/// How many connected accounts a round asks for: one call each, mostly.
const ACCOUNTS: u64 = 200;
/// How long verdicts wait for what events have just brought.
const REST: Duration = Duration::from_secs(30);

/// Every so many seconds, by the clock on the wall.
#[derive(Clone, Copy, Debug)]
struct Every(u64);

impl Schedule<Utc> for Every {
    fn next_tick(&mut self, _: &Utc) -> Option<Tick<Utc>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        (now / self.0).checked_add(1)?.checked_mul(self.0).map(Tick::new)
    }
}

pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    engine: &Engine,
    performers: &Performers,
    pace: Pace,
    stop: &CancellationToken,
) {
    let reconciler = Reconciler::new(engine.clone(), performers.stripe.clone(), stop.clone());
    let (events, movements) = (reconciler.clone(), reconciler);
    let extent = |period: Duration| Extent::News {
        accounts: ACCOUNTS,
        rested: i64::try_from(period.as_millis() / 2).unwrap_or(i64::MAX),
    };
    let (listed, judged) = (extent(pace.events), extent(pace.movements));
    tasks.spawn(keep_to("reconcile events", pace.events, stop.clone(), move || {
        let events = events.clone();
        async move { events.events(listed).await.map(drop) }
    }));
    tasks.spawn(keep_to("reconcile movements", pace.movements, stop.clone(), move || {
        let movements = movements.clone();
        async move {
            movements.come_to_rest(REST).await?;
            movements.movements(judged).await.map(drop)
        }
    }));
}

/// Acts at each tick. The act runs here, not in a worker of apalis', which drops what is under way when it ends.
async fn keep_to<F, Fut>(name: &'static str, period: Duration, stop: CancellationToken, act: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), EngineError>>,
{
    let every = Every(period.as_secs().max(1));
    supervise(name, MAX_DELAY, &stop, async || {
        while ticked(every, &stop).await {
            act().await?;
        }
        Ok::<(), EngineError>(())
    })
    .await;
}

/// Waits for the next tick, and says whether it came before the end. The scheduler is a new one each time: it takes
/// a tick that passed while nobody waited for an error.
async fn ticked(every: Every, stop: &CancellationToken) -> bool {
    let mut ticks = std::pin::pin!(CronScheduler::new(every).into_stream());
    tokio::select! {
        tick = ticks.next().map(|tick| tick.is_some()) => tick,
        () = stop.cancelled() => false,
    }
}
