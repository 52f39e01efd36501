//! Plans: what they lock, how they are had, and what becomes of a handle that loses one.

use entities::{audit_log, handle, ledger, operator_case};
use serde_json::{Value, json};
use uuid::Uuid;
use workflows::{
    Timestamp,
    money::Currency,
    plan::Plan,
    stripe::{Billing, PaidInvoice, Subscription, SubscriptionStatus},
};

use crate::{
    client::Seen,
    on_both,
    stripe::{event, paid},
    world::{Setup, World, admin_token, operator_token, token},
};

const PAGES: &str = "/v2/handles/alice/pages";

fn page(slug: &str, mode: &str) -> Value {
    let price = (mode == "PAID").then_some(1_000);
    json!({"slug": slug, "title": "A page", "body": "the secret", "mode": mode, "priceCents": price})
}

async fn create(world: &World, slug: &str, mode: &str) -> Seen {
    world.post(PAGES).bearer(token("alice")).json(page(slug, mode)).send().await
}

/// What Stripe says of a subscription that stands so, and has paid one invoice.
fn billing(world: &World, status: SubscriptionStatus) -> Billing {
    let now = Timestamp::from_millis(world.engine.clock().local_millis());
    Billing {
        subscription: Some(Subscription {
            id: "sub_1".to_owned(),
            status,
            price: "price_pro".to_owned(),
            plan: Some(Plan::Pro),
            period_start: now.plus(-Timestamp::DAY),
            period_end: now.plus(29 * Timestamp::DAY),
            cancel_at: None,
        }),
        others: Vec::new(),
        paid: vec![PaidInvoice { id: "in_1".to_owned(), amount: 2_900, currency: Currency::USD }],
    }
}

async fn subscribe(world: &World) -> Seen {
    let body = json!({"handle": "alice", "plan": "PRO", "successUrl": "/thanks"});
    world.post("/v2/billing/checkout-session").bearer(token("alice")).json(body).send().await
}

/// Something changed at Stripe, and a webhook says so.
async fn stripe_says(world: &World, id: &str, kind: &str, status: SubscriptionStatus) {
    stripe_reads(world, id, kind, billing(world, status)).await;
}

/// A webhook comes, and this is what is read then.
async fn stripe_reads(world: &World, id: &str, kind: &str, billing: Billing) {
    *world.stripe.billing.lock().unwrap() = billing;
    let db = world.engine.database().read();
    let handle = handle::find_by_name(db, "alice").await.unwrap().unwrap();
    let metadata = json!({"sluice_handle": workflows::id::HandleId(handle.id)});
    let object = json!({"id": "sub_1", "object": "subscription", "metadata": metadata});
    world.webhook(&event(id, kind, object)).await.expect(200);
    world.settle().await;
}

