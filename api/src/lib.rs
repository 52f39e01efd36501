//! The HTTP face: routes, authentication, problems, webhooks.
//!
//! Handlers are thin. A command checks what it was given, writes its own rows and a message to a run in one
//! transaction, and, where the answer is the run's to give, waits for the run to get there. Nothing here
//! calls Stripe or sends mail.
//!
//! Reading order: [`app()`] (what is put together), `handle` (a plain command), `checkout` (one that waits),
//! `idempotency` (how a repeated command gives the first answer), `problem` (how errors are drawn).

mod answer;
mod app;
mod auth;
mod blocker;
mod body;
mod checkout;
mod client_address;
mod codes;
mod config;
mod connect_onboarding;
mod connect_status;
mod docs;
mod earnings;
mod envelope;
mod handle;
mod head;
mod html;
mod idempotency;
mod magic_link;
mod moment;
mod origin;
mod page;
mod page_publish;
mod page_terms;
mod problem;
mod public_page;
mod run;
mod service;
mod sign_in;
mod signature;
mod slug;
mod tag;
mod throttle;
mod visitor;
mod visitor_sessions;
mod webhook;

pub use app::app;
pub use auth::{MintError, mint_token};
pub use client_address::{NoProxies, TrustedProxies};
pub use codes::Code;
pub use config::{ApiConfig, JwtConfig, Readiness, SignInLimits};
pub use docs::openapi_yaml;
pub use throttle::{SharedThrottle, ThrottleConfig};
