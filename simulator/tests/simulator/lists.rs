use serde_json::json;

use crate::support::{Sim, ids, text};

#[tokio::test]
async fn pages_forward_and_backward() {
    let sim = Sim::start().await;
    let mut newest_first = Vec::new();
    for number in 0..5 {
        let form = format!("email={number}@b.test");
        newest_first.insert(0, text(&sim.post("/v1/customers", &form).await.ok()["id"]));
    }
    let page = sim.get("/v1/customers?limit=2").await.ok();
    assert_eq!(page["object"], "list");
    assert_eq!(page["url"], "/v1/customers");
    assert_eq!(page["has_more"], true);
    assert_eq!(ids(&page), newest_first[..2]);

    let path = format!("/v1/customers?limit=3&starting_after={}", newest_first[1]);
    let page = sim.get(&path).await.ok();
    assert_eq!(ids(&page), newest_first[2..]);
    assert_eq!(page["has_more"], false);

    let path = format!("/v1/customers?limit=2&ending_before={}", newest_first[3]);
    let page = sim.get(&path).await.ok();
    assert_eq!(ids(&page), newest_first[1..3]);
    assert_eq!(page["has_more"], true);
}

#[tokio::test]
async fn limits_and_cursors_are_checked() {
    let sim = Sim::start().await;
    for limit in ["0", "101", "-1", "many"] {
        let error = sim.get(&format!("/v1/charges?limit={limit}")).await.error(400);
        assert_eq!(error["param"], "limit", "limit {limit}");
    }
    let error = sim.get("/v1/charges?starting_after=ch_gone").await.error(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("resource_missing"), &json!("starting_after"))
    );
}

#[tokio::test]
async fn objects_are_found_by_when_they_were_created() {
    let sim = Sim::start().await;
    let old = text(&sim.post("/v1/customers", "").await.ok()["id"]);
    sim.advance(1000).await;
    let middle = sim.now().await - 500;
    let new = text(&sim.post("/v1/customers", "").await.ok()["id"]);
    for (filter, expected) in [
        (format!("created[gte]={middle}"), &new),
        (format!("created[gt]={middle}"), &new),
        (format!("created[lt]={middle}"), &old),
        (format!("created[lte]={middle}"), &old),
    ] {
        let page = sim.get(&format!("/v1/customers?{filter}")).await.ok();
        assert_eq!(ids(&page), std::slice::from_ref(expected), "{filter}");
    }
}

#[tokio::test]
async fn objects_are_found_by_what_they_belong_to() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    sim.paid(700, None).await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    sim.paid(800, None).await;
    let (charge_id, intent) = (text(&charge["id"]), text(&charge["payment_intent"]));
    let refund = sim.post("/v1/refunds", &format!("charge={charge_id}&amount=10")).await.ok();

    let sessions = sim.get(&format!("/v1/checkout/sessions?payment_intent={intent}")).await.ok();
    assert_eq!(sessions["data"][0]["payment_intent"], json!(intent));
    assert_eq!(sessions["data"].as_array().unwrap().len(), 1);
    let charges = sim.get(&format!("/v1/charges?payment_intent={intent}")).await.ok();
    assert_eq!(ids(&charges), std::slice::from_ref(&charge_id));
    for path in [
        format!("/v1/refunds?payment_intent={intent}"),
        format!("/v1/refunds?charge={charge_id}"),
        format!("/v1/charges/{charge_id}/refunds"),
    ] {
        assert_eq!(ids(&sim.get(&path).await.ok()), [text(&refund["id"])], "{path}");
    }
    let movements = sim.get(&format!("/v1/balance_transactions?source={charge_id}")).await.ok();
    assert_eq!(ids(&movements), [text(&charge["balance_transaction"])]);
    let movements = sim.get("/v1/balance_transactions?type=application_fee").await.ok();
    assert_eq!(movements["data"][0]["net"], 100);
    assert_eq!(movements["data"].as_array().unwrap().len(), 1);
    let transfers = sim.get(&format!("/v1/transfers?destination={account}")).await.ok();
    assert_eq!(ids(&transfers), [text(&charge["transfer"])]);
    let open = sim.get("/v1/checkout/sessions?status=open").await.ok();
    assert_eq!(open["data"], json!([]));
    let nothing = sim.get("/v1/refunds?payment_intent=pi_unknown").await.ok();
    assert_eq!(nothing["data"], json!([]));
}

#[tokio::test]
async fn events_are_found_by_type() {
    let sim = Sim::start().await;
    sim.paid(1000, None).await;
    let kinds = |page: serde_json::Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|event| text(&event["type"])).collect()
    };
    let page = sim.get("/v1/events?type=charge.succeeded").await.ok();
    assert_eq!(kinds(page), ["charge.succeeded"]);
    let page = sim.get("/v1/events?types[]=charge.succeeded&types[]=payment_intent.created").await;
    assert_eq!(kinds(page.ok()), ["charge.succeeded", "payment_intent.created"]);
    let page = sim.get("/v1/events?type=charge.*").await.ok();
    assert_eq!(kinds(page), ["charge.updated", "charge.succeeded"]);
    sim.get("/v1/events?type=a&types[]=b").await.error(400);
    let event = sim.get("/v1/events?limit=1").await.ok()["data"][0].clone();
    let again = sim.get(&format!("/v1/events/{}", text(&event["id"]))).await.ok();
    assert_eq!(event, again);
}

#[tokio::test]
async fn connected_accounts_have_lists_of_their_own() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let as_account = |path: &str| {
        let request = sim.api(reqwest::Method::GET, path).header("stripe-account", &account);
        crate::support::send(request)
    };
    let own = as_account("/v1/events?type=account.updated").await.ok();
    assert_eq!(own["data"][0]["account"], json!(account));
    let platforms = sim.get("/v1/events").await.ok();
    assert_eq!(platforms["data"], json!([]));
}
