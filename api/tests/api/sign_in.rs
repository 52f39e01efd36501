//! Signing in: by a deliberate act, once for each link.

use std::num::NonZeroU32;

use api::SignInLimits;
use serde_json::json;

use crate::{
    on_both,
    world::{Setup, World},
};

const VERIFY: &str = "/v2/visitor/auth/verify";

on_both! {

async fn s42_opening_the_link_consumes_nothing(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let token = world.mailed_token();
    let rows = world.rows().await;
    for _ in 0..3 {
        let seen = world.get(format!("{VERIFY}?token={token}")).send().await;
        assert_eq!(seen.status, 200);
        assert!(seen.text.contains("bob@example.com") && seen.text.contains("method=\"post\""));
        assert_eq!(seen.header("referrer-policy"), Some("same-origin"));
        assert!(seen.header("content-security-policy").unwrap().contains("form-action 'self'"));
    }
    assert_eq!(world.rows().await, rows);

    // The button of the page.
    let form = format!("token={token}");
    let call =
        world.post(VERIFY).header("origin", "http://localhost:8080").header("accept", "text/html");
    let seen = call.raw("application/x-www-form-urlencoded", form.clone()).send().await;
    seen.expect(303);
    let cookie = seen.cookie();
    world.get("/v2/visitor/session").cookie(&cookie).send().await.expect(200);

    // Once only, and a person is told so.
    let call = world.post(VERIFY).header("accept", "text/html");
    let again = call.raw("application/x-www-form-urlencoded", form).send().await;
    assert_eq!(
        (again.status, again.header("content-type")),
        (410, Some("text/html; charset=utf-8"))
    );
    let json = world.post(VERIFY).json(json!({"token": token})).send().await;
    json.problem(410, "link_used");
    world.get(format!("{VERIFY}?token={token}")).send().await.problem(410, "link_used");
}

async fn one_of_many_at_once_signs_in(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let proof = json!({"token": world.mailed_token()});
    let tries = (0..8).map(|_| world.post(VERIFY).json(proof.clone()).send());
    let seen = futures::future::join_all(tries).await;
    assert_eq!(seen.iter().filter(|seen| seen.status == 200).count(), 1);
    assert!(seen.iter().all(|seen| seen.status == 200 || seen.status == 410));
    assert_eq!(world.number("SELECT count(*) AS number FROM visitor_session").await, 1);
}

async fn the_code_may_be_mistyped_four_times(world: World) {
    let wrong = |code: &str| if code == "000000" { "000001" } else { "000000" };
    for (mistakes, last) in [(4, 200), (5, 410)] {
        world.ask_to_sign_in("bob@example.com").await.expect(202);
        let code = world.mailed_code();
        for _ in 0..mistakes {
            let proof = json!({"email": "Bob@example.com", "code": wrong(&code)});
            world.post(VERIFY).json(proof).send().await.problem(400, "code_wrong");
        }
        let proof = json!({"email": "bob@example.com", "code": code});
        let seen = world.post(VERIFY).json(proof).send().await;
        assert_eq!(seen.status, last, "{}", seen.text);
        world.settle().await;
    }
}

async fn a_link_is_good_for_15_minutes(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let token = world.mailed_token();
    world.engine.clock().advance(15 * 60_000);
    world.get(format!("{VERIFY}?token={token}")).send().await.problem(410, "link_expired");
    world.post(VERIFY).json(json!({"token": token})).send().await.problem(410, "link_expired");
}

async fn sessions_end(world: World) {
    let cookie = world.visitor("bob@example.com").await;
    let other = world.visitor("bob@example.com").await;
    let session = "/v2/visitor/session";
    let one = world.get(session).cookie(&cookie).send().await.expect(200);
    let two = world.get(session).cookie(&other).send().await.expect(200);
    assert_eq!(one["visitorId"], two["visitorId"]);
    let out = world.post("/v2/visitor/auth/logout").cookie(&cookie).send().await;
    out.expect(204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    world.get(session).cookie(&cookie).send().await.problem(401, "not_signed_in");
    world.get(session).cookie(&other).send().await.expect(200);
    world.post("/v2/visitor/auth/logout").send().await.expect(204);
    world.engine.clock().advance(31 * 86_400_000);
    world.get(session).cookie(&other).send().await.problem(401, "not_signed_in");
}

async fn writes_by_cookie_come_from_this_origin(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let path = "/v2/public/pages/alice/guide/checkout";
    for (name, value, status) in [
        ("origin", "http://localhost:8080", 200),
        ("origin", "http://evil.localhost:8080", 403),
        ("origin", "https://localhost:8080", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
    ] {
        let seen = world.post(path).cookie(&cookie).header(name, value).send().await;
        assert_eq!(seen.status, status, "{name}: {value}: {}", seen.text);
    }
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    for (public_url, secure) in [
        ("http://localhost:8080", false),
        ("http://127.0.0.1:8080", false),
        ("https://sluice.example", true),
        ("http://sluice.example", true),
    ] {
        let world = World::with(Setup { public_url, ..Setup::default() }).await;
        world.ask_to_sign_in("bob@example.com").await.expect(202);
        let proof = json!({"token": world.mailed_token()});
        let seen = world.post(VERIFY).json(proof).send().await;
        seen.expect(200);
        let cookie = seen.header("set-cookie").unwrap();
        assert!(cookie.starts_with("_10x_visitor="), "{cookie}");
        for flag in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=2592000"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        assert_eq!(cookie.contains("; Secure"), secure, "{public_url}: {cookie}");
        let token = seen.cookie().split_once('=').unwrap().1.to_owned();
        assert_eq!(token.len(), 43, "256 bits");
        let stored =
            format!("SELECT count(*) AS number FROM visitor_session WHERE token_hash = '{token}'");
        assert_eq!(world.number(&stored).await, 0, "the token itself is not stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_throttled_by_address_and_by_client() {
    let n = |n| NonZeroU32::new(n).unwrap();
    let limits = SignInLimits { per_address: n(2), per_client: n(4) };
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    for (email, status) in
        [("a@b.co", 202), ("A@b.co", 202), ("a@b.co", 429), ("c@b.co", 202), ("d@b.co", 429)]
    {
        let seen = world.ask_to_sign_in(email).await;
        assert_eq!(seen.status, status, "{email}: {}", seen.text);
        if status == 429 {
            seen.problem(429, "rate_limited");
            assert!(seen.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_leads_where_the_visitor_wanted_to_go() {
    let world = World::sqlite().await;
    let wish =
        json!({"email": "bob@example.com", "returnTo": "http://localhost:8080/pages/x?y=1#z"});
    world.post("/v2/visitor/auth/magic-link").json(wish).send().await.expect(202);
    world.settle().await;
    let form = format!("token={}", world.mailed_token());
    let seen = world.post(VERIFY).raw("application/x-www-form-urlencoded", form).send().await;
    seen.expect(303);
    assert_eq!(seen.header("location"), Some("/pages/x?y=1#z"));
}
