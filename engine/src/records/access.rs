//! On what grounds purchases give access, or no longer do.

use std::collections::BTreeMap;

use entities::{
    entitlement::{self, Change},
    together::Together,
};
use workflows::{Timestamp, record::AccessUpdate};

/// Changes accesses. Of several changes of one purchase's, the last counts.
pub fn write(together: &mut Together, updates: &[(Timestamp, AccessUpdate)]) {
    if updates.is_empty() {
        return;
    }
    let last: BTreeMap<_, _> =
        updates.iter().map(|(at, update)| (update.checkout, change(*at, update))).collect();
    entitlement::change(together, &Vec::from_iter(last.into_values()));
}

fn change(at: Timestamp, update: &AccessUpdate) -> Change {
    Change {
        page_id: update.page.0,
        visitor_id: update.visitor.0,
        checkout_id: update.checkout.0,
        kind: update.kind.into(),
        at: at.millis(),
    }
}
