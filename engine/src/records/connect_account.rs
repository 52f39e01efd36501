//! The rows of connected accounts. Few, and so written one by one.

use entities::connect_account::{self, Change, Link};
use sea_orm::ConnectionTrait;
use workflows::{
    Timestamp,
    record::{ConnectAccountUpdate, LinkChange},
};

use crate::EngineError;

/// Brings connected accounts up to date, in the order of the handles.
pub async fn write(
    db: &impl ConnectionTrait,
    updates: &[(Timestamp, ConnectAccountUpdate)],
) -> Result<(), EngineError> {
    let mut sorted: Vec<_> = updates.iter().collect();
    sorted.sort_by_key(|(_, update)| update.handle);
    for (at, update) in sorted {
        connect_account::update(db, &change(*at, update)?).await?;
    }
    Ok(())
}

fn change(at: Timestamp, update: &ConnectAccountUpdate) -> Result<Change, EngineError> {
    let facts = match &update.account {
        Some(account) => {
            let requirements = serde_json::to_string(&account.requirements)?;
            Some((account.charges_enabled, account.payouts_enabled, requirements))
        }
        None => None,
    };
    Ok(Change {
        handle_id: update.handle.0,
        status: update.status.map(Into::into),
        account_id: update.account_id.clone(),
        facts,
        link: match &update.link {
            LinkChange::Keep => Link::Keep,
            LinkChange::Drop => Link::Drop,
            LinkChange::Set(link) => Link::Set(link.url.clone(), link.expires_at.millis()),
        },
        failure: update.failure.clone(),
        at: at.millis(),
    })
}
