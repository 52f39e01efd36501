//! Wake-ups within one process: none is lost, and an outstanding one is not sent again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use engine::{Wakeups, Work};
use tokio_util::sync::CancellationToken;
use workers::wakeups::{Bells, memory::MemoryWakeups};

use crate::patience::{LONG, until_so};

const AT_ONCE: Duration = Duration::from_secs(2);

async fn heard(bells: &Bells, work: Work) {
    let heard = tokio::time::timeout(AT_ONCE, bells.heard(work)).await;
    assert!(heard.is_ok(), "{work:?} was not heard");
}

/// What is made due before the wake-up is seen by whoever hears it: nothing is left lying about.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ringing_from_many_tasks_loses_none() {
    let (wakeups, bells, stop) = (MemoryWakeups::new(), Bells::default(), CancellationToken::new());
    tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
    let due = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let (drained, total) = (due.clone(), done.clone());
    let runner = tokio::spawn(async move {
        loop {
            bells.heard(Work::Stripe).await;
            total.fetch_add(drained.swap(0, Ordering::AcqRel), Ordering::AcqRel);
        }
    });
    let mut ringing = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (wakeups, due) = (wakeups.clone(), due.clone());
        ringing.spawn(async move {
            for _ in 0..500 {
                due.fetch_add(1, Ordering::AcqRel);
                wakeups.wake(Work::Stripe);
                tokio::task::yield_now().await;
            }
        });
    }
    ringing.join_all().await;
    until_so("all is drained", LONG, async || done.load(Ordering::Acquire) == 32 * 500).await;
    stop.cancel();
    runner.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rung_while_the_worker_starts_is_heard() {
    for _ in 0..300 {
        let (wakeups, bells, stop) =
            (MemoryWakeups::new(), Bells::default(), CancellationToken::new());
        let running = tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
        let ringing = tokio::spawn(async move { wakeups.wake(Work::Inbox) });
        heard(&bells, Work::Inbox).await;
        ringing.await.unwrap();
        stop.cancel();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn an_outstanding_wake_up_is_not_sent_again() {
    let (wakeups, bells, stop) = (MemoryWakeups::new(), Bells::default(), CancellationToken::new());
    // Nobody listens yet.
    for _ in 0..1_000 {
        wakeups.wake(Work::Mail);
    }
    let running = tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
    heard(&bells, Work::Mail).await;
    // A bell that was rung once more would be heard at once.
    let again = tokio::time::timeout(Duration::from_millis(200), bells.heard(Work::Mail)).await;
    assert!(again.is_err(), "a thousand were sent");
    wakeups.wake(Work::Mail);
    heard(&bells, Work::Mail).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn each_kind_of_work_has_a_bell_of_its_own() {
    let (wakeups, bells, stop) = (MemoryWakeups::new(), Bells::default(), CancellationToken::new());
    tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
    for work in Work::ALL {
        wakeups.wake(work);
    }
    for work in Work::ALL {
        heard(&bells, work).await;
    }
    stop.cancel();
}
