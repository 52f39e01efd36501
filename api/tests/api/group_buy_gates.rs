//! What a group buy opens: who may buy when, and what becomes of a purchase whose buyer withdraws.

use serde_json::{Value, json};
use workflows::{
    Timestamp,
    group_buy::News,
    stripe::{Account, Requirements},
};

use crate::{
    client::Seen,
    connect::enabled,
    on_both,
    stripe::paid,
    world::{World, token},
};

/// A page of alice's behind a group buy of two, and two visitors.
async fn shop(world: &World, require_active_interest: bool) -> (String, String) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    world.group_buy("drop", 2, None).await;
    world.gate("guide", "drop", require_active_interest).await;
    (world.visitor("bob@example.com").await, world.visitor("eve@example.com").await)
}

async fn activate(world: &World, cookies: &[&str]) {
    for cookie in cookies {
        world.want(cookie, "drop", 1).await.expect(201);
    }
    world.settle().await;
}

async fn pay(world: &World, event: &str, checkout: &Value) {
    let id = checkout["checkoutId"].as_str().unwrap();
    world.webhook(&paid(event, id, 1_000)).await.expect(200);
    world.settle().await;
}

async fn checkout(world: &World, cookie: &str, made: &Value) -> Value {
    let path = format!("/v2/public/checkouts/{}", made["checkoutId"].as_str().unwrap());
    world.get(path).cookie(cookie).send().await.expect(200)
}

async fn access(world: &World, cookie: &str, page: &str) -> Value {
    let path = format!("/v2/public/pages/alice/{page}/entitlement");
    world.get(path).cookie(cookie).send().await.expect(200)
}

async fn restrict(world: &World, said: Account, event: &str) {
    *world.stripe.said.lock().unwrap() = Some(said);
    world.connect_event(event, "account.updated").await;
}

#[track_caller]
fn standing(seen: &Seen, code: &str) -> Value {
    seen.problem(409, code)["groupBuy"].clone()
}

