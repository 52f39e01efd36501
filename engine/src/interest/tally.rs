//! A group buy's count in the making: pure, one change after the other, in the order they came.

use std::collections::BTreeMap;

use entities::{
    group_buy::{Count, Held},
    group_buy_activation::Activation,
    interest::{End, Interest},
};
use uuid::Uuid;

use super::{Before, Change, Closed, Counted};

/// What is known of a group buy that is held, and what has changed since.
pub struct Tally {
    held: Held,
    /// The active interests of those who say something.
    active: BTreeMap<Uuid, Interest>,
    /// Interests that were there before, and have ended.
    ends: Vec<End>,
    /// Interests that have begun, by position. Some have ended again.
    begun: BTreeMap<i64, Interest>,
    activation: Option<Activation>,
    position_before: i64,
}

impl Tally {
    /// Nothing has changed yet.
    pub fn of(held: Held) -> Self {
        Self {
            position_before: held.last_position,
            held,
            active: BTreeMap::new(),
            ends: Vec::new(),
            begun: BTreeMap::new(),
            activation: None,
        }
    }

    /// Takes an active interest in.
    pub fn know(&mut self, interest: Interest) {
        self.active.insert(interest.visitor_id, interest);
    }

    /// Counts what a visitor says.
    pub fn count(&mut self, visitor: Uuid, change: Change) -> Result<Counted, Closed> {
        let known = self.active.get(&visitor).cloned();
        // Nothing is withdrawn by who wants nothing, whatever became of the group buy.
        if !(known.is_none() && change == Change::Withdraw) {
            self.expect_open(change)?;
        }
        let before = match known {
            Some(_) => Before::Interested,
            None => Before::NotInterested,
        };
        match (known, change) {
            (Some(known), Change::Want(quantity)) if known.quantity == quantity => {}
            (known, Change::Want(quantity)) => {
                self.held.last_position += 1;
                if let Some(known) = known {
                    self.end(&known);
                }
                self.begin(visitor, quantity);
            }
            (Some(known), Change::Withdraw) => {
                self.held.last_position += 1;
                self.end(&known);
            }
            (None, Change::Withdraw) => {}
        }
        Ok(Counted {
            status: self.held.status.clone(),
            interest_quantity: self.held.interest_quantity,
            interest_count: self.held.interest_count,
            interest: self.active.get(&visitor).cloned(),
            before,
        })
    }

    /// Interest is taken until the deadline, also in what is activated; it is withdrawn until there is no more
    /// buying.
    fn expect_open(&self, change: Change) -> Result<(), Closed> {
        let Held { status, deadline_at, now, .. } = &self.held;
        if !matches!(status.as_str(), "COLLECTING" | "ACTIVATED") {
            return Err(Closed::Status(status.clone()));
        }
        let is_late = deadline_at.is_some_and(|deadline| deadline <= *now);
        match change {
            Change::Want(_) if is_late => Err(Closed::Deadline),
            Change::Want(_) | Change::Withdraw => Ok(()),
        }
    }

    fn end(&mut self, known: &Interest) {
        let position = self.held.last_position;
        match self.begun.get_mut(&known.position) {
            Some(begun) => begun.ended_position = Some(position),
            None => self.ends.push(End {
                group_buy_id: known.group_buy_id,
                position: known.position,
                ended_position: position,
            }),
        }
        self.active.remove(&known.visitor_id);
        self.held.interest_quantity -= known.quantity;
        self.held.interest_count -= 1;
    }

    fn begin(&mut self, visitor: Uuid, quantity: i64) {
        let interest = Interest {
            group_buy_id: self.held.id,
            position: self.held.last_position,
            visitor_id: visitor,
            quantity,
            created_at: self.held.now,
            ended_position: None,
        };
        self.begun.insert(interest.position, interest.clone());
        self.active.insert(visitor, interest);
        self.held.interest_quantity += quantity;
        self.held.interest_count += 1;
        if self.held.status == "COLLECTING"
            && self.held.interest_quantity >= self.held.target_quantity
        {
            self.activate();
        }
    }

    /// Once: from then on it is not collecting any more.
    fn activate(&mut self) {
        "ACTIVATED".clone_into(&mut self.held.status);
        self.activation = Some(Activation {
            group_buy_id: self.held.id,
            position: self.held.last_position,
            target_quantity: self.held.target_quantity,
            quantity: self.held.interest_quantity,
            interest_count: self.held.interest_count,
            activated_at: self.held.now,
            hash: None,
        });
    }

    /// Whether there is anything to write.
    pub fn is_changed(&self) -> bool {
        self.held.last_position != self.position_before
    }

    /// Interests that have ended.
    pub fn ends(&self) -> impl Iterator<Item = End> {
        self.ends.iter().copied()
    }

    /// Interests that have begun.
    pub fn begun(&self) -> impl Iterator<Item = &Interest> {
        self.begun.values()
    }

