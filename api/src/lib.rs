//! The HTTP face: routes, authentication, problems, webhooks.
//!
//! Handlers are thin. A command checks what it was given, writes its own rows and a message to a run in one
//! transaction, and, where the answer is the run's to give, waits for the run to get there. Nothing here
//! calls Stripe or sends mail.
//!
//! Reading order: [`app()`] (what is put together), `handle` (a plain command), `checkout` (one that waits),
//! `idempotency` (how a repeated command gives the first answer), `problem` (how errors are drawn).

mod access_token;
mod answer;
mod app;
mod audit_log;
mod auth;
mod billing;
mod billing_link;
mod billing_summary;
mod blocker;
mod body;
mod checkout;
mod client_address;
mod codes;
mod config;
mod connect;
mod connect_onboarding;
mod connect_return;
mod connect_status;
mod daily_limit;
mod dashboard_link;
mod dispute;
mod docs;
mod earnings;
mod earnings_answer;
mod earnings_explained;
mod earnings_range;
mod envelope;
mod gate;
mod group_buy;
mod group_buy_preview;
mod group_buy_publish;
mod group_buy_status;
mod group_buy_terms;
mod handle;
mod head;
mod heard;
mod html;
mod idempotency;
mod interest;
mod jwks;
mod jwt;
mod list;
mod magic_link;
mod manual_plan;
mod member;
mod moment;
mod offer;
mod offer_link;
mod origin;
mod page;
mod page_publish;
mod page_terms;
mod payout;
mod permission;
mod plan;
mod preview_token;
mod principal;
mod problem;
mod public_group_buy;
mod public_page;
mod refund;
mod refund_preview;
mod run;
mod sale;
mod service;
mod sign_in;
mod signature;
mod slug;
mod tag;
mod throttle;
mod token;
mod visitor;
mod visitor_sessions;
mod webhook;

pub use app::app;
pub use client_address::{NoProxies, TrustedProxies};
pub use codes::Code;
pub use config::{ApiConfig, JwtConfig, Readiness, SignInLimits};
pub use docs::openapi_yaml;
pub use jwks::{KeySetError, KeySource, check_key_set};
pub use jwt::{MintError, mint_token};
pub use permission::{Permission, Role};
pub use throttle::{SharedThrottle, ThrottleConfig};
