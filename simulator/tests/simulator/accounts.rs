use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, send, session_form, text};

#[tokio::test]
async fn a_new_account_has_everything_before_it() {
    let sim = Sim::start().await;
    let id = sim.bare_account().await;
    let account = sim.get(&format!("/v1/accounts/{id}")).await.ok();
    for flag in ["charges_enabled", "payouts_enabled", "details_submitted"] {
        assert_eq!(account[flag], false, "{flag}");
    }
    assert_eq!(
        account["requirements"]["currently_due"],
        json!(["business_type", "external_account", "tos_acceptance.date"])
    );
    assert_eq!(
        account["capabilities"],
        json!({ "card_payments": "inactive", "transfers": "inactive" })
    );
    assert_eq!(account["metadata"], json!({ "creator": "1" }));
    let error = sim.post(&format!("/v1/accounts/{id}/login_links"), "").await.error(400);
    assert_eq!(error["type"], "invalid_request_error");
}

#[tokio::test]
async fn completion_makes_it_able_and_tells_the_connect_endpoint() {
    let (sim, inbox) = Sim::start_heard().await;
    let id = sim.account().await;
    let account = sim.get(&format!("/v1/accounts/{id}")).await.ok();
    assert_eq!(account["charges_enabled"], true);
    assert_eq!(account["requirements"]["currently_due"], json!([]));
    assert_eq!(account["capabilities"]["transfers"], "active");
    let updated = inbox.until_kind("account.updated").await;
    assert_eq!(updated.path, "/connect");
    assert_eq!(updated.event()["account"], json!(id));
    assert_eq!(updated.event()["data"]["object"], account);
    let capability = inbox.until_kind("capability.updated").await.event();
    assert_eq!(capability["account"], json!(id));
    assert_eq!(capability["data"]["object"]["status"], "active");
    sim.post(&format!("/v1/accounts/{id}/login_links"), "").await.ok();
}

#[tokio::test]
async fn restrictions_take_effect_and_can_be_lifted() {
    let sim = Sim::start().await;
    let id = sim.account().await;
    let change = |body: Value| {
        let path = format!("accounts/{id}");
        let sim = &sim;
        async move { sim.control(Method::POST, &path, body).await.ok() }
    };
    let deadline = sim.now().await + 86_400;
    let account = change(json!({
        "currently_due": ["individual.id_number"],
        "pending_verification": ["individual.address"],
        "current_deadline": deadline,
    }))
    .await;
    assert_eq!(account["requirements"]["current_deadline"], deadline);
    assert_eq!(account["charges_enabled"], true);
    let account = change(json!({ "disabled_reason": "requirements.past_due" })).await;
    assert_eq!(account["charges_enabled"], false);
    assert_eq!(account["requirements"]["currently_due"], json!(["individual.id_number"]));
    let form = session_form(1000, Some((&id, 100)));
    let error = sim.post("/v1/checkout/sessions", &form).await.error(400);
    assert_eq!(error["code"], "insufficient_capabilities_for_transfer");
    let account = change(json!({ "disabled_reason": null, "current_deadline": null })).await;
    assert_eq!(account["charges_enabled"], true);
    sim.post("/v1/checkout/sessions", &form).await.ok();
    let path = format!("accounts/{id}");
    sim.control(Method::POST, &path, json!({ "nonsense": 1 })).await.error(400);
    sim.control(Method::POST, "accounts/acct_gone", json!({})).await.error(404);
}

#[tokio::test]
async fn a_disconnected_account_is_out_of_reach() {
    let (sim, inbox) = Sim::start_heard().await;
    let id = sim.account().await;
    let path = format!("accounts/{id}");
    sim.control(Method::POST, &path, json!({ "deauthorize": true })).await.ok();
    let event = inbox.until_kind("account.application.deauthorized").await;
    assert_eq!(event.path, "/connect");
    assert_eq!(event.event()["account"], json!(id));
    assert_eq!(event.event()["data"]["object"]["object"], "application");

    let own = format!("/v1/accounts/{id}");
    let link = format!(
        "account={id}&type=account_onboarding&refresh_url=https://a.test&return_url=https://b.test"
    );
    let as_account = sim.api(Method::GET, "/v1/charges").header("stripe-account", &id);
    for reply in [
        sim.get(&own).await,
        sim.post(&own, "metadata[a]=b").await,
        sim.post("/v1/account_links", &link).await,
        sim.post("/v1/checkout/sessions", &session_form(1000, Some((&id, 100)))).await,
        send(as_account).await,
        sim.get("/v1/accounts/acct_gone").await,
    ] {
        assert_eq!(reply.error(403)["code"], "account_invalid");
    }
    assert_eq!(sim.get("/v1/accounts").await.ok()["data"], json!([]));
}

#[tokio::test]
async fn metadata_is_merged() {
    let sim = Sim::start().await;
    let path = format!("/v1/accounts/{}", sim.bare_account().await);
    let account = sim.post(&path, "metadata[creator]=&metadata[b]=2&email=new@b.test").await.ok();
    assert_eq!(account["metadata"], json!({ "b": "2" }));
    assert_eq!(account["email"], "new@b.test");
    assert_eq!(text(&sim.get(&path).await.ok()["email"]), "new@b.test");
}
