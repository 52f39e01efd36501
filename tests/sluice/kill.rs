//! The process is killed at the worst moments of a sale, as a person would try it: `sluice serve` on an empty
//! directory, `kill -9`, and again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::Caller,
    installation::Installation,
    shop::{self, Shop},
    truth,
};

/// How often a sale is cut short at each moment.
const TIMES: usize = 4;

/// S05: the process dies between any two statements. After the restart the result is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_a_killed_serve_settles_after_it_was_started_again() {
    let installation = Installation::empty().await;
    installation.start("serve", &["serve"]);
    installation.wait_until_ready().await;
    let shop = Shop::open(&installation).await;
    let visitors = shop::signed_in(&installation, 3 * TIMES).await;
    let page = &shop.pages[0].at;
    let mut bought = Vec::new();
    for (n, visitor) in visitors.iter().enumerate() {
        // At the same moment of the sale, a little later each time.
        let later = Duration::from_millis(7 * (n / 3) as u64);
        let key = format!("sale-{n}");
        let client = installation.sluice();
        let checkout = match n % 3 {
            // While the purchase is accepted.
            0 => {
                let (buyer, page, key) = (visitor.clone(), page.clone(), key.clone());
                let asking = tokio::spawn({
                    let client = client.clone();
                    async move { client.check_out(&buyer, &page, &key).await }
                });
                tokio::time::sleep(later).await;
                kill_and_start(&installation).await;
                asking.await.unwrap().unwrap()
            }
            // After it was accepted.
            1 => {
                let checkout = client.check_out(visitor, page, &key).await.unwrap();
                kill_and_start(&installation).await;
                checkout
            }
            _ => client.check_out(visitor, page, &key).await.unwrap(),
        };
        let path = format!("/_sim/checkout/sessions/{}/pay", checkout.session);
        installation.stripe_post(&path, &json!({ "outcome": "paid" })).await;
        // After it was paid.
        if n % 3 == 2 {
            tokio::time::sleep(later).await;
            kill_and_start(&installation).await;
        }
        bought.push((visitor, checkout));
    }
    for (visitor, checkout) in bought {
        let path = format!("/v2/public/checkouts/{}", checkout.id);
        let settled = |view: &Value| view["status"] == "SETTLED";
        client_until(&installation, visitor, &path, settled).await;
    }
    installation.wait_until_quiet(Duration::from_secs(60)).await;
    installation.check();
    truth::expect_same_books(&installation).await;
    let bought = installation.number("SELECT count(*) AS number FROM checkout").await;
    assert_eq!(bought, 3 * TIMES as i64, "a purchase was made twice");
}

async fn kill_and_start(installation: &Installation) {
    let pid = installation.kill("serve").unwrap();
    installation.let_leases_run_out(pid).await;
    installation.let_requests_run_out().await;
    installation.restart("serve");
    installation.wait_until_ready().await;
}

async fn client_until(
    installation: &Installation,
    visitor: &Caller,
    path: &str,
    wanted: impl Fn(&Value) -> bool,
) {
    installation.sluice().get_until(visitor, path, wanted).await;
}