on_both! {

async fn a_paid_page_needs_a_plan_that_has_it(world: World) {
    world.free_handle("alice").await;
    let rows = world.rows().await;
    let problem = create(&world, "guide", "PAID").await.problem(403, "feature_locked");
    let upgrade = json!({
        "feature": "PAID_PAGES", "currentPlan": "FREE", "plan": "PRO",
        "url": "http://localhost:8080/v2/billing/checkout-session",
    });
    assert_eq!(problem["upgrade"], upgrade);
    assert!(problem["detail"].as_str().unwrap().contains("PRO"), "{problem}");
    assert_eq!(world.rows().await, rows, "what is refused leaves nothing behind");

    create(&world, "guide", "FREE_WITH_LOGIN").await.expect(201);
    let change = json!({"mode": "PAID", "priceCents": 1000, "version": 1});
    let path = format!("{PAGES}/guide");
    let changed = world.call("PATCH", &path).bearer(token("alice")).json(change.clone()).send();
    changed.await.problem(403, "feature_locked");

    world.set_plan("alice", "PRO").await;
    world.call("PATCH", &path).bearer(token("alice")).json(change).send().await.expect(200);
    create(&world, "second", "PAID").await.expect(201);
}

async fn whoever_loses_the_plan_sells_nothing_new(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    create(&world, "draft", "PAID").await.expect(201);
    let reader = world.visitor("bob@example.com").await;
    let checkout = world.buy(&reader, "alice", "guide").await.expect(200);
    let late = world.visitor("late@example.com").await;
    let begun = world.buy(&late, "alice", "guide").await.expect(200);
    let event = paid("evt_1", checkout["checkoutId"].as_str().unwrap(), 1_000);
    world.webhook(&event).await.expect(200);
    world.settle().await;

    world.set_plan("alice", "AUTOMATIC").await;
    assert_eq!(world.summary("alice").await["plan"], "FREE");
    let eve = world.visitor("eve@example.com").await;
    world.buy(&eve, "alice", "guide").await.problem(403, "feature_locked");
    let publish = format!("{PAGES}/draft/publish");
    let refused = world.post(&publish).bearer(token("alice")).send().await;
    refused.problem(403, "feature_locked");

    // Those who paid read on, and what was begun is settled.
    let public = "/v2/public/pages/alice/guide";
    let read = world.get(public).cookie(&reader).send().await.expect(200);
    assert_eq!(read["body"], "the secret");
    let event = paid("evt_2", begun["checkoutId"].as_str().unwrap(), 1_000);
    world.webhook(&event).await.expect(200);
    world.settle().await;
    let read = world.get(public).cookie(&late).send().await.expect(200);
    assert_eq!(read["body"], "the secret");
    // The page may be taken off sale.
    let unpublish = format!("{PAGES}/guide/unpublish");
    world.post(&unpublish).bearer(token("alice")).send().await.expect(200);
}

async fn a_creator_subscribes_and_sells(world: World) {
    world.free_handle("alice").await;
    let before = world.summary("alice").await;
    assert_eq!(
        (&before["plan"], &before["source"], &before["status"]),
        (&json!("FREE"), &json!("DEFAULT"), &json!("NONE"))
    );
    let locked = json!([
        {"feature": "PAID_PAGES", "plan": "PRO"}, {"feature": "GROUP_BUYS", "plan": "PRO"}
    ]);
    assert_eq!(before["locked"], locked);

    let link = subscribe(&world).await.expect(200);
    assert_eq!(link["url"], "https://checkout.stripe.test/price_pro/2");
    let waiting = world.summary("alice").await;
    assert_eq!((&waiting["plan"], &waiting["status"]), (&json!("FREE"), &json!("PENDING")));
    // The link is a secret: nobody reads it in the timeline.
    let run = link["runId"].as_str().unwrap();
    let history = world.get(format!("/v2/runs/{run}/history")).bearer(token("alice")).send().await;
    history.expect(200);
    assert!(!history.text.contains("checkout.stripe.test"), "{}", history.text);

    let created = "customer.subscription.created";
    stripe_says(&world, "evt_1", created, SubscriptionStatus::Active).await;
    let after = world.summary("alice").await;
    assert_eq!(
        (&after["plan"], &after["source"], &after["status"]),
        (&json!("PRO"), &json!("STRIPE"), &json!("ACTIVE"))
    );
    assert!(after["renewsAt"].is_string() && after["cancelsAt"].is_null(), "{after}");
    assert_eq!((&after["locked"], &after["subscribedPlan"]), (&json!([]), &json!("PRO")));
    create(&world, "guide", "PAID").await.expect(201);
    subscribe(&world).await.problem(409, "already_subscribed");

    // Told again and again, the invoice is posted once; it is not what the creator earns.
    for n in 2..5 {
        stripe_says(&world, &format!("evt_{n}"), created, SubscriptionStatus::Active).await;
    }
    let balances = ledger::balances_any_handle(world.engine.database().read()).await.unwrap();
    let revenue = balances.iter().find(|balance| balance.account == "plan_revenue").unwrap();
    assert_eq!(revenue.balance, -2_900);
    let path = "/v2/handles/alice/earnings";
    let earned = world.get(path).bearer(token("alice")).send().await.expect(200);
    assert_eq!((&earned["grossCents"], &earned["upToDate"]), (&json!(0), &json!(true)));
    assert_eq!(world.engine.check().await.unwrap(), []);
    assert_eq!(world.stripe.made("customer"), 1);
}

async fn a_failed_payment_costs_the_plan_after_a_while(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    world.set_plan("alice", "AUTOMATIC").await;
    subscribe(&world).await.expect(200);
    let updated = "customer.subscription.updated";
    stripe_says(&world, "evt_1", updated, SubscriptionStatus::Active).await;
    stripe_says(&world, "evt_2", "invoice.payment_failed", SubscriptionStatus::PastDue).await;
    let grace = world.summary("alice").await;
    assert_eq!((&grace["plan"], &grace["status"]), (&json!("PRO"), &json!("PAST_DUE")));
    assert!(grace["graceUntil"].is_string(), "{grace}");
    let cookie = world.visitor("bob@example.com").await;
    world.buy(&cookie, "alice", "guide").await.expect(200);

    // Nobody works: the end of the grace period counts all the same.
    let eve = world.visitor("eve@example.com").await;
    world.stop_working().await;
    world.engine.clock().advance(8 * Timestamp::DAY);
    let lapsed = world.summary("alice").await;
    assert_eq!((&lapsed["plan"], &lapsed["status"]), (&json!("FREE"), &json!("LAPSED")));
    world.buy(&eve, "alice", "guide").await.problem(403, "feature_locked");
    // The timer notes it down.
    world.settle().await;
    let noted = world.summary("alice").await;
    assert_eq!(
        (&noted["plan"], &noted["status"], &noted["source"]),
        (&json!("FREE"), &json!("LAPSED"), &json!("DEFAULT"))
    );
    // Paid after all.
    stripe_says(&world, "evt_3", "invoice.paid", SubscriptionStatus::Active).await;
    let paid = world.summary("alice").await;
    assert_eq!((&paid["plan"], &paid["graceUntil"]), (&json!("PRO"), &json!(null)));
}

async fn the_portal_opens_for_whoever_has_subscribed(world: World) {
    world.free_handle("alice").await;
    subscribe(&world).await.expect(200);
    let body = json!({"handle": "alice", "returnUrl": "/back"});
    let portal = || world.post("/v2/billing/portal-session").bearer(token("alice"));
    let first = portal().key("k1").json(body.clone()).send().await.expect(200);
    assert!(first["url"].as_str().unwrap().starts_with("https://billing.stripe.test/"), "{first}");
    let again = portal().key("k1").json(body.clone()).send().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200)["url"], first["url"], "the same link, as long as it is good");
    world.engine.clock().advance(10 * Timestamp::MINUTE);
    let late = portal().key("k1").json(body.clone()).send().await.expect(200);
    assert_eq!(late["url"], Value::Null, "it is no longer good");
    let fresh = portal().json(body).send().await.expect(200);
    assert_ne!(fresh["url"], first["url"]);
    let pending = world.summary("alice").await;
    assert_eq!(pending["status"], "PENDING", "a look at the bills changes nothing");
}

