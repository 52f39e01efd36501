//! Idempotency keys (<https://docs.stripe.com/api/idempotent_requests>): the same key and
//! parameters give the stored answer again, other parameters are an error, and so is a second
//! request while the first is in progress. Keys are forgotten after 24 hours of the clock.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::clock::DAY;
use crate::error::ApiError;

/// More keys than this are not remembered; the oldest go first.
const MAXIMUM_KEYS: usize = 100_000;

/// What is known of the keys of the last 24 hours.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IdempotencyKeys {
    entries: HashMap<String, Entry>,
    /// Scoped keys with the instants of their first use, oldest first.
    order: VecDeque<(i64, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    fingerprint: String,
    first_used: i64,
    /// None while the first request is in progress.
    answer: Option<Answer>,
}

/// A key as one account's caller used it. Keys of different accounts do not meet.
#[derive(Debug, Clone)]
pub(crate) struct ScopedKey {
    pub(crate) key: String,
    pub(crate) account: Option<String>,
    /// See [`Form::fingerprint`](crate::form::Form::fingerprint).
    pub(crate) fingerprint: String,
}

impl ScopedKey {
    fn name(&self) -> String {
        format!("{}/{}", self.account.as_deref().unwrap_or(""), self.key)
    }
}

impl IdempotencyKeys {
    /// Begins the work of a key (None), or says how the earlier request was answered.
    pub(crate) fn begin(&mut self, key: &ScopedKey, now: i64) -> Result<Option<Answer>, ApiError> {
        let name = key.name();
        match self.entries.get(&name) {
            Some(entry) if entry.fingerprint != key.fingerprint => {
                Err(ApiError::idempotency_mismatch(&key.key))
            }
            Some(Entry { answer: None, .. }) => Err(ApiError::idempotency_in_progress(&key.key)),
            Some(Entry { answer: Some(answer), .. }) => Ok(Some(answer.clone())),
            None => {
                let entry =
                    Entry { fingerprint: key.fingerprint.clone(), first_used: now, answer: None };
                self.entries.insert(name.clone(), entry);
                self.order.push_back((now, name));
                Ok(None)
            }
        }
    }

    /// Keeps the answer.
    pub(crate) fn finish(&mut self, key: &ScopedKey, answer: &Answer) {
        if let Some(entry) = self.entries.get_mut(&key.name()) {
            entry.answer = Some(answer.clone());
        }
    }

    /// Forgets a key whose request did not begin to execute.
    pub(crate) fn abandon(&mut self, key: &ScopedKey) {
        self.entries.remove(&key.name());
    }

    /// Forgets the keys first used 24 hours ago or earlier.
    pub(crate) fn forget_old(&mut self, now: i64) {
        while let Some((first_used, name)) = self.order.front() {
            if *first_used > now - DAY && self.order.len() <= MAXIMUM_KEYS {
                return;
            }
            // A key can have been abandoned and used again since.
            if self.entries.get(name).is_some_and(|e| e.first_used == *first_used) {
                self.entries.remove(name);
            }
            self.order.pop_front();
        }
    }

    /// After a restart nothing is in progress any more.
    pub(crate) fn drop_unfinished(&mut self) {
        self.entries.retain(|_, entry| entry.answer.is_some());
    }
}
