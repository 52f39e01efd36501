//! What workers do for the outside world, as somebody there would notice it: one suite for both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod billing;
mod connect;
mod effects_twice;
mod fake_stripe;
mod http;
mod mail;
mod marker;
mod memory_wakeups;
mod patience;
mod postgres_restart;
mod reconcile;
mod reconcile_verdicts;
mod redis_server;
mod redis_wakeups;
mod shutdown;
mod sim;
mod smtp;
mod story;
mod stripe;
mod stripe_faults;
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