async fn what_stripe_refuses_leaves_the_plan_as_it_is(world: World) {
    world.free_handle("alice").await;
    *world.stripe.refusing.lock().unwrap() = Some("resource_missing");
    let problem = subscribe(&world).await.problem(502, "stripe_refused");
    assert!(problem["detail"].as_str().unwrap().contains("resource_missing"), "{problem}");
    assert_eq!(world.summary("alice").await["plan"], "FREE");
    *world.stripe.refusing.lock().unwrap() = None;
    subscribe(&world).await.expect(200);
    assert_eq!(world.stripe.made("customer"), 1);
}

async fn a_forgotten_price_costs_nobody_the_plan(world: World) {
    world.free_handle("alice").await;
    subscribe(&world).await.expect(200);
    let updated = "customer.subscription.updated";
    stripe_says(&world, "evt_1", updated, SubscriptionStatus::Active).await;
    // Those who run the service put a new price in the place of the old one.
    let mut forgotten = billing(&world, SubscriptionStatus::Active);
    forgotten.subscription.as_mut().unwrap().plan = None;
    stripe_reads(&world, "evt_2", updated, forgotten).await;
    let kept = world.summary("alice").await;
    assert_eq!((&kept["plan"], &kept["source"]), (&json!("PRO"), &json!("STRIPE")));
    create(&world, "guide", "PAID").await.expect(201);
    let cases = operator_case::list_open_any_handle(world.engine.database().read(), 10).await;
    let kinds: Vec<_> = cases.unwrap().into_iter().map(|case| case.kind).collect();
    assert_eq!(kinds, ["unknown_price"]);
}

