//! Ledger transactions.

use entities::{
    ledger::{self, NewTransaction},
    together::Together,
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;
use workflows::{
    Timestamp,
    id::HandleId,
    ledger::{About, Transaction},
};

/// Posts transactions, once for each key.
pub async fn write(
    db: &impl ConnectionTrait,
    together: &mut Together,
    transactions: &[(Timestamp, Transaction)],
) -> Result<(), DbErr> {
    if transactions.is_empty() {
        return Ok(());
    }
    debug_assert!(transactions.iter().all(|(_, transaction)| transaction.is_balanced()));
    let mut rows: Vec<_> =
        transactions.iter().map(|(at, transaction)| row(*at, transaction)).collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    ledger::post(db, together, &rows).await
}

fn row(at: Timestamp, transaction: &Transaction) -> NewTransaction {
    let (handle, sale) = match &transaction.about {
        About::Sale(sale) => (sale.handle, Some(sale)),
        About::Plan(handle) | About::Balance(handle) => (*handle, None),
        About::Platform => (HandleId(Uuid::nil()), None),
    };
    NewTransaction {
        key: transaction.key.clone(),
        kind: transaction.kind.into(),
        currency: transaction.currency.into(),
        handle_id: handle.0,
        checkout_id: sale.map(|sale| sale.checkout.0),
        page_id: sale.map(|sale| sale.page.0),
        campaign: sale.and_then(|sale| sale.campaign.clone()),
        stripe_object: transaction.stripe_object.clone(),
        available_at: transaction.available.map(|available| available.at.millis()),
        available_amount: transaction.available.map_or(0, |available| available.amount),
        at: at.millis(),
        entries: transaction
            .entries
            .iter()
            .map(|entry| (entry.account.to_string(), entry.amount))
            .collect(),
    }
}
