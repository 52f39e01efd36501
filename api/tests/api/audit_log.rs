//! The audit log: who did what, for the owner of the handle and for those who run the platform.

use serde_json::{Value, json};

use crate::{
    on_both,
    world::{World, operator_token, token},
};

const LOG: &str = "/v2/handles/alice/audit-log";

async fn entries(world: &World, path: &str, token: String) -> Vec<Value> {
    let list = world.get(path).bearer(token).send().await.expect(200);
    list["data"].as_array().unwrap().clone()
}

fn told(entry: &Value) -> String {
    let word = |field: &str| entry[field].as_str().unwrap().to_owned();
    format!("{}: {} {}", word("actor"), word("action"), word("target"))
}

on_both! {

async fn what_is_done_to_a_handle_is_told_to_its_owner(world: World) {
    world.seller("alice").await;
    world.member("alice", "bob", "operator").await;
    let set = |role: &str| {
        let body = json!({"subject": "bob", "role": role});
        world.post("/v2/handles/alice/members").bearer(token("alice")).json(body).send()
    };
    set("creator").await.expect(200);
    // What changes nothing is not told.
    set("creator").await.expect(200);
    let page = json!({"slug": "guide", "title": "G", "mode": "PUBLIC"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("bob")).json(page).send().await.expect(201);
    let made = json!({"name": "ci", "scopes": ["pages:write"]});
    let made = world.post("/v2/tokens").bearer(token("bob")).json(made).send().await.expect(201);
    let (id, ci) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let publish = |key: &str| {
        let call = world.post("/v2/handles/alice/pages/guide/publish").bearer(ci);
        call.key(key).header("x-request-id", "req-of-the-test").send()
    };
    publish("k1").await.expect(200);
    publish("k1").await.expect(200);
    publish("k2").await.expect(200);
    let unpublish = world.post("/v2/handles/alice/pages/guide/unpublish").bearer(token("alice"));
    unpublish.send().await.expect(200);
    let remove = world.call("DELETE", "/v2/handles/alice/members/bob").bearer(token("alice"));
    remove.send().await.expect(200);
    world.settle().await;
    let log = entries(&world, LOG, token("alice")).await;
    let lines: Vec<_> = log.iter().rev().map(told).collect();
    assert_eq!(lines, [
        "ada: plan.set PRO".to_owned(),
        "alice: connect.onboard alice".to_owned(),
        "alice: member.add bob as operator".to_owned(),
        "alice: member.change bob as creator".to_owned(),
        format!("bob by {id}: page.publish guide"),
        "alice: page.unpublish guide".to_owned(),
        "alice: member.remove bob".to_owned(),
    ]);
    let published = &log[2];
    assert_eq!(published["requestId"], "req-of-the-test");
    assert!(published["id"].as_str().unwrap().starts_with("aud_"), "{published}");
    assert!(published["handleId"].as_str().unwrap().starts_with("hndl_"), "{published}");
    assert!(published["at"].as_str().unwrap().ends_with('Z'), "{published}");
    // In parts, and in the same order.
    let first = world.get(format!("{LOG}?limit=4")).bearer(token("alice")).send().await.expect(200);
    let next = format!("{LOG}?limit=4&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = world.get(next).bearer(token("alice")).send().await.expect(200);
    assert_eq!(second["nextCursor"], Value::Null);
    let both: Vec<_> = [&first, &second].iter().flat_map(|list| list["data"].as_array().unwrap().clone()).collect();
    assert_eq!(both, log);
}

async fn those_who_run_the_platform_read_everything(world: World) {
    world.handle("alice").await;
    world.member("alice", "bob", "creator").await;
    let made = json!({"name": "ci", "scopes": ["pages:write"]});
    let made = world.post("/v2/tokens").bearer(token("bob")).json(made).send().await.expect(201);
    let id = made["id"].as_str().unwrap();
    let revoke = world.call("DELETE", format!("/v2/tokens/{id}")).bearer(token("bob"));
    revoke.send().await.expect(200);
    let by = engine::By { reason: Some("an outage".to_owned()), ..engine::By::new("operator:otto") };
    world.engine.pause(workflows::effect::Queue::Mail, &by).await.unwrap();
    let log = entries(&world, "/v2/operator/audit-log", operator_token()).await;
    let lines: Vec<_> = log.iter().rev().map(told).collect();
    assert_eq!(lines, [
        "ada: plan.set PRO".to_owned(),
        "alice: member.add bob as creator".to_owned(),
        format!("bob: token.make {id}"),
        format!("bob: token.revoke {id}"),
        "operator:otto: queue.pause mail".to_owned(),
    ]);
    assert_eq!((&log[0]["reason"], &log[0]["handleId"]), (&json!("an outage"), &Value::Null));
    // The owner of a handle reads about the handle alone, and nobody else reads anything.
    assert_eq!(entries(&world, LOG, token("alice")).await.len(), 2);
    for who in ["bob", "mallory"] {
        world.get(LOG).bearer(token(who)).send().await.problem(403, "forbidden");
    }
    let operators = world.get("/v2/operator/audit-log").bearer(token("alice")).send().await;
    operators.problem(403, "forbidden");
}

async fn what_fails_is_not_told(world: World) {
    world.handle("alice").await;
    let page = json!({"slug": "guide", "title": "G", "mode": "PAID", "priceCents": 1000});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    let publish = world.post("/v2/handles/alice/pages/guide/publish").bearer(token("alice"));
    publish.send().await.problem(409, "connect_not_ready");
    let remove = world.call("DELETE", "/v2/handles/alice/members/alice").bearer(token("alice"));
    remove.send().await.problem(409, "last_owner");
    let log = entries(&world, LOG, token("alice")).await;
    assert_eq!(log.iter().map(told).collect::<Vec<_>>(), ["ada: plan.set PRO"]);
}

}
