use reqwest::Method;
use serde_json::json;

use crate::pages::visit;
use crate::support::{Sim, text};

async fn portal(sim: &Sim, customer: &str) -> String {
    let form = format!("customer={customer}&return_url=https://shop.test/billing");
    let session = sim.post("/v1/billing_portal/sessions", &form).await.ok();
    assert_eq!(session["object"], "billing_portal.session");
    text(&session["url"])
}

#[tokio::test]
async fn an_owner_clicks_through_the_portal() {
    let sim = Sim::start().await;
    let (small, large) =
        (sim.price("Pro", 1000, "month").await, sim.price("Business", 3000, "month").await);
    let (id, customer) = sim.subscribed(&small).await;
    let url = portal(&sim, &customer).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    assert_eq!(page.status, 200);
    for expected in [
        "simulator",
        "owner@a.test",
        "Pro, 10.00 EUR every month",
        "Change to Business, 30.00 EUR every month",
        "Cancel at the end of the period",
        "The card on file works.",
        "https://shop.test/billing",
        "paid",
    ] {
        assert!(page.html.contains(expected), "{expected} is missing in {}", page.html);
    }
    let click = async |form: String| {
        let answer = visit(&sim, Method::POST, &url, &form).await;
        assert_eq!(
            (answer.status, answer.location.as_deref()),
            (303, Some(url.as_str())),
            "{form}"
        );
        visit(&sim, Method::GET, &url, "").await.html
    };
    let html = click(format!("action=cancel&subscription={id}")).await;
    assert!(html.contains("Do not cancel"), "{html}");
    assert_eq!(sim.subscription(&id).await["cancel_at_period_end"], true);
    click(format!("action=resume&subscription={id}")).await;
    assert_eq!(sim.subscription(&id).await["cancel_at_period_end"], false);
    let html = click(format!("action=change_plan&subscription={id}&price={large}")).await;
    assert!(html.contains("Change to Pro"), "{html}");
    assert_eq!(sim.subscription(&id).await["items"]["data"][0]["price"]["id"], large);

    let html = click("action=card_declines".to_owned()).await;
    assert!(html.contains("The card on file is declined."), "{html}");
    sim.end_period(&id).await;
    assert_eq!(sim.subscription(&id).await["status"], "past_due");
    let url = portal(&sim, &customer).await;
    visit(&sim, Method::POST, &url, "action=card_ok").await;
    assert_eq!(sim.subscription(&id).await["status"], "active");
}

#[tokio::test]
async fn the_portal_of_one_customer_does_not_change_another() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1000, "month").await;
    let other = sim.price("Business", 3000, "month").await;
    let (mine, customer) = sim.subscribed(&price).await;
    let (theirs, _) = sim.subscribed(&price).await;
    let url = portal(&sim, &customer).await;
    assert!(!visit(&sim, Method::GET, &url, "").await.html.contains(&theirs));
    visit(&sim, Method::POST, &url, &format!("action=cancel&subscription={theirs}")).await;
    let form = format!("action=change_plan&subscription={theirs}&price={other}");
    visit(&sim, Method::POST, &url, &form).await;
    let theirs = sim.subscription(&theirs).await;
    assert_eq!(theirs["cancel_at_period_end"], false);
    assert_eq!(theirs["items"]["data"][0]["price"]["id"], price);
    assert_eq!(sim.subscription(&mine).await["cancel_at_period_end"], false);
}

#[tokio::test]
async fn portal_links_are_for_customers_and_expire() {
    let sim = Sim::start().await;
    sim.post("/v1/billing_portal/sessions", "customer=cus_no").await.error(400);
    let customer = text(&sim.post("/v1/customers", "").await.ok()["id"]);
    let form = format!("customer={customer}&configuration=bpc_no");
    let error = sim.post("/v1/billing_portal/sessions", &form).await.error(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("resource_missing"), &json!("configuration"))
    );
    let url = portal(&sim, &customer).await;
    assert_eq!(visit(&sim, Method::GET, &url, "").await.status, 200);
    sim.advance(3601).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    assert!(page.status == 410 && page.html.contains("expired"), "{}", page.html);
    let unknown = format!("{}/p/session/test_no", sim.running.url());
    assert_eq!(visit(&sim, Method::GET, &unknown, "").await.status, 404);
}

#[tokio::test]
async fn a_subscriber_clicks_through_the_checkout() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let session = sim.subscription_session(&price, "").await;
    let url = text(&session["url"]);
    let page = visit(&sim, Method::GET, &url, "").await;
    assert!(page.html.contains("Pro, 12.00 EUR every month"), "{}", page.html);
    assert!(!page.html.contains("takes days"), "{}", page.html);
    let page = visit(&sim, Method::POST, &url, "action=decline&email=x%40b.test").await;
    assert!(page.status == 200 && page.html.contains("role=\"alert\""));
    let page = visit(&sim, Method::POST, &url, "action=pay&email=x%40b.test").await;
    let expected = format!("https://shop.test/ok?s={}", text(&session["id"]));
    assert_eq!((page.status, page.location), (303, Some(expected)));
    let path = format!("/v1/checkout/sessions/{}?expand[]=customer", text(&session["id"]));
    assert_eq!(sim.get(&path).await.ok()["customer"]["email"], "x@b.test");
}
