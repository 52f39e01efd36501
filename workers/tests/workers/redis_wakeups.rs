//! Wake-ups between processes: Redis may be emptied, stopped or absent, and may hold nonsense (scenario 45).

use std::time::Duration;

use engine::{Wakeups, Work};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use workers::wakeups::{
    Bells, HereAndThere,
    redis::{RedisWakeups, connect, run},
};

use crate::{
    patience::{LONG, until_so},
    redis_server::{RedisServer, shared},
};

const A_SECOND: Duration = Duration::from_secs(1);
/// How long wake-ups may be out of order after Redis lost everything: until then the sweeper does their work.
const RECOVERED: Duration = Duration::from_secs(3);

/// Two processes: one that wakes, and one that is woken.
struct Two {
    waker: RedisWakeups,
    bells: Bells,
    woken: JoinHandle<()>,
    stop: CancellationToken,
}

impl Two {
    async fn at(url: &str) -> Self {
        let (bells, stop) = (Bells::default(), CancellationToken::new());
        let waker = RedisWakeups::start(connect(url).await.unwrap(), stop.clone());
        let listening = run(connect(url).await.unwrap(), bells.clone(), stop.clone());
        Self { waker, bells, woken: tokio::spawn(listening), stop }
    }

    async fn hears(&self, work: Work, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.bells.heard(work)).await.is_ok()
    }

    /// Wakes until it is heard: what is lost on the way, the sweeper would send again.
    async fn recovers(&self) {
        let began = Instant::now();
        loop {
            self.waker.wake(Work::Stripe);
            if self.hears(Work::Stripe, Duration::from_millis(50)).await {
                break;
            }
            assert!(began.elapsed() < RECOVERED, "no wake-up in {:?}", began.elapsed());
        }
    }

    /// Each of many wake-ups is heard, one after the other.
    async fn works_well(&self) {
        for round in 0..20 {
            for work in Work::ALL {
                self.waker.wake(work);
                assert!(self.hears(work, A_SECOND).await, "{work:?} in round {round}");
            }
        }
    }

    async fn ends(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.woken).await;
        ended.expect("it stops when it is told to").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_reaches_another_process() {
    let Some(url) = shared().await else { return };
    let two = Two::at(&url).await;
    two.recovers().await;
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_ups_arrive_within_a_second() {
    let Some(server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    two.works_well().await;
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_redis_is_emptied_over_and_over() {
    let Some(server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    for _ in 0..6 {
        server.ask::<()>("FLUSHALL").await;
        two.recovers().await;
    }
    // The last wake-up of the old worker may be the one that was heard.
    tokio::time::sleep(A_SECOND).await;
    two.recovers().await;
    two.works_well().await;
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_redis_is_killed_and_comes_back_empty() {
    let Some(mut server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    server.kill();
    for _ in 0..100 {
        let asked = Instant::now();
        two.waker.wake(Work::Inbox);
        assert!(asked.elapsed() < A_SECOND, "waking waits for nobody");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.run().await;
    // Connecting again is tried every two seconds at most.
    until_so("wake-ups flow again", Duration::from_secs(8), async || {
        two.waker.wake(Work::Stripe);
        two.hears(Work::Stripe, Duration::from_millis(50)).await
    })
    .await;
    two.works_well().await;
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_redis_is_not_there_at_the_start() {
    let Some(mut server) = RedisServer::stopped() else { return };
    let began = Instant::now();
    let two = Two::at(&server.url()).await;
    for work in Work::ALL {
        two.waker.wake(work);
    }
    assert!(began.elapsed() < A_SECOND, "starting and waking wait for nobody");
    assert!(!two.hears(Work::Inbox, Duration::from_millis(300)).await);
    assert!(!two.woken.is_finished(), "it goes on trying");
    server.run().await;
    until_so("wake-ups flow", Duration::from_secs(8), async || {
        two.waker.wake(Work::Stripe);
        two.hears(Work::Stripe, Duration::from_millis(50)).await
    })
    .await;
    two.works_well().await;
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s45_a_process_that_works_hears_itself_while_redis_is_gone() {
    let Some(server) = RedisServer::stopped() else { return };
    let two = Two::at(&server.url()).await;
    let waker = HereAndThere { here: two.bells.clone(), there: two.waker.clone() };
    for work in Work::ALL {
        waker.wake(work);
        assert!(two.hears(work, A_SECOND).await, "{work:?}");
    }
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_can_stop_while_redis_is_gone() {
    let Some(server) = RedisServer::stopped() else { return };
    let two = Two::at(&server.url()).await;
    two.waker.wake(Work::Inbox);
    assert!(!two.hears(Work::Inbox, Duration::from_millis(100)).await);
    two.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_holds_a_bounded_number_of_keys() {
    let Some(server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    for round in 0..5_000 / Work::ALL.len() {
        for work in Work::ALL {
            two.waker.wake(work);
        }
        for work in Work::ALL {
            assert!(two.hears(work, A_SECOND).await, "{work:?} in round {round}");
        }
    }
    two.ends().await;
    // Starting and stopping, as releases do, leaves nothing behind either.
    for _ in 0..5 {
        let two = Two::at(&server.url()).await;
        two.recovers().await;
        let handled = async || server.ask::<u64>("HLEN sluice-wake-ups:data").await == 0;
        until_so("what is done is gone", LONG, handled).await;
        // A process that is killed cannot clear up after itself.
        let described: Vec<String> = server.ask("KEYS sluice-wake-ups:workers:metadata:*").await;
        assert_eq!(described.len(), 1, "{described:?}");
        assert!(server.ask::<i64>(&format!("TTL {}", described[0])).await > 0, "it goes by itself");
        two.ends().await;
    }
    let keys: Vec<String> = server.ask("KEYS *").await;
    let of_one =
        |key: &&String| ["metadata", "inflight", ":meta:"].iter().any(|part| key.contains(part));
    assert_eq!(keys.iter().filter(of_one).count(), 0, "{keys:#?}");
    assert!(keys.len() < 10, "{keys:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_in_the_queue_does_not_end_wake_ups_for_good() {
    let Some(server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FA0";
    for _ in 0..3 {
        server.ask::<u64>(&format!("HSET sluice-wake-ups:data {id} nonsense")).await;
        server
            .ask::<()>(&format!(
                "HMSET sluice-wake-ups:meta:{id} attempts 0 max_attempts 5 status Pending"
            ))
            .await;
        server.ask::<u64>(&format!("RPUSH sluice-wake-ups:active {id} no-id-at-all")).await;
        let taken = async || server.ask::<u64>("LLEN sluice-wake-ups:active").await == 0;
        until_so("the nonsense is taken", LONG, taken).await;
        two.recovers().await;
    }
    two.works_well().await;
    two.ends().await;
}

/// What apalis takes back from a worker that is gone has been handled already, all of it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_without_a_task_do_not_end_wake_ups_for_good() {
    let Some(server) = RedisServer::start().await else { return };
    let two = Two::at(&server.url()).await;
    two.recovers().await;
    for n in 0..320 {
        let id = ulid::Ulid::from_parts(1, n);
        server.ask::<u64>(&format!("RPUSH sluice-wake-ups:active {id}")).await;
    }
    two.recovers().await;
    let began = Instant::now();
    until_so("nothing of it is left", RECOVERED, async || {
        two.waker.wake(Work::Mail);
        server.ask::<u64>("LLEN sluice-wake-ups:active").await == 0
    })
    .await;
    two.recovers().await;
    assert!(began.elapsed() < 2 * RECOVERED);
    two.works_well().await;
    // And nothing is left with a worker that it could be taken back from later.
    let held = async || server.ask::<Vec<String>>("KEYS sluice-wake-ups:inflight:*").await;
    until_so("no worker holds anything", RECOVERED, async || held().await.is_empty()).await;
    two.ends().await;
}
