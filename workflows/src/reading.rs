//! Reading Stripe, one reading at a time: whatever happens while one is under way leads to one more after it,
//! and only the answer to the newest counts. So an old answer never overwrites a newer one.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// How long an answer is waited for, in milliseconds. A reading without one is an operator's matter, but no
/// reason not to look again.
const GIVEN_UP: i64 = Timestamp::DAY;

/// Whether Stripe is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// No.
    #[default]
    Idle,
    /// Yes, since a moment.
    UnderWay(Timestamp),
    /// Yes, since a moment, and something happened since: read once more.
    OnceMore(Timestamp),
}

impl Reading {
    /// When the reading is given up, if one is under way.
    pub fn given_up(self) -> Option<Timestamp> {
        match self {
            Self::Idle => None,
            Self::UnderWay(since) | Self::OnceMore(since) => Some(since.plus(GIVEN_UP)),
        }
    }
}
