//! The first sale, route by route.

use serde_json::json;

use crate::{
    on_both,
    stripe::{event, paid},
    world::{CONNECT_SECRET, World, operator_token, token},
};

on_both! {

async fn the_first_sale(world: World) {
    let alice = token("alice");

    // A handle.
    let body = json!({"handle": "alice", "displayName": " Alice's "});
    let seen = world.post("/v2/handles").bearer(&alice).json(body).send().await;
    let handle = seen.expect(201);
    assert_eq!(seen.header("location"), Some("/v2/handles/alice"));
    assert_eq!(handle["displayName"], "Alice's");
    let read = world.get("/v2/handles/alice").bearer(&alice).send().await.expect(200);
    assert_eq!(read, handle);

    // A draft: on a plan that sells pages, and cannot be sold yet.
    let body = json!({
        "slug": "guide", "title": "A guide", "body": "the secret", "mode": "PAID", "priceCents": 1999
    });
    let pages = "/v2/handles/alice/pages";
    let free = world.post(pages).bearer(&alice).json(body.clone()).send().await;
    free.problem(403, "feature_locked");
    world.set_plan("alice", "PRO").await;
    let page = world.post(pages).bearer(&alice).json(body).send().await.expect(201);
    assert_eq!((&page["status"], &page["version"]), (&json!("DRAFT"), &json!(1)));
    assert_eq!((&page["currency"], &page["markerSync"]), (&json!("USD"), &json!(null)));
    let publish = "/v2/handles/alice/pages/guide/publish";
    let refused = world.post(publish).bearer(&alice).send().await.problem(409, "connect_not_ready");
    assert_eq!(refused["blockers"][0]["code"], "onboarding_not_started");
    assert_eq!(refused["blockers"][0]["effect"], "NO_SALES");

    // Onboarding.
    let status = "/v2/handles/alice/connect/status";
    let before = world.get(status).bearer(&alice).send().await.expect(200);
    assert_eq!(before["status"], "NOT_STARTED");
    *world.stripe.due.lock().unwrap() = vec!["external_account".to_owned()];
    let onboarding = "/v2/handles/alice/connect/onboarding";
    let link = world.post(onboarding).bearer(&alice).json(json!({"country": "DE"})).send().await;
    let link = link.expect(200);
    assert!(link["url"].as_str().unwrap().starts_with("https://connect.stripe.test/"), "{link}");
    assert!(link["accountId"].as_str().unwrap().starts_with("acct_"), "{link}");
    world.settle().await;
    let during = world.get(status).bearer(&alice).send().await.expect(200);
    assert_eq!(during["status"], "ONBOARDING");
    assert_eq!(during["requirements"]["currentlyDue"], json!(["external_account"]));
    let bank = &during["blockers"][1];
    assert_eq!(
        (&bank["code"], &bank["field"]),
        (&json!("bank_account"), &json!("external_account"))
    );

    // The creator fills the form in; Stripe says so.
    *world.stripe.connected.lock().unwrap() = true;
    world.stripe.due.lock().unwrap().clear();
    let mut updated = event("evt_connected", "account.updated", json!({"object": "account"}));
    updated["account"] = link["accountId"].clone();
    let path = "/v2/public/stripe/connect-webhook";
    world.signed(path, CONNECT_SECRET, &updated).await.expect(200);
    world.settle().await;
    let after = world.get(status).bearer(&alice).send().await.expect(200);
    assert_eq!((&after["status"], &after["blockers"]), (&json!("CONNECTED"), &json!([])));

    // On sale.
    let published = world.post(publish).bearer(&alice).send().await.expect(200);
    assert_eq!((&published["status"], &published["version"]), (&json!("PUBLISHED"), &json!(2)));
    assert_eq!(published["markerSync"]["status"], "SYNCING");
    world.settle().await;
    let synced = world.get("/v2/handles/alice/pages/guide").bearer(&alice).send().await.expect(200);
    assert_eq!(synced["markerSync"]["status"], "SYNCED");
    let list = world.get(pages).bearer(&alice).send().await.expect(200);
    assert_eq!((&list["data"][0], &list["nextCursor"]), (&synced, &json!(null)));

    // A stranger sees the price, not the page.
    let public = "/v2/public/pages/alice/guide";
    let stranger = world.get(public).send().await.expect(200);
    assert_eq!((&stranger["priceCents"], &stranger["body"]), (&json!(1999), &json!(null)));
    let access = world.get(format!("{public}/entitlement")).send().await.expect(200);
    assert_eq!((&access["entitled"], &access["reason"]), (&json!(false), &json!("NOT_SIGNED_IN")));

    // A visitor signs in and buys.
    let cookie = world.visitor("Bob@Example.com").await;
    let session = world.get("/v2/visitor/session").cookie(&cookie).send().await.expect(200);
    assert_eq!(session["email"], "bob@example.com");
    let access =
        world.get(format!("{public}/entitlement")).cookie(&cookie).send().await.expect(200);
    assert_eq!(access["reason"], "NOT_PURCHASED");
    let wish = json!({
        "campaignId": "spring", "successUrl": "/thanks", "cancelUrl": "https://alice.example/x"
    });
    let buying = world.post(format!("{public}/checkout")).cookie(&cookie).json(wish).send().await;
    let checkout = buying.expect(200);
    assert_eq!((&checkout["status"], &checkout["amountCents"]), (&json!("OPEN"), &json!(1999)));
    let id = checkout["checkoutId"].as_str().unwrap();
    assert_eq!(checkout["url"], format!("https://checkout.stripe.test/{id}"));
    assert_eq!(checkout["sessionId"], format!("cs_{id}"));
    let own = format!("/v2/public/checkouts/{id}");
    assert_eq!(world.get(&own).cookie(&cookie).send().await.expect(200), checkout);
    let other = world.visitor("eve@example.com").await;
    world.get(&own).cookie(&other).send().await.problem(404, "unknown_checkout");

    // Stripe reports the payment, twice.
    let event = paid("evt_paid", id, 1_999);
    let first = world.webhook(&event).await.expect(200);
    assert_eq!(first, json!({"received": true, "duplicate": false}));
    let again = world.webhook(&event).await.expect(200);
    assert_eq!(again, json!({"received": true, "duplicate": true}));
    world.settle().await;
    let settled = world.get(&own).cookie(&cookie).send().await.expect(200);
    assert_eq!((&settled["status"], &settled["url"]), (&json!("SETTLED"), &json!(null)));
    let access =
        world.get(format!("{public}/entitlement")).cookie(&cookie).send().await.expect(200);
    assert_eq!((&access["grantType"], &access["checkoutId"]), (&json!("PAID"), &json!(id)));
    let body = world.get(public).cookie(&cookie).send().await.expect(200);
    assert_eq!(body["body"], "the secret");
    world.buy(&cookie, "alice", "guide").await.problem(409, "already_entitled");

    // The creator sees what came in, as soon as it is folded.
    let earnings = "/v2/handles/alice/earnings";
    let early = world.get(earnings).bearer(&alice).send().await.expect(200);
    assert_eq!((&early["upToDate"], &early["currency"]), (&json!(false), &json!("USD")));
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
    let earned = world.get(earnings).bearer(&alice).send().await.expect(200);
    assert_eq!(earned["upToDate"], true, "{earned}");
    assert_eq!(
        (&earned["grossCents"], &earned["platformFeeCents"], &earned["netCents"]),
        (&json!(1999), &json!(100), &json!(1899))
    );
    assert_eq!(earned["pendingSettlementCents"], 1899);
    assert_eq!(earned["pages"][0]["pageSlug"], "guide");
    assert_eq!(earned["pages"][0]["netCents"], 1899);
    assert_eq!(earned["campaigns"][0]["campaignId"], "spring");

    // Behind it all is a run.
    let run =
        workflows::id::RunId::of("checkout", id.parse::<workflows::id::CheckoutId>().unwrap().0);
    let path = format!("/v2/runs/{run}");
    let seen = world.get(&path).bearer(&alice).send().await.expect(200);
    assert_eq!((&seen["state"], &seen["subject"]), (&json!("Settled"), &json!(id)));
    assert_eq!(seen["needsAttention"], false);
    assert!(
        seen["effects"]
            .as_array()
            .unwrap()
            .iter()
            .any(|effect| effect["kind"] == "create_checkout_session")
    );
    world.get(&path).bearer(token("mallory")).send().await.problem(404, "unknown_run");
    world.get(&path).bearer(operator_token()).send().await.expect(200);
    let history = world.get(format!("{path}/history")).bearer(&alice).send().await.expect(200);
    let events: Vec<_> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["Request", "SessionCreated", "SessionReported"]);
    world.get(format!("{path}/events")).bearer(&alice).send().await.expect(200);

    // Off sale: those who bought keep their access.
    let unpublish = "/v2/handles/alice/pages/guide/unpublish";
    let off = world.post(unpublish).bearer(&alice).send().await.expect(200);
    assert_eq!(off["status"], "UNPUBLISHED");
    let read = world.get(public).cookie(&cookie).send().await.expect(200);
    assert_eq!(read["entitled"], true);
    world.get(format!("{public}/entitlement")).cookie(&cookie).send().await.expect(200);
    world.get(public).cookie(&other).send().await.problem(404, "unknown_page");
    world
        .get(format!("{public}/entitlement"))
        .cookie(&other)
        .send()
        .await
        .problem(404, "unknown_page");
    world.settle().await;
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    assert_eq!(world.engine.check().await.unwrap(), []);
}

