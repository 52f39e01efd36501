//! A table of objects of one kind, in order of creation, with an index by id.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::state::State;

/// An object that Stripe would store.
pub(crate) trait Record {
    /// What Stripe's error messages call it: "No such {NOUN}".
    const NOUN: &'static str;

    fn id(&self) -> &str;

    /// Seconds since 1970 on the simulator's clock.
    fn created(&self) -> i64;

    /// The connected account in which it lives. None: the platform's own.
    fn account(&self) -> Option<&str>;

    /// The object as the API shows it.
    fn render(&self, state: &State) -> Value;
}

/// Objects of one kind. Nothing is taken out, except the oldest by [`trim`](Self::trim) and
/// single ones by [`remove`](Self::remove), which is slow.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: VecDeque<T>,
    /// The number of the first row; rows are numbered in order of creation.
    first: usize,
    numbers: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: VecDeque::new(), first: 0, numbers: HashMap::new() }
    }
}

impl<T: Record> Table<T> {
    pub(crate) fn insert(&mut self, row: T) {
        let number = self.first + self.rows.len();
        self.numbers.insert(row.id().to_owned(), number);
        self.rows.push_back(row);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(self.position(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let position = self.position(id)?;
        self.rows.get_mut(position)
    }

    /// The row, if it lives in this account.
    pub(crate) fn find(&self, id: &str, account: Option<&str>) -> Option<&T> {
        self.get(id).filter(|row| row.account() == account)
    }

    /// Where the row stands in the order of creation.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        Some(*self.numbers.get(id)? - self.first)
    }

    pub(crate) fn at(&self, position: usize) -> Option<&T> {
        self.rows.get(position)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// In order of creation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.iter()
    }

    /// In order of creation. Ids and times of creation must stay as they are.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut()
    }

    /// How many rows were created before this instant.
    pub(crate) fn created_before(&self, instant: i64) -> usize {
        self.rows.partition_point(|row| row.created() < instant)
    }

    /// Drops the oldest rows: those created before an instant, and those beyond a number.
    pub(crate) fn trim(&mut self, before: i64, keep: usize) {
        while let Some(oldest) = self.rows.front() {
            if oldest.created() >= before && self.rows.len() <= keep {
                return;
            }
            self.numbers.remove(oldest.id());
            self.rows.pop_front();
            self.first += 1;
        }
    }

    /// Takes a row out and numbers the others again.
    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let position = self.position(id)?;
        let row = self.rows.remove(position);
        let rows = std::mem::take(&mut self.rows);
        *self = rows.into_iter().collect();
        row
    }
}

impl<T: Record> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut table = Self::default();
        for row in rows {
            table.insert(row);
        }
        table
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.rows)
    }
}

impl<'de, T: Record + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<T>::deserialize(deserializer)?.into_iter().collect())
    }
}
