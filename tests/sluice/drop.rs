//! A drop that everybody wants at once: two API processes count, one of them is killed meanwhile, and the workers are
//! killed while they mail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use sea_orm::FromQueryResult;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::{Caller, Client},
    installation::Installation,
    process::free_address,
    shop,
};

const VISITORS: usize = 2_000;
const CONNECTIONS: usize = 64;
/// Reached in the middle of the storm.
const TARGET: i64 = 1_000;
/// How often a worker is killed while there are mails to send.
const KILLS: usize = 6;
const DROP: &str = "/v2/public/group-buys/ada/drop";

/// What a visitor does.
#[derive(Clone, Copy)]
enum Mind {
    /// Wants one.
    Made,
    /// Wants one, then three.
    Greedy,
    /// Wants one, then none.
    Changed,
}

impl Mind {
    fn of(visitor: usize) -> Self {
        match visitor % 10 {
            8 => Self::Greedy,
            9 => Self::Changed,
            _ => Self::Made,
        }
    }

    fn wanted_in_the_end(self) -> i64 {
        match self {
            Self::Made => 1,
            Self::Greedy => 3,
            Self::Changed => 0,
        }
    }
}

/// S35: two thousand interests cross the threshold at once. One activation, exact count, a mail each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s35_two_thousand_interests_at_once_activate_once() {
    let Some(mut installation) = Installation::apart().await else { return };
    installation.start_simulator().await;
    let second = free_address();
    installation.start("api-1", &["api"]);
    installation.start("api-2", &["api", "--bind", &second.to_string()]);
    for worker in ["worker-1", "worker-2"] {
        installation.start(worker, &["worker"]);
    }
    installation.wait_until_ready().await;
    let creator = publish(&installation).await;
    let visitors: Arc<[Caller]> = shop::signed_in(&installation, VISITORS).await.into();

    let second = Client::new(&format!("http://{second}"));
    let storm = storm(&visitors, &[installation.sluice(), second.clone()]);
    // Whoever is being answered by it asks again, and is counted once all the same.
    until(&installation, "SELECT interest_quantity AS number FROM group_buy", TARGET / 2).await;
    installation.kill("api-2");
    installation.restart("api-2");
    kill_workers_while_they_mail(&installation).await;
    all(storm).await;
    installation.wait_until_quiet(Duration::from_secs(120)).await;

    let seen = installation.sluice().get(&visitors[0], DROP).await;
    let wanted: i64 = (0..VISITORS).map(|n| Mind::of(n).wanted_in_the_end()).sum();
    assert_eq!(seen["interestQuantity"], wanted, "{seen}");
    assert_eq!(seen["interestedVisitors"], VISITORS - VISITORS / 10, "{seen}");
    assert_eq!(seen["status"], "ACTIVATED");
    for once in [
        "SELECT count(*) AS number FROM group_buy_activation",
        "SELECT count(*) AS number FROM inbox WHERE source = 'interest'",
        "SELECT count(*) AS number FROM history WHERE event_name = 'ThresholdReached' \
         AND refused IS NULL",
    ] {
        assert_eq!(installation.number(once).await, 1, "{once}");
    }
    expect_mails(&installation).await;
    let list = installation.sluice().get(&creator, &format!("{DROP}/activation")).await;
    let list = list.as_str().expect("text");
    let hash = hex::encode(Sha256::digest(list));
    let quantities = list.lines().skip(2).map(|line| line.split(',').nth(1).expect("a quantity"));
    let quantities: Vec<i64> = quantities.map(|text| text.parse().expect("a number")).collect();
    let made = &seen["activation"];
    assert_eq!(made["interestedVisitors"], quantities.len());
    assert_eq!(made["interestQuantity"], quantities.iter().sum::<i64>());
    assert!(quantities.len() > 500, "more than one part of the list: {}", quantities.len());
    assert_eq!(seen["activation"]["sha256"], hash);
    installation.check();
}

