//! How group buys stand, and how far they are.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;

/// How a group buy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GroupBuyStatus {
    /// Nobody sees it yet.
    Draft,
    /// Visitors say that they are interested.
    Collecting,
    /// The target was reached, and what it opens is open. It stays so, whoever withdraws.
    Activated,
    /// The deadline has passed before the target was reached.
    Lapsed,
    /// It was called off.
    Cancelled,
}

impl GroupBuyStatus {
    /// The status of a stored group buy. One of a newer release opens nothing.
    pub fn of(status: &str) -> Self {
        match status {
            "COLLECTING" => Self::Collecting,
            "ACTIVATED" => Self::Activated,
            "LAPSED" => Self::Lapsed,
            "DRAFT" => Self::Draft,
            _ => Self::Cancelled,
        }
    }

    /// As the database keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Collecting => "COLLECTING",
            Self::Activated => "ACTIVATED",
            Self::Lapsed => "LAPSED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// How much of the target is reached, rounded down to four decimals, so that 1 means reached. More than 1, where more
/// was wanted.
pub fn fill_rate(quantity: i64, target: i64) -> f64 {
    let parts = i128::from(quantity) * 10_000 / i128::from(target.max(1));
    // A rate for people, not money: 1e9 times 1e4 is exact in a double.
    parts as f64 / 10_000.0
}

/// How far a group buy is that keeps something closed.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct GroupBuyStanding {
    /// As it stands in addresses.
    pub slug: String,
    /// How it stands.
    pub status: GroupBuyStatus,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How much there is.
    pub interest_quantity: i64,
    /// How much is missing yet.
    pub missing_quantity: i64,
    /// How much of the target is reached, rounded down to four decimals.
    pub fill_rate: f64,
    /// From when on no interest is taken.
    pub deadline: Option<OffsetDateTime>,
    /// Where to read it, and to say that one is interested: `POST …/interest`.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_one_means_reached() {
        for (quantity, target, rate) in [
            (0, 7, 0.0),
            (1, 3, 0.3333),
            (99_999, 100_000, 0.9999),
            (100_000, 100_000, 1.0),
            (150, 100, 1.5),
        ] {
            let seen = fill_rate(quantity, target);
            assert!((seen - rate).abs() < 1e-9, "{quantity} of {target}: {seen}");
        }
    }
}
