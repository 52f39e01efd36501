//! The machines, tested as pure code: their diagrams, their stored forms, their promises in every reachable
//! state, and the scenarios that can happen to one machine alone.
//!
//! Diagrams and golden files are kept current by these tests. To accept a change:
//! `UPDATE_EXPECT=1 cargo test -p workflows --test machines`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod diagrams;
mod examples;
mod examples_returns;
mod explore;
mod golden;
mod ledger;
mod models;
mod plan_scenarios;
mod proportions;
mod scenarios;
mod scenarios_connect;
mod scenarios_disputes;
mod scenarios_group_buy;
mod scenarios_links;
mod scenarios_payout;
mod scenarios_readings;
mod scenarios_returns;
mod stripe_event;
