//! PostgreSQL restarts or drops connections (scenario 46): workers recover by themselves.
//!
//! The workers reach PostgreSQL through a wire that the test can cut, so that nobody else is disturbed.

use std::time::Duration;

use entities::outbox;
use migration::testing::TestDatabase;
use simulator::{ApiFaults, Faults};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

use crate::{
    patience::{LONG, until_so},
    sim::text,
    world::World,
};

/// A wire between the workers and PostgreSQL.
struct Wire {
    url: String,
    whole: watch::Sender<bool>,
    carrying: JoinHandle<()>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let mut url: Url = url.parse().unwrap();
        let there = (url.host_str().unwrap().to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(here.port())).unwrap();
        let (whole, sees) = watch::channel(true);
        let carrying = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *sees.borrow() {
                    tokio::spawn(carry(near, there.clone(), sees.clone()));
                }
            }
        });
        Self { url: url.to_string(), whole, carrying }
    }

    /// Every connection ends, and new ones are refused until the wire is mended.
    fn cut(&self) {
        self.whole.send(false).unwrap();
    }

    fn mend(&self) {
        self.whole.send(true).unwrap();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(mut near: TcpStream, there: (String, u16), mut sees: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect((there.0.as_str(), there.1)).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = sees.wait_for(|whole| !whole) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s46_connections_are_dropped_and_refused_for_a_while() {
    let Some(test) = TestDatabase::postgres().await else { return };
    let wire = Wire::to(test.url()).await;
    let through = wire.url.clone();
    let world = World::at(test, through).await;
    let workers = world.start_workers(world.performers());
    let mut sales = Vec::new();
    for _ in 0..3 {
        sales.push(world.open_page().await);
    }
    // In the middle of something: a request that no worker has seen, payments that nobody has reported.
    for (_, session) in &sales {
        text(&world.sim.pay(session, "paid").await["payment_intent"]);
    }
    let events = world.events().await;
    world.deliver(&events).await;
    let late = world.request().await;
    wire.cut();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    wire.mend();
    until_so("the engine reads again", LONG, async || world.engine.due().await.is_ok()).await;

    for (id, _) in &sales {
        world.reaches(*id, "Settled").await;
    }
    world.reaches(late, "AwaitingPayment").await;
    world.sim.pay(&world.checkout(late).await.session_id.unwrap(), "paid").await;
    world.deliver(&world.events().await).await;
    world.reaches(late, "Settled").await;
    until_so("four receipts", LONG, async || world.mails().len() == 4).await;
    workers.shutdown(LONG).await;
    assert_eq!(world.sim.count("/v1/checkout/sessions").await, 4);
}

/// Answers that come while PostgreSQL is gone are lost, and asked for again under the same keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s46_connections_are_dropped_while_stripe_is_being_asked() {
    let Some(test) = TestDatabase::postgres().await else { return };
    let wire = Wire::to(test.url()).await;
    let through = wire.url.clone();
    let world = World::at(test, through).await;
    let slow = ApiFaults { latency_ms: [400, 400], ..ApiFaults::default() };
    world.sim.faults(Faults { api: slow, ..Faults::default() });
    let workers = world.start_workers(world.performers());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.request().await);
    }
    let in_hand = async || {
        let left = outbox::count_unfinished_any_handle(world.engine.database().read()).await;
        left.unwrap().iter().any(|row| row.status == "LEASED")
    };
    until_so("Stripe is being asked", LONG, in_hand).await;
    wire.cut();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    wire.mend();
    until_so("the engine reads again", LONG, async || world.engine.due().await.is_ok()).await;
    // Sooner than the leases are over.
    for id in ids {
        world.reaches(id, "AwaitingPayment").await;
    }
    workers.shutdown(LONG).await;
    assert_eq!(world.sim.count("/v1/checkout/sessions").await, 3, "one session a purchase");
}
