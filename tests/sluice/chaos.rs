//! Everything goes wrong at once: processes are killed and frozen, Redis is emptied, webhooks are lost,
//! doubled, late and out of order, Stripe answers 500 and 429 and not at all. In the end every cent is where
//! it belongs, and everybody who paid has what they paid for, once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use sea_orm::FromQueryResult;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use workflows::id::CheckoutId;

use crate::{
    client::{Caller, Checkout},
    installation::Installation,
    shop::{self, Page, Shop},
    truth,
};

/// How many sales there are, unless the environment says otherwise.
const SALES: usize = 500;
const SALES_VARIABLE: &str = "SLUICE_TEST_CHAOS_SALES";
const SALES_ON_SQLITE: usize = 60;
/// Starts the random numbers; printed, to run the same sales again.
const SEED_VARIABLE: &str = "SLUICE_TEST_SEED";
/// How many visitors are at it at once.
const AT_ONCE: usize = 48;
/// How many visitors sign in by mail. The others are written into the database.
const BY_MAIL: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cent_survives_killed_processes_an_emptied_redis_and_a_bad_stripe() {
    let Some(mut installation) = Installation::apart().await else { return };
    installation.start_simulator().await;
    installation.start("api", &["api"]);
    installation.start("worker-1", &["worker"]);
    installation.start("worker-2", &["worker"]);
    let sales = std::env::var(SALES_VARIABLE).ok().and_then(|text| text.parse().ok());
    let victims = Victims {
        killed: &["api", "worker-1", "worker-2"],
        frozen: Some("worker-2"),
        // A request may wait ten seconds for its answer: now and then one must live so long.
        pause_ms: [1_500, 4_000],
    };
    survive(installation, sales.unwrap_or(SALES), victims).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cent_survives_in_one_process_on_sqlite_that_is_killed() {
    let mut installation = Installation::together().await;
    installation.start_simulator().await;
    installation.start("serve", &["serve"]);
    let victims = Victims { killed: &["serve"], frozen: None, pause_ms: [1_000, 2_500] };
    survive(installation, SALES_ON_SQLITE, victims).await;
}

/// Which processes suffer.
#[derive(Clone, Copy)]
struct Victims {
    killed: &'static [&'static str],
    frozen: Option<&'static str>,
    /// How long they are left alone in between.
    pause_ms: [u64; 2],
}

fn faults() -> Value {
    json!({
        "webhooks": { "duplicate": 0.2, "drop": 0.1, "reorder": 0.2, "delay_ms": [0, 200] },
        "api": {
            "error_500": 0.05, "error_429": 0.02, "timeout_after_work": 0.02, "timeout_seconds": 3,
        },
    })
}

async fn survive(installation: Installation, sales: usize, victims: Victims) {
    let seed = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    let mut clock = Stopwatch::new(format!("{sales} sales, {SEED_VARIABLE}={seed}"));
    let mut rng = StdRng::seed_from_u64(seed);
    installation.wait_until_ready().await;
    let shop = Shop::open(&installation).await;
    let mut visitors = shop::signed_in(&installation, sales).await;
    clock.lap("open");

    installation.set_faults(&faults()).await;
    let installation = Arc::new(installation);
    let _witness = Witness(installation.clone());
    let stop = CancellationToken::new();
    let havoc = tokio::spawn(havoc(installation.clone(), victims, rng.random(), stop.clone()));
    for n in 0..BY_MAIL.min(sales) {
        let email = format!("by-mail-{n}@example.test");
        visitors[n * sales / BY_MAIL] = shop::sign_in(&installation, &email).await;
    }
    clock.lap("signed in");
    let sold = sell(&installation, &shop, visitors, &mut rng).await;
    clock.lap("sold");
    stop.cancel();
    clock.note(havoc.await.expect("the havoc"));

    // Once more, all at once. Then half a day passes, in which payment pages close.
    for name in victims.killed {
        installation.kill(name);
    }
    installation.let_half_a_day_pass().await;
    for name in victims.killed {
        installation.restart(name);
    }
    installation.wait_until_ready().await;
    installation.wait_until_quiet(Duration::from_secs(120)).await;
    clock.lap("quiet");

    installation.check();
    truth::expect_same_books(&installation).await;
    truth::expect_same_earnings(&installation, &shop).await;
    expect_outcomes(&installation, &sold).await;
    expect_access(&installation).await;
    expect_receipts(&installation).await;
    clock.lap("checked");
}

