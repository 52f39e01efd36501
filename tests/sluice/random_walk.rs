//! Thousands of things that buyers, creators, banks and Stripe's dashboard do, in no order, while webhooks are
//! lost, doubled and out of order and calls to Stripe fail. In the end the ledger is what Stripe says, to the
//! cent, and every invariant holds.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Answer, Caller},
    installation::Installation,
    process::{run, said},
    shop::{self, Page, Shop},
    truth,
};

/// How many things are done, unless the environment says otherwise.
const STEPS: usize = 10_000;
const STEPS_VARIABLE: &str = "SLUICE_TEST_STEPS";
/// Starts the random numbers; printed, to walk the same way again.
const SEED_VARIABLE: &str = "SLUICE_TEST_SEED";
/// How many walk at once.
const WALKERS: usize = 96;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_steps_end_with_the_same_books() {
    let Some(mut installation) = Installation::apart().await else { return };
    // A handful of creators do what thousands would.
    for variable in ["SLUICE_READS_PER_MINUTE", "SLUICE_WRITES_PER_MINUTE"] {
        installation.environment.push((variable, "1000000".to_owned()));
    }
    installation.environment.push(("SLUICE_STRIPE_CALLS_PER_SECOND", "1000".to_owned()));
    installation.start_simulator().await;
    installation.start("api", &["api"]);
    installation.start("worker", &["worker"]);
    installation.wait_until_ready().await;
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse().ok());
    let steps = number(STEPS_VARIABLE).unwrap_or(STEPS);
    let seed = number(SEED_VARIABLE).map_or_else(rand::random, |seed| seed as u64);
    eprintln!("{steps} steps, {SEED_VARIABLE}={seed}");

    let shop = Shop::open(&installation).await;
    let visitors = shop::signed_in(&installation, steps / 3).await;
    installation.set_faults(&faults()).await;
    let walk = Arc::new(Walk {
        installation: Arc::new(installation),
        shop,
        visitors: Mutex::new(visitors),
        sales: Mutex::default(),
        disputes: Mutex::default(),
        refunds: Mutex::default(),
        payouts: Mutex::default(),
        left: AtomicUsize::new(steps),
    });
    let stop = CancellationToken::new();
    let pushing = tokio::spawn(push(walk.installation.clone(), stop.clone()));
    let mut walkers = JoinSet::new();
    for n in 0..WALKERS {
        let rng = StdRng::seed_from_u64(seed.wrapping_add(n as u64));
        walkers.spawn(walk.clone().go(rng));
    }
    while let Some(walker) = walkers.join_next().await {
        walker.expect("a walker");
    }
    stop.cancel();
    pushing.await.expect("the pushing");
    walk.come_to_rest().await;

    let installation = &walk.installation;
    installation.check();
    truth::expect_same_books(installation).await;
    truth::expect_same_earnings(installation, &walk.shop).await;
    eprintln!("{}", walk.told().await);
}

fn faults() -> Value {
    json!({
        "webhooks": { "duplicate": 0.1, "drop": 0.05, "reorder": 0.1, "delay_ms": [0, 20] },
        "api": { "error_500": 0.02, "error_429": 0.02, "timeout_after_work": 0.002, "timeout_seconds": 2 },
        "refunds": { "pending": 0.1 },
    })
}

/// Else every call that Stripe answers with a stored 500 costs a minute.
async fn push(installation: Arc<Installation>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        installation.let_retries_come_due(20).await;
    }
}

/// A purchase that was paid.
#[derive(Clone)]
struct Sale {
    checkout: String,
    page: Page,
    intent: String,
}

struct Walk {
    installation: Arc<Installation>,
    shop: Shop,
    visitors: Mutex<Vec<Caller>>,
    sales: Mutex<Vec<Sale>>,
    disputes: Mutex<Vec<String>>,
    refunds: Mutex<Vec<String>>,
    payouts: Mutex<Vec<String>>,
    left: AtomicUsize,
}

/// One of them, if there are any.
fn one_of<T: Clone>(all: &Mutex<Vec<T>>, rng: &mut StdRng) -> Option<T> {
    let all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.is_empty() { None } else { Some(all[rng.random_range(0..all.len())].clone()) }
}

fn keep<T>(all: &Mutex<Vec<T>>, one: T) {
    all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
}

