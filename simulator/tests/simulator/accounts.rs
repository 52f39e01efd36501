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

#[tokio::test]
async fn capabilities_can_be_read_and_asked_for() {
    let sim = Sim::start().await;
    let id = sim.account().await;
    let path = format!("/v1/accounts/{id}/capabilities");
    let listed = sim.get(&path).await.ok();
    let names: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect();
    assert_eq!(names, ["card_payments", "transfers"]);
    let one = sim.get(&format!("{path}/transfers")).await.ok();
    assert_eq!((&one["object"], &one["status"]), (&json!("capability"), &json!("active")));
    assert_eq!(one["account"], json!(id));
    sim.get(&format!("{path}/tax_reporting_us_1099_k")).await.error(404);
    let asked = format!("{path}/tax_reporting_us_1099_k");
    let new = sim.post(&asked, "requested=true").await.ok();
    assert_eq!((&new["requested"], &new["status"]), (&json!(true), &json!("active")));
    let account = sim.get(&format!("/v1/accounts/{id}")).await.ok();
    assert_eq!(account["capabilities"]["tax_reporting_us_1099_k"], "active");

    let path = format!("accounts/{id}");
    let pending = json!({ "capabilities": { "transfers": "pending" } });
    let account = sim.control(Method::POST, &path, pending).await.ok();
    assert_eq!(account["capabilities"]["transfers"], "pending");
    let form = session_form(1000, Some((&id, 100)));
    sim.post("/v1/checkout/sessions", &form).await.error(400);
}

#[tokio::test]
async fn what_is_due_is_overdue_at_its_deadline() {
    let (sim, inbox) = Sim::start_heard().await;
    let id = sim.account().await;
    let path = format!("accounts/{id}");
    let due = json!({
        "currently_due": ["individual.id_number"],
        "current_deadline": sim.now().await + 86_400,
        "eventually_due": ["individual.address.line1"],
        "errors": [{ "requirement": "individual.id_number", "code": "invalid_value_other",
            "reason": "Not a number." }],
    });
    let account = sim.control(Method::POST, &path, due).await.ok();
    assert_eq!(
        account["requirements"]["eventually_due"],
        json!(["individual.id_number", "individual.address.line1"])
    );
    assert_eq!(account["requirements"]["errors"][0]["reason"], "Not a number.");
    sim.advance(86_399).await;
    let own = format!("/v1/accounts/{id}");
    assert_eq!(sim.get(&own).await.ok()["charges_enabled"], true);
    sim.advance(1).await;
    let account = sim.get(&own).await.ok();
    assert_eq!(account["charges_enabled"], false);
    assert_eq!(account["requirements"]["past_due"], json!(["individual.id_number"]));
    assert_eq!(account["requirements"]["disabled_reason"], "requirements.past_due");
    inbox
        .until(|all| {
            all.iter().any(|one| {
                let event = one.event();
                event["type"] == "account.updated"
                    && event["data"]["object"]["requirements"]["past_due"] != json!([])
                    && event["data"]["object"]["details_submitted"] == true
            })
        })
        .await;
}

#[tokio::test]
async fn a_deadline_that_was_met_or_moved_passes_without_a_word() {
    let sim = Sim::start().await;
    let id = sim.account().await;
    let path = format!("accounts/{id}");
    let deadline = sim.now().await + 60;
    let due = json!({ "currently_due": ["individual.id_number"], "current_deadline": deadline });
    sim.control(Method::POST, &path, due).await.ok();
    let moved = json!({ "current_deadline": deadline + 600 });
    sim.control(Method::POST, &path, moved).await.ok();
    sim.advance(120).await;
    let own = format!("/v1/accounts/{id}");
    assert_eq!(sim.get(&own).await.ok()["charges_enabled"], true, "moved");
    sim.control(Method::POST, &path, json!({ "complete": true })).await.ok();
    sim.advance(1_200).await;
    assert_eq!(sim.get(&own).await.ok()["charges_enabled"], true, "met");
}

#[tokio::test]
async fn a_creator_may_give_the_access_back_and_a_change_may_make_no_sound() {
    let (sim, inbox) = Sim::start_heard().await;
    let id = sim.account().await;
    let path = format!("accounts/{id}");
    sim.control(Method::POST, &path, json!({ "deauthorize": true })).await.ok();
    let own = format!("/v1/accounts/{id}");
    sim.get(&own).await.error(403);
    sim.control(Method::POST, &path, json!({ "authorize": true })).await.ok();
    assert_eq!(sim.get(&own).await.ok()["charges_enabled"], true);
    let event = inbox.until_kind("account.application.authorized").await.event();
    assert_eq!(event["account"], json!(id));

    let silent = json!({ "disabled_reason": "rejected.fraud", "silent": true });
    sim.control(Method::POST, &path, silent).await.ok();
    assert_eq!(sim.get(&own).await.ok()["charges_enabled"], false);
    sim.control(Method::POST, &path, json!({ "pending_verification": ["company.name"] }))
        .await
        .ok();
    inbox
        .until(|all| {
            all.iter().any(|one| {
                let object = &one.event()["data"]["object"];
                object["requirements"]["pending_verification"] == json!(["company.name"])
            })
        })
        .await;
    let told = inbox
        .received()
        .iter()
        .filter(|one| {
            let object = &one.event()["data"]["object"];
            one.kind() == "account.updated"
                && object["requirements"]["disabled_reason"] == "rejected.fraud"
        })
        .count();
    assert_eq!(told, 1, "of the change that was not silent only");
}
