//! Buckets of this process alone.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use super::{Decision, Limit, Measure, Standing};

/// After so many requests the buckets that are full again are forgotten.
const SWEEP: u64 = 4_096;

type Limiter =
    RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Buckets of this process alone.
pub struct Local {
    limits: [Limit; Measure::ALL.len()],
    limiters: [Limiter; Measure::ALL.len()],
    requests: AtomicU64,
}

impl Local {
    /// With these limits.
    pub fn new(limits: [Limit; Measure::ALL.len()]) -> Self {
        let limiters = limits.map(|limit| {
            // An interval is never zero: a minute has enough nanoseconds for any burst.
            let quota = Quota::with_period(limit.interval.max(Duration::from_nanos(1)));
            let quota = quota.unwrap_or(Quota::per_second(limit.burst)).allow_burst(limit.burst);
            RateLimiter::keyed(quota).with_middleware()
        });
        Self { limits, limiters, requests: AtomicU64::new(0) }
    }

    /// Counts a request in a bucket.
    pub fn decide(&self, measure: Measure, bucket: String) -> Decision {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        if requests % SWEEP == SWEEP - 1 {
            self.limiters.iter().for_each(Limiter::retain_recent);
        }
        let limit = self.limits[measure as usize];
        let (remaining, wait) = match self.limiters[measure as usize].check_key(&bucket) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => (0, Some(until.wait_time_from(DefaultClock::default().now()))),
        };
        let reset = limit.interval * limit.burst.get().saturating_sub(remaining);
        Decision { standing: Standing { limit: limit.burst.get(), remaining, reset }, wait }
    }
}
