//! Members of a handle: who is let in, as what, and that an owner stays.

use serde_json::{Value, json};

use crate::{
    client::Seen,
    on_both,
    world::{World, operator_token, token},
};

const MEMBERS: &str = "/v2/handles/alice/members";

async fn set(world: &World, by: &str, subject: &str, role: &str) -> Seen {
    let body = json!({"subject": subject, "role": role});
    world.post(MEMBERS).bearer(token(by)).json(body).send().await
}

async fn remove(world: &World, by: &str, subject: &str) -> Seen {
    world.call("DELETE", format!("{MEMBERS}/{subject}")).bearer(token(by)).send().await
}

async fn list(world: &World, query: &str) -> Value {
    world.get(format!("{MEMBERS}{query}")).bearer(token("alice")).send().await.expect(200)
}

fn roles(list: &Value) -> Vec<String> {
    let members = list["data"].as_array().unwrap().iter();
    members
        .map(|member| format!("{} {}", member["subject"], member["role"]).replace('"', ""))
        .collect()
}

on_both! {

async fn a_plan_has_room_for_so_many(world: World) {
    world.free_handle("alice").await;
    let full = set(&world, "alice", "bob", "creator").await.problem(403, "feature_locked");
    let upgrade = &full["upgrade"];
    assert_eq!((&upgrade["feature"], &upgrade["plan"]), (&json!("MEMBERS"), &json!("PRO")), "{full}");
    world.set_plan("alice", "PRO").await;
    for guest in ["bob", "carol", "dave", "erin"] {
        set(&world, "alice", guest, "creator").await.expect(201);
    }
    set(&world, "alice", "frank", "creator").await.problem(403, "feature_locked");
    // Who is in may change roles, and stays when the plan goes.
    set(&world, "alice", "erin", "operator").await.expect(200);
    world.set_plan("alice", "FREE").await;
    world.get("/v2/handles/alice").bearer(token("erin")).send().await.expect(200);
}

async fn members_come_and_go(world: World) {
    world.handle("alice").await;
    let made = set(&world, "alice", "auth0|bob/1", "creator").await;
    assert_eq!(made.header("location"), Some(MEMBERS));
    let made = made.expect(201);
    assert_eq!((&made["role"], &made["addedBy"]), (&json!("creator"), &json!("alice")));
    set(&world, "alice", "carol", "operator").await.expect(201);
    assert_eq!(roles(&list(&world, "").await), ["alice owner", "auth0|bob/1 creator", "carol operator"]);
    // Pages of the list.
    let first = list(&world, "?limit=2").await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = list(&world, &format!("?limit=2&cursor={cursor}")).await;
    assert_eq!((roles(&first).len(), roles(&second)), (2, vec!["carol operator".to_owned()]));
    assert_eq!(second["nextCursor"], Value::Null);
    // Another role, at once.
    let page = json!({"slug": "p", "title": "P", "mode": "PUBLIC"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("carol")).json(page).send().await.expect(201);
    let earnings = "/v2/handles/alice/earnings";
    world.get(earnings).bearer(token("carol")).send().await.problem(403, "forbidden");
    let changed = set(&world, "alice", "carol", "creator").await.expect(200);
    assert_eq!(changed["role"], "creator");
    world.get(earnings).bearer(token("carol")).send().await.expect(200);
    // Out again.
    assert_eq!(remove(&world, "alice", "auth0%7Cbob%2F1").await.expect(200)["role"], "creator");
    let gone = world.get("/v2/handles/alice").bearer(token("auth0|bob/1")).send().await;
    gone.problem(403, "forbidden");
    remove(&world, "alice", "auth0%7Cbob%2F1").await.problem(404, "unknown_member");
}

async fn a_handle_keeps_an_owner(world: World) {
    world.handle("alice").await;
    remove(&world, "alice", "alice").await.problem(409, "last_owner");
    set(&world, "alice", "alice", "creator").await.problem(409, "last_owner");
    set(&world, "alice", "alice", "owner").await.expect(200);
    set(&world, "alice", "bob", "owner").await.expect(201);
    // Two owners take each other out: one of them stays.
    let (one, two) = tokio::join!(remove(&world, "alice", "bob"), remove(&world, "bob", "alice"));
    let mut seen = [one.status, two.status];
    seen.sort_unstable();
    // The second finds itself to be the last owner, or no longer one.
    assert!(seen == [200, 409] || seen == [200, 403], "{} {}", one.text, two.text);
    let left = world.number("SELECT count(*) AS number FROM member WHERE role = 'owner'").await;
    assert_eq!(left, 1);
}

async fn only_owners_let_people_in(world: World) {
    world.handle("alice").await;
    for role in ["creator", "operator"] {
        world.member("alice", role, role).await;
        set(&world, role, role, "owner").await.problem(403, "forbidden");
        remove(&world, role, "alice").await.problem(403, "forbidden");
    }
    set(&world, "mallory", "mallory", "owner").await.problem(403, "forbidden");
    // Those who run the platform are nobody on a handle.
    let body = json!({"subject": "olga", "role": "owner"});
    world.post(MEMBERS).bearer(operator_token()).json(body).send().await.problem(403, "forbidden");
    // An owner of one handle is nobody on another.
    let other = json!({"handle": "other", "displayName": "O"});
    world.post("/v2/handles").bearer(token("mallory")).json(other).send().await.expect(201);
    set(&world, "mallory", "mallory", "owner").await.problem(403, "forbidden");
}

async fn a_repeated_removal_gives_the_first_answer(world: World) {
    world.handle("alice").await;
    world.member("alice", "bob", "creator").await;
    let path = format!("{MEMBERS}/bob");
    let remove = || world.call("DELETE", &path).bearer(token("alice")).key("k1").send();
    let first = remove().await;
    let again = remove().await;
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    // The key does not reach further than the caller: bob's words are not alice's.
    world.member("alice", "carol", "owner").await;
    world.call("DELETE", &path).bearer(token("carol")).key("k1").send().await.problem(404, "unknown_member");
}

}
