//! Billing intervals, counted on the calendar from an anchor
//! (<https://docs.stripe.com/billing/subscriptions/billing-cycle>): a subscription that began on 31 January is
//! billed on the last day of each shorter month, and on the 31st again where there is one.

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

use crate::clock::DAY;

/// How often something is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Interval {
    Day,
    Week,
    Month,
    Year,
}

/// Every so many intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Period {
    pub(crate) interval: Interval,
    pub(crate) count: i64,
}

impl Interval {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// Stripe's longest period is three years.
    pub(crate) fn longest(self) -> i64 {
        match self {
            Self::Day => 3 * 365,
            Self::Week => 3 * 52,
            Self::Month => 3 * 12,
            Self::Year => 3,
        }
    }
}

impl Period {
    /// The first end of a period after an instant, when periods are counted from an anchor. Seconds
    /// since 1970.
    pub(crate) fn end_after(self, anchor: i64, instant: i64) -> i64 {
        let mut number = self.elapsed(anchor, instant).max(1);
        while self.nth(anchor, number) <= instant {
            number += 1;
        }
        self.nth(anchor, number)
    }

    /// A number of periods from the anchor whose end is not after the instant, give or take a clamped day.
    fn elapsed(self, anchor: i64, instant: i64) -> i64 {
        // No interval is longer than this; so the count is never too high.
        let longest = match self.interval {
            Interval::Day => DAY,
            Interval::Week => 7 * DAY,
            Interval::Month => 31 * DAY,
            Interval::Year => 366 * DAY,
        };
        (instant - anchor) / (longest * self.count)
    }

    /// The end of the n-th period.
    fn nth(self, anchor: i64, number: i64) -> i64 {
        let intervals = self.count * number;
        match self.interval {
            Interval::Day => anchor + intervals * DAY,
            Interval::Week => anchor + intervals * 7 * DAY,
            Interval::Month => months_later(anchor, intervals),
            Interval::Year => months_later(anchor, intervals * 12),
        }
    }
}

/// The same time of day on the same day of a later month, or on its last day.
fn months_later(anchor: i64, months: i64) -> i64 {
    let thirty_days_each = anchor + months * 30 * DAY;
    let Ok(begin) = OffsetDateTime::from_unix_timestamp(anchor) else {
        return thirty_days_each;
    };
    let number = i64::from(begin.year()) * 12 + i64::from(u8::from(begin.month())) - 1 + months;
    let date = i32::try_from(number.div_euclid(12)).ok().and_then(|year| {
        let month = Month::try_from(u8::try_from(number.rem_euclid(12)).ok()? + 1).ok()?;
        Date::from_calendar_date(year, month, begin.day().min(month.length(year))).ok()
    });
    // Years beyond the calendar's end are nobody's business.
    date.map_or(thirty_days_each, |date| begin.replace_date(date).unix_timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use time::macros::datetime;

    use super::*;

    const MONTHLY: Period = Period { interval: Interval::Month, count: 1 };

    #[test]
    fn months_keep_the_day_of_the_anchor_where_there_is_one() {
        let anchor = datetime!(2027-01-31 10:20:30 UTC).unix_timestamp();
        let mut ends = vec![anchor];
        for _ in 0..4 {
            ends.push(MONTHLY.end_after(anchor, *ends.last().unwrap()));
        }
        let expected = [
            datetime!(2027-01-31 10:20:30 UTC),
            datetime!(2027-02-28 10:20:30 UTC),
            datetime!(2027-03-31 10:20:30 UTC),
            datetime!(2027-04-30 10:20:30 UTC),
            datetime!(2027-05-31 10:20:30 UTC),
        ];
        assert_eq!(ends, expected.map(OffsetDateTime::unix_timestamp));
    }

    #[test]
    fn a_period_ends_after_the_instant_however_late_it_is() {
        for (interval, count) in [
            (Interval::Day, 1),
            (Interval::Week, 2),
            (Interval::Month, 1),
            (Interval::Month, 3),
            (Interval::Year, 1),
        ] {
            let period = Period { interval, count };
            let anchor = datetime!(2024-02-29 00:00 UTC).unix_timestamp();
            let mut previous = anchor;
            for days in 0..2_000 {
                let instant = anchor + days * DAY;
                let end = period.end_after(anchor, instant);
                assert!(end > instant, "{period:?} after {days} days");
                assert!(end >= previous, "{period:?} after {days} days");
                previous = end;
            }
        }
    }

    #[test]
    fn a_leap_day_comes_back_after_four_years() {
        let yearly = Period { interval: Interval::Year, count: 1 };
        let anchor = datetime!(2024-02-29 00:00 UTC).unix_timestamp();
        let later = datetime!(2027-03-01 00:00 UTC).unix_timestamp();
        let leap = datetime!(2028-02-29 00:00 UTC).unix_timestamp();
        assert_eq!(yearly.end_after(anchor, later), leap);
    }
}
