//! The floor: the same settlement by pgbench with no engine, one commit for the inbox and one for the rest.

use std::{
    path::Path,
    process::{Command, Output},
};

use entities::{Database, database::PoolSize};
use sea_orm::ConnectionTrait;

use crate::percentiles::Percentiles;

const CLIENTS: usize = 16;
const ORDERS_A_CLIENT: usize = 4_000;

pub struct Floor {
    /// Settled per second.
    pub rate: f64,
    /// At half that rate, milliseconds.
    pub p99: f64,
}

/// Measures f2, where pgbench and its scripts are there.
pub async fn measure(server: &str, scripts: &Path) -> Option<Floor> {
    if !scripts.join("f2.sql").exists() {
        println!("no floor: {} is not there", scripts.join("f2.sql").display());
        return None;
    }
    let admin = Database::open(server, PoolSize(1)).await.expect("PostgreSQL");
    let name = format!("sluice_floor_{}", std::process::id());
    admin.write().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/')?;
    let url = format!("{base}/{name}");
    println!("floor (f2, {CLIENTS} clients)");
    seed(&url, scripts);
    let rate = rate(&pgbench(&url, scripts, &[]));
    println!("  settled per second   {rate:.0}");
    seed(&url, scripts);
    let p99 = at_half_rate(&url, scripts, rate / 2.0);
    admin.write().execute_unprepared(&format!("DROP DATABASE {name}")).await.unwrap();
    Some(Floor { rate, p99 })
}

fn seed(url: &str, scripts: &Path) {
    let schema = scripts.join("schema.sql").display().to_string();
    let seed = format!("SELECT seed(1, {})", CLIENTS * ORDERS_A_CLIENT);
    let seeded = Command::new("psql")
        .args([
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-o",
            "/dev/null",
            "-f",
            &schema,
            "-c",
            &seed,
            "-c",
            "ANALYZE orders",
            url,
        ])
        .output()
        .expect("psql");
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
}

fn pgbench(url: &str, scripts: &Path, more: &[&str]) -> String {
    let script = scripts.join("f2.sql").display().to_string();
    let (clients, orders) = (CLIENTS.to_string(), ORDERS_A_CLIENT.to_string());
    let span = format!("span={ORDERS_A_CLIENT}");
    let fixed = [
        "-n", "-M", "prepared", "-c", &clients, "-j", "2", "-t", &orders, "-D", "n=0", "-D", &span,
    ];
    let Output { status, stdout, stderr } = Command::new("pgbench")
        .args(fixed)
        .args(["-f", &script])
        .args(more)
        .arg(url)
        .output()
        .expect("pgbench");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

fn rate(report: &str) -> f64 {
    let line = report.lines().find(|line| line.starts_with("tps = ")).expect("a rate");
    line.split_whitespace().nth(2).and_then(|text| text.parse().ok()).expect("a number")
}

/// Latencies count from when a settlement was due, as on the other side. The log's third column is
/// microseconds from there (with --rate, schedule lag included).
fn at_half_rate(url: &str, scripts: &Path, rate: f64) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("floor").display().to_string();
    let rate = format!("--rate={rate:.0}");
    pgbench(url, scripts, &[&rate, "-l", &format!("--log-prefix={prefix}")]);
    let mut millis = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let log = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        millis.extend(log.lines().filter_map(|line| {
            line.split_whitespace().nth(2)?.parse::<f64>().ok().map(|micros| micros / 1e3)
        }));
    }
    let percentiles = Percentiles::of(millis);
    println!("  at half that rate    {percentiles}");
    percentiles.p99
}