async fn a_wrong_key_for_a_while_costs_nobody_the_plan(world: World) {
    world.free_handle("alice").await;
    subscribe(&world).await.expect(200);
    let updated = "customer.subscription.updated";
    stripe_says(&world, "evt_1", updated, SubscriptionStatus::Active).await;
    *world.stripe.knows_nobody.lock().unwrap() = true;
    stripe_says(&world, "evt_2", updated, SubscriptionStatus::Active).await;
    for _ in 0..3 {
        world.engine.clock().advance(2 * Timestamp::DAY);
        world.settle().await;
        let kept = world.summary("alice").await;
        assert_eq!((&kept["plan"], &kept["status"]), (&json!("PRO"), &json!("ACTIVE")));
    }
    create(&world, "guide", "PAID").await.expect(201);
    let db = world.engine.database().read();
    let cases = operator_case::list_open_any_handle(db, 10).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.kind.as_str()).collect::<Vec<_>>(), ["customer_missing"]);
    // The key is mended: the timer finds out, and the count begins anew.
    *world.stripe.knows_nobody.lock().unwrap() = false;
    world.engine.clock().advance(Timestamp::DAY);
    world.settle().await;
    *world.stripe.knows_nobody.lock().unwrap() = true;
    stripe_says(&world, "evt_3", updated, SubscriptionStatus::Active).await;
    assert_eq!(world.summary("alice").await["plan"], "PRO");
    // It stays wrong, or the customer is gone.
    world.engine.clock().advance(8 * Timestamp::DAY);
    world.settle().await;
    let gone = world.summary("alice").await;
    assert_eq!((&gone["plan"], &gone["status"]), (&json!("FREE"), &json!("NONE")));
    *world.stripe.knows_nobody.lock().unwrap() = false;
    subscribe(&world).await.expect(200);
    assert_eq!(world.stripe.made("customer"), 2);
}

async fn only_administrators_set_plans_by_hand(world: World) {
    world.free_handle("alice").await;
    let path = "/v2/billing/manual-plan";
    let gift = json!({"handle": "alice", "plan": "BUSINESS", "reason": " won a prize "});
    for stranger in [token("alice"), operator_token()] {
        let seen = world.post(path).bearer(stranger).json(gift.clone()).send().await;
        seen.problem(403, "forbidden");
    }
    for _ in 0..2 {
        let call = world.post(path).bearer(admin_token()).key("k1").header("x-request-id", "req-7");
        let set = call.json(gift.clone()).send().await.expect(200);
        assert_eq!((&set["plan"], &set["source"]), (&json!("BUSINESS"), &json!("MANUAL")));
    }
    let db = world.engine.database().read();
    let handle = handle::find_by_name(db, "alice").await.unwrap().unwrap();
    let log = audit_log::list(db, handle.id, Uuid::max(), 10).await.unwrap();
    assert_eq!(log.len(), 1, "a repetition is no second action");
    let entry = &log[0];
    assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("ada", "plan.set"));
    assert_eq!(entry.target, "BUSINESS");
    assert_eq!(entry.reason.as_deref(), Some("won a prize"));
    assert_eq!(entry.request_id.as_deref(), Some("req-7"));

    // It wins over what is paid for, until it is cleared.
    subscribe(&world).await.expect(200);
    let created = "customer.subscription.created";
    stripe_says(&world, "evt_1", created, SubscriptionStatus::Active).await;
    let both = world.summary("alice").await;
    assert_eq!((&both["plan"], &both["subscribedPlan"]), (&json!("BUSINESS"), &json!("PRO")));
    world.set_plan("alice", "AUTOMATIC").await;
    let cleared = world.summary("alice").await;
    assert_eq!((&cleared["plan"], &cleared["source"]), (&json!("PRO"), &json!("STRIPE")));
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fee_is_that_of_the_plan_when_the_order_was_made() {
    let plans = Some(r#"{"BUSINESS": {"platformFeeBps": 100}}"#);
    let world = World::with(Setup { plans, ..Setup::default() }).await;
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "guide").await.expect(200);
    world.set_plan("alice", "BUSINESS").await;
    let other = world.visitor("eve@example.com").await;
    let cheaper = world.buy(&other, "alice", "guide").await.expect(200);
    for (n, checkout) in [checkout, cheaper].iter().enumerate() {
        let event = paid(&format!("evt_{n}"), checkout["checkoutId"].as_str().unwrap(), 1_000);
        world.webhook(&event).await.expect(200);
    }
    world.settle().await;
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
    let path = "/v2/handles/alice/earnings";
    let earned = world.get(path).bearer(token("alice")).send().await.expect(200);
    assert_eq!(earned["platformFeeCents"], 50 + 10);
    // The summary shows the same, to compare.
    let summary = world.summary("alice").await;
    let fees = json!([{"currency": "USD", "platformFeeCents": 60}]);
    assert_eq!(summary["platformFees"]["fees"], fees, "{summary}");
    assert_eq!(summary["limits"]["platformFeeBps"], 100);
}

