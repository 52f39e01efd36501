//! What a user of Stripe would notice, asked of the simulator over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod authentication;
mod billing;
mod checkout;
mod clock;
mod disputes;
mod expansion;
mod faults;
mod fixtures;
mod idempotency;
mod lists;
mod official_sdk;
mod pages;
mod payouts;
mod portal;
mod prices;
mod refunds;
mod sdk;
mod state_file;
mod subscription_checkout;
mod subscriptions;
mod summary;
mod support;
mod transfers;
mod webhooks;