/// Shows what the processes said if the test fails.
struct Witness(Arc<Installation>);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.show_logs();
        }
    }
}

/// What a visitor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Pays at once.
    Pays,
    /// The card is declined first.
    PaysOnSecondTry,
    /// By a method that takes days.
    PaysSlowly,
    /// By a method that takes days, and then the bank says no.
    Bounces,
    /// Something else than was agreed: must never happen.
    PaysAnotherAmount,
    /// In two windows: both get paid.
    PaysTwice,
    /// Walks away.
    NeverPays,
}

impl Manner {
    fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..100) {
            0..60 => Self::Pays,
            60..68 => Self::PaysOnSecondTry,
            68..78 => Self::PaysSlowly,
            78..80 => Self::Bounces,
            80..85 => Self::PaysAnotherAmount,
            85..92 => Self::PaysTwice,
            _ => Self::NeverPays,
        }
    }

    /// What must become of the purchases.
    fn outcome(self) -> &'static [&'static str] {
        match self {
            Self::Pays | Self::PaysOnSecondTry | Self::PaysSlowly => &["SETTLED"],
            Self::Bounces => &["FAILED"],
            Self::PaysAnotherAmount => &["IN_REVIEW"],
            Self::PaysTwice => &["REFUNDED", "SETTLED"],
            Self::NeverPays => &["EXPIRED"],
        }
    }
}

/// A sale, as the client knows it.
struct Sale {
    manner: Manner,
    checkouts: Vec<Checkout>,
}

async fn sell(
    installation: &Arc<Installation>,
    shop: &Shop,
    visitors: Vec<Caller>,
    rng: &mut StdRng,
) -> Vec<Sale> {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut selling = JoinSet::new();
    for (n, visitor) in visitors.into_iter().enumerate() {
        let page = shop.pages[rng.random_range(0..shop.pages.len())].clone();
        let (manner, at_once) = (Manner::draw(rng), at_once.clone());
        let installation = installation.clone();
        selling.spawn(async move {
            let _permit = at_once.acquire().await.expect("open");
            buy(&installation, &visitor, &page, manner, n).await
        });
    }
    let mut sold = Vec::new();
    while let Some(sale) = selling.join_next().await {
        sold.push(sale.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
    }
    sold
}

async fn buy(
    installation: &Installation,
    visitor: &Caller,
    page: &Page,
    manner: Manner,
    n: usize,
) -> Sale {
    let client = installation.sluice();
    let windows = if manner == Manner::PaysTwice { 2 } else { 1 };
    let mut checkouts = Vec::new();
    for window in 0..windows {
        let key = format!("sale-{n}-{window}");
        let begun = client.check_out(visitor, &page.at, &key).await;
        checkouts.push(begun.unwrap_or_else(|code| panic!("{key} ({manner:?}): {code}")));
    }
    let steps: &[Value] = match manner {
        Manner::Pays | Manner::PaysTwice => &[json!({ "outcome": "paid" })],
        Manner::PaysOnSecondTry => {
            &[json!({ "outcome": "declined" }), json!({ "outcome": "paid" })]
        }
        Manner::PaysSlowly => {
            &[json!({ "outcome": "delayed" }), json!({ "outcome": "delayed_succeeds" })]
        }
        Manner::Bounces => {
            &[json!({ "outcome": "delayed" }), json!({ "outcome": "delayed_fails" })]
        }
        // A whole unit more or less, so that every currency takes it.
        Manner::PaysAnotherAmount => {
            let amount = if n.is_multiple_of(2) { page.price + 100 } else { page.price - 100 };
            &[json!({ "outcome": "paid", "amount": amount })]
        }
        Manner::NeverPays => &[],
    };
    for step in steps {
        for checkout in &checkouts {
            let path = format!("/_sim/checkout/sessions/{}/pay", checkout.session);
            installation.stripe_post(&path, step).await;
        }
    }
    Sale { manner, checkouts }
}

/// Kills processes in turn, each within one to three seconds, empties Redis, and freezes a worker once.
async fn havoc(
    installation: Arc<Installation>,
    victims: Victims,
    seed: u64,
    stop: CancellationToken,
) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut kills, mut emptied, mut frozen) = (0, 0, 0);
    let mut turns = 0;
    while !stop.is_cancelled() {
        let [from, to] = victims.pause_ms;
        tokio::time::sleep(Duration::from_millis(rng.random_range(from..to))).await;
        turns += 1;
        // Else every call that Stripe answers with a stored 500 costs a minute.
        installation.let_retries_come_due(10).await;
        let name = victims.killed[turns % victims.killed.len()];
        if turns == 7
            && let Some(name) = victims.frozen
        {
            freeze(&installation, name).await;
            frozen += 1;
        } else if let Some(pid) = installation.kill(name) {
            kills += 1;
            // Otherwise they last their minute, as in life.
            if rng.random_bool(0.85) {
                installation.let_leases_run_out(pid).await;
            }
            if name != "worker-1" && name != "worker-2" && rng.random_bool(0.7) {
                installation.let_requests_run_out().await;
            }
            installation.restart(name);
        }
        if let Some(redis) = &installation.redis
            && rng.random_bool(0.4)
        {
            redis.lock().await.empty().await;
            emptied += 1;
        }
    }
    format!("{kills} kills, {frozen} freezes, Redis emptied {emptied} times")
}

