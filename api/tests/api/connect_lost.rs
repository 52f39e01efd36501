//! A handle that loses its account, and one that comes back.

use serde_json::{Value, json};
use workflows::stripe::{Account, Requirements};

use crate::{
    connect::{ONBOARD, enabled},
    on_both,
    stripe::{event, paid},
    world::{World, token},
};

async fn checkout(world: &World, cookie: &str, id: &Value) -> Value {
    let path = format!("/v2/public/checkouts/{}", id.as_str().unwrap());
    world.get(path).cookie(cookie).send().await.expect(200)
}

/// What is done by anybody who wants alice's page while she cannot sell.
async fn nothing_is_sold(world: &World, cookie: &str, code: &str) {
    let rows = world.rows().await;
    let problem = world.buy(cookie, "alice", "guide").await.problem(409, "connect_not_ready");
    let blockers = problem["blockers"].as_array().unwrap();
    assert_eq!((blockers.len(), &blockers[0]["code"]), (1, &json!(code)), "{problem}");
    // What Stripe wants of her is not the visitor's business.
    assert!(!problem.to_string().contains("id_number"), "{problem}");
    assert_eq!(world.rows().await, rows);
    let path = "/v2/handles/alice/pages/second/publish";
    let publish = world.post(path).bearer(token("alice")).send().await;
    assert!(!publish.problem(409, "connect_not_ready")["blockers"][0].is_null());
}

async fn open_shop(world: &World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let body = json!({"slug": "second", "title": "S", "mode": "PAID", "priceCents": 500});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
}

on_both! {

async fn s30_an_account_is_restricted_while_checkouts_are_open(world: World) {
    open_shop(&world).await;
    let bob = world.visitor("bob@example.com").await;
    let eve = world.visitor("eve@example.com").await;
    let dan = world.visitor("dan@example.com").await;
    let mut ids = Vec::new();
    for cookie in [&bob, &eve, &dan] {
        ids.push(world.buy(cookie, "alice", "guide").await.expect(200)["checkoutId"].clone());
    }
    // Eve pays by a method that takes days.
    let session = json!({
        "id": format!("cs_{}", ids[1].as_str().unwrap()), "object": "checkout.session",
        "payment_status": "unpaid", "metadata": {"sluice_checkout": ids[1]}
    });
    world.webhook(&event("evt_1", "checkout.session.completed", session)).await.expect(200);
    world.settle().await;

    let requirements = Requirements {
        past_due: vec!["individual.id_number".to_owned()],
        disabled_reason: Some("requirements.past_due".to_owned()),
        ..Requirements::default()
    };
    let restricted = Account { details_submitted: true, requirements, ..Account::default() };
    *world.stripe.said.lock().unwrap() = Some(restricted);
    world.connect_event("evt_2", "account.updated").await;
    nothing_is_sold(&world, &bob, "account_restricted").await;
    for (cookie, id) in [(&bob, &ids[0]), (&dan, &ids[2])] {
        let closed = checkout(&world, cookie, id).await;
        assert_eq!((&closed["status"], &closed["reason"]), (&json!("EXPIRED"), &json!("seller_lost")));
    }
    // What is on its way is settled; and paid wins, should the page have closed too late.
    let mut late = paid("evt_3", ids[1].as_str().unwrap(), 1_000);
    late["type"] = json!("checkout.session.async_payment_succeeded");
    world.webhook(&late).await.expect(200);
    world.settle().await;
    assert_eq!(checkout(&world, &eve, &ids[1]).await["status"], "SETTLED");

    // All is well again.
    *world.stripe.said.lock().unwrap() = Some(enabled());
    world.connect_event("evt_4", "capability.updated").await;
    world.buy(&bob, "alice", "guide").await.expect(200);
    world.page("alice", "third").await;
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
    assert_eq!(world.engine.check().await.unwrap(), []);
}

async fn s30_s31_the_creator_leaves_and_comes_back_with_another_account(world: World) {
    open_shop(&world).await;
    let bob = world.visitor("bob@example.com").await;
    let id = world.buy(&bob, "alice", "guide").await.expect(200)["checkoutId"].clone();
    let before = world.connect_status().await;
    let account = before["accountId"].as_str().unwrap().to_owned();
    world.stripe.gone.lock().unwrap().push(account.clone());
    world.connect_event("evt_1", "account.application.deauthorized").await;
    let left = world.connect_status().await;
    assert_eq!(left["status"], "DISCONNECTED");
    assert_eq!((&left["chargesEnabled"], &left["accountId"]), (&json!(false), &json!(account)));
    assert_eq!(left["blockers"][0]["action"], "Start the onboarding again.");
    nothing_is_sold(&world, &bob, "disconnected").await;
    assert_eq!(checkout(&world, &bob, &id).await["status"], "EXPIRED");
    let path = "/v2/handles/alice/connect/dashboard-link";
    world.post(path).bearer(token("alice")).send().await.problem(409, "connect_not_ready");

    let link = world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    assert!(link["url"].is_string(), "{link}");
    world.settle().await;
    let back = world.connect_status().await;
    assert_eq!(back["status"], "CONNECTED");
    assert_ne!(back["accountId"], json!(account));
    assert_eq!(back["pastAccounts"].as_array().unwrap().len(), 1);
    assert_eq!(back["pastAccounts"][0]["accountId"], json!(account));
    let sold = world.buy(&bob, "alice", "guide").await.expect(200);
    // Late news of the earlier account changes nothing.
    let mut late = event("evt_2", "account.application.deauthorized", json!({"id": "ca_1"}));
    late["account"] = json!(account);
    let hook = "/v2/public/stripe/connect-webhook";
    world.signed(hook, crate::world::CONNECT_SECRET, &late).await.expect(200);
    world.settle().await;
    assert_eq!(world.connect_status().await["status"], "CONNECTED");
    assert_eq!(checkout(&world, &bob, &sold["checkoutId"]).await["status"], "OPEN");
}

async fn s31_the_creator_comes_back_with_the_same_account(world: World) {
    open_shop(&world).await;
    let account = world.connect_status().await["accountId"].as_str().unwrap().to_owned();
    world.stripe.gone.lock().unwrap().push(account.clone());
    world.connect_event("evt_1", "account.application.deauthorized").await;
    assert_eq!(world.connect_status().await["status"], "DISCONNECTED");
    world.stripe.gone.lock().unwrap().clear();
    world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    let back = world.connect_status().await;
    assert_eq!((&back["status"], &back["accountId"]), (&json!("CONNECTED"), &json!(account)));
    assert_eq!(back["pastAccounts"], json!([]));
    assert_eq!(world.stripe.made("account"), 1);
}

async fn s32_word_of_leaving_that_is_not_so_changes_nothing(world: World) {
    open_shop(&world).await;
    let bob = world.visitor("bob@example.com").await;
    let id = world.buy(&bob, "alice", "guide").await.expect(200)["checkoutId"].clone();
    world.connect_event("evt_1", "account.application.deauthorized").await;
    assert_eq!(world.connect_status().await["status"], "CONNECTED");
    assert_eq!(checkout(&world, &bob, &id).await["status"], "OPEN");
}

async fn s33_what_stripe_changed_without_an_event_is_found_within_a_day(world: World) {
    open_shop(&world).await;
    *world.stripe.connected.lock().unwrap() = false;
    world.engine.clock().advance(25 * 3_600_000);
    world.settle().await;
    assert_ne!(world.connect_status().await["status"], "CONNECTED");
}

}
