//! The whole service: real processes, killed, frozen, cut off and started again, and what must hold after.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod installation;
mod process;
mod random_walk;
mod servers;
mod shop;
mod truth;
mod upgrade;

mod arrows;
mod bounded_redis;
mod chaos;
mod command_line;
mod drop;
mod kill;
mod outages;
mod reconcile;
