use serde_json::json;

use crate::support::{Sim, as_account, ids, text};

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

#[tokio::test]
async fn movements_of_either_side_are_listed_page_by_page() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let mut newest = 0;
    for amount in [1000, 2000, 3000] {
        sim.paid(amount, Some((&account, 100))).await;
        sim.advance(100).await;
        newest = sim.now().await;
    }
    let paths = ["type=payment", "currency=eur", "type=payment&created[lt]=9999999999"];
    for filter in paths {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/balance_transactions?limit=2&{filter}{after}");
            let page = as_account(&sim, &account, &path).await.ok();
            let data = page["data"].as_array().unwrap().clone();
            seen.extend(data.iter().map(|movement| movement["amount"].as_i64().unwrap()));
            if page["has_more"] == false {
                break;
            }
            after = format!("&starting_after={}", text(&data.last().unwrap()["id"]));
        }
        assert_eq!(seen, [3000, 2000, 1000], "{filter}");
    }
    for filter in
        ["type=charge", "currency=usd", "source=py_gone", &format!("created[gte]={newest}")]
    {
        let path = format!("/v1/balance_transactions?{filter}");
        let page = as_account(&sim, &account, &path).await.ok();
        assert_eq!(page["data"], json!([]), "{filter}");
    }
    let path = "/v1/balance_transactions?limit=1&expand[]=data.source";
    let movement = as_account(&sim, &account, path).await.ok()["data"][0].clone();
    let of_source = format!("/v1/balance_transactions?source={}", text(&movement["source"]["id"]));
    let found = as_account(&sim, &account, &of_source).await.ok();
    assert_eq!(ids(&found), [text(&movement["id"])]);
    let path = format!("/v1/balance_transactions/{}", text(&movement["id"]));
    assert_eq!(as_account(&sim, &account, &path).await.ok()["amount"], 3000);
    sim.get(&path).await.error(404);
}

#[tokio::test]
async fn events_are_listed_from_either_end_and_forgotten_after_thirty_days() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, None).await;
    let path = format!("charges/{}/dispute", text(&charge["id"]));
    sim.control(reqwest::Method::POST, &path, json!({})).await.ok();
    let all = ids(&sim.get("/v1/events?limit=100").await.ok());
    let before = sim.get(&format!("/v1/events?limit=2&ending_before={}", all[4])).await.ok();
    assert_eq!((ids(&before), &before["has_more"]), (all[2..4].to_vec(), &json!(true)));
    let after = sim.get(&format!("/v1/events?limit=100&starting_after={}", all[4])).await.ok();
    assert_eq!(ids(&after), all[5..]);
    let path = "/v1/events?types[]=charge.dispute.created&types[]=account.updated\
                &delivery_success=false";
    assert_eq!(sim.get(path).await.ok()["data"].as_array().unwrap().len(), 1);
    let own = as_account(&sim, &account, path).await.ok();
    assert_eq!(own["data"][0]["type"], "account.updated");

    sim.advance(29 * 24 * 3600).await;
    let kept = ids(&sim.get("/v1/events?limit=100").await.ok());
    assert_eq!(kept[kept.len() - all.len()..], all);
    sim.advance(2 * 24 * 3600).await;
    assert_eq!(sim.get("/v1/events").await.ok()["data"], json!([]));
    assert_eq!(as_account(&sim, &account, "/v1/events").await.ok()["data"], json!([]));
}
