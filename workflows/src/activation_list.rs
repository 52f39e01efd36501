//! The list of the interests that activated a group buy, as it is hashed and shown: the same bytes for everybody,
//! in which nobody finds anybody but themselves.
//!
//! ```text
//! # sluice activation 1, gb_…, target 3, quantity 4, interests 2
//! position,quantity,participant
//! 1,2,9f86d081884c7d659a2feaa0c55ad015
//! 4,2,60303ae22b998861bce3b28f33eec1be
//! ```
//!
//! Every line ends with a line feed. The hash is SHA-256 over all of it. A participant is the first half of the
//! SHA-256 of `gb_…:vis_…`: visitors know their own id, and nobody guesses another's.

use sha2::{Digest, Sha256};

use crate::id::{GroupBuyId, VisitorId};

/// What the list says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which group buy was activated.
    pub group_buy: GroupBuyId,
    /// How much was needed.
    pub target: i64,
    /// How much there was.
    pub quantity: i64,
    /// Of how many visitors.
    pub interests: i64,
}

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The order of the interests.
    pub position: i64,
    /// How many are wanted.
    pub quantity: i64,
    /// Whose interest it is.
    pub visitor: VisitorId,
}

/// The first two lines.
pub fn head(summary: &Summary) -> String {
    let Summary { group_buy, target, quantity, interests } = summary;
    format!(
        "# sluice activation 1, {group_buy}, target {target}, quantity {quantity}, interests {interests}\n\
         position,quantity,participant\n"
    )
}

/// Some of the lines that follow.
pub fn lines(group_buy: GroupBuyId, lines: &[Line]) -> String {
    let line = |line: &Line| {
        let participant = participant(group_buy, line.visitor);
        format!("{},{},{participant}\n", line.position, line.quantity)
    };
    lines.iter().map(line).collect()
}

/// What a visitor is called in the list.
pub fn participant(group_buy: GroupBuyId, visitor: VisitorId) -> String {
    let digest = Sha256::digest(format!("{group_buy}:{visitor}"));
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// Hashes a list as it is written.
#[derive(Clone, Default)]
pub struct Sealing(Sha256);

impl Sealing {
    /// Takes some of the list, from its beginning on.
    pub fn write(&mut self, text: &str) {
        self.0.update(text.as_bytes());
    }

    /// SHA-256 of all of it, hexadecimal.
    pub fn seal(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// The format is a promise: what was published must be verified by any later release.
    #[test]
    fn the_same_list_has_the_same_hash_for_ever() {
        let group_buy = GroupBuyId(Uuid::from_u128(1));
        let visitor = |n| VisitorId(Uuid::from_u128(n));
        let text = head(&Summary { group_buy, target: 3, quantity: 4, interests: 2 })
            + &lines(
                group_buy,
                &[
                    Line { position: 1, quantity: 2, visitor: visitor(2) },
                    Line { position: 4, quantity: 2, visitor: visitor(3) },
                ],
            );
        assert_eq!(
            text,
            "# sluice activation 1, gb_00000000000000000000000000000001, target 3, quantity 4, interests 2\n\
             position,quantity,participant\n1,2,1a7dbc3ec59326d9beca4ff3e2cb6b89\n4,2,3c0f7cd22212c3458363ff8a783f3d68\n"
        );
        let mut whole = Sealing::default();
        whole.write(&text);
        let mut parts = Sealing::default();
        let (one, two) = text.split_at(20);
        parts.write(one);
        parts.write(two);
        let hash = whole.seal();
        assert_eq!(hash, parts.seal());
        assert_eq!(hash, "fb995b108f297bafa86205d4b88133ece4277516b2d6ab463167460a267bc49e");
    }
}
