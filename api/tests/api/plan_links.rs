//! Links to subscribe by and to the portal: each request gets its own, or hears why not.

use std::time::Duration;

use engine::Letter;
use entities::handle;
use serde_json::{Value, json};
use workflows::{
    Timestamp,
    id::HandleId,
    message::Message,
    money::Currency,
    plan::Plan,
    plan_subscription::Event,
    stripe::{Billing, PaidInvoice, Subscription, SubscriptionStatus},
};

use crate::{
    client::{Call, Seen},
    on_both,
    world::{Setup, World, token},
};

const SUBSCRIBE: &str = "/v2/billing/checkout-session";
const PORTAL: &str = "/v2/billing/portal-session";

/// A wish for a page that leads there afterwards.
fn page<'a>(world: &'a World, to: &str) -> Call<'a> {
    let body = json!({"handle": "alice", "plan": "PRO", "successUrl": to});
    world.post(SUBSCRIBE).bearer(token("alice")).json(body)
}

fn portal(world: &World) -> Call<'_> {
    world.post(PORTAL).bearer(token("alice")).json(json!({"handle": "alice"}))
}

/// Both requests are there before anybody works; the first is the older one.
async fn at_once(world: &World, first: Call<'_>, second: Call<'_>) -> (Seen, Seen) {
    let held = world.hold().await;
    let (first, second, ()) = tokio::join!(
        first.send(),
        async {
            world.until_waiting(1).await;
            second.send().await
        },
        async {
            world.until_waiting(2).await;
            drop(held);
        }
    );
    world.settle().await;
    (first, second)
}

/// Where the page behind a link leads afterwards.
fn leads_to(world: &World, link: &Value) -> String {
    let pages = world.stripe.pages.lock().unwrap();
    pages[link["url"].as_str().expect("a link")].clone()
}

fn closed(world: &World) -> Vec<String> {
    let (pages, closed) = (world.stripe.pages.lock().unwrap(), world.stripe.closed.lock().unwrap());
    closed.iter().map(|url| pages[url].clone()).collect()
}

fn paid(world: &World) -> Billing {
    let now = Timestamp::from_millis(world.engine.clock().local_millis());
    Billing {
        subscription: Some(Subscription {
            id: "sub_1".to_owned(),
            status: SubscriptionStatus::Active,
            price: "price_pro".to_owned(),
            plan: Some(Plan::Pro),
            period_start: now,
            period_end: now.plus(30 * Timestamp::DAY),
            cancel_at: None,
        }),
        others: Vec::new(),
        paid: vec![PaidInvoice { id: "in_1".to_owned(), amount: 2_900, currency: Currency::USD }],
    }
}

on_both! {

async fn of_two_first_wishes_the_newest_is_granted(world: World) {
    world.free_handle("alice").await;
    let (older, newer) = at_once(&world, page(&world, "/older"), page(&world, "/newer")).await;
    older.problem(409, "superseded");
    assert!(leads_to(&world, &newer.expect(200)).ends_with("/newer"));
    assert_eq!((world.stripe.made("customer"), world.stripe.made("plan session")), (1, 1));
}

async fn of_two_pages_at_once_each_hears_of_its_own(world: World) {
    world.free_handle("alice").await;
    page(&world, "/first").send().await.expect(200);
    let (older, newer) = at_once(&world, page(&world, "/older"), page(&world, "/newer")).await;
    let problem = older.problem(409, "superseded");
    assert!(problem["detail"].as_str().unwrap().contains("ask again"), "{problem}");
    assert!(leads_to(&world, &newer.expect(200)).ends_with("/newer"));
    // Whoever subscribes on two pages pays twice.
    let mut closed = closed(&world);
    closed.sort();
    assert_eq!(closed.len(), 2, "{closed:?}");
    assert!(closed[0].ends_with("/first") && closed[1].ends_with("/older"), "{closed:?}");
    // And asks again.
    let again = page(&world, "/again").send().await.expect(200);
    assert!(leads_to(&world, &again).ends_with("/again"));
}

async fn a_refusal_is_told_to_whom_it_concerns(world: World) {
    world.free_handle("alice").await;
    page(&world, "/first").send().await.expect(200);
    *world.stripe.refusing_pages_to.lock().unwrap() = Some("/refused");
    let (older, newer) = at_once(&world, page(&world, "/refused"), page(&world, "/newer")).await;
    older.problem(409, "superseded");
    assert!(leads_to(&world, &newer.expect(200)).ends_with("/newer"));

    let (older, newer) = at_once(&world, page(&world, "/older"), page(&world, "/refused")).await;
    older.problem(409, "superseded");
    let problem = newer.problem(502, "stripe_refused");
    assert_eq!(problem["detail"], "no page for you");
    // The summary says so until somebody asks again, and the key is free for that.
    assert_eq!(world.summary("alice").await["failure"], "no page for you");
    *world.stripe.refusing_pages_to.lock().unwrap() = None;
    page(&world, "/refused").send().await.expect(200);
    assert_eq!(world.summary("alice").await["failure"], Value::Null);
}

async fn a_page_and_the_portal_at_once_are_not_mixed_up(world: World) {
    world.free_handle("alice").await;
    page(&world, "/first").send().await.expect(200);
    let (older, newer) = at_once(&world, page(&world, "/older"), portal(&world)).await;
    older.problem(409, "superseded");
    let url = newer.expect(200)["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://billing.stripe.test/"), "{url}");
    let (older, newer) = at_once(&world, portal(&world), page(&world, "/newer")).await;
    older.problem(409, "superseded");
    assert!(leads_to(&world, &newer.expect(200)).ends_with("/newer"));
}

