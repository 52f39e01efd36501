//! The days that earnings are asked for.

use entities::earnings::Days;
use time::{Date, format_description::BorrowedFormatItem, macros::format_description};

use crate::problem::Problem;

const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// 1970-01-01, as Julian days count.
const EPOCH: i64 = 2_440_588;

/// Days in UTC; both count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(Days);

impl Range {
    /// The range that was asked for, if any was. A side that is not given is open.
    pub fn of(from: Option<&str>, to: Option<&str>) -> Result<Option<Self>, Problem> {
        if from.is_none() && to.is_none() {
            return Ok(None);
        }
        let from = from.map(|text| day("from", text)).transpose()?.unwrap_or(Days::ALL.from);
        let to = to.map(|text| day("to", text)).transpose()?.unwrap_or(Days::ALL.to);
        if to < from {
            return Err(Problem::field("to", "is before from"));
        }
        Ok(Some(Self(Days { from, to })))
    }

    /// The days.
    pub fn days(self) -> Days {
        self.0
    }
}

fn day(field: &'static str, text: &str) -> Result<i64, Problem> {
    let date = Date::parse(text, FORMAT).ok().filter(|_| text.len() == "2026-01-31".len());
    let date = date.ok_or_else(|| Problem::field(field, "is no day like 2026-01-31"))?;
    Ok(i64::from(date.to_julian_day()) - EPOCH)
}

/// A day since the epoch, as it is written.
pub fn date(day: i64) -> String {
    let date = i32::try_from(day + EPOCH).ok().and_then(|day| Date::from_julian_day(day).ok());
    // Out of range only for years beyond 9999, which nothing here reaches.
    date.and_then(|date| date.format(FORMAT).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        for (text, day) in [("1970-01-01", 0), ("1970-01-02", 1), ("2026-11-26", 20_783)] {
            let range = Range::of(Some(text), Some(text)).ok().flatten();
            assert_eq!(range, Some(Range(Days { from: day, to: day })), "{text}");
            assert_eq!(date(day), text);
        }
        for text in
            ["", "2026-13-01", "2026-02-30", "26-11-26", "2026-11-26T00:00:00Z", "+226-11-26"]
        {
            assert!(Range::of(Some(text), None).is_err(), "{text}");
        }
        assert!(Range::of(Some("2026-01-02"), Some("2026-01-01")).is_err());
    }
}