/// A process is frozen for longer than its leases last, and than the database waits for it in the middle of a
/// transaction. Then it goes on as if nothing had happened.
async fn freeze(installation: &Installation, name: &str) {
    let pid = installation.signal(name, "STOP");
    tokio::time::sleep(Duration::from_secs(2)).await;
    installation.let_leases_run_out(pid).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    installation.signal(name, "CONT");
}

#[derive(FromQueryResult)]
struct Row {
    id: uuid::Uuid,
    status: String,
    reason: Option<String>,
}

/// Every purchase ended as what its visitor did, and there are no others.
async fn expect_outcomes(installation: &Installation, sold: &[Sale]) {
    let rows: Vec<Row> = installation.rows("SELECT id, status, reason FROM checkout").await;
    let known: HashSet<_> = sold.iter().flat_map(|sale| &sale.checkouts).map(|c| &c.id).collect();
    let stray: Vec<_> = rows
        .iter()
        .map(|row| CheckoutId(row.id).to_string())
        .filter(|id| !known.contains(id))
        .collect();
    assert!(stray.is_empty(), "purchases that no visitor knows of: {stray:?}");
    let by_id: BTreeMap<_, _> =
        rows.iter().map(|row| (CheckoutId(row.id).to_string(), row)).collect();
    let mut wrong = Vec::new();
    for sale in sold {
        let of = |checkout: &Checkout| by_id.get(&checkout.id).map_or("MISSING", |row| &row.status);
        let mut outcome: Vec<_> = sale.checkouts.iter().map(of).collect();
        outcome.sort_unstable();
        if outcome != sale.manner.outcome() {
            let reasons: Vec<_> =
                sale.checkouts.iter().map(|c| by_id.get(&c.id).map(|row| &row.reason)).collect();
            wrong.push(format!("{:?} {:?} {outcome:?} {reasons:?}", sale.manner, sale.checkouts));
        }
    }
    assert!(wrong.is_empty(), "purchases that ended otherwise than they must: {wrong:#?}");
}

/// One access for each visitor and page that were paid for, and no other.
async fn expect_access(installation: &Installation) {
    let entitled = installation.number("SELECT count(*) AS number FROM entitlement").await;
    let settled = "SELECT count(*) AS number FROM checkout WHERE status = 'SETTLED'";
    assert_eq!(entitled, installation.number(settled).await, "entitlements and settled purchases");
}

/// Each buyer was thanked once.
async fn expect_receipts(installation: &Installation) {
    let mut receipts: BTreeMap<String, usize> = BTreeMap::new();
    for mail in shop::mails(installation) {
        if mail.contains("thank you for your purchase") {
            let (_, reference) = mail.split_once("Reference: ").expect("a reference");
            let id = reference.split_whitespace().next().expect("an id");
            *receipts.entry(id.to_owned()).or_default() += 1;
        }
    }
    let sql = "SELECT id, status, reason FROM checkout WHERE status IN ('SETTLED', 'REFUNDED')";
    let bought: Vec<Row> = installation.rows(sql).await;
    let expected: BTreeMap<_, _> =
        bought.iter().map(|row| (CheckoutId(row.id).to_string(), 1)).collect();
    assert_eq!(receipts, expected, "receipts (left) and purchases (right)");
}

/// Says how long each part took.
struct Stopwatch {
    what: String,
    last: Instant,
}

impl Stopwatch {
    fn new(what: String) -> Self {
        Self { what, last: Instant::now() }
    }

    fn lap(&mut self, part: &str) {
        eprintln!("{}: {part} after {:.1} s", self.what, self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    fn note(&self, text: impl std::fmt::Display) {
        eprintln!("{}: {text}", self.what);
    }
}
