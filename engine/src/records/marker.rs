//! How far the outside knows about pages. Few, and so written one by one.

use entities::page;
use sea_orm::{ConnectionTrait, DbErr};
use workflows::record::MarkerUpdate;

/// Brings the pages' markers up to date, in the order of the pages.
pub async fn write(db: &impl ConnectionTrait, updates: &[MarkerUpdate]) -> Result<(), DbErr> {
    let mut sorted: Vec<_> = updates.iter().collect();
    sorted.sort_by_key(|update| update.page);
    for update in sorted {
        page::set_marker(db, update.page.0, update.version, update.sync.into()).await?;
    }
    Ok(())
}
