//! A simulator of the part of Stripe's v1 API that a marketplace needs, for development, tests,
//! benchmarks and chaos. It is not Stripe and moves no money: it refuses live keys, and every page
//! of it says "simulator".
//!
//! The crate knows nothing of the program under test. It speaks HTTP on one address:
//!
//! - `/v1/…` is Stripe's API for version [`API_VERSION`]: form-encoded requests, JSON answers,
//!   error objects, idempotency keys, pagination, `expand`;
//! - `/c/pay/…`, `/setup/…`, `/express/…`, `/p/session/…` are the pages that Stripe would host:
//!   checkout, onboarding, the Express dashboard, the billing portal;
//! - `/_sim/…` is control: what a buyer, a bank, a clock or bad luck would do. See [`control`].
//!
//! Signed webhooks go to the endpoints given in [`SimulatorConfig`].
//!
//! # How it is built
//!
//! All objects live in one `State` behind one mutex, and all work on them is synchronous: a request
//! takes the lock, does all of its work at one instant of the simulator's clock, and lets go. What
//! takes time (latency, webhooks, writing the state file) happens outside, so the lock is never
//! held across an await. There is one file per kind of object; `payment` is where a paid checkout
//! becomes a payment intent, a charge, a transfer and a fee, and `billing` is where time becomes
//! invoices.

// The templates of the larger objects are single `json!` calls with many keys.
#![recursion_limit = "512"]

mod account;
mod account_link;
mod answer;
mod api;
mod application_fee;
mod balance;
mod balance_transaction;
mod billing;
mod card;
mod charge;
mod checkout_session;
mod clock;
mod config;
pub mod control;
mod customer;
mod destination_payment;
mod dispute;
mod early_fraud_warning;
mod error;
mod event;
mod expand;
mod faults;
mod form;
mod id;
mod idempotency;
mod invoice;
mod invoice_payment;
mod list;
mod money;
mod pages;
mod payment;
mod payment_intent;
mod payout;
mod period;
mod portal_page;
mod portal_session;
mod price;
mod product;
mod refund;
mod routes;
mod server;
mod shared;
mod signature;
mod state;
mod state_file;
mod subscription;
mod subscription_checkout;
pub mod summary;
mod table;
mod transfer;
mod webhook;
mod webhook_endpoint;

pub use config::{Endpoint, Endpoints, SimulatorConfig, SimulatorError};
pub use faults::{ApiFaults, Faults, RefundFaults, WebhookFaults};
pub use server::{Running, Simulator};
pub use signature::sign;

/// The version of Stripe's API whose objects and rules are simulated.
pub const API_VERSION: &str = "2026-09-30.endive";
