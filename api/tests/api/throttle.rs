//! Throttles: by route and caller, alone and together, with Redis and while it is away.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use api::{SharedThrottle, ThrottleConfig};
use poem::{Response, endpoint::BoxEndpoint};
use serde_json::json;
use uuid::Uuid;

use crate::{
    client::{Call, Seen},
    redis_proxy::{Mode, RedisProxy, redis_url},
    world::{Setup, World, in_an_hour, jwt, token},
};

const HANDLE: &str = "/v2/handles/nobody";
/// Where Redis is there, a busy machine must not make it look as if it were not.
const PATIENT: Duration = Duration::from_secs(20);

fn throttles(reads: u32, writes: u32) -> ThrottleConfig {
    let number = |n| NonZeroU32::new(n).unwrap();
    ThrottleConfig { reads: number(reads), writes: number(writes), ..Default::default() }
}

fn setup(throttles: ThrottleConfig) -> Setup {
    Setup { throttles, ..Setup::default() }
}

/// `RateLimit-Limit`, `-Remaining` and `-Reset`.
fn standing(seen: &Seen) -> Option<(u64, u64, u64)> {
    let number = |name| seen.header(name).map(|value| value.parse::<u64>().unwrap());
    Some((number("ratelimit-limit")?, number("ratelimit-remaining")?, number("ratelimit-reset")?))
}