/// Three writes a day.
async fn limited(database: &str) -> Option<World> {
    let plans = Some(r#"{"FREE": {"dailyWrites": 3}}"#);
    let setup = Setup { plans, ..Setup::default() };
    match database {
        "sqlite" => Some(World::with(setup).await),
        _ => World::postgres_with(setup).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_writes_a_day() {
    for database in ["sqlite", "postgres"] {
        let Some(world) = limited(database).await else { continue };
        world.free_handle("alice").await;
        // What is refused, and what is answered again, does not count.
        create(&world, "a", "PAID").await.problem(403, "feature_locked");
        for _ in 0..3 {
            let call = world.post(PAGES).bearer(token("alice")).key("k1");
            call.json(page("a", "PUBLIC")).send().await.expect(201);
        }
        create(&world, "a", "PUBLIC").await.problem(409, "slug_taken");
        create(&world, "b", "PUBLIC").await.expect(201);
        create(&world, "c", "PUBLIC").await.expect(201);
        let used = world.summary("alice").await;
        assert_eq!(
            (&used["usage"]["dailyWrites"], &used["limits"]["dailyWrites"]),
            (&json!(3), &json!(3))
        );

        let seen = create(&world, "d", "PUBLIC").await;
        let problem = seen.problem(429, "daily_limit");
        assert_eq!(problem["upgrade"]["feature"], "DAILY_WRITES");
        assert_eq!(problem["upgrade"]["plan"], "PRO");
        let now = world.engine.clock().local_millis();
        let midnight = (now / Timestamp::DAY + 1) * Timestamp::DAY;
        let wait: i64 = seen.header("retry-after").unwrap().parse().unwrap();
        assert!((wait * 1_000 - (midnight - now)).abs() < 60_000, "{wait}");
        // Reading goes on, and so does another handle.
        world.get(PAGES).bearer(token("alice")).send().await.expect(200);
        world.free_handle("alina").await;
        let other = world.post("/v2/handles/alina/pages").bearer(token("alice"));
        other.json(page("a", "PUBLIC")).send().await.expect(201);

        world.engine.clock().advance(midnight - now);
        create(&world, "d", "PUBLIC").await.expect(201);
        assert_eq!(world.summary("alice").await["usage"]["dailyWrites"], 1);
        // A larger plan allows more at once.
        create(&world, "e", "PUBLIC").await.expect(201);
        create(&world, "f", "PUBLIC").await.expect(201);
        create(&world, "g", "PUBLIC").await.problem(429, "daily_limit");
        world.set_plan("alice", "PRO").await;
        create(&world, "g", "PUBLIC").await.expect(201);
    }
}
