//! The database schema, one file per step.
//!
//! A step is SQL, written once for both databases: four words stand for the types that differ
//! (see `dialect.rs`). Times are milliseconds since the epoch in UTC, amounts are minor units, JSON is kept
//! as text.

use sea_orm_migration::prelude::*;

mod dialect;
#[cfg(feature = "testing")]
pub mod testing;

mod m20261120_000001_create_run_and_history;
mod m20261120_000002_create_inbox;
mod m20261120_000003_create_outbox;
mod m20261120_000004_create_handle_page_visitor;
mod m20261120_000005_create_checkout_and_entitlement;
mod m20261120_000006_create_connect_account;
mod m20261120_000007_create_ledger_and_earnings;
mod m20261120_000008_create_operation;
mod m20261121_000009_create_audit_log;
mod m20261121_000010_keep_past_connect_accounts;
mod m20261121_000011_create_plan_subscription;
mod m20261121_000012_create_member_and_access_token;
mod m20261121_000013_see_sessions_and_count_codes;
mod m20261121_000014_index_pages_of_handle;
mod m20261126_000015_tell_requests_for_plan_links_apart;
mod m20261126_000016_create_refund_and_dispute;
mod m20261126_000020_explain_earnings;
mod m20261126_000021_create_payout;
mod m20261126_000030_create_reconciliation;
mod m20261126_000040_match_links_to_wishes;
mod m20261127_000050_create_group_buy;
mod m20261127_000051_index_effects_of_run;

/// All steps, in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261120_000001_create_run_and_history::Migration),
            Box::new(m20261120_000002_create_inbox::Migration),
            Box::new(m20261120_000003_create_outbox::Migration),
            Box::new(m20261120_000004_create_handle_page_visitor::Migration),
            Box::new(m20261120_000005_create_checkout_and_entitlement::Migration),
            Box::new(m20261120_000006_create_connect_account::Migration),
            Box::new(m20261120_000007_create_ledger_and_earnings::Migration),
            Box::new(m20261120_000008_create_operation::Migration),
            Box::new(m20261121_000009_create_audit_log::Migration),
            Box::new(m20261121_000010_keep_past_connect_accounts::Migration),
            Box::new(m20261121_000011_create_plan_subscription::Migration),
            Box::new(m20261121_000012_create_member_and_access_token::Migration),
            Box::new(m20261121_000013_see_sessions_and_count_codes::Migration),
            Box::new(m20261121_000014_index_pages_of_handle::Migration),
            Box::new(m20261126_000015_tell_requests_for_plan_links_apart::Migration),
            Box::new(m20261126_000016_create_refund_and_dispute::Migration),
            Box::new(m20261126_000020_explain_earnings::Migration),
            Box::new(m20261126_000021_create_payout::Migration),
            Box::new(m20261126_000030_create_reconciliation::Migration),
            Box::new(m20261126_000040_match_links_to_wishes::Migration),
            Box::new(m20261127_000050_create_group_buy::Migration),
            Box::new(m20261127_000051_index_effects_of_run::Migration),
        ]
    }
}