on_both! {

async fn a_gated_page_is_sold_once_the_target_is_reached(world: World) {
    let (bob, eve) = shop(&world, false).await;
    let page = world.get("/v2/public/pages/alice/guide").send().await.expect(200);
    let gate = &page["groupBuys"][0];
    assert_eq!((&gate["slug"], &gate["status"]), (&json!("drop"), &json!("COLLECTING")));
    assert_eq!((&gate["missingQuantity"], &gate["requireActiveInterest"]), (&json!(2), &json!(false)));
    let rows = world.rows().await;
    let far = standing(&world.buy(&bob, "alice", "guide").await, "threshold_not_reached");
    assert_eq!(world.rows().await, rows);
    assert_eq!((&far["interestQuantity"], &far["missingQuantity"]), (&json!(0), &json!(2)));
    activate(&world, &[&bob]).await;
    let far = standing(&world.buy(&bob, "alice", "guide").await, "threshold_not_reached");
    assert_eq!((&far["fillRate"], &far["status"]), (&json!(0.5), &json!("COLLECTING")));
    assert_eq!(far["url"], "http://localhost:8080/v2/public/group-buys/alice/drop");
    activate(&world, &[&eve]).await;
    // Anybody may buy: no interest is asked for.
    let ann = world.visitor("ann@example.com").await;
    let made = world.buy(&ann, "alice", "guide").await.expect(200);
    pay(&world, "evt_1", &made).await;
    assert_eq!(access(&world, &ann, "guide").await["entitled"], true);
    world.check_all().await;
}

async fn nobody_knows_of_a_draft_by_the_page_that_it_opens(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    world.draft("secret", 2, None).await;
    let offer = world.gate("guide", "secret", false).await;
    let bob = world.visitor("bob@example.com").await;
    let page = world.get("/v2/public/pages/alice/guide").cookie(&bob).send().await.expect(200);
    assert_eq!(page["groupBuys"], json!([]));
    let refused = world.buy(&bob, "alice", "guide").await;
    let refused = refused.problem(409, "threshold_not_reached");
    assert_eq!(refused["groupBuy"], json!(null), "{refused}");
    assert!(!refused.to_string().contains("secret"), "{refused}");
    // The same after it was called off, unseen. Then its offer is unlinked.
    let cancel = "/v2/handles/alice/group-buys/secret/cancel";
    world.post(cancel).bearer(token("alice")).send().await.expect(200);
    let refused = world.buy(&bob, "alice", "guide").await;
    assert!(!refused.problem(409, "threshold_not_reached").to_string().contains("secret"));
    let path = format!("/v2/handles/alice/offers/{offer}/group-buy");
    world.call("DELETE", path).bearer(token("alice")).send().await.expect(200);
    world.buy(&bob, "alice", "guide").await.expect(200);
}

async fn what_everybody_may_read_is_not_opened_by_anything(world: World) {
    world.handle("alice").await;
    let page = json!({"slug": "story", "title": "S", "mode": "PUBLIC"});
    let pages = "/v2/handles/alice/pages";
    let made = world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    world.draft("drop", 2, None).await;
    let offer = world.offer("story").await;
    world.link(&offer, "drop", false).await.problem(409, "not_for_sale");
    // A page that becomes so later is named by the preview.
    let change = json!({"version": made["version"], "mode": "FREE_WITH_LOGIN"});
    let path = format!("{pages}/story");
    let page = world.call("PATCH", &path).bearer(token("alice")).json(change).send().await;
    let page = page.expect(200);
    world.link(&offer, "drop", false).await.expect(200);
    let change = json!({"version": page["version"], "mode": "PUBLIC"});
    world.call("PATCH", &path).bearer(token("alice")).json(change).send().await.expect(200);
    let preview = "/v2/handles/alice/group-buys/drop/preview";
    let seen = world.post(preview).bearer(token("alice")).send().await.expect(200);
    assert!(seen["missing"].to_string().contains("page_is_public"), "{seen}");
}

async fn a_page_of_several_offers_waits_for_all_of_them(world: World) {
    let (bob, eve) = shop(&world, false).await;
    world.group_buy("second", 1, None).await;
    let offer = world.gate("guide", "second", false).await;
    // One offer of a page is linked to a group buy.
    let third = world.offer("guide").await;
    world.link(&third, "second", false).await.problem(409, "offer_linked");
    let preview = "/v2/handles/alice/group-buys/drop/preview";
    let seen = world.post(preview).bearer(token("alice")).send().await.expect(200);
    assert_eq!(seen["missing"][0]["code"], "other_gate_closed");
    activate(&world, &[&bob, &eve]).await;
    let far = standing(&world.buy(&bob, "alice", "guide").await, "threshold_not_reached");
    assert_eq!(far["slug"], "second");
    let path = format!("/v2/handles/alice/offers/{offer}/group-buy");
    world.call("DELETE", path).bearer(token("alice")).send().await.expect(200);
    world.buy(&bob, "alice", "guide").await.expect(200);
}

async fn only_those_who_are_interested_buy(world: World) {
    let (bob, eve) = shop(&world, true).await;
    activate(&world, &[&bob, &eve]).await;
    let ann = world.visitor("ann@example.com").await;
    let needed = standing(&world.buy(&ann, "alice", "guide").await, "interest_required");
    assert_eq!(needed["slug"], "drop");
    let made = world.buy(&bob, "alice", "guide").await.expect(200);
    pay(&world, "evt_1", &made).await;
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    // As long as interest is taken, whoever comes late may say so, and buy.
    world.want(&ann, "drop", 1).await.expect(201);
    world.buy(&ann, "alice", "guide").await.expect(200);
    world.check_all().await;
}

async fn s36_an_activation_stands_and_so_does_what_was_paid(world: World) {
    let (bob, eve) = shop(&world, true).await;
    activate(&world, &[&bob, &eve]).await;
    let made = world.buy(&bob, "alice", "guide").await.expect(200);
    pay(&world, "evt_1", &made).await;
    for cookie in [&bob, &eve] {
        world.withdraw(cookie, "drop").await.expect(200);
    }
    let seen = world.drop_as(&bob).await;
    assert_eq!((&seen["status"], &seen["interestQuantity"]), (&json!("ACTIVATED"), &json!(0)));
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    standing(&world.buy(&eve, "alice", "guide").await, "interest_required");
    // A repeated webhook, half a day later, asks nothing of the interest again.
    world.engine.clock().advance(Timestamp::HOUR);
    pay(&world, "evt_2", &made).await;
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    assert_eq!(world.told(News::Activated).await, 2);
    world.check_all().await;
}

async fn s37_an_interest_is_withdrawn_while_the_checkout_is_open(world: World) {
    let (bob, eve) = shop(&world, true).await;
    activate(&world, &[&bob, &eve]).await;
    let made = world.buy(&bob, "alice", "guide").await.expect(200);
    world.withdraw(&bob, "drop").await.expect(200);
    let held = world.hold().await;
    let id = made["checkoutId"].as_str().unwrap();
    world.webhook(&paid("evt_1", id, 1_000)).await.expect(200);
    while world.engine.drain().await.unwrap() > 0 {}
    // As long as it takes: it is said why there is no access, and nothing contradicts itself.
    let waiting = checkout(&world, &bob, &made).await;
    assert_eq!(
        (&waiting["status"], &waiting["reason"]),
        (&json!("SETTLED"), &json!("interest_withdrawn"))
    );
    let findings = world.engine.check().await.unwrap();
    let contradicts = |finding: &engine::Finding| finding.invariant == engine::Invariant::I6;
    assert!(!findings.iter().any(contradicts), "{findings:?}");
    drop(held);
    world.settle().await;
    let given_back = checkout(&world, &bob, &made).await;
    assert_eq!(
        (&given_back["status"], &given_back["reason"]),
        (&json!("REFUNDED"), &json!("interest_withdrawn"))
    );
    assert_eq!(access(&world, &bob, "guide").await["entitled"], false);
    let refunds = world.get("/v2/handles/alice/refunds").bearer(token("alice")).send().await;
    let refunds = refunds.expect(200);
    let refund = &refunds["data"][0];
    assert_eq!(
        (&refund["status"], &refund["reason"], &refund["amountCents"]),
        (&json!("SUCCEEDED"), &json!("INTEREST_WITHDRAWN"), &json!(1_000))
    );
    world.check_all().await;
    let earned = world.get("/v2/handles/alice/earnings").bearer(token("alice")).send().await;
    let earned = earned.expect(200);
    assert_eq!((&earned["grossCents"], &earned["netCents"]), (&json!(1_000), &json!(0)));
    // Interested again, they may buy, and another quantity is an interest as well.
    world.want(&bob, "drop", 1).await.expect(201);
    let made = world.buy(&bob, "alice", "guide").await.expect(200);
    world.want(&bob, "drop", 5).await.expect(200);
    pay(&world, "evt_2", &made).await;
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    world.check_all().await;
}

async fn s37_what_costs_nothing_is_not_granted_either(world: World) {
    world.handle("alice").await;
    let page = json!({"slug": "gift", "title": "G", "mode": "FREE_WITH_LOGIN"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(page).send().await.expect(201);
    let publish = "/v2/handles/alice/pages/gift/publish";
    world.post(publish).bearer(token("alice")).send().await.expect(200);
    world.group_buy("drop", 1, None).await;
    world.gate("gift", "drop", true).await;
    let bob = world.visitor("bob@example.com").await;
    let ann = world.visitor("ann@example.com").await;
    standing(&world.buy(&bob, "alice", "gift").await, "threshold_not_reached");
    activate(&world, &[&bob]).await;
    standing(&world.buy(&ann, "alice", "gift").await, "interest_required");
    let held = world.hold().await;
    let path = "/v2/public/pages/alice/gift/checkout";
    let buying = world.post(path).cookie(&bob).json(json!({})).send();
    let withdrawing = async {
        world.until_waiting(1).await;
        world.withdraw(&bob, "drop").await.expect(200);
        drop(held);
    };
    let (made, ()) = tokio::join!(buying, withdrawing);
    world.settle().await;
    made.problem(409, "interest_required");
    assert_eq!(access(&world, &bob, "gift").await["entitled"], false);
    world.check_all().await;
}

async fn s12_the_price_and_the_gate_change_after_the_session_was_created(world: World) {
    let (bob, eve) = shop(&world, true).await;
    activate(&world, &[&bob, &eve]).await;
    let (one, two) = (
        world.buy(&bob, "alice", "guide").await.expect(200),
        world.buy(&eve, "alice", "guide").await.expect(200),
    );
    // The price, the page and the gate: what was agreed stays agreed.
    let page = "/v2/handles/alice/pages/guide";
    let change = json!({"version": 2, "priceCents": 2_000});
    world.call("PATCH", page).bearer(token("alice")).json(change).send().await.expect(200);
    world.group_buy("later", 9, None).await;
    world.gate("guide", "later", false).await;
    world.post(format!("{page}/unpublish")).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    pay(&world, "evt_1", &one).await;
    let settled = checkout(&world, &bob, &one).await;
    assert_eq!((&settled["status"], &settled["amountCents"]), (&json!("SETTLED"), &json!(1_000)));
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    // So does that the interest is needed.
    world.withdraw(&eve, "drop").await.expect(200);
    pay(&world, "evt_2", &two).await;
    assert_eq!(checkout(&world, &eve, &two).await["reason"], "interest_withdrawn");
    let ann = world.visitor("ann@example.com").await;
    world.buy(&ann, "alice", "guide").await.problem(404, "unknown_page");
    world.check_all().await;
}

async fn s30_the_account_is_restricted_while_a_drop_sells(world: World) {
    let (bob, eve) = shop(&world, true).await;
    activate(&world, &[&bob, &eve]).await;
    let (one, two) = (
        world.buy(&bob, "alice", "guide").await.expect(200),
        world.buy(&eve, "alice", "guide").await.expect(200),
    );
    pay(&world, "evt_1", &two).await;
    let requirements = Requirements {
        past_due: vec!["individual.id_number".to_owned()],
        disabled_reason: Some("requirements.past_due".to_owned()),
        ..Requirements::default()
    };
    let restricted = Account { details_submitted: true, requirements, ..Account::default() };
    restrict(&world, restricted, "evt_2").await;
    world.buy(&bob, "alice", "guide").await.problem(409, "connect_not_ready");
    let closed = checkout(&world, &bob, &one).await;
    assert_eq!((&closed["status"], &closed["reason"]), (&json!("EXPIRED"), &json!("seller_lost")));
    assert_eq!(access(&world, &eve, "guide").await["entitled"], true);
    // The group buy stands, whatever the account does.
    assert_eq!(world.drop_as(&bob).await["status"], "ACTIVATED");
    restrict(&world, enabled(), "evt_3").await;
    let made = world.buy(&bob, "alice", "guide").await.expect(200);
    pay(&world, "evt_4", &made).await;
    assert_eq!(access(&world, &bob, "guide").await["entitled"], true);
    world.check_all().await;
}

}
