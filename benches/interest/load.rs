//! The load: visitors who say that they want one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

use crate::{connection::Connection, installation::Installation, percentiles::Percentiles};

pub struct FullSpeed {
    /// Interests answered per second.
    pub rate: f64,
    pub answered: Percentiles,
}

/// As fast as the connections can: the n-th visitor wants one of the n-th group buy, modulo so many.
pub async fn at_full_speed(
    installation: &Installation,
    visitors: &[String],
    among: usize,
    connections: usize,
) -> FullSpeed {
    let address = installation.address.to_string();
    let requests: Vec<_> = visitors
        .iter()
        .enumerate()
        .map(|(n, token)| request(&address, token, if among == 1 { 0 } else { 1 + n % among }))
        .collect();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (requests, next, address) = (requests.clone(), next.clone(), address.clone());
        senders.spawn(async move {
            let mut connection = Connection::open(&address).await;
            let mut millis = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(n) else { return millis };
                let sent = Instant::now();
                connection.post(request).await;
                millis.push(sent.elapsed().as_secs_f64() * 1e3);
            }
        });
    }
    let mut millis = Vec::with_capacity(visitors.len());
    while let Some(sent) = senders.join_next().await {
        millis.extend(sent.unwrap());
    }
    let rate = visitors.len() as f64 / started.elapsed().as_secs_f64();
    FullSpeed { rate, answered: Percentiles::of(millis) }
}

/// A visitor wants one of the n-th group buy, as it goes over the wire.
pub fn request(address: &str, token: &str, drop: usize) -> Vec<u8> {
    let body = r#"{"quantity":1}"#;
    format!(
        "POST /v2/public/group-buys/bench/drop-{drop}/interest HTTP/1.1\r\nhost: {address}\r\n\
         cookie: _10x_visitor={token}\r\norigin: http://{address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
