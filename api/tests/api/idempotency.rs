//! Idempotency keys: the same request twice is one write and one answer.

use entities::idempotency;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    client::{Call, Seen},
    on_both,
    world::{Setup, World, token},
};

const CHECKOUT: &str = "/v2/public/pages/alice/guide/checkout";

async fn count(world: &World, table: &str) -> i64 {
    world.number(&format!("SELECT count(*) AS number FROM {table}")).await
}

/// Everybody got the one answer, or was told to wait.
fn expect_one_answer(seen: &[Seen], status: u16) -> serde_json::Value {
    let (done, waiting): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.status == status);
    for seen in waiting {
        seen.problem(409, "idempotency_in_progress");
        assert!(seen.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    let answers: Vec<_> = done.iter().map(|seen| seen.expect(status)).collect();
    assert!(
        !answers.is_empty() && answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let fresh = done.iter().filter(|seen| seen.header("idempotent-replayed").is_none()).count();
    assert_eq!(fresh, 1, "{done:?}");
    answers[0].clone()
}

on_both! {

async fn the_first_answer_is_given_again(world: World) {
    let body = json!({"handle": "alice", "displayName": "Alice"});
    let create = |body: serde_json::Value| {
        world.post("/v2/handles").bearer(token("alice")).key("k1").json(body).send()
    };
    let first = create(body.clone()).await;
    let mut more = body.clone();
    more["unknown"] = json!("fields make no difference");
    let again = create(more).await;
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        (None, Some("true"))
    );
    create(json!({"handle": "other", "displayName": "Alice"}))
        .await
        .problem(422, "idempotency_mismatch");
    // Keys belong to their caller, and to their operation.
    let other =
        world.post("/v2/handles").bearer(token("bob")).key("k1").json(body.clone()).send().await;
    other.problem(409, "handle_taken");
    let page = json!({"slug": "p", "title": "P", "mode": "PUBLIC"});
    let page = world
        .post("/v2/handles/alice/pages")
        .bearer(token("alice"))
        .key("k1")
        .json(page)
        .send()
        .await;
    page.problem(422, "idempotency_mismatch");
    // After a day the key is free.
    world.engine.clock().advance(86_400_001);
    create(body).await.problem(409, "handle_taken");
}

async fn what_came_to_nothing_leaves_no_key(world: World) {
    world.handle("alice").await;
    let before = count(&world, "idempotency").await;
    let body = json!({"handle": "alice", "displayName": "A"});
    let seen = world.post("/v2/handles").bearer(token("bob")).key("k").json(body).send().await;
    seen.problem(409, "handle_taken");
    assert_eq!(count(&world, "idempotency").await, before);
    let body = json!({"handle": "bobby", "displayName": "B"});
    world.post("/v2/handles").bearer(token("bob")).key("k").json(body).send().await.expect(201);
}

async fn of_many_at_once_one_is_carried_out(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let tries =
        (0..6).map(|_| world.post(CHECKOUT).cookie(&cookie).key("k1").json(json!({})).send());
    let seen = futures::future::join_all(tries).await;
    assert_eq!(count(&world, "checkout").await, 1);
    let done: Vec<_> =
        seen.iter().filter(|seen| seen.status == 200).map(|seen| seen.expect(200)).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| answer == &done[0]), "{done:?}");
    for seen in seen.iter().filter(|seen| seen.status != 200) {
        seen.problem(409, "idempotency_in_progress");
        assert!(seen.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    let again = world.post(CHECKOUT).cookie(&cookie).key("k1").json(json!({})).send().await;
    assert_eq!(again.expect(200), done[0]);
    assert_eq!(world.stripe.made("session"), 1);
}

// Two API processes that share nothing but the database.
async fn of_many_at_two_processes_one_is_carried_out(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let other = world.another_api(Setup::default()).await;
    let both = [&world.app, &other];
    let tries = (0..12).map(|n| {
        let call = Call::new(both[n % 2], "POST", CHECKOUT).cookie(&cookie);
        call.key("race").json(json!({})).send()
    });
    let seen = futures::future::join_all(tries).await;
    let done = expect_one_answer(&seen, 200);
    assert_eq!((count(&world, "checkout").await, world.stripe.made("session")), (1, 1));
    let again = Call::new(&other, "POST", CHECKOUT).cookie(&cookie).key("race").json(json!({}));
    assert_eq!(again.send().await.expect(200), done);

    // A write that is answered in its own transaction.
    let create = |app, n: usize| {
        let name = if n < 8 { "gallery" } else { "another-body" };
        let body = json!({"slug": name, "title": "G", "mode": "PUBLIC"});
        let call = Call::new(app, "POST", "/v2/handles/alice/pages").bearer(token("alice"));
        call.key("race").json(body).send()
    };
    let seen =
        futures::future::join_all((0..12).map(|n| create(both[n % 2], n))).await;
    let (mismatched, seen): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| seen.status == 422);
    expect_one_answer(&seen, 201);
    assert!(mismatched.len() == 4 || mismatched.len() == 8, "{mismatched:?}");
    let pages = "SELECT count(*) AS number FROM page WHERE slug IN ('gallery', 'another-body')";
    assert_eq!(world.number(pages).await, 1);
}

async fn two_keys_are_no_key(world: World) {
    let body = json!({"handle": "alice", "displayName": "Alice"});
    let call = world.post("/v2/handles").bearer(token("alice")).key("a").key("b").json(body);
    let problem = call.send().await.problem(400, "invalid_request");
    assert_eq!(problem["errors"][0]["field"], "Idempotency-Key");
    assert_eq!(count(&world, "handle").await, 0);
}

async fn an_answer_survives_the_process(world: World) {
    let body = json!({"handle": "alice", "displayName": "Alice"});
    let first =
        world.post("/v2/handles").bearer(token("alice")).key("k").json(body.clone()).send().await;
    let restarted = world.another_api(Setup::default()).await;
    let again = Call::new(&restarted, "POST", "/v2/handles").bearer(token("alice")).key("k");
    let again = again.json(body).send().await;
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("location"), Some("/v2/handles/alice"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

// A day later the key is free, and nobody else's key is deleted on the way.
async fn a_key_that_is_a_day_old_is_free(world: World) {
    let create = |key: &str, name: &str| {
        let body = json!({"handle": name, "displayName": "A"});
        world.post("/v2/handles").bearer(token("alice")).key(key).json(body).send()
    };
    create("k1", "one").await.expect(201);
    create("k2", "two").await.expect(201);
    world.engine.clock().advance(86_400_001);
    create("k1", "three").await.expect(201);
    assert_eq!(count(&world, "idempotency").await, 2);
    assert_eq!(world.engine.retain().await.unwrap().answers, 1);
    assert_eq!(count(&world, "idempotency").await, 1);
}

// The process died after the commit: the key is there, the purchase is, the answer is not.
async fn a_write_that_a_crash_left_is_taken_up_again(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let buy = || world.post(CHECKOUT).cookie(&cookie).key("k1").json(json!({})).send();
    let first = buy().await.expect(200);
    let db = world.engine.database().write();
    db.execute_unprepared("UPDATE idempotency SET status = NULL, body = NULL").await.unwrap();
    let busy = buy().await;
    busy.problem(409, "idempotency_in_progress");
    let wait: u64 = busy.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait));
    world.engine.clock().advance(61_000);
    let again = buy().await.expect(200);
    assert_eq!(again["checkoutId"], first["checkoutId"]);
    assert_eq!(count(&world, "checkout").await, 1);
    assert_eq!(buy().await.expect(200), again);
}

async fn an_onboarding_link_is_not_kept_among_the_answers(world: World) {
    world.handle("alice").await;
    let path = "/v2/handles/alice/connect/onboarding";
    let start = || world.post(path).bearer(token("alice")).key("k1").send();
    let first = start().await.expect(200);
    let row =
        idempotency::find(world.engine.database().read(), "subject:alice", "k1").await.unwrap();
    assert!(!row.unwrap().body.unwrap().contains("https://"));
    assert_eq!(start().await.expect(200), first, "while it is good, it is given again");
    world.post(path).bearer(token("alice")).send().await.expect(200);
    let later = start().await.expect(200);
    assert_eq!(later["url"], json!(null), "a newer link is not the first answer");
    assert_eq!(world.stripe.made("link"), 2);
}

async fn publishing_is_repeated_safely(world: World) {
    world.seller("alice").await;
    let page = json!({"slug": "guide", "title": "G", "mode": "PAID", "priceCents": 1000});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).key("a").json(page).send().await.expect(201);
    let path = format!("{pages}/guide/publish");
    let publish =
        || world.post(&path).bearer(token("alice")).key("b").header("if-match", "1").send();
    let first = publish().await.expect(200);
    assert_eq!(publish().await.expect(200), first);
    let change = || {
        let body = json!({"title": "N", "version": 2});
        world
            .call("PATCH", format!("{pages}/guide"))
            .bearer(token("alice"))
            .key("c")
            .json(body)
            .send()
    };
    let changed = change().await.expect(200);
    assert_eq!((changed["version"].clone(), change().await.expect(200)), (json!(3), changed));
}

}
