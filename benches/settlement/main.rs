//! How fast webhooks are settled, beside what PostgreSQL itself can do on the same machine in the same run.
//!
//! `cargo bench --bench settlement` (PostgreSQL and Redis must be there; see `--help` for what can be set).
//! N signed webhooks for N open checkouts, 5 % of them twice, from the first POST to the last SETTLED; then
//! the same at half that rate, for latencies. Mails are written down, and their queue is paused. The floor
//! is one commit for the inbox and one for the settlement, by pgbench.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/connection.rs"]
mod connection;
mod floor;
#[path = "../support/installation.rs"]
mod installation;
mod load;
#[path = "../support/percentiles.rs"]
mod percentiles;
#[path = "../support/process.rs"]
mod process;
mod seed;

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Webhooks settled per second, beside the floor of the same machine")]
struct Options {
    /// Checkouts to settle at full speed.
    #[arg(long, default_value_t = 30_000)]
    orders: usize,
    /// Checkouts to settle at half that speed.
    #[arg(long, default_value_t = 20_000)]
    half_rate_orders: usize,
    /// Connections that webhooks come in by.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// A PostgreSQL in which databases can be made.
    #[arg(
        long,
        env = "SLUICE_TEST_POSTGRES_URL",
        default_value = "postgres://postgres@127.0.0.1:5432/postgres"
    )]
    postgres: String,
    /// A Redis.
    #[arg(long, env = "SLUICE_TEST_REDIS_URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// Where `schema.sql` and `f2.sql` of the floor are.
    #[arg(long, default_value = "../shared/bench")]
    floor: PathBuf,
    /// Leaves PostgreSQL out.
    #[arg(long)]
    only_sqlite: bool,
    /// Leaves SQLite out.
    #[arg(long)]
    only_postgres: bool,
    /// What `cargo bench` passes on.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    if !options.only_sqlite {
        let floor = floor::measure(&options.postgres, &options.floor).await;
        let installation = installation::postgres(&options.postgres, &options.redis).await;
        let measured = measure(installation, &options, "PostgreSQL + Redis").await;
        if let Some(floor) = floor {
            println!("\nagainst the floor (f2)");
            println!("  settled per second   {:.2} x f2", measured.rate / floor.rate);
            println!("  settled p99          {:.2} x f2's at half rate", measured.p99 / floor.p99);
        }
    }
    if !options.only_postgres {
        measure(installation::sqlite().await, &options, "SQLite").await;
    }
}

struct Measured {
    /// Settled per second.
    rate: f64,
    /// From POST to SETTLED at half that rate, milliseconds.
    p99: f64,
}

async fn measure(
    mut installation: installation::Installation,
    options: &Options,
    name: &str,
) -> Measured {
    println!("\n{name}");
    let template = seed::event_template().await;
    let orders = seed::checkouts(&installation, options.orders).await;
    installation.analyze(&["run", "history", "checkout"]).await;
    let before = installation.usage();
    let full = load::at_full_speed(&installation, &template, &orders, options.connections).await;
    let usage = installation.usage().since(&before);
    println!(
        "  settled per second   {:.0}  ({} in {:.2} s)",
        full.rate, options.orders, full.seconds
    );
    for (process, seconds) in usage.rows() {
        let micros = seconds * 1e6 / options.orders as f64;
        println!("  CPU per settlement   {micros:.0} us  {process}");
    }
    let orders = seed::checkouts(&installation, options.half_rate_orders).await;
    let half =
        load::at_rate(&installation, &template, &orders, options.connections, full.rate / 2.0)
            .await;
    println!("  at half that rate ({:.0}/s)", full.rate / 2.0);
    println!("    webhook answered   {}", half.answered);
    println!("    POST to SETTLED    {}", half.settled);
    println!(
        "  peak memory          {:.1} MB resident, all processes together",
        installation.peak_memory()
    );
    installation.stop_and_check().await;
    Measured { rate: full.rate, p99: half.settled.p99 }
}
