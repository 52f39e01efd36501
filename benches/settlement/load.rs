//! The load: signed webhooks over kept-alive connections, and a look at what is settled.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use entities::{Database, statement::query};
use sea_orm::FromQueryResult;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use uuid::Uuid;

use crate::{
    installation::Installation,
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

/// Milliseconds.
pub struct Percentiles {
    p50: f64,
    p95: f64,
    pub p99: f64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms", self.p50, self.p95, self.p99)
    }
}

impl Percentiles {
    pub fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        let at = |share: f64| millis[((millis.len() - 1) as f64 * share) as usize];
        Self { p50: at(0.50), p95: at(0.95), p99: at(0.99) }
    }
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

/// A kept-alive HTTP/1.1 connection that reads just enough of an answer.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 8_192] }
    }

    async fn post(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if let Some(whole) = whole_answer(&self.buffer[..filled]) {
                assert!(whole.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(whole));
                return;
            }
        }
    }
}

/// The answer, once its body is complete.
fn whole_answer(bytes: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() >= length).then_some(bytes)
}
