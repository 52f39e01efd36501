//! When the database is gone, requests fail cleanly.

use serde_json::json;

use crate::{
    on_both,
    stripe::event,
    world::{Setup, World, token},
};

on_both! {

async fn s46_without_the_database_requests_fail_cleanly(world: World) {
    world.seller("alice").await;
    let cookie = world.visitor("bob@example.com").await;
    world.stop_working().await;
    world.engine.database().clone().close().await.unwrap();
    let alice = token("alice");
    for (name, seen) in [
        ("handle", world.get("/v2/handles/alice").bearer(&alice).send().await),
        (
            "create",
            world
                .post("/v2/handles")
                .bearer(&alice)
                .key("k")
                .json(json!({"handle": "bob", "displayName": "B"}))
                .send()
                .await,
        ),
        ("session", world.get("/v2/visitor/session").cookie(&cookie).send().await),
        ("page", world.get("/v2/public/pages/alice/x").cookie(&cookie).send().await),
        (
            "link",
            world.post("/v2/visitor/auth/magic-link").json(json!({"email": "a@b.co"})).send().await,
        ),
        ("webhook", world.webhook(&event("evt_1", "x.y", json!({}))).await),
        ("ready", world.get("/readyz").send().await),
    ] {
        assert_eq!(seen.status, 503, "{name}: {}", seen.text);
        seen.problem(503, "unavailable");
        assert!(seen.header("retry-after").is_some(), "{name}");
    }
    world.get("/healthz").send().await.expect(200);
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_schema_is_not_ready() {
    let ready = Err("3 migrations are missing".to_owned());
    let world = World::with(Setup { ready, ..Setup::default() }).await;
    let problem = world.get("/readyz").send().await.problem(503, "unavailable");
    assert_eq!(problem["detail"], "3 migrations are missing");
}
