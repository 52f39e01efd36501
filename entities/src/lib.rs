//! One file per table: its rows and its own queries.
//!
//! A query takes the handle that it is scoped to, or is named `…_any_handle`. Times are milliseconds since
//! the epoch in UTC, amounts are minor units.
//!
//! Tables on the engine's path are written with a few multi-row statements of fixed text ([`rows`]); the
//! others are plain sea-orm entities.

pub mod access_token;
pub mod audit_log;
pub mod checkout;
pub mod connect_account;
pub mod connect_account_past;
pub mod cursor;
pub mod daily_total;
pub mod daily_write;
pub mod database;
pub mod dispute;
pub mod earnings;
pub mod earnings_check;
pub mod entitlement;
pub mod group_buy;
pub mod group_buy_activation;
pub mod handle;
pub mod history;
pub mod idempotency;
pub mod inbox;
pub mod interest;
pub mod lease;
pub mod ledger;
pub mod ledger_explained;
pub mod login_link;
pub mod magic_link;
pub mod member;
mod no_delay;
pub mod node;
pub mod offer;
pub mod operator_case;
pub mod outbox;
pub mod page;
pub mod payout;
pub mod plan_subscription;
pub mod queue_control;
pub mod reconciliation;
pub mod refund;
pub mod rollup_queue;
pub mod rows;
pub mod run;
pub mod statement;
pub mod stripe_object;
pub mod together;
pub mod verdict;
pub mod visitor;
pub mod visitor_session;
pub mod webhook_body;

pub use database::{Database, Dialect};
