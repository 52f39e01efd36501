//! How fast interest in group buys is counted, on one hot group buy and on a thousand, beside the bare update of a counter
//! by pgbench on the same machine in the same run; whether it stays as fast as a group buy grows to a million interests; and how fast an activation is told.
//!
//! `cargo bench --bench interest` (PostgreSQL and Redis must be there; see `--help` for what can be set). Each visitor is
//! signed in and says once what they want, over kept-alive connections, from the first POST to the last answer: what is
//! answered is committed.

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
mod telling;

use clap::Parser;

use installation::Installation;

/// Among how many group buys interest is spread.
const MANY: usize = 1_000;

#[derive(Parser)]
#[command(about = "Interests counted per second, beside a bare counter on the same machine")]
struct Options {
    /// Interests to count at a time.
    #[arg(long, default_value_t = 30_000)]
    interests: usize,
    /// Connections that they come in by.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// To how many interests the hot group buy grows in between.
    #[arg(long, default_value_t = 1_000_000)]
    grown: usize,
    /// How many are told of an activation.
    #[arg(long, default_value_t = 100_000)]
    told: usize,
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
        let floor = floor::measure(&options.postgres, options.connections).await;
        let installation = installation::postgres(&options.postgres, &options.redis).await;
        let measured = measure(installation, &options, "PostgreSQL + Redis").await;
        println!("\nagainst the floor (a bare counter)");
        println!("  on one               {:.2} x", measured.one / floor.one);
        println!("  on a thousand        {:.2} x", measured.many / floor.many);
        println!(
            "  grown to {} {:.2} x what it was when it was empty",
            options.grown,
            measured.grown / measured.one
        );
    }
    if !options.only_postgres {
        measure(installation::sqlite().await, &options, "SQLite").await;
    }
}

/// Interests counted per second.
struct Measured {
    one: f64,
    many: f64,
    grown: f64,
}

async fn measure(mut installation: Installation, options: &Options, name: &str) -> Measured {
    println!("\n{name}");
    let visitors = seed::visitors(&installation, 2 * options.interests).await;
    let (early, late) = visitors.split_at(options.interests);
    seed::group_buys(&installation, MANY + 2).await;
    let tables = ["handle", "group_buy", "visitor", "visitor_session"];
    installation.analyze(&tables).await;
    let one = run(&installation, options, early, 1, "one group buy").await;
    let many = run(&installation, options, early, MANY, "a thousand").await;
    seed::grow(&installation, 0, options.grown).await;
    installation.analyze(&["interest"]).await;
    let grown = run(&installation, options, late, 1, "one, grown").await;
    telling::measure(&installation, options.told, &late[0]).await;
    println!(
        "  peak memory          {:.1} MB resident, all processes together",
        installation.peak_memory()
    );
    installation.stop_and_check().await;
    Measured { one, many, grown }
}

async fn run(
    installation: &Installation,
    options: &Options,
    visitors: &[String],
    among: usize,
    name: &str,
) -> f64 {
    let before = installation.usage();
    let seen = load::at_full_speed(installation, visitors, among, options.connections).await;
    let usage = installation.usage().since(&before);
    println!("  {name:<20} {:.0} interests per second", seen.rate);
    println!("    answered           {}", seen.answered);
    for (process, seconds) in usage.rows() {
        let micros = seconds * 1e6 / visitors.len() as f64;
        println!("    CPU per interest   {micros:.0} us  {process}");
    }
    seen.rate
}
