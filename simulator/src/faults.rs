//! Bad luck on purpose, at the rates that `PUT /_sim/faults` asks for.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// What goes wrong and how often. A probability is between 0 and 1; everything is 0 by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Starts the random numbers afresh from here. None: from the simulator's own seed.
    pub seed: Option<u64>,
    /// Of the delivery of events.
    pub webhooks: WebhookFaults,
    /// Of requests to `/v1`.
    pub api: ApiFaults,
    /// Of refunds.
    pub refunds: RefundFaults,
}

/// Faults of the delivery of events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFaults {
    /// The probability that an event is delivered twice.
    pub duplicate: f64,
    /// The probability that an event is never delivered, nor retried. It can still be listed.
    pub drop: f64,
    /// The probability that an event is held back until a later one was sent, or for a second.
    pub reorder: f64,
    /// Every delivery waits for between so many and so many milliseconds.
    pub delay_ms: [u64; 2],
}

/// Faults of requests to `/v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiFaults {
    /// The probability of a 500 before any work is done. It is stored under the idempotency key.
    pub error_500: f64,
    /// The probability of a 429 with `Retry-After`. Nothing is stored.
    pub error_429: f64,
    /// The probability that the work is done and stored but the answer is withheld.
    pub timeout_after_work: f64,
    /// For how long an answer is withheld, after which a 504 is sent.
    pub timeout_seconds: u64,
    /// Every request waits for between so many and so many milliseconds before its work.
    pub latency_ms: [u64; 2],
}

impl Default for ApiFaults {
    fn default() -> Self {
        Self {
            error_500: 0.0,
            error_429: 0.0,
            timeout_after_work: 0.0,
            timeout_seconds: 60,
            latency_ms: [0, 0],
        }
    }
}

/// Faults of refunds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefundFaults {
    /// The probability that a refund starts as pending, as for lack of funds.
    pub pending: f64,
}

impl Faults {
    /// Says which value makes no sense, if one does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let probabilities = [
            ("webhooks.duplicate", self.webhooks.duplicate),
            ("webhooks.drop", self.webhooks.drop),
            ("webhooks.reorder", self.webhooks.reorder),
            ("api.error_500", self.api.error_500),
            ("api.error_429", self.api.error_429),
            ("api.timeout_after_work", self.api.timeout_after_work),
            ("refunds.pending", self.refunds.pending),
        ];
        for (name, probability) in probabilities {
            if !(0.0..=1.0).contains(&probability) {
                return Err(format!("{name} must be between 0 and 1"));
            }
        }
        let ranges = [
            ("webhooks.delay_ms", self.webhooks.delay_ms),
            ("api.latency_ms", self.api.latency_ms),
        ];
        for (name, [from, to]) in ranges {
            if from > to {
                return Err(format!("{name} must be [least, most]"));
            }
        }
        Ok(())
    }
}

/// What happens to one event on its way to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WebhookLuck {
    /// 0 when the event is dropped, 2 when it is duplicated.
    pub(crate) copies: usize,
    pub(crate) delay_ms: u64,
    pub(crate) behind_the_next: bool,
}

/// What happens to one API request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ApiLuck {
    pub(crate) rate_limited: bool,
    pub(crate) broken: bool,
    pub(crate) withheld_seconds: Option<u64>,
    pub(crate) latency_ms: u64,
}

/// The faults in force and the random numbers for them, a stream for each kind so that one does not
/// disturb the other. Each draw takes the same number of values whatever the outcome.
#[derive(Debug)]
pub(crate) struct Luck {
    faults: Faults,
    webhooks: StdRng,
    api: StdRng,
    refunds: StdRng,
}

impl Luck {
    pub(crate) fn new(faults: Faults, own_seed: u64) -> Self {
        let seed = faults.seed.unwrap_or(own_seed);
        Self {
            faults,
            webhooks: StdRng::seed_from_u64(seed),
            api: StdRng::seed_from_u64(seed.wrapping_add(1)),
            refunds: StdRng::seed_from_u64(seed.wrapping_add(2)),
        }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn of_webhook(&mut self) -> WebhookLuck {
        let (rng, faults) = (&mut self.webhooks, &self.faults.webhooks);
        let duplicated = rng.random_bool(faults.duplicate);
        let dropped = rng.random_bool(faults.drop);
        let behind_the_next = rng.random_bool(faults.reorder);
        let delay_ms = rng.random_range(faults.delay_ms[0]..=faults.delay_ms[1]);
        WebhookLuck {
            copies: match (dropped, duplicated) {
                (true, _) => 0,
                (false, true) => 2,
                (false, false) => 1,
            },
            delay_ms,
            behind_the_next,
        }
    }

    pub(crate) fn of_request(&mut self) -> ApiLuck {
        let (rng, faults) = (&mut self.api, &self.faults.api);
        let rate_limited = rng.random_bool(faults.error_429);
        let broken = rng.random_bool(faults.error_500);
        let withheld = rng.random_bool(faults.timeout_after_work);
        ApiLuck {
            rate_limited,
            broken,
            withheld_seconds: withheld.then_some(faults.timeout_seconds),
            latency_ms: rng.random_range(faults.latency_ms[0]..=faults.latency_ms[1]),
        }
    }

    /// Whether the next refund starts as pending.
    pub(crate) fn of_refund_is_pending(&mut self) -> bool {
        self.refunds.random_bool(self.faults.refunds.pending)
    }
}

impl Default for Luck {
    fn default() -> Self {
        Self::new(Faults::default(), 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_luck() {
        let faults = Faults {
            webhooks: WebhookFaults { duplicate: 0.5, drop: 0.3, reorder: 0.5, delay_ms: [1, 100] },
            ..Faults::default()
        };
        let draw = |seed| {
            let mut luck = Luck::new(faults.clone(), seed);
            (0..50).map(|_| luck.of_webhook()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut faults = Faults::default();
        faults.api.error_500 = 1.5;
        assert!(faults.check().unwrap_err().contains("api.error_500"));
    }
}
