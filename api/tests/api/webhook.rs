//! Webhooks: only genuine ones pass, each once, and what does not concern us is set aside.

use entities::inbox::{self, Inbox};
use serde_json::json;

use crate::{
    on_both,
    stripe::{event, paid, signature},
    world::{CONNECT_SECRET, SECRET, World},
};

const HOOK: &str = "/v2/public/stripe/webhook";
const CONNECT_HOOK: &str = "/v2/public/stripe/connect-webhook";

async fn kept(world: &World, id: &str) -> Option<Inbox> {
    inbox::find(world.engine.database().write(), "stripe", id).await.unwrap()
}

on_both! {

async fn s39_only_genuine_signatures_pass(world: World) {
    world.stop_working().await;
    let now = world.engine.clock().local_millis() / 1_000;
    let body = event("evt_1", "x.y", json!({})).to_string();
    let sign = |secret, at| signature(secret, at, &body);
    let rows = [
        ("genuine", sign(SECRET, now), 200, ""),
        ("rotated", sign("whsec_rotated", now), 200, ""),
        (
            "several",
            format!("{},v1={}", sign("wrong", now), sign(SECRET, now).split("v1=").nth(1).unwrap()),
            200,
            "",
        ),
        ("nearly too old", sign(SECRET, now - 290), 200, ""),
        ("too old", sign(SECRET, now - 310), 400, "too old"),
        ("future", sign(SECRET, now + 310), 400, "future"),
        ("wrong secret", sign("wrong", now), 400, "no signature matches"),
        ("of the other endpoint", sign(CONNECT_SECRET, now), 400, "no signature matches"),
        ("unreadable", "v1".to_owned(), 400, "cannot be read"),
    ];
    for (name, header, status, why) in rows {
        let before = world.rows().await;
        let call = world.post(HOOK).header("stripe-signature", header);
        let seen = call.raw("application/json", body.clone()).send().await;
        assert_eq!(seen.status, status, "{name}: {}", seen.text);
        if status == 400 {
            let problem = seen.problem(400, "signature_mismatch");
            assert!(problem["detail"].as_str().unwrap().contains(why), "{name}: {problem}");
            assert_eq!(world.rows().await, before, "{name}");
        }
    }
    let changed = body.replace("evt_1", "evt_2");
    let call = world.post(HOOK).header("stripe-signature", sign(SECRET, now));
    call.raw("application/json", changed).send().await.problem(400, "signature_mismatch");
    assert_eq!(world.number("SELECT count(*) AS number FROM inbox").await, 1);
}

async fn s40_the_other_mode_and_foreign_accounts_have_no_effect(world: World) {
    let mut live = paid("evt_live", "co_00000000000070008000000000000001", 1_000);
    live["livemode"] = json!(true);
    assert_eq!(world.webhook(&live).await.expect(200)["duplicate"], false);
    let row = kept(&world, "evt_live").await.unwrap();
    assert_eq!(row.status, "IGNORED");
    assert!(row.last_error.unwrap().contains("live mode"));

    let mut foreign = event("evt_foreign", "account.updated", json!({"id": "acct_foreign"}));
    foreign["account"] = json!("acct_foreign");
    world.signed(CONNECT_HOOK, CONNECT_SECRET, &foreign).await.expect(200);
    world.settle().await;
    assert_eq!(kept(&world, "evt_foreign").await.unwrap().run_id, None);
    // In the end a person hears of it.
    world.engine.clock().advance(11 * 60_000);
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
    assert_ne!(kept(&world, "evt_foreign").await.unwrap().status, "PENDING");
    assert_eq!(world.number("SELECT count(*) AS number FROM run").await, 0);
    assert_eq!(world.number("SELECT count(*) AS number FROM operator_case").await, 1);
}

async fn s40_a_connected_account_cannot_speak_for_a_purchase(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "guide").await.expect(200);
    let mut forged = paid("evt_forged", checkout["checkoutId"].as_str().unwrap(), 1_000);
    forged["account"] = json!("acct_mallory");
    for (path, secret) in [(HOOK, SECRET), (CONNECT_HOOK, CONNECT_SECRET)] {
        world.signed(path, secret, &forged).await.expect(200);
        world.settle().await;
    }
    let path = format!("/v2/public/checkouts/{}", checkout["checkoutId"].as_str().unwrap());
    assert_eq!(world.get(path).cookie(&cookie).send().await.expect(200)["status"], "OPEN");
}

async fn what_is_no_event_of_ours(world: World) {
    world.stop_working().await;
    let unheard = event("evt_unheard", "customer.created", json!({"id": "cus_1"}));
    world.webhook(&unheard).await.expect(200);
    let row = kept(&world, "evt_unheard").await.unwrap();
    assert_eq!(
        (row.status.as_str(), row.last_error.as_deref()),
        ("IGNORED", Some("no machine listens to customer.created"))
    );

    let malformed = event(
        "evt_malformed",
        "checkout.session.completed",
        json!({"id": "cs_1", "payment_status": "paid"}),
    );
    world.webhook(&malformed).await.expect(200);
    let row = kept(&world, "evt_malformed").await.unwrap();
    assert_eq!(row.status, "DEAD");
    assert!(row.last_error.unwrap().contains("payment_intent"));
    let raw = entities::webhook_body::find(world.engine.database().write(), row.seq).await.unwrap();
    assert_eq!(raw.unwrap().body, malformed.to_string().into_bytes());

    let rows = world.rows().await;
    for (body, field) in [
        (json!({"id": "evt_x"}), "type"),
        (json!({"id": "evt_x", "type": "x"}), "data"),
        (json!({"id": 7, "type": "x", "data": {"object": {}}}), "id"),
        (json!({"id": "", "type": "x", "data": {"object": {}}}), "id"),
        (json!("evt_x"), "body"),
    ] {
        let problem = world.webhook(&body).await.problem(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(world.rows().await, rows);
}

async fn s02_many_deliveries_at_once_are_written_once(world: World) {
    world.stop_working().await;
    let event = event("evt_many", "x.y", json!({}));
    let seen = futures::future::join_all((0..20).map(|_| world.webhook(&event))).await;
    let new = seen.iter().filter(|seen| seen.expect(200)["duplicate"] == false).count();
    assert_eq!(new, 1);
}

}
