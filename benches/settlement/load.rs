//! The load: signed webhooks over kept-alive connections, and a look at what is settled.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use entities::{Database, statement::query};
use sea_orm::FromQueryResult;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    connection::Connection,
    installation::Installation,
    percentiles::Percentiles,
    seed::{OpenCheckout, Template},
};

const SECRET: &str = "whsec_simulator";
/// One webhook in twenty comes twice.
const DUPLICATE_EVERY: usize = 20;
/// How often the database is looked at for what is settled since: what a latency may be too high by.
const LOOK: Duration = Duration::from_millis(2);

pub struct FullSpeed {
    pub rate: f64,
    pub seconds: f64,
}

pub struct AtRate {
    pub answered: Percentiles,
    pub settled: Percentiles,
}

struct Post {
    /// Which checkout; a duplicate has none, since only the first delivery is timed.
    checkout: Option<Uuid>,
    bytes: Vec<u8>,
}

/// Requests as they go over the wire, made beforehand so that making them is not measured.
fn posts(template: &Template, orders: &[OpenCheckout], address: &str) -> Vec<Post> {
    let now = Instant::now();
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut posts = Vec::with_capacity(orders.len() + orders.len() / DUPLICATE_EVERY);
    for (n, order) in orders.iter().enumerate() {
        let body = template.event(n, order);
        let signature = simulator::sign(SECRET, &body, seconds.cast_signed());
        let bytes = format!(
            "POST /v2/public/stripe/webhook HTTP/1.1\r\nhost: {address}\r\n\
             content-type: application/json; charset=utf-8\r\nstripe-signature: {signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        if n % DUPLICATE_EVERY == 0 {
            posts.push(Post { checkout: None, bytes: bytes.clone() });
        }
        posts.push(Post { checkout: Some(order.id.0), bytes });
    }
    assert!(now.elapsed() < Duration::from_secs(120), "the signatures would be too old");
    posts
}

/// As fast as the connections can.
pub async fn at_full_speed(
    installation: &Installation,
    template: &Template,
    orders: &[OpenCheckout],
    connections: usize,
) -> FullSpeed {
    let address = installation.address.to_string();
    let posts = Arc::new(posts(template, orders, &address));
    let before =
        settled_after(installation.engine.database(), 0).await.last().map_or(0, |row| row.id);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let started = Instant::now();
    for _ in 0..connections {
        let (posts, next, address) = (posts.clone(), next.clone(), address.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            loop {
                let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(post) = posts.get(n) else { return };
                connection.post(&post.bytes).await;
            }
        });
    }
    let database = installation.engine.database();
    while newest(database).await - before < orders.len() as i64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(started.elapsed() < Duration::from_secs(600), "not everything was settled");
    }
    let seconds = started.elapsed().as_secs_f64();
    FullSpeed { rate: orders.len() as f64 / seconds, seconds }
}

/// At a steady rate, whatever the answers take.
pub async fn at_rate(
    installation: &Installation,
    template: &Template,
    orders: &[OpenCheckout],
    connections: usize,
    rate: f64,
) -> AtRate {
    let address = installation.address.to_string();
    let posts = posts(template, orders, &address);
    let database = installation.engine.database().clone();
    let mut last = newest(&database).await;
    let (done, mut finished) = mpsc::unbounded_channel();
    let mut senders = Vec::new();
    for _ in 0..connections {
        let (sender, mut due) = mpsc::unbounded_channel::<(Instant, Post)>();
        let (address, done) = (address.clone(), done.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            while let Some((at, post)) = due.recv().await {
                connection.post(&post.bytes).await;
                let _gone = done.send((post.checkout, at, at.elapsed()));
            }
        });
        senders.push(sender);
    }
    drop(done);
    tokio::spawn(async move {
        let started = Instant::now();
        for (n, post) in posts.into_iter().enumerate() {
            let at = started + Duration::from_secs_f64(n as f64 / rate);
            tokio::time::sleep_until(at.into()).await;
            let _gone = senders[n % connections].send((at, post));
        }
    });
    let mut settled: HashMap<Uuid, Instant> = HashMap::new();
    let mut sent: HashMap<Uuid, Instant> = HashMap::new();
    let mut answered = Vec::new();
    let deadline = Instant::now() + Duration::from_secs_f64(orders.len() as f64 / rate + 60.0);
    while settled.len() < orders.len() {
        for row in settled_after(&database, last).await {
            last = row.id;
            settled.insert(row.checkout_id, Instant::now());
        }
        while let Ok((checkout, at, took)) = finished.try_recv() {
            answered.push(took.as_secs_f64() * 1e3);
            sent.extend(checkout.map(|checkout| (checkout, at)));
        }
        assert!(Instant::now() < deadline, "not everything was settled");
        tokio::time::sleep(LOOK).await;
    }
    while let Some((checkout, at, took)) = finished.recv().await {
        answered.push(took.as_secs_f64() * 1e3);
        sent.extend(checkout.map(|checkout| (checkout, at)));
    }
    let latencies = sent.iter().filter_map(|(checkout, at)| {
        settled
            .get(checkout)
            .map(|settled| settled.saturating_duration_since(*at).as_secs_f64() * 1e3)
    });
    AtRate { settled: Percentiles::of(latencies.collect()), answered: Percentiles::of(answered) }
}

#[derive(FromQueryResult)]
struct Settled {
    id: i64,
    checkout_id: Uuid,
}

async fn settled_after(database: &Database, last: i64) -> Vec<Settled> {
    let sql = "SELECT id, checkout_id FROM ledger_transaction WHERE id > $1 ORDER BY id";
    query(database.read(), sql, vec![last.into()]).await.unwrap()
}

async fn newest(database: &Database) -> i64 {
    let sql = "SELECT id, checkout_id FROM ledger_transaction ORDER BY id DESC LIMIT 1";
    let rows: Vec<Settled> = query(database.read(), sql, vec![]).await.unwrap();
    rows.first().map_or(0, |row| row.id)
}
