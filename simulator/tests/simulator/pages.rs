use reqwest::Method;
use serde_json::json;

use crate::support::{Sim, text};

/// A page, or where it sends the visitor.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) html: String,
    pub(crate) location: Option<String>,
}

pub(crate) async fn visit(sim: &Sim, method: Method, url: &str, form: &str) -> Page {
    let request = sim
        .http
        .request(method, url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    let response = request.send().await.unwrap();
    let location = response.headers().get("location");
    Page {
        status: response.status().as_u16(),
        location: location.map(|location| location.to_str().unwrap().to_owned()),
        html: response.text().await.unwrap(),
    }
}

#[tokio::test]
async fn a_buyer_clicks_through_the_checkout() {
    let sim = Sim::start().await;
    let session = sim.session(1250, None).await;
    let (id, url) = (text(&session["id"]), text(&session["url"]));
    let page = visit(&sim, Method::GET, &url, "").await;
    assert_eq!(page.status, 200);
    for expected in ["simulator", "Ticket", "12.50 EUR", "<label for=\"email\">", "lang=\"en\""] {
        assert!(page.html.contains(expected), "{expected} is missing in {}", page.html);
    }
    let page = visit(&sim, Method::POST, &url, "action=cancel").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("https://shop.test/no")));
    let page = visit(&sim, Method::POST, &url, "action=decline&email=x%40b.test").await;
    assert!(page.status == 200 && page.html.contains("role=\"alert\""));
    let page = visit(&sim, Method::POST, &url, "action=pay&email=x%40b.test").await;
    assert_eq!(page.status, 303);
    assert_eq!(page.location, Some(format!("https://shop.test/ok?s={id}")));
    let session = sim.get(&format!("/v1/checkout/sessions/{id}")).await.ok();
    assert_eq!(session["payment_status"], "paid");
    assert_eq!(session["customer_details"]["email"], "x@b.test");
    let page = visit(&sim, Method::GET, &url, "").await;
    assert!(page.html.contains("completed"));
    let page = visit(&sim, Method::POST, &url, "action=pay").await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn a_buyer_pays_with_a_method_that_takes_days() {
    let sim = Sim::start().await;
    let session = sim.session(1250, None).await;
    let page = visit(&sim, Method::POST, &text(&session["url"]), "action=delay").await;
    assert_eq!(page.status, 303);
    let path = format!("/v1/checkout/sessions/{}", text(&session["id"]));
    let session = sim.get(&path).await.ok();
    assert_eq!(session["status"], "complete");
    assert_eq!(session["payment_status"], "unpaid");
}

#[tokio::test]
async fn expired_and_unknown_sessions_say_so() {
    let sim = Sim::start().await;
    let session = sim.session(1250, None).await;
    sim.play(&session, json!({ "outcome": "expired" })).await.ok();
    let page = visit(&sim, Method::GET, &text(&session["url"]), "").await;
    assert!(page.status == 410 && page.html.contains("expired"));
    let url = format!("{}/c/pay/cs_test_gone", sim.running.url());
    assert_eq!(visit(&sim, Method::GET, &url, "").await.status, 404);
}

#[tokio::test]
async fn names_of_products_are_escaped() {
    let sim = Sim::start().await;
    let form = crate::support::session_form(1000, None).replace("Ticket", "%3Cscript%3E");
    let session = sim.post("/v1/checkout/sessions", &form).await.ok();
    let page = visit(&sim, Method::GET, &text(&session["url"]), "").await;
    assert!(!page.html.contains("<script>"));
}

async fn onboarding_link(sim: &Sim, account: &str) -> String {
    let form = format!(
        "account={account}&type=account_onboarding\
         &refresh_url=https://shop.test/again&return_url=https://shop.test/back"
    );
    let link = sim.post("/v1/account_links", &form).await.ok();
    assert_eq!(link["object"], "account_link");
    text(&link["url"])
}

#[tokio::test]
async fn a_creator_clicks_through_the_onboarding_once() {
    let sim = Sim::start().await;
    let account = sim.bare_account().await;
    let url = onboarding_link(&sim, &account).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    assert!(page.html.contains("simulator") && page.html.contains("external_account"));
    let page = visit(&sim, Method::GET, &url, "").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("https://shop.test/again")));
    let page = visit(&sim, Method::POST, &url, "action=complete").await;
    assert_eq!((page.status, page.location.as_deref()), (303, Some("https://shop.test/back")));
    let object = sim.get(&format!("/v1/accounts/{account}")).await.ok();
    assert_eq!(object["charges_enabled"], true);
    let page = visit(&sim, Method::POST, &url, "action=leave").await;
    assert_eq!(page.location.as_deref(), Some("https://shop.test/again"));

    let login = sim.post(&format!("/v1/accounts/{account}/login_links"), "").await.ok();
    let page = visit(&sim, Method::GET, &text(&login["url"]), "").await;
    assert!(page.status == 200 && page.html.contains(&account));
}

#[tokio::test]
async fn something_can_be_left_due() {
    let sim = Sim::start().await;
    let account = sim.bare_account().await;
    let url = onboarding_link(&sim, &account).await;
    visit(&sim, Method::GET, &url, "").await;
    let page = visit(&sim, Method::POST, &url, "action=leave").await;
    assert_eq!(page.location.as_deref(), Some("https://shop.test/back"));
    let object = sim.get(&format!("/v1/accounts/{account}")).await.ok();
    assert_eq!(object["details_submitted"], true);
    assert_eq!(object["charges_enabled"], false);
    assert_eq!(object["requirements"]["currently_due"], json!(["external_account"]));
}

#[tokio::test]
async fn a_field_can_be_left_out() {
    let sim = Sim::start().await;
    let account = sim.bare_account().await;
    let url = onboarding_link(&sim, &account).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    let boxes = ["business_type", "external_account", "tos_acceptance.date"];
    for name in boxes {
        assert!(page.html.contains(&format!("name=\"give:{name}\" checked")), "{}", page.html);
    }
    let ticked = "action=provide&give%3Abusiness_type=on&give%3Aexternal_account=on";
    let page = visit(&sim, Method::POST, &url, ticked).await;
    assert_eq!(page.location.as_deref(), Some("https://shop.test/back"));
    let object = sim.get(&format!("/v1/accounts/{account}")).await.ok();
    assert_eq!(object["details_submitted"], true);
    assert_eq!(object["charges_enabled"], false);
    assert_eq!(object["requirements"]["currently_due"], json!(["tos_acceptance.date"]));

    // Only that is asked for the next time.
    let url = onboarding_link(&sim, &account).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    assert!(!page.html.contains("external_account"), "{}", page.html);
    let ticked = "action=provide&give%3Atos_acceptance.date=on";
    visit(&sim, Method::POST, &url, ticked).await;
    let object = sim.get(&format!("/v1/accounts/{account}")).await.ok();
    assert_eq!(object["charges_enabled"], true);
}

#[tokio::test]
async fn an_old_onboarding_link_leads_to_the_refresh_address() {
    let sim = Sim::start().await;
    let url = onboarding_link(&sim, &sim.bare_account().await).await;
    sim.advance(600).await;
    let page = visit(&sim, Method::GET, &url, "").await;
    assert_eq!(page.location.as_deref(), Some("https://shop.test/again"));
}
