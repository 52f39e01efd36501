//! Moments, as the API writes them: RFC 3339 in UTC.

use time::OffsetDateTime;

/// A moment given in milliseconds since the epoch.
pub fn moment(millis: i64) -> OffsetDateTime {
    // Out of range only for years beyond 9999, which nothing here reaches.
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The same for a moment that may not be there.
pub fn maybe_moment(millis: Option<i64>) -> Option<OffsetDateTime> {
    millis.map(moment)
}
