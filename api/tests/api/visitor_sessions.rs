//! Where a visitor is signed in, and signing out there.

use serde_json::json;

use crate::{
    on_both,
    world::{World, token},
};

const SESSION: &str = "/v2/visitor/session";
const SESSIONS: &str = "/v2/visitor/sessions";
const EVERYWHERE: &str = "/v2/visitor/auth/logout-everywhere";

on_both! {

async fn a_visitor_sees_where_they_are_signed_in(world: World) {
    let phone = world.visitor("bob@example.com").await;
    let laptop = world.visitor("bob@example.com").await;
    world.visitor("eve@example.com").await;
    let this = world.get(SESSION).cookie(&laptop).send().await.expect(200);
    let seen = world.get(SESSIONS).cookie(&laptop).send().await;
    let list = seen.expect(200);
    let data = list["data"].as_array().unwrap();
    assert_eq!((data.len(), &list["nextCursor"]), (2, &json!(null)), "{list}");
    assert_eq!((&data[0]["sessionId"], &data[0]["current"]), (&this["sessionId"], &json!(true)));
    assert_eq!(data[1]["current"], false);
    for field in ["createdAt", "lastSeenAt", "expiresAt"] {
        assert!(data[1][field].as_str().unwrap().ends_with('Z'), "{list}");
    }
    for secret in [&phone, &laptop] {
        let token = secret.split_once('=').unwrap().1;
        assert!(!seen.text.contains(token), "{list}");
    }
    let hashes = "SELECT count(*) AS number FROM visitor_session";
    assert_eq!(world.number(hashes).await, 3);
    assert!(!seen.text.contains("ash"), "no hash either: {list}");

    // A page at a time.
    let first = world.get(format!("{SESSIONS}?limit=1")).cookie(&laptop).send().await.expect(200);
    let path = format!("{SESSIONS}?limit=1&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = world.get(path).cookie(&laptop).send().await.expect(200);
    assert_eq!((&first["data"][0], &second["data"][0]), (&data[0], &data[1]));
    assert_eq!(second["nextCursor"], json!(null));
}

async fn when_a_session_was_last_seen_is_known_to_within_minutes(world: World) {
    let phone = world.visitor("bob@example.com").await;
    let laptop = world.visitor("bob@example.com").await;
    let seen_at = async || {
        let list = world.get(SESSIONS).cookie(&laptop).send().await.expect(200);
        let of = |n: usize| list["data"][n]["lastSeenAt"].as_str().unwrap().to_owned();
        (of(0), of(1))
    };
    let began = seen_at().await;
    world.engine.clock().advance(60_000);
    assert_eq!(seen_at().await, began, "not every request is a write");
    world.engine.clock().advance(10 * 60_000);
    let (laptop_seen, phone_seen) = seen_at().await;
    assert!(laptop_seen > began.0, "{laptop_seen} {began:?}");
    assert_eq!(phone_seen, began.1);
    world.get(SESSION).cookie(&phone).send().await.expect(200);
    assert!(seen_at().await.1 > began.1);
}

async fn a_session_is_ended_from_another_browser(world: World) {
    let phone = world.visitor("bob@example.com").await;
    let laptop = world.visitor("bob@example.com").await;
    let eve = world.visitor("eve@example.com").await;
    let lost = world.get(SESSION).cookie(&phone).send().await.expect(200);
    let path = format!("{SESSIONS}/{}", lost["sessionId"].as_str().unwrap());
    world.call("DELETE", &path).cookie(&eve).send().await.problem(404, "unknown_session");
    world.get(SESSION).cookie(&phone).send().await.expect(200);
    let ended = world.call("DELETE", &path).cookie(&laptop).send().await;
    ended.expect(204);
    assert_eq!(ended.header("set-cookie"), None, "this browser stays signed in");
    world.get(SESSION).cookie(&phone).send().await.problem(401, "not_signed_in");
    world.get(SESSION).cookie(&laptop).send().await.expect(200);
    world.call("DELETE", &path).cookie(&laptop).send().await.problem(404, "unknown_session");

    // Its own.
    let own = world.get(SESSION).cookie(&laptop).send().await.expect(200);
    let path = format!("{SESSIONS}/{}", own["sessionId"].as_str().unwrap());
    let ended = world.call("DELETE", path).cookie(&laptop).send().await;
    ended.expect(204);
    assert!(ended.header("set-cookie").unwrap().starts_with("_10x_visitor=; "), "{ended:?}");
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"), "{ended:?}");
    world.get(SESSION).cookie(&laptop).send().await.problem(401, "not_signed_in");
}

async fn signing_out_everywhere_leaves_others_signed_in(world: World) {
    let phone = world.visitor("bob@example.com").await;
    let laptop = world.visitor("bob@example.com").await;
    let eve = world.visitor("eve@example.com").await;
    let elsewhere = world.post(EVERYWHERE).cookie(&laptop).header("origin", "https://evil.test");
    elsewhere.send().await.problem(403, "origin_mismatch");
    let out = world.post(EVERYWHERE).cookie(&laptop).send().await;
    out.expect(204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"), "{out:?}");
    for cookie in [&phone, &laptop] {
        world.get(SESSION).cookie(cookie).send().await.problem(401, "not_signed_in");
    }
    world.get(SESSION).cookie(&eve).send().await.expect(200);
    world.post(EVERYWHERE).cookie(&laptop).send().await.problem(401, "not_signed_in");
    // A bearer token is no session.
    let creator = world.post(EVERYWHERE).bearer(token("bob")).send().await;
    creator.problem(401, "not_signed_in");
}

async fn what_has_ended_is_not_listed_and_is_deleted_later(world: World) {
    world.visitor("bob@example.com").await;
    world.engine.clock().advance(29 * 86_400_000);
    let fresh = world.visitor("bob@example.com").await;
    let listed = async || {
        let list = world.get(SESSIONS).cookie(&fresh).send().await.expect(200);
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(listed().await, 2);
    assert_eq!(world.engine.retain().await.unwrap().sessions, 0);
    world.engine.clock().advance(2 * 86_400_000);
    assert_eq!(listed().await, 1);
    let deleted = world.engine.retain().await.unwrap();
    assert_eq!((deleted.sessions, deleted.links), (1, 1));
    assert_eq!(listed().await, 1);
    assert_eq!(world.number("SELECT count(*) AS number FROM visitor_session").await, 1);
}

}