    /// Where the group buy stands.
    pub fn total(&self) -> Count {
        Count {
            id: self.held.id,
            status: self.held.status.clone(),
            interest_quantity: self.held.interest_quantity,
            interest_count: self.held.interest_count,
            last_position: self.held.last_position,
            ended_at: self.activation.as_ref().map(|activation| activation.activated_at),
        }
    }

    /// The record of its activation, if that was now.
    pub fn activation(&self) -> Option<&Activation> {
        self.activation.as_ref()
    }

    /// Whose it is.
    pub fn handle(&self) -> Uuid {
        self.held.handle_id
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tally(target: i64) -> Tally {
        Tally::of(Held {
            id: Uuid::from_u128(1),
            handle_id: Uuid::from_u128(2),
            target_quantity: target,
            deadline_at: Some(1_000),
            status: "COLLECTING".to_owned(),
            interest_quantity: 0,
            interest_count: 0,
            last_position: 0,
            now: 999,
        })
    }

    fn visitor(n: u128) -> Uuid {
        Uuid::from_u128(100 + n)
    }

    /// What stood after the change that reached the target: the list that is hashed.
    fn standing(tally: &Tally) -> Vec<(i64, i64)> {
        let at = tally.activation().unwrap().position;
        let stood = |interest: &&Interest| {
            interest.position <= at && interest.ended_position.is_none_or(|ended| ended > at)
        };
        tally.begun().filter(stood).map(|one| (one.position, one.quantity)).collect()
    }

    #[test]
    fn the_change_that_reaches_the_target_activates_and_it_stays_so() {
        let mut tally = tally(5);
        tally.count(visitor(1), Change::Want(2)).unwrap();
        tally.count(visitor(2), Change::Want(1)).unwrap();
        tally.count(visitor(1), Change::Want(3)).unwrap();
        assert!(tally.activation().is_none(), "4 of 5");
        let counted = tally.count(visitor(3), Change::Want(9)).unwrap();
        assert_eq!((counted.status.as_str(), counted.interest_quantity), ("ACTIVATED", 13));
        tally.count(visitor(3), Change::Withdraw).unwrap();
        tally.count(visitor(2), Change::Want(7)).unwrap();
        let total = tally.total();
        assert_eq!((total.status.as_str(), total.interest_quantity), ("ACTIVATED", 10));
        assert_eq!((total.interest_count, total.last_position), (2, 6));
        let activation = tally.activation().unwrap();
        assert_eq!(
            (activation.position, activation.quantity, activation.interest_count),
            (4, 13, 3)
        );
        assert_eq!(standing(&tally), [(2, 1), (3, 3), (4, 9)]);
    }

    #[test]
    fn the_same_again_and_nothing_to_withdraw_change_nothing() {
        let mut tally = tally(5);
        assert!(tally.count(visitor(1), Change::Withdraw).unwrap().interest.is_none());
        assert!(!tally.is_changed());
        tally.count(visitor(1), Change::Want(2)).unwrap();
        let again = tally.count(visitor(1), Change::Want(2)).unwrap();
        assert_eq!((again.before, again.interest.unwrap().position), (Before::Interested, 1));
        assert_eq!(tally.total().last_position, 1);
    }

    #[test]
    fn what_was_there_before_is_ended_where_it_is() {
        let mut tally = tally(5);
        tally.know(Interest {
            group_buy_id: Uuid::from_u128(1),
            position: 7,
            visitor_id: visitor(1),
            quantity: 3,
            created_at: 1,
            ended_position: None,
        });
        (tally.held.interest_quantity, tally.held.interest_count) = (3, 1);
        (tally.held.last_position, tally.position_before) = (9, 9);
        tally.count(visitor(1), Change::Want(1)).unwrap();
        tally.count(visitor(1), Change::Withdraw).unwrap();
        let ends: Vec<_> = tally.ends().map(|end| (end.position, end.ended_position)).collect();
        assert_eq!(ends, [(7, 10)]);
        let begun: Vec<_> = tally.begun().map(|one| (one.position, one.ended_position)).collect();
        assert_eq!(begun, [(10, Some(11))]);
        assert_eq!((tally.total().interest_quantity, tally.total().interest_count), (0, 0));
    }

    #[test]
    fn after_the_deadline_interest_is_only_withdrawn() {
        let mut tally = tally(5);
        tally.count(visitor(1), Change::Want(1)).unwrap();
        tally.held.now = 1_000;
        assert_eq!(tally.count(visitor(2), Change::Want(4)), Err(Closed::Deadline));
        assert_eq!(tally.count(visitor(1), Change::Withdraw).unwrap().interest_quantity, 0);
        for over in ["DRAFT", "LAPSED", "CANCELLED"] {
            over.clone_into(&mut tally.held.status);
            let closed = tally.count(visitor(1), Change::Want(2));
            assert_eq!(closed, Err(Closed::Status(over.to_owned())));
            assert!(tally.count(visitor(1), Change::Withdraw).unwrap().interest.is_none());
        }
    }
}
