//! What the HTTP face promises, on SQLite and on PostgreSQL: one suite for both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access_token;
mod audit_log;
mod auth;
mod authorization;
mod bad_input;
mod checkout_rules;
mod client;
mod connect;
mod connect_links;
mod connect_lost;
mod document;
mod earnings;
mod group_buy_gates;
mod group_buys;
mod idempotency;
mod key_set;
mod member;
mod outage;
mod page_version;
mod plan_links;
mod plans;
mod redis_proxy;
mod returns;
mod service;
mod sign_in;
mod story;
mod stripe;
mod throttle;
mod visitor_sessions;
mod webhook;
mod world;

/// Each test runs against both databases.
#[macro_export]
macro_rules! on_both {
    ($(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($world: World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                test(World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(world) = World::postgres().await {
                    test(world).await;
                }
            }
        }
    )*};
}
