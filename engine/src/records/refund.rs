//! The rows of refunds.

use std::collections::BTreeMap;

use entities::refund::{self, Refund};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{Timestamp, record::RefundUpdate};

/// Brings refunds up to date. Of several updates of one refund, the last counts.
pub async fn write(
    db: &impl ConnectionTrait,
    updates: &[(Timestamp, RefundUpdate)],
) -> Result<(), DbErr> {
    if updates.is_empty() {
        return Ok(());
    }
    let last: BTreeMap<_, _> =
        updates.iter().map(|(at, update)| (update.refund, row(*at, update))).collect();
    refund::set(db, &Vec::from_iter(last.into_values())).await
}

fn row(at: Timestamp, update: &RefundUpdate) -> Refund {
    fn text(name: impl Into<&'static str>) -> String {
        name.into().to_owned()
    }
    let currency = update.amount.map_or(update.sale.currency, |amount| amount.currency);
    Refund {
        id: update.refund.0,
        handle_id: update.sale.handle.0,
        checkout_id: update.sale.checkout.0,
        page_id: update.sale.page.0,
        status: text(update.status),
        amount: update.amount.map(|amount| amount.minor),
        currency: currency.to_string(),
        reason: text(update.reason),
        requested_by: update.by.clone(),
        stripe_refund: update.stripe_refund.clone(),
        failure: update.failure.clone(),
        created_at: at.millis(),
        updated_at: at.millis(),
    }
}
