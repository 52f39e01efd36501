//! `sluice reconcile`, as an operator runs it after webhooks were lost, and what it says of differences.

use std::{process::Output, sync::Arc, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    installation::Installation,
    process::{run, said, sluice},
    shop::{self, Shop},
    truth,
};

const SALES: usize = 10;

/// The number that stands before some words.
fn count(output: &Output, what: &str) -> i64 {
    let text = said(output);
    let line = text.lines().find(|line| line.trim_end().ends_with(what)).unwrap_or_else(|| {
        panic!("nothing is said of {what}:\n{text}");
    });
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// S41: every webhook is lost. `sluice reconcile`, twice at once, brings the events in, and all sales settle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s41_sales_settle_though_every_webhook_is_lost() {
    let Some(mut installation) = Installation::apart().await else { return };
    installation.start_simulator().await;
    installation.start("api", &["api"]);
    installation.start("worker-1", &["worker"]);
    installation.start("worker-2", &["worker"]);
    installation.wait_until_ready().await;
    let shop = Shop::open(&installation).await;
    let visitors = shop::signed_in(&installation, SALES).await;
    installation.set_faults(&json!({ "webhooks": { "drop": 1.0 } })).await;
    let installation = Arc::new(installation);
    let client = installation.sluice();
    let mut bought = Vec::new();
    for (n, visitor) in visitors.iter().enumerate() {
        let page = &shop.pages[n % shop.pages.len()].at;
        let checkout = client.check_out(visitor, page, &format!("lost-{n}")).await.unwrap();
        let path = format!("/_sim/checkout/sessions/{}/pay", checkout.session);
        installation.stripe_post(&path, &json!({ "outcome": "paid" })).await;
        bought.push((visitor, format!("/v2/public/checkouts/{}", checkout.id)));
    }
    // The processor's fees may tell of payments before that, but no event does.
    let heard =
        "SELECT count(*) AS number FROM inbox WHERE source = 'stripe' AND workflow = 'checkout'";
    assert_eq!(installation.number(heard).await, 0, "nobody was told");

    let at_once: Vec<_> = (0..2)
        .map(|_| sluice(&installation.environment, &["reconcile"]))
        .map(|mut command| tokio::task::spawn_blocking(move || command.output().unwrap()))
        .collect();
    let mut added = 0;
    for reconciling in at_once {
        let output = reconciling.await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
        added += count(&output, "never arrived, put in");
    }
    assert_eq!(added, SALES as i64, "each event came in once");
    for (visitor, path) in &bought {
        let settled = |view: &Value| view["status"] == "SETTLED";
        client.get_until(visitor, path, settled).await;
    }
    let again = run(&installation.environment, &["reconcile", "--since", "3d", "--events-only"]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(count(&again, "never arrived, put in"), 0);
    assert!(count(&again, "listed") >= SALES as i64);
    installation.wait_until_quiet(Duration::from_secs(60)).await;
    installation.check();
    truth::expect_same_books(&installation).await;
}

/// Differences end it with 2, until a person has closed their cases, with a reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn differences_are_said_and_closed() {
    let mut installation = Installation::together().await;
    installation.start_simulator().await;
    let environment = &installation.environment;
    let case = Uuid::now_v7();
    installation
        .execute(&format!(
            "INSERT INTO operator_case (id, kind, key, detail, status, created_at) \
             VALUES (X'{}', 'missing_here', 'transfer:tr_1', 'made by hand', 'OPEN', 0)",
            case.simple()
        ))
        .await;
    let different = run(environment, &["reconcile"]);
    assert_eq!(different.status.code(), Some(2), "{}", said(&different));
    assert_eq!(count(&different, "open differences"), 1);

    let attention = run(environment, &["operate", "attention"]);
    assert!(
        said(&attention).contains(&format!("{case}  missing_here transfer:tr_1: made by hand"))
    );
    let id = case.to_string();
    let applied = run(environment, &["operate", "apply-case", &id]);
    assert!(!applied.status.success(), "{}", said(&applied));
    let unsaid = run(environment, &["operate", "close-case", &id]);
    assert!(!unsaid.status.success() && said(&unsaid).contains("--reason"), "{}", said(&unsaid));
    let closed = run(environment, &["operate", "close-case", &id, "--reason", "paid back"]);
    assert!(closed.status.success(), "{}", said(&closed));
    let kept = "SELECT count(*) AS number FROM operator_case c JOIN audit_log a \
                ON a.action = 'case.close' WHERE c.closed_because = 'paid back' AND c.status = 'CLOSED'";
    assert_eq!(installation.number(kept).await, 1);
    let same = run(environment, &["reconcile"]);
    assert!(same.status.success(), "{}", said(&same));

    let wrong = run(environment, &["reconcile", "--since", "yesterday"]);
    assert!(said(&wrong).contains("3d, 12h or 30m"), "{}", said(&wrong));
}