async fn a_free_page_is_granted_without_stripe(world: World) {
    world.handle("alice").await;
    let alice = token("alice");
    let body = json!({"slug": "free", "title": "Free", "body": "hello", "mode": "FREE_WITH_LOGIN"});
    world.post("/v2/handles/alice/pages").bearer(&alice).json(body).send().await.expect(201);
    world.post("/v2/handles/alice/pages/free/publish").bearer(&alice).send().await.expect(200);
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "free").await.expect(200);
    assert_eq!((&checkout["status"], &checkout["amountCents"]), (&json!("SETTLED"), &json!(0)));
    assert_eq!((&checkout["url"], &checkout["sessionId"]), (&json!(null), &json!(null)));
    let path = "/v2/public/pages/alice/free";
    let access = world.get(format!("{path}/entitlement")).cookie(&cookie).send().await.expect(200);
    assert_eq!(access["grantType"], "FREE");
    assert_eq!(world.get(path).cookie(&cookie).send().await.expect(200)["body"], "hello");
    assert_eq!(world.stripe.made("session"), 0);
}

async fn a_public_page_is_open_to_everybody(world: World) {
    world.handle("alice").await;
    let alice = token("alice");
    let body = json!({"slug": "open", "title": "Open", "body": "hello", "mode": "PUBLIC"});
    world.post("/v2/handles/alice/pages").bearer(&alice).json(body).send().await.expect(201);
    world.get("/v2/public/pages/alice/open").send().await.problem(404, "unknown_page");
    world.post("/v2/handles/alice/pages/open/publish").bearer(&alice).send().await.expect(200);
    let read = world.get("/v2/public/pages/alice/open").send().await.expect(200);
    assert_eq!((&read["body"], &read["entitled"]), (&json!("hello"), &json!(true)));
    let cookie = world.visitor("bob@example.com").await;
    world.buy(&cookie, "alice", "open").await.problem(409, "not_for_sale");
}

