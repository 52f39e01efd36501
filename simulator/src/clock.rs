//! The simulator's own clock: the system's time plus what the control interface has advanced it by.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One day, in seconds.
pub(crate) const DAY: i64 = 86_400;

/// Seconds since 1970 on the simulator's clock. It never goes back, even if the system's does, so
/// that objects are in order of creation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    offset_seconds: i64,
    latest: i64,
}

impl Clock {
    /// The instant of the current piece of work: it stands still between two calls of
    /// [`refresh`](Self::refresh).
    pub(crate) fn now(&self) -> i64 {
        self.latest
    }

    /// Catches up with the system's time.
    pub(crate) fn refresh(&mut self) {
        self.latest = self.latest.max(self.target());
    }

    /// Where [`refresh`](Self::refresh) will put the clock.
    pub(crate) fn target(&self) -> i64 {
        system_seconds() + self.offset_seconds
    }

    /// Lets the time come at which something was due, on the way to the target.
    pub(crate) fn come_to(&mut self, instant: i64) {
        self.latest = self.latest.max(instant);
    }

    /// Moves the target forward; what is due until then happens as the clock catches up.
    pub(crate) fn advance(&mut self, seconds: u32) {
        self.offset_seconds += i64::from(seconds);
    }
}

/// The system's time, in seconds since 1970. Signatures bear it, since the receiver of a webhook
/// compares it with a clock that nobody advances.
pub(crate) fn system_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}
