//! Moments, as the API writes them: RFC 3339 in UTC.

use poem_openapi::types::MaybeUndefined;
use serde::{Deserialize, Deserializer, de::Error};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

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

/// Reads a moment that may be left out of a change, or be taken away by it.
pub fn read_change<'de, D: Deserializer<'de>>(
    json: D,
) -> Result<MaybeUndefined<OffsetDateTime>, D::Error> {
    Ok(read(json)?.map_or(MaybeUndefined::Null, MaybeUndefined::Value))
}

/// Reads a moment that may be left out of a body.
pub fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let text = Option::<String>::deserialize(json)?;
    let moment = text.map(|text| OffsetDateTime::parse(&text, &Rfc3339)).transpose();
    moment.map_err(|_| D::Error::custom("is no moment as RFC 3339 writes it"))
}
