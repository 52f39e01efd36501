//! What the engine promises, on SQLite and on PostgreSQL: one suite for both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod crash;
mod delivery;
mod earnings;
mod failures;
mod grants;
mod group_buy;
mod housekeeping;
mod lease;
mod plans;
mod poison;
mod timers;
mod world;
mod write_off;

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
