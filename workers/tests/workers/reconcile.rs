//! Events that never arrived (scenario 41): all of them come in, once, whoever reads them and however
//! often they are interrupted.

use std::time::Duration;

use entities::{cursor, reconciliation};
use simulator::{ApiFaults, Faults};
use workers::reconcile::{Counts, Extent, Report};
use workflows::{Timestamp, id::CheckoutId};

use crate::{
    on_both,
    patience::{LONG, until, until_so},
    story::ledger_equals_stripe,
    world::World,
};

const ALL: Extent = Extent::All { since: None };
const NEWS: Extent = Extent::News { accounts: 10, rested: 0 };
const THREE_DAYS: i64 = 3 * 86_400;
const STRIPES: &str = "SELECT count(*) FROM inbox WHERE source = 'stripe'";

/// Sales that are paid, of which Stripe could tell nobody.
async fn unheard_of(world: &World, sales: usize) -> Vec<CheckoutId> {
    let workers = world.start_workers(world.performers());
    let mut pages = Vec::new();
    for _ in 0..sales {
        pages.push(world.open_page().await);
    }
    workers.shutdown(LONG).await;
    for (_, session) in &pages {
        world.sim.pay(session, "paid").await;
    }
    pages.into_iter().map(|(id, _)| id).collect()
}

async fn all_are(world: &World, ids: &[CheckoutId], state: &str) {
    for id in ids {
        world.reaches(*id, state).await;
    }
}

/// What a round came to that was through.
fn through(report: Option<Report>) -> Counts {
    let report = report.expect("the lease is free");
    assert_eq!(report.stopped, None);
    report.counts
}

on_both! {
    async fn s41_the_endpoint_was_down_for_three_days(world: World) {
        let ids = unheard_of(&world, 8).await;
        world.pass(THREE_DAYS).await;
        let other = world.another_process().await;
        other.clock().advance(THREE_DAYS * Timestamp::SECOND);

        // Two processes begin at once: one of them does it.
        let (one, two) = (world.reconciler(), world.reconciler_of(&other));
        let (one, two) = tokio::join!(one.events(ALL), two.events(ALL));
        let (one, two) = (one.unwrap(), two.unwrap());
        let added = |report: &Option<Report>| report.as_ref().map_or(0, |it| it.counts.added);
        assert_eq!(added(&one) + added(&two), 8, "{one:?} {two:?}");
        assert_eq!(world.counted(STRIPES).await, 8, "what nobody listens to stays at Stripe");

        let workers = world.start_workers(world.performers());
        all_are(&world, &ids, "Settled").await;
        world.reconciler().fees().await.unwrap();
        world.comes_to_rest().await;

        // Once more finds nothing new, from the beginning or from where it was.
        let since = Some(0);
        let again = through(world.reconciler().events(Extent::All { since }).await.unwrap());
        assert_eq!(again.added, 0);
        assert!(again.listed > 0);
        assert_eq!(through(world.reconciler().events(NEWS).await.unwrap()).added, 0);

        world.pass(1_000).await;
        through(world.reconciler().events(ALL).await.unwrap());
        let counts = through(world.reconciler().movements(ALL).await.unwrap());
        let differs = counts.missing_here + counts.missing_at_stripe + counts.amount_differs;
        assert_eq!((counts.matched, differs), (8 + 8, 0), "sales and fees: {counts:?}");
        assert_eq!(world.reconciler().open_differences().await.unwrap(), 0);
        workers.shutdown(LONG).await;
        ledger_equals_stripe(&world).await;
    }

    async fn a_reading_that_was_killed_goes_on_at_its_page(world: World) {
        let ids = unheard_of(&world, 40).await;
        let all = world.sim.count("/v1/events").await as i64;
        assert!(all > 200, "three pages at least: {all}");
        let api = ApiFaults { latency_ms: [150, 200], ..ApiFaults::default() };
        world.sim.faults(Faults { api, ..Faults::default() });
        let killed = world.another_process().await;
        let reading = {
            let reconciler = world.reconciler_of(&killed);
            tokio::spawn(async move { reconciler.events(ALL).await })
        };
        let db = world.engine.database().read();
        until_so("a page is read", LONG, async || {
            let progress = cursor::find(db, "reconcile:events:").await.unwrap();
            progress.is_some_and(|progress| progress.contains(r#""after":"evt_"#))
        })
        .await;
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        world.sim.no_faults();

        // Nobody knows yet that it is dead; then the lease is over.
        assert_eq!(world.reconciler().events(ALL).await.unwrap(), None);
        world.engine.clock().advance(121 * Timestamp::SECOND);
        let rest = through(world.reconciler().events(ALL).await.unwrap());
        // A page at least was not read again; then all, since a new window reaches back a little.
        assert!(rest.listed <= 2 * all - 100, "it went on: {rest:?} of {all}");
        let windows = reconciliation::list(db, 10).await.unwrap();
        let first = windows.iter().min_by_key(|row| row.started_at).unwrap();
        assert_eq!(first.listed, all, "each event was read once: {windows:?}");
        assert!(windows.iter().all(|row| row.finished_at.is_some() && row.error.is_none()));

        let workers = world.start_workers(world.performers());
        all_are(&world, &ids, "Settled").await;
        world.reconciler().fees().await.unwrap();
        world.comes_to_rest().await;
        assert_eq!(world.counted(STRIPES).await, 40);
        workers.shutdown(LONG).await;
        ledger_equals_stripe(&world).await;
    }

    async fn while_stripe_is_away_nothing_is_lost(world: World) {
        let ids = unheard_of(&world, 2).await;
        let api = ApiFaults { error_500: 1.0, ..ApiFaults::default() };
        world.sim.faults(Faults { api, ..Faults::default() });
        let report = world.reconciler().events(NEWS).await.unwrap().unwrap();
        assert!(report.stopped.unwrap().contains("500"));
        let db = world.engine.database().read();
        let error = reconciliation::list(db, 1).await.unwrap()[0].error.clone();
        assert!(error.unwrap().contains("500"));
        world.sim.no_faults();
        // What was not through need not rest.
        let rested = Extent::News { accounts: 10, rested: 60_000 };
        assert_eq!(through(world.reconciler().events(rested).await.unwrap()).added, 2);
        assert_eq!(world.reconciler().events(rested).await.unwrap(), None, "done lately");
        let workers = world.start_workers(world.performers());
        all_are(&world, &ids, "Settled").await;
        workers.shutdown(LONG).await;
    }

    async fn at_its_hour_it_is_done_by_itself(world: World) {
        let ids = unheard_of(&world, 1).await;
        let workers = world.start_workers_at(world.performers(), Duration::from_secs(1));
        until("the sale is settled", LONG, async || {
            (world.state(ids[0]).await == "Settled").then_some(())
        })
        .await;
        workers.shutdown(LONG).await;
    }
}
