//! Redis is gone for a while, PostgreSQL drops everybody: nothing is lost, and everything goes on by itself.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::Caller,
    installation::Installation,
    shop::{self, Shop},
    truth,
};

const SALES: usize = 24;

/// Shows what the processes said if the test fails.
struct Witness(Arc<Installation>);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.show_logs();
        }
    }
}

async fn open(mut installation: Installation) -> (Arc<Installation>, Shop) {
    installation.start_simulator().await;
    installation.start("api", &["api"]);
    installation.start("worker-1", &["worker"]);
    installation.start("worker-2", &["worker"]);
    installation.wait_until_ready().await;
    let shop = Shop::open(&installation).await;
    (Arc::new(installation), shop)
}

/// Starts sales, which are paid at once and settle by webhook.
fn sell(
    installation: &Arc<Installation>,
    shop: &Shop,
    visitors: &[Caller],
    name: &'static str,
) -> JoinSet<()> {
    let mut selling = JoinSet::new();
    for (n, visitor) in visitors.iter().cloned().enumerate() {
        let (installation, page) = (installation.clone(), shop.pages[n % shop.pages.len()].clone());
        selling.spawn(async move {
            let client = installation.sluice();
            let key = format!("{name}-{n}");
            let checkout = client.check_out(&visitor, &page.at, &key).await.unwrap();
            let path = format!("/_sim/checkout/sessions/{}/pay", checkout.session);
            installation.stripe_post(&path, &json!({ "outcome": "paid" })).await;
            let path = format!("/v2/public/checkouts/{}", checkout.id);
            let settled = |view: &Value| view["status"] == "SETTLED";
            client.get_until(&visitor, &path, settled).await;
        });
    }
    selling
}

async fn all(mut selling: JoinSet<()>) {
    while let Some(sold) = selling.join_next().await {
        sold.unwrap();
    }
}

async fn expect_order(installation: &Installation, sales: usize) {
    installation.wait_until_quiet(Duration::from_secs(120)).await;
    installation.check();
    truth::expect_same_books(installation).await;
    let bought = installation.number("SELECT count(*) AS number FROM checkout").await;
    assert_eq!(bought, sales as i64, "a purchase was lost, or made twice");
}

/// S45: Redis is stopped. Requests and webhooks are accepted, and the sweepers find the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_sales_settle_while_redis_is_down_and_after() {
    let Some(installation) = Installation::apart().await else { return };
    let (installation, shop) = open(installation).await;
    let _witness = Witness(installation.clone());
    let visitors = shop::signed_in(&installation, 3 * SALES).await;
    installation.redis.as_ref().unwrap().lock().await.stop();
    all(sell(&installation, &shop, &visitors[..SALES], "without")).await;

    // Processes that start meanwhile do without it, too.
    for name in ["api", "worker-1", "worker-2"] {
        let pid = installation.kill(name).unwrap();
        installation.let_leases_run_out(pid).await;
        installation.restart(name);
    }
    installation.wait_until_ready().await;
    all(sell(&installation, &shop, &visitors[SALES..2 * SALES], "started-without")).await;

    installation.redis.as_ref().unwrap().lock().await.start_again().await;
    all(sell(&installation, &shop, &visitors[2 * SALES..], "again")).await;
    expect_order(&installation, 3 * SALES).await;
}

/// S46: every connection to PostgreSQL is cut, again and again. Requests succeed or say 503 with Retry-After
/// (the client insists on it); workers recover by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s46_sales_settle_while_postgresql_drops_everybody() {
    let Some(installation) = Installation::apart().await else { return };
    let (installation, shop) = open(installation).await;
    let _witness = Witness(installation.clone());
    let visitors = shop::signed_in(&installation, 2 * SALES).await;
    let selling = sell(&installation, &shop, &visitors, "cut");
    let postgres = installation.postgres.as_ref().unwrap();
    let mut cut = 0;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        cut += postgres.cut_connections().await;
    }
    assert!(cut > 10, "{cut} connections were cut");
    all(selling).await;
    expect_order(&installation, 2 * SALES).await;
}
