//! Wake-ups on their way to runners: rung in this process, or carried by apalis from another one.
//!
//! A wake-up names a kind of work and nothing else. One that is outstanding is not sent again, and that it
//! is outstanding is forgotten *before* the work begins, so that none is lost. The apalis handler only rings
//! a bell and returns: when an apalis worker ends and is begun again, no effect in flight goes with it.

pub mod memory;
pub mod redis;

use std::{sync::Arc, time::Duration};

use engine::{Wakeups, Work};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Beginning again costs next to nothing here, and each moment without wake-ups is a delay for somebody.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// An outstanding wake-up that nobody has taken for so long is taken to be lost.
const OUTSTANDING: Duration = Duration::from_secs(2);

/// One bell for each kind of work. Ringing twice before anybody hears is ringing once.
#[derive(Clone, Default)]
pub struct Bells(Arc<[Notify; Work::ALL.len()]>);

impl Bells {
    /// Rings.
    pub fn ring(&self, work: Work) {
        self.bell(work).notify_one();
    }

    /// Waits until the bell was rung.
    pub async fn heard(&self, work: Work) {
        self.bell(work).notified().await;
    }

    fn bell(&self, work: Work) -> &Notify {
        &self.0[position(work)]
    }
}

/// Within a worker process there is no need to travel.
impl Wakeups for Bells {
    fn wake(&self, work: Work) {
        self.ring(work);
    }
}

/// For a process that works itself and has equals: rung here at once, whatever becomes of Redis, and sent to
/// the others.
#[derive(Clone)]
pub struct HereAndThere {
    /// This process.
    pub here: Bells,
    /// The others.
    pub there: redis::RedisWakeups,
}

impl Wakeups for HereAndThere {
    fn wake(&self, work: Work) {
        self.here.ring(work);
        self.there.wake(work);
    }
}

/// A wake-up as apalis carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WakeUp {
    /// The name of the work.
    pub work: String,
}

fn position(work: Work) -> usize {
    Work::ALL.iter().position(|known| *known == work).unwrap_or_default()
}
