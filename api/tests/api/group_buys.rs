//! Group buys: from a draft to what becomes of it, as creators and visitors see it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use workflows::{Timestamp, group_buy::News};

use crate::{
    client::Seen,
    on_both,
    world::{Setup, World, token},
};

const GROUP_BUYS: &str = "/v2/handles/alice/group-buys";
const DROP: &str = "/v2/handles/alice/group-buys/drop";
const PUBLIC: &str = "/v2/public/group-buys/alice/drop";

impl World {
    /// A draft of alice's.
    pub async fn draft(&self, slug: &str, target: i64, deadline: Option<String>) -> Value {
        let body = json!({
            "slug": slug, "title": "A drop", "description": "Made once.", "targetQuantity": target,
            "deadline": deadline
        });
        let made = self.post(GROUP_BUYS).bearer(token("alice")).json(body).send().await;
        made.expect(201)
    }

    /// A published group buy of alice's.
    pub async fn group_buy(&self, slug: &str, target: i64, deadline: Option<String>) {
        self.draft(slug, target, deadline).await;
        let path = format!("{GROUP_BUYS}/{slug}/publish");
        self.post(path).bearer(token("alice")).send().await.expect(200);
        self.settle().await;
    }

    /// An offer of a page of alice's, by its id.
    pub async fn offer(&self, page: &str) -> String {
        let body = json!({"title": "The thing itself", "pageSlug": page});
        let offers = "/v2/handles/alice/offers";
        let made = self.post(offers).bearer(token("alice")).json(body).send().await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// A page of alice's that only a group buy opens, perhaps only to those who are interested.
    pub async fn gate(&self, page: &str, slug: &str, require_active_interest: bool) -> String {
        let offer = self.offer(page).await;
        self.link(&offer, slug, require_active_interest).await.expect(200);
        offer
    }

    pub async fn link(&self, offer: &str, slug: &str, require_active_interest: bool) -> Seen {
        let body = json!({
            "groupBuySlug": slug, "gate": "LAUNCH_THRESHOLD",
            "requireActiveInterest": require_active_interest
        });
        let path = format!("/v2/handles/alice/offers/{offer}/group-buy");
        self.call("PUT", path).bearer(token("alice")).json(body).send().await
    }

    pub async fn want(&self, cookie: &str, slug: &str, quantity: i64) -> Seen {
        let path = format!("/v2/public/group-buys/alice/{slug}/interest");
        self.post(path).cookie(cookie).json(json!({"quantity": quantity})).send().await
    }

    pub async fn withdraw(&self, cookie: &str, slug: &str) -> Seen {
        let path = format!("/v2/public/group-buys/alice/{slug}/interest");
        self.call("DELETE", path).cookie(cookie).send().await
    }

    pub async fn drop_as(&self, cookie: &str) -> Value {
        self.get(PUBLIC).cookie(cookie).send().await.expect(200)
    }

    /// A moment so many milliseconds ahead, as this world's clock goes.
    pub fn moment_in(&self, millis: i64) -> String {
        let at = (self.engine.clock().local_millis() + millis) / 1_000;
        OffsetDateTime::from_unix_timestamp(at).unwrap().format(&Rfc3339).unwrap()
    }

    /// How many visitors were mailed what, and that nobody was twice.
    pub async fn told(&self, news: News) -> usize {
        self.settle().await;
        let told = self.stripe.told.lock().unwrap();
        let told: Vec<_> = told.iter().filter(|(_, what)| *what == news).collect();
        assert_eq!(
            told.iter().collect::<BTreeSet<_>>().len(),
            told.len(),
            "somebody was told twice"
        );
        told.len()
    }

    /// Every invariant holds.
    pub async fn check_all(&self) {
        self.engine.clock().advance(6_000);
        self.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
        self.settle().await;
        assert_eq!(self.engine.check().await.unwrap(), []);
    }
}

on_both! {

async fn a_group_buy_from_its_draft_to_its_activation(world: World) {
    world.handle("alice").await;
    let draft = world.draft("drop", 5, None).await;
    assert_eq!((&draft["status"], &draft["publishedAt"]), (&json!("DRAFT"), &json!(null)));
    let bob = world.visitor("bob@example.com").await;
    let eve = world.visitor("eve@example.com").await;
    world.get(PUBLIC).send().await.problem(404, "unknown_group_buy");
    world.want(&bob, "drop", 1).await.problem(404, "unknown_group_buy");
    let list = world.get("/v2/public/group-buys/alice").send().await.expect(200);
    assert_eq!(list["data"], json!([]));

    let publish = format!("{DROP}/publish");
    let published = world.post(&publish).bearer(token("alice")).send().await.expect(200);
    assert_eq!(published["status"], "COLLECTING");
    world.post(&publish).bearer(token("alice")).send().await.expect(200);
    let list = world.get("/v2/public/group-buys/alice").send().await.expect(200);
    assert_eq!(list["data"][0]["slug"], "drop");

    let wanted = world.want(&bob, "drop", 2).await;
    assert_eq!(wanted.header("location"), Some(PUBLIC));
    let wanted = wanted.expect(201);
    assert_eq!((&wanted["interestQuantity"], &wanted["fillRate"]), (&json!(2), &json!(0.4)));
    assert_eq!(wanted["interest"]["position"], 1);
    // The same again, and another quantity: one interest a visitor.
    world.want(&bob, "drop", 2).await.expect(200);
    let changed = world.want(&bob, "drop", 3).await.expect(200);
    assert_eq!(
        (&changed["interestQuantity"], &changed["interestedVisitors"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(world.drop_as(&bob).await["interest"]["quantity"], 3);
    assert_eq!(world.drop_as(&eve).await["interest"], json!(null));
    let activation = format!("{PUBLIC}/activation");
    let early = world.get(&activation).send().await.problem(409, "threshold_not_reached");
    assert_eq!(early["groupBuy"]["missingQuantity"], 2);

    let reached = world.want(&eve, "drop", 4).await.expect(201);
    assert_eq!((&reached["status"], &reached["fillRate"]), (&json!("ACTIVATED"), &json!(1.4)));
    assert_eq!(world.told(News::Activated).await, 2);
    let seen = world.drop_as(&eve).await;
    assert_eq!(seen["status"], "ACTIVATED");
    let (made, mine) = (&seen["activation"], &seen["interest"]["participant"]);
    assert_eq!((&made["interestQuantity"], &made["interestedVisitors"]), (&json!(7), &json!(2)));
    // Anybody verifies it.
    let list = world.get(&activation).send().await;
    list.expect(200);
    assert_eq!(hex::encode(Sha256::digest(&list.text)), made["sha256"].as_str().unwrap());
    let head = world.call("HEAD", &activation).send().await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let lines: Vec<_> = list.text.lines().collect();
    assert_eq!(lines.len(), 4, "{}", list.text);
    assert!(lines[2].starts_with("2,3,"), "{}", list.text);
    assert_eq!(lines[3], format!("3,4,{}", mine.as_str().unwrap()));
    assert!(!list.text.contains("vis_"), "nobody finds anybody else");
    // It stays what it was, whatever comes later.
    world.withdraw(&eve, "drop").await.expect(200);
    world.want(&bob, "drop", 1).await.expect(200);
    let ann = world.visitor("ann@example.com").await;
    assert_eq!(world.want(&ann, "drop", 1).await.expect(201)["status"], "ACTIVATED");
    assert_eq!(world.get(&activation).send().await.text, list.text);
    let creators = world.get(DROP).bearer(token("alice")).send().await.expect(200);
    assert_eq!(creators["activation"], *made);
    assert_eq!(creators["interestQuantity"], 2);
    assert_eq!(world.told(News::Activated).await, 2, "who comes later sees that it is open");
    world.check_all().await;
}

async fn a_group_buy_that_lapses_says_so(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    world.group_buy("drop", 5, Some(world.moment_in(Timestamp::HOUR))).await;
    world.gate("guide", "drop", false).await;
    let mut cookies = Vec::new();
    for name in ["bob", "eve", "dan"] {
        let cookie = world.visitor(&format!("{name}@example.com")).await;
        world.want(&cookie, "drop", 1).await.expect(201);
        cookies.push(cookie);
    }
    world.withdraw(&cookies[2], "drop").await.expect(200);
    world.engine.clock().advance(Timestamp::HOUR);
    // Whether or not anybody has noted it yet.
    let late = world.want(&cookies[2], "drop", 9).await.problem(409, "interest_closed");
    assert!(late["detail"].as_str().unwrap().contains("deadline"), "{late}");
    assert_eq!(world.told(News::Lapsed).await, 2);
    let seen = world.drop_as(&cookies[0]).await;
    assert_eq!((&seen["status"], &seen["interestQuantity"]), (&json!("LAPSED"), &json!(2)));
    world.withdraw(&cookies[0], "drop").await.problem(409, "interest_closed");
    // Who wants nothing has nothing to withdraw, whatever became of it.
    world.withdraw(&cookies[2], "drop").await.expect(200);
    let refused = world.buy(&cookies[0], "alice", "guide").await;
    let refused = refused.problem(409, "threshold_not_reached");
    assert!(refused["detail"].as_str().unwrap().contains("lapsed"), "{refused}");
    let cancel = format!("{DROP}/cancel");
    world.post(cancel).bearer(token("alice")).send().await.problem(409, "group_buy_over");
    let run = world.get(DROP).bearer(token("alice")).send().await.expect(200)["runId"].clone();
    let run = format!("/v2/runs/{}", run.as_str().unwrap());
    let run = world.get(run).bearer(token("alice")).send().await.expect(200);
    assert_eq!((&run["status"], &run["state"]), (&json!("DONE"), &json!("Lapsed")), "{run}");
    world.check_all().await;
}

async fn a_group_buy_is_called_off(world: World) {
    world.handle("alice").await;
    world.group_buy("drop", 5, Some(world.moment_in(Timestamp::HOUR))).await;
    let bob = world.visitor("bob@example.com").await;
    world.want(&bob, "drop", 1).await.expect(201);
    let cancel = || world.post(format!("{DROP}/cancel")).bearer(token("alice"));
    let first = cancel().key("k").send().await.expect(200);
    assert_eq!(first["status"], "CANCELLED");
    assert_eq!(cancel().key("k").send().await.expect(200), first);
    cancel().send().await.expect(200);
    assert_eq!(world.told(News::Cancelled).await, 1);
    let publish = format!("{DROP}/publish");
    world.post(publish).bearer(token("alice")).send().await.problem(409, "group_buy_over");
    world.want(&bob, "drop", 2).await.problem(409, "interest_closed");
    // The deadline passes: it stays what it is.
    world.engine.clock().advance(2 * Timestamp::HOUR);
    assert_eq!(world.told(News::Lapsed).await, 0);
    assert_eq!(world.drop_as(&bob).await["status"], "CANCELLED");
    let log = world.get("/v2/handles/alice/audit-log").bearer(token("alice")).send().await;
    let log = log.expect(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(actions[..2], ["group_buy.cancel", "group_buy.publish"]);

    // What nobody has seen is called off without a word; what is activated is not called off.
    world.draft("quiet", 5, None).await;
    let quiet = format!("{GROUP_BUYS}/quiet/cancel");
    world.post(quiet).bearer(token("alice")).send().await.expect(200);
    world.get("/v2/public/group-buys/alice/quiet").send().await.problem(404, "unknown_group_buy");
    world.group_buy("soon", 1, None).await;
    world.want(&bob, "soon", 1).await.expect(201);
    let soon = format!("{GROUP_BUYS}/soon/cancel");
    world.post(soon).bearer(token("alice")).send().await.problem(409, "group_buy_over");
    assert_eq!(world.told(News::Cancelled).await, 1);
    world.check_all().await;
}

async fn a_preview_says_what_would_happen_and_what_is_missing(world: World) {
    world.handle("alice").await;
    world.draft("drop", 5, None).await;
    let preview = || async {
        let path = format!("{DROP}/preview");
        world.post(path).bearer(token("alice")).send().await.expect(200)
    };
    let codes = |seen: &Value| {
        let all = seen["missing"].as_array().unwrap().iter();
        all.map(|one| one["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let seen = preview().await;
    assert_eq!((&seen["status"], &seen["publishable"]), (&json!("DRAFT"), &json!(true)));
    assert_eq!(codes(&seen), ["one_visitor_may_open_it", "no_offer"]);
    let limit = json!({"maxQuantityPerVisitor": 2});
    world.call("PATCH", DROP).bearer(token("alice")).json(limit).send().await.expect(200);
    assert_eq!(codes(&preview().await), ["no_offer"]);

    let page = json!({"slug": "guide", "title": "G", "mode": "PAID", "priceCents": 900});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    world.gate("guide", "drop", true).await;
    let seen = preview().await;
    assert_eq!(codes(&seen), ["page_not_published", "connect_not_ready"]);
    assert_eq!(seen["missing"][0]["blocks"], "SALES");
    let opens = &seen["opens"][0];
    assert_eq!((&opens["pageSlug"], &opens["priceCents"]), (&json!("guide"), &json!(900)));
    assert_eq!(opens["requireActiveInterest"], true);
    assert_eq!(seen["mails"], json!({"visitors": 0, "quantity": 0}));
    // Nobody else sees it before it is published.
    world.get(PUBLIC).send().await.problem(404, "unknown_group_buy");

    let publish = format!("{DROP}/publish");
    world.post(publish).bearer(token("alice")).send().await.expect(200);
    let bob = world.visitor("bob@example.com").await;
    world.want(&bob, "drop", 2).await.expect(201);
    let seen = preview().await;
    assert_eq!(seen["mails"], json!({"visitors": 1, "quantity": 2}));
    assert_eq!((&seen["missingQuantity"], &seen["publishable"]), (&json!(3), &json!(false)));

    world.draft("huge", 1_000_001, Some(world.moment_in(Timestamp::HOUR))).await;
    world.engine.clock().advance(Timestamp::HOUR);
    let huge = format!("{GROUP_BUYS}/huge");
    let seen = world.post(format!("{huge}/preview")).bearer(token("alice")).send().await;
    let seen = seen.expect(200);
    assert_eq!(codes(&seen), ["target_too_large", "deadline_passed", "no_offer"], "{seen}");
    assert_eq!(seen["publishable"], false);
    let refused = world.post(format!("{huge}/publish")).bearer(token("alice")).send().await;
    refused.problem(409, "group_buy_not_ready");
    // A draft is mended.
    let mended = json!({"targetQuantity": 9, "deadline": null, "title": " Smaller "});
    let mended = world.call("PATCH", &huge).bearer(token("alice")).json(mended).send().await;
    let mended = mended.expect(200);
    assert_eq!(
        (&mended["targetQuantity"], &mended["deadline"], &mended["title"]),
        (&json!(9), &json!(null), &json!("Smaller"))
    );
    assert_eq!(mended["description"], "Made once.", "what is absent stays");
    let put_off = json!({"deadline": world.moment_in(Timestamp::HOUR)});
    let put_off = world.call("PATCH", &huge).bearer(token("alice")).json(put_off).send().await;
    assert!(put_off.expect(200)["deadline"].is_string());
    world.post(format!("{huge}/publish")).bearer(token("alice")).send().await.expect(200);
    assert_eq!(world.get(&huge).bearer(token("alice")).send().await.expect(200)["targetQuantity"], 9);

    world.draft("late", 5, None).await;
    world.set_plan("alice", "FREE").await;
    let seen = world.post(format!("{GROUP_BUYS}/late/preview")).bearer(token("alice")).send().await;
    assert!(codes(&seen.expect(200)).contains(&"feature_locked".to_owned()));
    // What has ended mails nobody any more.
    world.post(format!("{DROP}/cancel")).bearer(token("alice")).send().await.expect(200);
    let seen = preview().await;
    assert_eq!((&seen["status"], &seen["mails"]["visitors"]), (&json!("CANCELLED"), &json!(0)));
}

async fn a_visitor_wants_no_more_than_the_group_buy_lets_them(world: World) {
    world.handle("alice").await;
    let body = json!({
        "slug": "drop", "title": "A drop", "targetQuantity": 5, "maxQuantityPerVisitor": 2
    });
    let made = world.post(GROUP_BUYS).bearer(token("alice")).json(body).send().await.expect(201);
    assert_eq!(made["maxQuantityPerVisitor"], 2);
    let publish = format!("{DROP}/publish");
    world.post(publish).bearer(token("alice")).send().await.expect(200);
    let bob = world.visitor("bob@example.com").await;
    let refused = world.want(&bob, "drop", 3).await.problem(400, "invalid_request");
    assert_eq!(refused["errors"][0]["field"], "quantity", "{refused}");
    world.want(&bob, "drop", 2).await.expect(201);
    // Twice is once.
    world.want(&bob, "drop", 2).await.expect(200);
    assert_eq!(world.drop_as(&bob).await["interestQuantity"], 2);
}

async fn what_is_repeated_with_its_key_gets_the_first_answer(world: World) {
    world.handle("alice").await;
    let page = json!({"slug": "open", "title": "O", "mode": "FREE_WITH_LOGIN"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    let soon = json!({
        "slug": "drop", "title": "A drop", "targetQuantity": 5,
        "deadline": world.moment_in(Timestamp::MINUTE)
    });
    let create = || world.post(GROUP_BUYS).bearer(token("alice")).key("create").json(soon.clone());
    let change = || {
        let body = json!({"title": "Another"});
        world.call("PATCH", DROP).bearer(token("alice")).key("change").json(body)
    };
    let publish = || world.post(format!("{DROP}/publish")).bearer(token("alice")).key("publish");
    let offer = || {
        let body = json!({"title": "O", "pageSlug": "open"});
        world.post("/v2/handles/alice/offers").bearer(token("alice")).key("offer").json(body)
    };
    let made = create().send().await.expect(201);
    let changed = change().send().await.expect(200);
    let offered = offer().send().await.expect(201);
    let path = format!("/v2/handles/alice/offers/{}", offered["id"].as_str().unwrap());
    let link = || {
        let body = json!({"groupBuySlug": "drop", "gate": "LAUNCH_THRESHOLD"});
        let path = format!("{path}/group-buy");
        world.call("PUT", path).bearer(token("alice")).key("link").json(body)
    };
    let linked = link().send().await.expect(200);
    assert_eq!(world.get(&path).bearer(token("alice")).send().await.expect(200), linked);
    let published = publish().send().await.expect(200);
    // Whatever has become of the deadline since.
    world.engine.clock().advance(Timestamp::HOUR);
    world.settle().await;
    for (again, first) in [
        (create().send().await, made),
        (change().send().await, changed),
        (offer().send().await, offered),
        (link().send().await, linked),
        (publish().send().await, published),
    ] {
        assert_eq!(again.expect(again.status), first);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    let other = json!({"slug": "other", "title": "A drop", "targetQuantity": 5});
    let other = world.post(GROUP_BUYS).bearer(token("alice")).key("create").json(other);
    other.send().await.problem(422, "idempotency_mismatch");
    let log = world.get("/v2/handles/alice/audit-log").bearer(token("alice")).send().await;
    let log = log.expect(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|e| &e["action"]).collect();
    assert_eq!(actions[..2], ["group_buy.publish", "offer.link"]);
}

async fn of_a_change_and_a_publication_at_once_what_is_published_stays(world: World) {
    world.handle("alice").await;
    for n in 0..12_i64 {
        let path = format!("{GROUP_BUYS}/drop-{n}");
        world.draft(&format!("drop-{n}"), 5, None).await;
        let change = json!({"targetQuantity": 9});
        let change = world.call("PATCH", &path).bearer(token("alice")).json(change).send();
        let publish = world.post(format!("{path}/publish")).bearer(token("alice")).send();
        let (change, publish) = tokio::join!(change, publish);
        let published = publish.expect(200);
        let target = match change.status {
            200 => 9,
            _ => {
                change.problem(409, "group_buy_published");
                5
            }
        };
        assert_eq!(published["targetQuantity"], target);
        let seen = world.get(&path).bearer(token("alice")).send().await.expect(200);
        assert_eq!(seen["targetQuantity"], target);
    }
}

async fn of_a_link_and_a_cancellation_at_once_one_comes_first(world: World) {
    world.handle("alice").await;
    let page = json!({"slug": "open", "title": "O", "mode": "FREE_WITH_LOGIN"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    for n in 0..8_i64 {
        let slug = format!("drop-{n}");
        world.draft(&slug, 5, None).await;
        let offer = world.offer("open").await;
        let cancel = world.post(format!("{GROUP_BUYS}/{slug}/cancel")).bearer(token("alice")).send();
        let (link, cancel) = tokio::join!(world.link(&offer, &slug, false), cancel);
        cancel.expect(200);
        if link.status != 200 {
            link.problem(409, "group_buy_over");
        }
    }
}

async fn group_buys_are_part_of_a_plan(world: World) {
    world.free_handle("alice").await;
    let body = json!({"slug": "drop", "title": "A drop", "targetQuantity": 5});
    let made = world.post(GROUP_BUYS).bearer(token("alice")).json(body).send().await;
    let problem = made.problem(403, "feature_locked");
    assert_eq!(problem["upgrade"]["feature"], "GROUP_BUYS");
    world.set_plan("alice", "PRO").await;
    world.draft("drop", 5, None).await;
    world.set_plan("alice", "FREE").await;
    let publish = format!("{DROP}/publish");
    world.post(publish).bearer(token("alice")).send().await.problem(403, "feature_locked");
}

async fn lists_are_read_in_parts_and_offers_belong_to_their_handle(world: World) {
    world.handle("alice").await;
    for n in 0..3 {
        world.group_buy(&format!("drop-{n}"), 5, None).await;
    }
    for (path, bearer) in [(GROUP_BUYS, true), ("/v2/public/group-buys/alice", false)] {
        let part = |query: String| {
            let call = world.get(format!("{path}?{query}"));
            if bearer { call.bearer(token("alice")) } else { call }
        };
        let first = part("limit=2".to_owned()).send().await.expect(200);
        assert_eq!(first["data"].as_array().unwrap().len(), 2);
        let cursor = first["nextCursor"].as_str().unwrap();
        let rest = part(format!("limit=2&cursor={cursor}")).send().await.expect(200);
        assert_eq!((rest["data"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &json!(null)));
    }
    let page = json!({"slug": "open", "title": "O", "mode": "FREE_WITH_LOGIN"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    let offer = world.gate("open", "drop-0", false).await;
    let list = world.get("/v2/handles/alice/offers").bearer(token("alice")).send().await;
    let list = list.expect(200);
    assert_eq!(list["data"][0]["groupBuy"]["groupBuySlug"], "drop-0");
    // Another handle of hers knows neither.
    world.handle("other").await;
    let body = json!({"groupBuySlug": "drop-0", "gate": "LAUNCH_THRESHOLD"});
    let path = format!("/v2/handles/other/offers/{offer}/group-buy");
    let seen = world.call("PUT", &path).bearer(token("alice")).json(body).send().await;
    seen.problem(404, "unknown_offer");
    world.link(&offer, "none", false).await.problem(404, "unknown_group_buy");
    let cancel = format!("{GROUP_BUYS}/drop-1/cancel");
    world.post(cancel).bearer(token("alice")).send().await.expect(200);
    world.link(&offer, "drop-1", false).await.problem(409, "group_buy_over");
    let path = format!("/v2/handles/alice/offers/{offer}/group-buy");
    for _ in 0..2 {
        let seen = world.call("DELETE", &path).bearer(token("alice")).send().await.expect(200);
        assert_eq!(seen["groupBuy"], json!(null));
    }
}

async fn s35_a_crowd_over_two_processes_reaches_the_target_once(world: World) {
    world.handle("alice").await;
    world.group_buy("drop", 150, None).await;
    let other = world.another_api(Setup::default()).await;
    let mut cookies = Vec::new();
    for n in 0..60 {
        cookies.push(world.visitor(&format!("visitor-{n}@example.com")).await);
    }
    let path = "/v2/public/group-buys/alice/drop/interest";
    let calls = cookies.iter().enumerate().flat_map(|(n, cookie)| {
        let app = if n % 2 == 0 { &world.app } else { &other };
        let want = |quantity: i64| {
            let call = crate::client::Call::new(app, "POST", path).cookie(cookie);
            call.json(json!({"quantity": quantity}))
        };
        let withdraw = crate::client::Call::new(app, "DELETE", path).cookie(cookie);
        // Everybody at once: some change their mind while they are being counted.
        match n % 3 {
            0 => vec![want(1), want(4)],
            1 => vec![want(3), withdraw, want(3)],
            _ => vec![want(2), withdraw],
        }
    });
    let seen = futures::future::join_all(calls.map(crate::client::Call::send)).await;
    for seen in &seen {
        assert!(matches!(seen.status, 200 | 201), "{}", seen.text);
    }
    // What each wants in the end is said once more, one after the other.
    for (n, cookie) in cookies.iter().enumerate() {
        match n % 3 {
            0 => drop(world.want(cookie, "drop", 4).await.expect(200)),
            1 => drop(world.want(cookie, "drop", 3).await),
            _ => drop(world.withdraw(cookie, "drop").await.expect(200)),
        }
    }
    let seen = world.drop_as(&cookies[0]).await;
    assert_eq!(
        (&seen["interestQuantity"], &seen["interestedVisitors"]),
        (&json!(20 * 4 + 20 * 3), &json!(40))
    );
    world.settle().await;
    let activations = "SELECT count(*) AS number FROM group_buy_activation";
    let messages = "SELECT count(*) AS number FROM inbox WHERE source = 'interest'";
    let activated = i64::from(seen["status"] == "ACTIVATED");
    assert_eq!((world.number(activations).await, world.number(messages).await), (activated, activated));
    // One more than is missing, in any case: from now on it is activated once.
    let last = world.visitor("last@example.com").await;
    world.want(&last, "drop", 10).await.expect(201);
    assert_eq!((world.number(activations).await, world.number(messages).await), (1, 1));
    // Everybody who stood when it was reached and has stayed is told; whoever has withdrawn since may have been.
    let stayed = "SELECT count(*) AS number FROM interest i JOIN group_buy_activation a \
                  ON a.group_buy_id = i.group_buy_id WHERE i.position <= a.position \
                  AND (i.ended_position IS NULL OR i.ended_position > a.position) AND EXISTS \
                  (SELECT 1 FROM interest s WHERE s.group_buy_id = i.group_buy_id \
                  AND s.visitor_id = i.visitor_id AND s.ended_position IS NULL)";
    let stayed = usize::try_from(world.number(stayed).await).unwrap();
    let told = world.told(News::Activated).await;
    assert!(stayed > 0 && told >= stayed, "{told} of {stayed}");
    world.check_all().await;
}

}
