//! How long to wait before trying again: exponential, with full jitter and a cap.

use rand::Rng;
use workflows::Timestamp;

/// The longest delay, in milliseconds.
pub const MAX_DELAY: i64 = 10 * Timestamp::MINUTE;
/// The longest delay before the first retry, in milliseconds.
const FIRST_DELAY: i64 = Timestamp::SECOND / 2;

/// A delay in milliseconds before the try after the given one (1 is the first).
pub fn delay(attempt: i32) -> i64 {
    let doublings = attempt.saturating_sub(1).clamp(0, 20);
    let longest = (FIRST_DELAY << doublings).min(MAX_DELAY);
    rand::rng().random_range(longest / 10..=longest)
}