#[track_caller]
fn refused(seen: &Seen) {
    seen.problem(429, "rate_limited");
    let wait: u64 = seen.header("retry-after").unwrap().parse().unwrap();
    let (_, remaining, reset) = standing(seen).unwrap();
    assert_eq!(remaining, 0);
    assert!((1..=reset).contains(&wait) && reset <= 60, "{wait} {reset}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_says_how_much_is_left() {
    let world = World::with(setup(throttles(3, 2))).await;
    let page = "/v2/public/pages/nobody/guide";
    for left in [2, 1, 0] {
        let seen = world.get(page).send().await;
        seen.problem(404, "unknown_handle");
        let (limit, remaining, reset) = standing(&seen).unwrap();
        assert_eq!((limit, remaining), (3, left));
        assert!((1..=60).contains(&reset), "{reset}");
    }
    refused(&world.get(page).send().await);
    assert_eq!(world.call("HEAD", page).send().await.status, 429, "HEAD is no way around it");
    // Another address of the same route is no way around it; another route has a bucket of its own.
    refused(&world.get("/v2/public/pages/alice/other").send().await);
    let other = world.get("/v2/visitor/session").send().await;
    other.problem(401, "not_signed_in");
    assert_eq!(standing(&other).map(|(_, remaining, _)| remaining), Some(2));
    for path in ["/healthz", "/readyz", "/docs/errors", "/v2/nowhere"] {
        for _ in 0..5 {
            let seen = world.get(path).send().await;
            assert_eq!((standing(&seen), seen.status == 429), (None, false), "{path}");
        }
    }
    for _ in 0..5 {
        let hook = world.post("/v2/public/stripe/webhook").json(json!({})).send().await;
        hook.problem(400, "signature_mismatch");
        assert_eq!(standing(&hook), None, "Stripe is not turned away");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_who_the_token_speaks_for() {
    let world = World::with(setup(throttles(100, 3))).await;
    let create = |n: i64, subject: &str| {
        let token = api::mint_token(&jwt(), subject, &[], in_an_hour() + n).unwrap();
        let body = json!({"handle": format!("{subject}-{n}"), "displayName": "A"});
        world.post("/v2/handles").bearer(token).json(body).send()
    };
    for n in 0..3 {
        create(n, "alice").await.expect(201);
    }
    refused(&create(3, "alice").await);
    assert_eq!(world.number("SELECT count(*) AS number FROM handle").await, 3);
    create(0, "bob").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_has_one_bucket_in_all_browsers() {
    let world = World::with(setup(throttles(3, 100))).await;
    let phone = world.visitor("bob@example.com").await;
    let laptop = world.visitor("bob@example.com").await;
    let eve = world.visitor("eve@example.com").await;
    let read = |cookie: &str| world.get("/v2/visitor/session").cookie(cookie).send();
    for cookie in [&phone, &laptop, &phone] {
        read(cookie).await.expect(200);
    }
    refused(&read(&laptop).await);
    read(&eve).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_count_by_their_client() {
    let world = World::with(setup(throttles(3, 100))).await;
    for n in 0..3 {
        let seen = world.get(HANDLE).bearer(format!("forged-{n}")).send().await;
        seen.problem(401, "token_invalid");
        assert_eq!(standing(&seen).map(|(_, remaining, _)| remaining), Some(2 - n));
    }
    refused(&world.get(HANDLE).bearer("forged-again").send().await);
    refused(&world.get(HANDLE).send().await);
    // Whoever is known is not kept out by strangers of the same network.
    world.get(HANDLE).bearer(token("alice")).send().await.problem(404, "unknown_handle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_apart_behind_trusted_proxies_only() {
    let page = "/v2/public/pages/nobody/guide";
    for (trusted, kept_apart) in [("1", true), ("0", false), ("10.0.0.0/8", false)] {
        let throttles =
            ThrottleConfig { trusted_proxies: trusted.parse().unwrap(), ..throttles(1, 1) };
        let world = World::with(setup(throttles)).await;
        let from = |address: &str| {
            let forwarded = format!("6.6.6.6, {address}");
            world.get(page).header("x-forwarded-for", forwarded).send()
        };
        from("203.0.113.7").await.problem(404, "unknown_handle");
        refused(&from("203.0.113.7").await);
        let other = from("203.0.113.8").await;
        assert_eq!(other.status == 404, kept_apart, "{trusted}: {}", other.text);
        // A customer has a whole network of IPv6 addresses.
        if kept_apart {
            from("2001:db8:0:1::1").await.problem(404, "unknown_handle");
            refused(&from("2001:db8:0:1:ffff::2").await);
            from("2001:db8:0:2::1").await.problem(404, "unknown_handle");
        }
    }
}

/// Two API processes and a Redis between them.
struct Together {
    world: World,
    other: BoxEndpoint<'static, Response>,
}

impl Together {
    async fn start(reads: u32, (first, patience): (&str, Duration), second: &str) -> Self {
        let config = |url: &str, patience| {
            let shared = Some(SharedThrottle::connect(url, patience).unwrap());
            setup(ThrottleConfig { shared, ..throttles(reads, 1_000) })
        };
        let world = World::with(config(first, patience)).await;
        let other = world.another_api(config(second, PATIENT)).await;
        Self { world, other }
    }

    async fn ask(&self, app: &BoxEndpoint<'static, Response>, subject: &str) -> Seen {
        Call::new(app, "GET", HANDLE).bearer(token(subject)).send().await
    }

    async fn ask_first(&self, subject: &str) -> Seen {
        self.ask(&self.world.app, subject).await
    }

    async fn ask_second(&self, subject: &str) -> Seen {
        self.ask(&self.other, subject).await
    }
}

fn somebody() -> String {
    format!("somebody-{}", Uuid::now_v7())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_count_together_through_redis() {
    let Some(url) = redis_url().await else { return };
    let together = Together::start(10, (&url, PATIENT), &url).await;
    let subject = somebody();
    let tries = (0..30).map(|n| {
        let app = if n % 2 == 0 { &together.world.app } else { &together.other };
        together.ask(app, &subject)
    });
    let seen = futures::future::join_all(tries).await;
    let allowed = seen.iter().filter(|seen| seen.status == 404).count();
    assert_eq!(allowed, 10, "{:?}", seen.iter().map(|seen| seen.status).collect::<Vec<_>>());
    seen.iter().filter(|seen| seen.status != 404).for_each(refused);
    let mut left: Vec<_> = seen.iter().filter(|seen| seen.status == 404).collect();
    left.sort_by_key(|seen| standing(seen).unwrap().1);
    let left: Vec<_> = left.iter().map(|seen| standing(seen).unwrap().1).collect();
    assert_eq!(left, (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_learns_no_names_and_keeps_nothing_for_ever() {
    let Some(url) = redis_url().await else { return };
    let together = Together::start(600, (&url, PATIENT), &url).await;
    let subject = somebody();
    together.ask_first(&subject).await.problem(404, "unknown_handle");
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("sluice-throttle:*").query_async(&mut connection).await.unwrap();
    for key in keys {
        assert!(!key.contains(&subject), "{key}");
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        // -2: it is gone already. -1 would be for ever.
        assert!(left == -2 || (0..=60_000).contains(&left), "{key}: {left}");
    }
    // One of 600 a minute is back, and its key gone, within a tenth of a second.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let again = together.ask_second(&subject).await;
        if standing(&again).unwrap().1 == 599 {
            break;
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// However Redis goes away: requests are answered without delay, each process counts by itself, and when it
/// is back they count together again.
async fn without_redis(mode: Mode) {
    let Some(proxy) = RedisProxy::start().await else { return };
    let Some(url) = redis_url().await else { return };
    let together = Together::start(3, (&proxy.url, SharedThrottle::PATIENCE), &url).await;
    together.ask_first(&somebody()).await.problem(404, "unknown_handle");
    proxy.turn(mode);
    // Until the process has noticed.
    together.ask_first(&somebody()).await.problem(404, "unknown_handle");

    let subject = somebody();
    let began = Instant::now();
    for left in [2, 1, 0] {
        let seen = together.ask_first(&subject).await;
        seen.problem(404, "unknown_handle");
        assert_eq!(standing(&seen).map(|(_, remaining, _)| remaining), Some(left));
    }
    for _ in 0..60 {
        refused(&together.ask_first(&subject).await);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{mode:?}: {:?}", began.elapsed());
    together.ask_second(&subject).await.problem(404, "unknown_handle");

    proxy.turn(Mode::Passing);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let fresh = somebody();
        for _ in 0..3 {
            together.ask_second(&fresh).await.problem(404, "unknown_handle");
        }
        if together.ask_first(&fresh).await.status == 429 {
            break;
        }
        assert!(Instant::now() < deadline, "they never counted together again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_gone_is_no_outage() {
    without_redis(Mode::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_no_outage() {
    without_redis(Mode::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_never_there_is_no_outage() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", free.local_addr().unwrap());
    drop(free);
    let shared = Some(SharedThrottle::connect(&url, SharedThrottle::PATIENCE).unwrap());
    let world = World::with(setup(ThrottleConfig { shared, ..throttles(2, 2) })).await;
    for _ in 0..2 {
        world.get(HANDLE).bearer(token("alice")).send().await.problem(404, "unknown_handle");
    }
    refused(&world.get(HANDLE).bearer(token("alice")).send().await);
}
