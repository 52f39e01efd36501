//! Versions of pages: of two who change the same one, one wins.

use serde_json::json;

use crate::{
    on_both,
    world::{Setup, World, token},
};

const PAGE: &str = "/v2/handles/alice/pages/guide";

async fn draft(world: &World) {
    world.seller("alice").await;
    let body = json!({"slug": "guide", "title": "G", "mode": "PAID", "priceCents": 1000});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
}

on_both! {

async fn s38_of_two_publishes_of_one_version_one_wins(world: World) {
    draft(&world).await;
    let publish = || {
        let path = format!("{PAGE}/publish");
        world.post(path).bearer(token("alice")).header("if-match", "1").send()
    };
    let (one, two) = tokio::join!(publish(), publish());
    let mut seen = [one.status, two.status];
    seen.sort_unstable();
    assert_eq!(seen, [200, 409], "{} {}", one.text, two.text);
    let lost = if one.status == 409 { one } else { two };
    lost.problem(409, "version_conflict");
    let page = world.get(PAGE).bearer(token("alice")).send().await.expect(200);
    assert_eq!((&page["version"], &page["status"]), (&json!(2), &json!("PUBLISHED")));
}

async fn s38_publish_against_a_price_edit(world: World) {
    draft(&world).await;
    let path = format!("{PAGE}/publish");
    let publish = world.post(path).bearer(token("alice")).header("if-match", "\"1\"").send();
    let change = json!({"priceCents": 2000, "version": 1});
    let edit = world.call("PATCH", PAGE).bearer(token("alice")).json(change).send();
    let (publish, edit) = tokio::join!(publish, edit);
    let page = world.get(PAGE).bearer(token("alice")).send().await.expect(200);
    assert_eq!(page["version"], 2);
    match publish.status {
        200 => {
            edit.problem(409, "version_conflict");
            assert_eq!((&page["status"], &page["priceCents"]), (&json!("PUBLISHED"), &json!(1000)));
        }
        _ => {
            publish.problem(409, "version_conflict");
            assert_eq!((&page["status"], &page["priceCents"]), (&json!("DRAFT"), &json!(2000)));
        }
    }
}

async fn publishing_again_changes_nothing(world: World) {
    draft(&world).await;
    let path = format!("{PAGE}/publish");
    let first = world.post(&path).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    let again = world.post(&path).bearer(token("alice")).send().await.expect(200);
    assert_eq!(
        (&again["version"], &again["publishedAt"]),
        (&first["version"], &first["publishedAt"])
    );
    assert_eq!(again["markerSync"]["status"], "SYNCED");
}

async fn a_published_page_stays_one_that_can_be_sold(world: World) {
    world.handle("alice").await;
    let body = json!({"slug": "guide", "title": "G", "mode": "PUBLIC"});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
    world.post(format!("{PAGE}/publish")).bearer(token("alice")).send().await.expect(200);
    let change = json!({"mode": "PAID", "priceCents": 1000, "version": 2});
    let seen = world.call("PATCH", PAGE).bearer(token("alice")).json(change).send().await;
    seen.problem(409, "connect_not_ready");
    let change = json!({"title": "New", "version": 2});
    let page =
        world.call("PATCH", PAGE).bearer(token("alice")).json(change).send().await.expect(200);
    assert_eq!(
        (&page["title"], &page["version"], &page["markerSync"]["status"]),
        (&json!("New"), &json!(3), &json!("SYNCING"))
    );
    world.settle().await;
    let page = world.get(PAGE).bearer(token("alice")).send().await.expect(200);
    assert_eq!(page["markerSync"]["status"], "SYNCED");
}

async fn s12_a_purchase_keeps_the_terms_it_began_with(world: World) {
    draft(&world).await;
    let alice = token("alice");
    world.post(format!("{PAGE}/publish")).bearer(&alice).send().await.expect(200);
    let cookie = world.visitor("bob@example.com").await;
    let checkout = world.buy(&cookie, "alice", "guide").await.expect(200);
    let id = checkout["checkoutId"].as_str().unwrap();
    let change = json!({"priceCents": 5000, "version": 2});
    world.call("PATCH", PAGE).bearer(&alice).json(change).send().await.expect(200);
    world.post(format!("{PAGE}/unpublish")).bearer(&alice).send().await.expect(200);
    world.webhook(&crate::stripe::paid("evt_1", id, 1_000)).await.expect(200);
    world.settle().await;
    let own =
        world.get(format!("/v2/public/checkouts/{id}")).cookie(&cookie).send().await.expect(200);
    assert_eq!((&own["status"], &own["amountCents"]), (&json!("SETTLED"), &json!(1000)));
    let row = entities::checkout::find_any_handle(
        world.engine.database().read(),
        id.parse::<workflows::id::CheckoutId>().unwrap().0,
    );
    assert_eq!(row.await.unwrap().unwrap().page_version, 2);
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s34_a_price_that_leaves_nothing_is_refused_with_the_minimum() {
    let world = World::with(Setup { fee: 9_990, ..Setup::default() }).await;
    world.seller("alice").await;
    let body = json!({"slug": "guide", "title": "G", "mode": "PAID", "priceCents": 50});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
    let publish = format!("{PAGE}/publish");
    let problem =
        world.post(&publish).bearer(token("alice")).send().await.problem(422, "price_too_low");
    assert!(problem["detail"].as_str().unwrap().contains("5.01 USD"), "{problem}");
    assert_eq!(problem["errors"][0]["field"], "priceCents");
    let change = json!({"priceCents": 501, "version": 1});
    world.call("PATCH", PAGE).bearer(token("alice")).json(change).send().await.expect(200);
    world.post(&publish).bearer(token("alice")).send().await.expect(200);
}
