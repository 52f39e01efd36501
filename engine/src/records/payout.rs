//! The rows of payouts. Few, and so written one by one.

use entities::payout::{self, Payout};
use sea_orm::{ConnectionTrait, DbErr};
use workflows::{Timestamp, record::PayoutUpdate};

/// Brings payouts up to date, in the order of their ids.
pub async fn write(
    db: &impl ConnectionTrait,
    updates: &[(Timestamp, PayoutUpdate)],
) -> Result<(), DbErr> {
    let mut sorted: Vec<_> = updates.iter().collect();
    sorted.sort_by_key(|(_, update)| update.payout_id);
    for (at, update) in sorted {
        payout::save(db, &row(*at, update)).await?;
    }
    Ok(())
}

fn row(at: Timestamp, update: &PayoutUpdate) -> Payout {
    let (payee, payout) = (&update.report.payee, &update.report.payout);
    let status: &'static str = payout.status.into();
    Payout {
        id: update.payout_id.0,
        handle_id: payee.handle().map(|handle| handle.0),
        account: payee.account().map(str::to_owned),
        stripe_payout: payout.id.clone(),
        amount: payout.amount,
        currency: payout.currency.to_string(),
        status: status.to_owned(),
        arrives_at: payout.arrives.millis(),
        failure: payout.failure.clone(),
        created_at: at.millis(),
        updated_at: at.millis(),
    }
}
