//! Personal access tokens: shown once, kept as a hash, good for their scopes, and for no longer than they should.

use serde_json::{Value, json};

use crate::{
    client::Seen,
    on_both,
    world::{World, operator_token, token},
};

const TOKENS: &str = "/v2/tokens";

async fn make(world: &World, body: Value) -> Seen {
    world.post(TOKENS).bearer(token("alice")).json(body).send().await
}

async fn status(world: &World, path: &str, token: &str) -> u16 {
    world.get(path).bearer(token).send().await.status
}

fn text(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

on_both! {

async fn a_token_is_shown_once_and_kept_as_a_hash(world: World) {
    let body = json!({"name": " nightly export ", "scopes": ["pages:read", "pages:read", "earnings:read"]});
    let create = |key: &'static str| world.post(TOKENS).bearer(token("alice")).key(key).json(body.clone()).send();
    let made = create("k1").await;
    let location = made.header("location").unwrap().to_owned();
    let made = made.expect(201);
    let token_text = text(&made);
    assert!(token_text.starts_with("slc_") && token_text.len() == 80, "{token_text}");
    assert_eq!(made["name"], "nightly export");
    assert_eq!(made["scopes"], json!(["earnings:read", "pages:read"]));
    assert_eq!((&made["handles"], &made["lastUsedAt"]), (&Value::Null, &Value::Null));
    // Repeated with its key, the answer comes again, but not the token.
    let again = create("k1").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let again = again.expect(201);
    assert_eq!((&again["id"], &again["token"]), (&made["id"], &Value::Null));
    assert_ne!(text(&create("k2").await.expect(201)), token_text);
    // Read again, there is no trace of it.
    let read = world.get(&location).bearer(token("alice")).send().await;
    assert_eq!(read.expect(200)["id"], made["id"]);
    let list = world.get(TOKENS).bearer(token("alice")).send().await;
    assert_eq!(list.expect(200)["data"].as_array().unwrap().len(), 2);
    let secret = token_text.rsplit_once('_').unwrap().1;
    for shown in [&read.text, &list.text] {
        assert!(!shown.contains(secret) && !shown.contains("token\""), "{shown}");
    }
    let kept = format!(
        "SELECT CAST((SELECT count(*) FROM access_token WHERE token_hash LIKE '%{secret}%') \
         + (SELECT count(*) FROM idempotency WHERE body LIKE '%{secret}%') \
         + (SELECT count(*) FROM audit_log WHERE target LIKE '%{secret}%') AS BIGINT) AS number"
    );
    assert_eq!(world.number(&kept).await, 0);
}

async fn a_token_does_what_its_scopes_say(world: World) {
    world.handle("alice").await;
    world.member("alice", "bob", "operator").await;
    let page = || json!({"slug": "p", "title": "P", "mode": "PUBLIC"});
    let reader = world.access_token("alice", &["pages:read"]).await;
    assert_eq!(status(&world, "/v2/handles/alice/pages", &reader).await, 200);
    for path in ["/v2/handles/alice", "/v2/handles/alice/earnings", "/v2/handles/alice/members"] {
        assert_eq!(status(&world, path, &reader).await, 403, "{path}");
    }
    let refused = world.post("/v2/handles/alice/pages").bearer(&reader).json(page()).send().await;
    let problem = refused.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("pages:write"), "{problem}");
    // It never may more than its owner: bob's role sees no earnings, and mallory is nobody here.
    let bobs = world.access_token("bob", &["pages:write", "earnings:read"]).await;
    world.post("/v2/handles/alice/pages").bearer(&bobs).json(page()).send().await.expect(201);
    assert_eq!(status(&world, "/v2/handles/alice/earnings", &bobs).await, 403);
    let mallorys = world.access_token("mallory", &["pages:read"]).await;
    assert_eq!(status(&world, "/v2/handles/alice/pages", &mallorys).await, 403);
    // Out of the handle, out with the token.
    let remove = world.call("DELETE", "/v2/handles/alice/members/bob").bearer(token("alice"));
    remove.send().await.expect(200);
    assert_eq!(status(&world, "/v2/handles/alice/pages", &bobs).await, 403);
}

async fn a_token_for_one_handle_opens_no_other(world: World) {
    world.handle("alice").await;
    world.handle("second").await;
    let scopes = json!(["handles:read", "handles:write", "runs:read"]);
    let made = make(&world, json!({"name": "n", "scopes": scopes, "handles": ["second", "second"]})).await;
    let made = made.expect(201);
    assert_eq!(made["handles"], json!(["second"]));
    let limited = text(&made);
    assert_eq!(status(&world, "/v2/handles/second", limited).await, 200);
    assert_eq!(status(&world, "/v2/handles/alice", limited).await, 403);
    let body = json!({"handle": "third", "displayName": "T"});
    let refused = world.post("/v2/handles").bearer(limited).json(body.clone()).send().await;
    refused.problem(403, "forbidden");
    // Runs of other handles are not there for it.
    let path = "/v2/handles/alice/connect/onboarding";
    let run = world.post(path).bearer(token("alice")).send().await.expect(200)["runId"].clone();
    let run = format!("/v2/runs/{}", run.as_str().unwrap());
    let seen = world.get(&run).bearer(limited).send().await;
    seen.problem(404, "unknown_run");
    let wide = make(&world, json!({"name": "n", "scopes": scopes})).await.expect(201);
    assert_eq!(status(&world, &run, text(&wide)).await, 200);
    world.post("/v2/handles").bearer(text(&wide)).json(body).send().await.expect(201);
}

async fn tokens_make_no_tokens_and_have_no_role(world: World) {
    let scopes: Vec<_> = api::Permission::ALL.iter().map(|scope| scope.name()).collect();
    let body = json!({"name": "all", "scopes": scopes});
    let made = world.post(TOKENS).bearer(operator_token()).json(body.clone()).send().await;
    let made = made.expect(201);
    let all = text(&made);
    world.post(TOKENS).bearer(all).json(body).send().await.problem(403, "forbidden");
    world.get(TOKENS).bearer(all).send().await.problem(403, "forbidden");
    let path = format!("{TOKENS}/{}", made["id"].as_str().unwrap());
    world.get(&path).bearer(all).send().await.problem(403, "forbidden");
    world.call("DELETE", &path).bearer(all).send().await.problem(403, "forbidden");
    // Its owner is an operator of the platform; the token is not.
    assert_eq!(status(&world, "/v2/operator/audit-log", &operator_token()).await, 200);
    assert_eq!(status(&world, "/v2/operator/audit-log", all).await, 403);
}

async fn a_revoked_token_is_nothing(world: World) {
    world.handle("alice").await;
    let made = make(&world, json!({"name": "n", "scopes": ["handles:read"]})).await.expect(201);
    let path = format!("{TOKENS}/{}", made["id"].as_str().unwrap());
    assert_eq!(status(&world, "/v2/handles/alice", text(&made)).await, 200);
    let other = world.call("DELETE", &path).bearer(token("mallory")).send().await;
    other.problem(404, "unknown_token");
    world.get(&path).bearer(token("mallory")).send().await.problem(404, "unknown_token");
    assert_eq!(status(&world, "/v2/handles/alice", text(&made)).await, 200);
    world.call("DELETE", &path).bearer(token("alice")).send().await.expect(200);
    let seen = world.get("/v2/handles/alice").bearer(text(&made)).send().await;
    seen.problem(401, "token_invalid");
    world.call("DELETE", &path).bearer(token("alice")).send().await.problem(404, "unknown_token");
}

async fn a_token_ends_when_it_should(world: World) {
    world.handle("alice").await;
    let hour = 3_600_000;
    let now = world.engine.clock().local_millis() / 1_000;
    let at = |seconds: i64| {
        let at = time::OffsetDateTime::from_unix_timestamp(now + seconds).unwrap();
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let body = |at: Value| json!({"name": "n", "scopes": ["handles:read"], "expiresAt": at});
    for (at, status) in [(at(-1), 400), (at(367 * 86_400), 400), ("tomorrow".to_owned(), 400)] {
        let seen = make(&world, body(json!(at))).await;
        assert_eq!(seen.problem(status, "invalid_request")["errors"][0]["field"], "expiresAt", "{at}");
    }
    let made = make(&world, body(json!(at(3_600)))).await.expect(201);
    let standard = make(&world, body(Value::Null)).await.expect(201);
    world.engine.clock().advance(hour - 10_000);
    assert_eq!(status(&world, "/v2/handles/alice", text(&made)).await, 200);
    world.engine.clock().advance(20_000);
    let seen = world.get("/v2/handles/alice").bearer(text(&made)).send().await;
    seen.problem(401, "token_expired");
    world.engine.clock().advance(89 * 24 * hour);
    assert_eq!(status(&world, "/v2/handles/alice", text(&standard)).await, 200);
    world.engine.clock().advance(24 * hour);
    assert_eq!(status(&world, "/v2/handles/alice", text(&standard)).await, 401);
}

async fn a_token_that_is_not_quite_one_opens_nothing(world: World) {
    world.handle("alice").await;
    let good = world.access_token("alice", &["handles:read"]).await;
    let other = world.access_token("alice", &["handles:read"]).await;
    let (id, secret) = good.rsplit_once('_').unwrap();
    let turned: String = secret.chars().map(|c| if c == 'a' { 'b' } else { c }).rev().collect();
    let forged = [
        good[..79].to_owned(),
        format!("{good}A"),
        format!("{id}_{turned}"),
        format!("{id}_{}", other.rsplit_once('_').unwrap().1),
        good.to_uppercase(),
        good.replace("slc_", "slc_0"),
        "slc_".to_owned(),
        "slc_ä".to_owned(),
    ];
    for token in forged {
        if let Ok(header) = poem::http::HeaderValue::from_str(&token)
            && header.to_str().is_ok()
        {
            assert_eq!(status(&world, "/v2/handles/alice", &token).await, 401, "{token}");
        }
    }
    assert_eq!(status(&world, "/v2/handles/alice", &good).await, 200);
}

async fn its_use_is_noted_once_a_minute(world: World) {
    world.handle("alice").await;
    let made = make(&world, json!({"name": "n", "scopes": ["handles:read"]})).await.expect(201);
    let path = format!("{TOKENS}/{}", made["id"].as_str().unwrap());
    let used = || async {
        world.get(&path).bearer(token("alice")).send().await.expect(200)["lastUsedAt"].clone()
    };
    assert_eq!(used().await, Value::Null);
    status(&world, "/v2/handles/alice", text(&made)).await;
    let first = used().await;
    assert!(first.is_string());
    world.engine.clock().advance(30_000);
    status(&world, "/v2/handles/alice", text(&made)).await;
    assert_eq!(used().await, first, "not at every request");
    world.engine.clock().advance(31_000);
    status(&world, "/v2/handles/alice", text(&made)).await;
    assert_ne!(used().await, first);
}

async fn long_lists_come_in_parts(world: World) {
    for n in 0..5 {
        make(&world, json!({"name": format!("n{n}"), "scopes": ["pages:read"]})).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{TOKENS}?limit=2{cursor}");
        let list = world.get(path).bearer(token("alice")).send().await.expect(200);
        seen.extend(list["data"].as_array().unwrap().iter().map(|token| token["name"].clone()));
        let Some(next) = list["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["n4", "n3", "n2", "n1", "n0"]);
}

}