async fn onboarding_again_gives_a_fresh_link_to_the_same_account(world: World) {
    world.handle("alice").await;
    let path = "/v2/handles/alice/connect/onboarding";
    let first = world.post(path).bearer(token("alice")).send().await.expect(200);
    let second = world.post(path).bearer(token("alice")).send().await.expect(200);
    assert_eq!(first["accountId"], second["accountId"]);
    assert_ne!(first["url"], second["url"]);
    assert_eq!((world.stripe.made("account"), world.stripe.made("link")), (1, 2));
}

async fn the_return_page_has_the_account_read_once_a_minute(world: World) {
    world.handle("alice").await;
    let rows = world.rows().await;
    let seen = world.get("/v2/handles/alice/connect/return").send().await;
    assert_eq!((seen.status, world.rows().await), (200, rows), "there is no account to read");
    let path = "/v2/handles/alice/connect/onboarding";
    world.post(path).bearer(token("alice")).send().await.expect(200);
    world.stop_working().await;
    world.get("/v2/handles/alice/connect/return").send().await.expect(200);
    let rows = world.rows().await;
    let minute = world.engine.clock().local_millis() / 60_000;
    let seen = world.get("/v2/handles/alice/connect/return").send().await;
    assert!(seen.text.contains("You can close this page"), "{}", seen.text);
    assert!(seen.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let same_minute = world.engine.clock().local_millis() / 60_000 == minute;
    assert!(!same_minute || world.rows().await <= rows + 1);
    world.get("/v2/handles/nobody/connect/return").send().await.problem(404, "unknown_handle");
    world.get("/v2/handles/alice/connect/refresh").send().await.expect(200);
}

async fn lists_go_on_where_they_ended(world: World) {
    world.handle("alice").await;
    let alice = token("alice");
    for n in 0..5 {
        let body = json!({"slug": format!("p{n}"), "title": "P", "mode": "PUBLIC"});
        world.post("/v2/handles/alice/pages").bearer(&alice).json(body).send().await.expect(201);
    }
    let (mut slugs, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v2/handles/alice/pages?limit=2{cursor}");
        let list = world.get(path).bearer(&alice).send().await.expect(200);
        let page = list["data"].as_array().unwrap();
        slugs.extend(page.iter().map(|page| page["slug"].as_str().unwrap().to_owned()));
        match list["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(slugs, ["p0", "p1", "p2", "p3", "p4"]);
}

}