async fn publish(installation: &Installation) -> Caller {
    let client = installation.sluice();
    let creator = installation.token("user_ada");
    shop::handle(installation, &client, "ada", &creator).await;
    let body = json!({ "slug": "drop", "title": "The drop", "targetQuantity": TARGET });
    let path = "/v2/handles/ada/group-buys";
    client.post(&creator, path, "drop", &body).await;
    client.post(&creator, &format!("{path}/drop/publish"), "publish", &json!({})).await;
    creator
}

/// Every visitor says what they want, over so many connections at once, each to another process.
fn storm(visitors: &Arc<[Caller]>, apis: &[Client; 2]) -> JoinSet<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut storm = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (visitors, apis, next) = (visitors.clone(), apis.clone(), next.clone());
        storm.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(visitor) = visitors.get(n) else { return };
                say(&apis[n % 2], visitor, Some(1)).await;
                match Mind::of(n) {
                    Mind::Made => {}
                    Mind::Greedy => say(&apis[(n + 1) % 2], visitor, Some(3)).await,
                    Mind::Changed => say(&apis[(n + 1) % 2], visitor, None).await,
                }
            }
        });
    }
    storm
}

async fn say(client: &Client, visitor: &Caller, quantity: Option<i64>) {
    let path = format!("{DROP}/interest");
    let answer = match quantity {
        Some(quantity) => {
            let body = json!({ "quantity": quantity });
            client.settle(visitor, Method::POST, &path, None, Some(&body)).await
        }
        None => client.settle(visitor, Method::DELETE, &path, None, None).await,
    };
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

async fn all(mut storm: JoinSet<()>) {
    while let Some(said) = storm.join_next().await {
        said.unwrap();
    }
}

async fn until(installation: &Installation, sql: &str, number: i64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while installation.number(sql).await < number {
        assert!(Instant::now() < deadline, "{sql} never came to {number}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn kill_workers_while_they_mail(installation: &Installation) {
    let mails =
        "SELECT count(*) AS number FROM outbox WHERE kind = 'send_mail' AND status = 'DONE'";
    for n in 0..KILLS {
        until(installation, mails, (n * 100 + 20) as i64).await;
        let worker = ["worker-1", "worker-2"][n % 2];
        let pid = installation.kill(worker).unwrap();
        installation.let_leases_run_out(pid).await;
        installation.restart(worker);
    }
}

/// An interest, by the address of its visitor.
#[derive(FromQueryResult)]
struct Said {
    email: String,
    position: i64,
    ended_position: Option<i64>,
}

/// Whoever was interested at the activation and stayed has one mail; whoever withdrew later has one at most; whoever came
/// later has none.
async fn expect_mails(installation: &Installation) {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for mail in shop::mails(installation) {
        assert!(mail.contains("Subject: The drop is open to you"), "{mail}");
        let to = mail.lines().find_map(|line| line.strip_prefix("To: ")).expect("an address");
        *told.entry(to.trim().to_owned()).or_default() += 1;
    }
    assert!(told.values().all(|times| *times == 1), "somebody was told twice");
    let at = installation.number("SELECT position AS number FROM group_buy_activation").await;
    let sql = "SELECT v.email, i.position, i.ended_position FROM interest i \
               JOIN visitor v ON v.id = i.visitor_id";
    let said = installation.rows::<Said>(sql).await;
    let stood = |one: &&Said| one.position <= at && one.ended_position.is_none_or(|end| end > at);
    let standing: BTreeSet<_> = said.iter().filter(stood).map(|one| &one.email).collect();
    let active: BTreeSet<_> =
        said.iter().filter(|one| one.ended_position.is_none()).map(|one| &one.email).collect();
    for email in standing.intersection(&active) {
        assert!(told.contains_key(*email), "{email} was not told");
    }
    for email in told.keys() {
        assert!(standing.contains(email), "{email} came later, and was told");
    }
    assert!(told.len() as i64 >= TARGET * 2 / 3, "{} mails", told.len());
}