impl Walk {
    async fn go(self: Arc<Self>, mut rng: StdRng) {
        while self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            self.step(&mut rng).await;
        }
    }

    async fn step(&self, rng: &mut StdRng) {
        let sold = one_of(&self.sales, rng);
        match (rng.random_range(0..100), sold) {
            (0..30, _) | (_, None) => self.buy(rng).await,
            (30..52, Some(sale)) => self.refund(rng, &sale).await,
            (52..64, Some(sale)) => self.refund_in_the_dashboard(rng, &sale).await,
            (64..72, Some(sale)) => self.dispute(rng, &sale).await,
            (72..82, _) => self.decide(rng).await,
            (82..90, _) => self.bank_says(rng).await,
            (90..96, Some(sale)) => self.look(rng, &sale).await,
            (_, _) => self.pay_out(rng).await,
        }
    }

    /// What Stripe refuses, it refuses.
    async fn at_stripe(&self, path: &str, body: Value) -> Option<Value> {
        let stripe = self.installation.stripe();
        let answer = stripe.settle(&Caller::Anybody, Method::POST, path, None, Some(&body)).await;
        assert!(answer.status < 500, "{path} {body}: {answer:?}");
        (answer.status == 200).then_some(answer.json)
    }

    async fn buy(&self, rng: &mut StdRng) {
        let visitor = self.visitors.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(visitor) = visitor else { return };
        let page = self.shop.pages[rng.random_range(0..self.shop.pages.len())].clone();
        let key = format!("buy-{}", rng.random::<u64>());
        let client = self.installation.sluice();
        let begun = client.check_out(&visitor, &page.at, &key).await.expect("a payment page");
        let path = format!("/_sim/checkout/sessions/{}/pay", begun.session);
        let paid = self.at_stripe(&path, json!({ "outcome": "paid" })).await.expect("paid");
        let intent = paid["payment_intent"].as_str().expect("a payment").to_owned();
        keep(&self.sales, Sale { checkout: begun.id, page, intent });
    }

    async fn refund(&self, rng: &mut StdRng, sale: &Sale) {
        let (handle, slug) = sale.page.at.split_once('/').expect("a page");
        let (_, creator) =
            self.shop.creators.iter().find(|(name, _)| *name == handle).expect("one");
        let mut body = json!({ "checkoutId": sale.checkout });
        if rng.random_bool(0.7) {
            // In tens: what every currency takes.
            body["amountCents"] = (rng.random_range(1..=sale.page.price / 10) * 10).into();
            body["revokeAccess"] = rng.random_bool(0.1).into();
        }
        let path = format!("/v2/handles/{handle}/pages/{slug}/refund");
        let key = format!("refund-{}", rng.random::<u64>());
        let client = self.installation.sluice();
        let answer = client.settle(creator, Method::POST, &path, Some(&key), Some(&body)).await;
        let refused = ["not_paid", "dispute_open", "refund_exceeds_refundable"];
        assert!(answer.status == 202 || refused.contains(&answer.code()), "{body}: {answer:?}");
    }

    async fn refund_in_the_dashboard(&self, rng: &mut StdRng, sale: &Sale) {
        let mut body = json!({
            "reverse_transfer": rng.random_bool(0.8), "refund_application_fee": rng.random_bool(0.8),
        });
        if rng.random_bool(0.7) {
            body["amount"] = (rng.random_range(1..=sale.page.price / 10) * 10).into();
        }
        let path = format!("/_sim/charges/{}/refund", sale.intent);
        if let Some(refund) = self.at_stripe(&path, body).await {
            keep(&self.refunds, refund["id"].as_str().expect("an id").to_owned());
        }
    }

    async fn dispute(&self, rng: &mut StdRng, sale: &Sale) {
        let body = match rng.random_range(0..3) {
            0 => json!({}),
            1 => json!({ "amount": (rng.random_range(1..=sale.page.price / 10) * 10) }),
            _ => json!({ "amount": sale.page.price + 100 }),
        };
        let path = format!("/_sim/charges/{}/dispute", sale.intent);
        if let Some(dispute) = self.at_stripe(&path, body).await {
            keep(&self.disputes, dispute["id"].as_str().expect("an id").to_owned());
        }
    }

    async fn decide(&self, rng: &mut StdRng) {
        let Some(dispute) = one_of(&self.disputes, rng) else { return };
        let (path, status) = match rng.random_range(0..3) {
            0 => (format!("/_sim/disputes/{dispute}"), "under_review"),
            1 => (format!("/_sim/disputes/{dispute}/close"), "won"),
            _ => (format!("/_sim/disputes/{dispute}/close"), "lost"),
        };
        self.at_stripe(&path, json!({ "status": status })).await;
    }

    /// A refund arrives, or does not, even after it had.
    async fn bank_says(&self, rng: &mut StdRng) {
        let Some(refund) = one_of(&self.refunds, rng) else { return };
        let status = if rng.random_bool(0.3) { "failed" } else { "succeeded" };
        self.at_stripe(&format!("/_sim/refunds/{refund}"), json!({ "status": status })).await;
    }

    async fn look(&self, rng: &mut StdRng, sale: &Sale) {
        let (handle, slug) = sale.page.at.split_once('/').expect("a page");
        let (_, creator) =
            self.shop.creators.iter().find(|(name, _)| *name == handle).expect("one");
        let client = self.installation.sluice();
        let lists = ["refunds", "disputes", "checkouts", "earnings", "earnings/explain", "payouts"];
        let list = lists[rng.random_range(0..lists.len())];
        client.get(creator, &format!("/v2/handles/{handle}/{list}")).await;
        let path = format!("/v2/handles/{handle}/pages/{slug}/refund/preview");
        let body = json!({ "checkoutId": sale.checkout });
        let seen: Answer = client.settle(creator, Method::POST, &path, None, Some(&body)).await;
        assert!(matches!(seen.status, 200 | 409), "{seen:?}");
    }

    async fn pay_out(&self, rng: &mut StdRng) {
        if rng.random_bool(0.5)
            && let Some(payout) = one_of(&self.payouts, rng)
        {
            let status = ["in_transit", "paid", "paid", "failed", "canceled"];
            let status = status[rng.random_range(0..status.len())];
            self.at_stripe(&format!("/_sim/payouts/{payout}"), json!({ "status": status })).await;
            return;
        }
        let (handle, creator) = &self.shop.creators[rng.random_range(0..self.shop.creators.len())];
        let path = format!("/v2/handles/{handle}/connect/status");
        let status = self.installation.sluice().get(creator, &path).await;
        let body = json!({ "account": status["accountId"], "currency": "usd", "amount": 100 });
        if let Some(payout) = self.at_stripe("/_sim/payouts", body).await {
            keep(&self.payouts, payout["id"].as_str().expect("an id").to_owned());
        }
    }

    /// Nothing goes wrong any more; what banks have not decided is decided; what was lost is found.
    async fn come_to_rest(&self) {
        let installation = &self.installation;
        installation.set_faults(&json!({})).await;
        let mut rng = StdRng::seed_from_u64(1);
        let disputes = self.disputes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for dispute in disputes {
            let status = if rng.random_bool(0.5) { "won" } else { "lost" };
            let path = format!("/_sim/disputes/{dispute}/close");
            self.at_stripe(&path, json!({ "status": status })).await;
        }
        let payouts = self.payouts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for payout in payouts {
            self.at_stripe(&format!("/_sim/payouts/{payout}"), json!({ "status": "paid" })).await;
        }
        self.settle_pending_refunds().await;
        let found = run(&installation.environment, &["reconcile", "--since", "1d"]);
        eprintln!("{}", said(&found));
        for name in ["api", "worker"] {
            installation.kill(name);
        }
        installation.let_half_a_day_pass().await;
        for name in ["api", "worker"] {
            installation.restart(name);
        }
        installation.wait_until_ready().await;
        installation.wait_until_quiet(Duration::from_secs(180)).await;
        // Whatever came of that at Stripe is known by then.
        self.settle_pending_refunds().await;
        installation.wait_until_quiet(Duration::from_secs(180)).await;
        let found = run(&installation.environment, &["reconcile", "--since", "2d"]);
        eprintln!("{}", said(&found));
        installation.wait_until_quiet(Duration::from_secs(120)).await;
    }

    /// Refunds that are pending at Stripe arrive.
    async fn settle_pending_refunds(&self) {
        let stripe = self.installation.stripe();
        let key = Caller::Creator("sk_test_walk".to_owned());
        let mut after = String::new();
        loop {
            let path = format!("/v1/refunds?limit=100{after}");
            let page = stripe.get(&key, &path).await;
            let refunds = page["data"].as_array().expect("refunds");
            for refund in refunds.iter().filter(|refund| refund["status"] == "pending") {
                let id = refund["id"].as_str().expect("an id");
                self.at_stripe(&format!("/_sim/refunds/{id}"), json!({ "status": "succeeded" }))
                    .await;
            }
            let Some(last) = refunds.last().filter(|_| page["has_more"] == true) else { return };
            after = format!("&starting_after={}", last["id"].as_str().expect("an id"));
        }
    }

    /// How many of what there were.
    async fn told(&self) -> String {
        let installation = &self.installation;
        let mut told = Vec::new();
        for (what, sql) in [
            ("purchases", "SELECT count(*) AS number FROM checkout"),
            ("refunds", "SELECT count(*) AS number FROM refund WHERE status = 'SUCCEEDED'"),
            ("failed refunds", "SELECT count(*) AS number FROM refund WHERE status = 'FAILED'"),
            ("disputes", "SELECT count(*) AS number FROM dispute"),
            ("postings", "SELECT count(*) AS number FROM ledger_transaction"),
            ("open cases", "SELECT count(*) AS number FROM operator_case WHERE status = 'OPEN'"),
        ] {
            told.push(format!("{} {what}", installation.number(sql).await));
        }
        told.join(", ")
    }
}