async fn whoever_subscribes_while_a_page_is_made_is_handed_none(world: World) {
    world.free_handle("alice").await;
    page(&world, "/first").send().await.expect(200);
    let held = world.hold().await;
    let (seen, ()) = tokio::join!(page(&world, "/second").send(), async {
        world.until_waiting(1).await;
        // Stripe is asked for the second page, and has not answered when the first one is paid.
        world.engine.drain().await.unwrap();
        *world.stripe.billing.lock().unwrap() = paid(&world);
        let db = world.engine.database().write();
        let alice = HandleId(handle::find_by_name(db, "alice").await.unwrap().unwrap().id);
        let read = Event::BillingRetrieved { reading: 1, customer: None, billing: paid(&world) };
        for event in [Event::Changed, read] {
            let letter = Letter {
                source: "test",
                source_id: format!("{event:?}"),
                message: Message::PlanSubscription(alice, event),
                handle: Some(alice),
            };
            let sent = world.engine.send(db, letter).await.unwrap();
            world.engine.wake(sent.wake_up);
        }
        world.engine.drain().await.unwrap();
        drop(held);
    });
    seen.problem(409, "already_subscribed");
    world.settle().await;
    let mut closed = closed(&world);
    closed.sort();
    assert_eq!(closed.len(), 2, "{closed:?}");
    assert!(closed[1].ends_with("/second"), "nobody can pay there: {closed:?}");
    let summary = world.summary("alice").await;
    assert_eq!((&summary["plan"], &summary["status"]), (&json!("PRO"), &json!("ACTIVE")));
}

async fn a_key_leads_to_the_link_of_its_own_request(world: World) {
    world.free_handle("alice").await;
    page(&world, "/first").send().await.expect(200);
    let first = portal(&world).key("k1").send().await.expect(200);
    let again = portal(&world).key("k1").send().await.expect(200);
    assert_eq!(again["url"], first["url"]);
    // Both expire in the same second.
    let second = portal(&world).key("k2").send().await.expect(200);
    let again = portal(&world).key("k1").send().await.expect(200);
    assert_eq!(again["url"], Value::Null, "another link took its place");
    assert_eq!(portal(&world).key("k2").send().await.expect(200)["url"], second["url"]);
}

}

/// Nobody waits for long here.
async fn impatient(database: &str) -> Option<World> {
    let setup = Setup { answer_within: Duration::from_millis(50), ..Setup::default() };
    match database {
        "sqlite" => Some(World::with(setup).await),
        _ => World::postgres_with(setup).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_late_is_had_by_its_key() {
    for database in ["sqlite", "postgres"] {
        let Some(world) = impatient(database).await else { continue };
        world.free_handle("alice").await;
        let held = world.hold().await;
        let late = page(&world, "/late").key("k1").send().await;
        assert!(late.header("location").unwrap().starts_with("/v2/runs/run_"));
        assert_eq!(late.expect(202)["url"], Value::Null);
        let early = page(&world, "/late").key("k1").send().await;
        assert_eq!(early.expect(202)["url"], Value::Null, "still not there");
        drop(held);
        world.settle().await;
        let seen = page(&world, "/late").key("k1").send().await;
        assert_eq!(seen.header("idempotent-replayed"), Some("true"));
        assert_eq!(seen.header("location"), None);
        assert!(leads_to(&world, &seen.expect(200)).ends_with("/late"));
        assert_eq!(world.stripe.made("plan session"), 1);
    }
}
