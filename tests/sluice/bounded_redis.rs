//! However much is carried, Redis holds a bounded number of keys.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;

use crate::installation::Installation;

const WEBHOOKS: usize = 3_000;
const CONNECTIONS: usize = 16;
/// Many times what one start of an API and a worker needs, and far less than one key a webhook.
const KEYS: usize = 64;
/// The fixed ids of all kinds of work together.
const ENTRIES: usize = 512;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_no_larger_after_thousands_of_webhooks() {
    let Some(mut installation) = Installation::apart().await else { return };
    installation.start_simulator().await;
    installation.start("api", &["api"]);
    installation.start("worker", &["worker"]);
    installation.wait_until_ready().await;
    let url = Arc::new(format!("http://{}/v2/public/stripe/connect-webhook", installation.api));
    let http = reqwest::Client::new();
    let mut sending = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (http, url) = (http.clone(), url.clone());
        sending.spawn(async move {
            for n in (connection..WEBHOOKS).step_by(CONNECTIONS) {
                post(&http, &url, n).await;
            }
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    let received = "SELECT count(*) AS number FROM inbox WHERE source = 'stripe'";
    assert_eq!(installation.number(received).await, WEBHOOKS as i64);

    let redis = installation.redis.as_ref().unwrap().lock().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let (keys, largest) = redis.keys().await;
        if keys <= KEYS && largest <= ENTRIES {
            return;
        }
        let late = tokio::time::Instant::now() > deadline;
        assert!(!late, "Redis holds {keys} keys, one of them with {largest} entries");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// An event of an account that nobody knows: it waits for its run, and wakes the workers all the same.
async fn post(http: &reqwest::Client, url: &str, n: usize) {
    let body = json!({
        "id": format!("evt_bounded_{n}"), "type": "account.updated", "livemode": false,
        "account": format!("acct_unknown{n}"), "data": { "object": { "id": "acct_unknown" } },
    })
    .to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let signature = simulator::sign("whsec_simulator_connect", &body, now.as_secs().cast_signed());
    let request = http.post(url).header("content-type", "application/json");
    let sent = request.header("stripe-signature", signature).body(body).send().await.unwrap();
    assert_eq!(sent.status(), 200, "{:?}", sent.text().await);
}
