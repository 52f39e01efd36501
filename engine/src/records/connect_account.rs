//! The rows of connected accounts. Few, and so written one by one.

use entities::{
    connect_account::{self, Change, Facts, Link},
    connect_account_past, login_link,
};
use sea_orm::ConnectionTrait;
use workflows::{
    Timestamp,
    record::{ConnectAccountUpdate, LinkChange, LoginLink, PastConnectAccount},
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

/// Keeps the accounts that handles have left.
pub async fn write_past(
    db: &impl ConnectionTrait,
    past: &[(Timestamp, PastConnectAccount)],
) -> Result<(), EngineError> {
    if past.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = past
        .iter()
        .map(|(at, past)| connect_account_past::PastConnectAccount {
            account_id: past.account.clone(),
            handle_id: past.handle.0,
            left_at: at.millis(),
        })
        .collect();
    Ok(connect_account_past::keep(db, &rows).await?)
}

/// Puts links to Stripe's dashboard down.
pub async fn write_login_links(
    db: &impl ConnectionTrait,
    links: &[(Timestamp, LoginLink)],
) -> Result<(), EngineError> {
    if links.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = links
        .iter()
        .map(|(at, link)| login_link::LoginLink {
            id: link.request.0,
            handle_id: link.handle.0,
            url: link.made.as_ref().ok().cloned(),
            failure: link.made.as_ref().err().cloned(),
            created_at: at.millis(),
        })
        .collect();
    Ok(login_link::insert(db, &rows).await?)
}

fn change(at: Timestamp, update: &ConnectAccountUpdate) -> Result<Change, EngineError> {
    let facts = match &update.account {
        Some(account) => Some(Facts {
            charges_enabled: account.charges_enabled,
            payouts_enabled: account.payouts_enabled,
            requirements: serde_json::to_string(&account.requirements)?,
            capabilities: serde_json::to_string(&account.capabilities)?,
        }),
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
        request_id: update.request.map(|request| request.0),
        failure: update.failure.clone(),
        at: at.millis(),
    })
}
