//! The rows of disputes.

use std::collections::BTreeMap;

use entities::dispute::{self, Dispute};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{Timestamp, record::DisputeUpdate};

/// Brings disputes up to date. Of several updates of one dispute, the last counts.
pub async fn write(
    db: &impl ConnectionTrait,
    updates: &[(Timestamp, DisputeUpdate)],
) -> Result<(), DbErr> {
    if updates.is_empty() {
        return Ok(());
    }
    let last: BTreeMap<_, _> =
        updates.iter().map(|(at, update)| (update.dispute, row(*at, update))).collect();
    dispute::set(db, &Vec::from_iter(last.into_values())).await
}

fn row(at: Timestamp, update: &DisputeUpdate) -> Dispute {
    let status: &'static str = update.status.into();
    let facts = &update.facts;
    Dispute {
        id: update.dispute.0,
        handle_id: update.sale.handle.0,
        checkout_id: update.sale.checkout.0,
        page_id: update.sale.page.0,
        stripe_dispute: facts.id.clone(),
        status: status.to_owned(),
        amount: facts.amount,
        currency: update.sale.currency.to_string(),
        reason: facts.reason.clone(),
        withdrawn: facts.withdrawn,
        fee: facts.fee - facts.fee_reinstated,
        reinstated: facts.reinstated,
        evidence_due: facts.evidence_due.map(Timestamp::millis),
        created_at: at.millis(),
        updated_at: at.millis(),
    }
}
