//! The floor: a counter that is raised by one, by pgbench with nothing around it, one commit each.

use std::process::{Command, Output};

use entities::{Database, database::PoolSize};
use sea_orm::ConnectionTrait;

/// For how long, in seconds.
const SECONDS: &str = "8";

/// Updates per second.
pub struct Floor {
    pub one: f64,
    pub many: f64,
}

/// Measures the floor on one row and on a thousand.
pub async fn measure(server: &str, connections: usize) -> Floor {
    let admin = Database::open(server, PoolSize(1)).await.expect("PostgreSQL");
    let name = format!("sluice_counter_{}", std::process::id());
    admin.write().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').expect("a database in the address");
    let url = format!("{base}/{name}");
    let database = Database::open(&url, PoolSize(1)).await.unwrap();
    let tables = "CREATE TABLE counter (id INT PRIMARY KEY, quantity BIGINT NOT NULL) WITH (fillfactor = 80); \
                  INSERT INTO counter SELECT n, 0 FROM generate_series(1, 1000) AS n; ANALYZE counter;";
    database.write().execute_unprepared(tables).await.unwrap();
    println!("floor (a bare counter, {connections} clients)");
    let one = rate(&url, connections, "UPDATE counter SET quantity = quantity + 1 WHERE id = 1;");
    println!("  on one               {one:.0} updates per second");
    let many = rate(
        &url,
        connections,
        "\\set id random(1, 1000)\nUPDATE counter SET quantity = quantity + 1 WHERE id = :id;",
    );
    println!("  on a thousand        {many:.0} updates per second");
    database.close().await.unwrap();
    admin.write().execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    Floor { one, many }
}

fn rate(url: &str, connections: usize, script: &str) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("counter.sql");
    std::fs::write(&file, script).unwrap();
    let clients = connections.to_string();
    let fixed = ["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", SECONDS];
    let Output { status, stdout, stderr } = Command::new("pgbench")
        .args(fixed)
        .arg("-f")
        .arg(&file)
        .arg(url)
        .output()
        .expect("pgbench");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let report = String::from_utf8_lossy(&stdout);
    let line = report.lines().find(|line| line.starts_with("tps = ")).expect("a rate");
    line.split_whitespace().nth(2).and_then(|text| text.parse().ok()).expect("a number")
}
