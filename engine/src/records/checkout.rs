//! The rows of purchases.

use std::collections::BTreeMap;

use entities::{
    checkout::{self, Change},
    together::Together,
};
use workflows::{Timestamp, record::CheckoutUpdate};

/// Brings purchases up to date. Several updates of one purchase become one.
pub fn write(together: &mut Together, updates: &[(Timestamp, CheckoutUpdate)]) {
    if updates.is_empty() {
        return;
    }
    let mut changes = BTreeMap::new();
    for (at, update) in updates {
        let newer = change(*at, update);
        changes
            .entry(newer.id)
            .and_modify(|older: &mut Change| *older = merged(older, newer.clone()))
            .or_insert(newer);
    }
    let changes: Vec<_> = changes.into_values().collect();
    checkout::update(together, &changes);
}

fn change(at: Timestamp, update: &CheckoutUpdate) -> Change {
    Change {
        id: update.checkout.0,
        status: update.status.into(),
        session_id: update.session.clone(),
        url: update.url.clone(),
        payment_intent: update.payment_intent.clone(),
        reason: update.reason.clone(),
        at: at.millis(),
    }
}

fn merged(older: &Change, newer: Change) -> Change {
    Change {
        session_id: newer.session_id.or_else(|| older.session_id.clone()),
        url: newer.url.or_else(|| older.url.clone()),
        payment_intent: newer.payment_intent.or_else(|| older.payment_intent.clone()),
        reason: newer.reason.or_else(|| older.reason.clone()),
        ..newer
    }
}
