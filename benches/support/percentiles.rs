//! Latencies, summed up.

use std::fmt;

/// Milliseconds.
pub struct Percentiles {
    p50: f64,
    p95: f64,
    pub p99: f64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms", self.p50, self.p95, self.p99)
    }
}

impl Percentiles {
    pub fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| millis[((millis.len() - 1) as f64 * share) as usize];
        Self { p50: at(0.50), p95: at(0.95), p99: at(0.99) }
    }
}
