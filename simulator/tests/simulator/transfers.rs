use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, as_account, ids, text};

async fn transfer_of(sim: &Sim, charge: &Value) -> Value {
    sim.get(&format!("/v1/transfers/{}", text(&charge["transfer"]))).await.ok()
}

async fn fee_refunded(sim: &Sim, charge: &Value) -> i64 {
    let path = format!("/v1/application_fees/{}", text(&charge["application_fee"]));
    sim.get(&path).await.ok()["amount_refunded"].as_i64().unwrap()
}

#[tokio::test]
async fn a_reversal_gives_back_its_part_of_the_fee() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let path = format!("/v1/transfers/{}/reversals", text(&charge["transfer"]));
    let form = "amount=400&refund_application_fee=true&metadata[dispute]=du_1";
    let reversal = sim.post(&path, form).await.ok();
    assert_eq!(reversal["metadata"]["dispute"], "du_1");
    assert_eq!(reversal["source_refund"], Value::Null);
    assert_eq!(fee_refunded(&sim, &charge).await, 40);
    let again = sim.get(&format!("{path}/{}", text(&reversal["id"]))).await.ok();
    assert_eq!(again, reversal);
    // Without being asked the fee stays.
    sim.post(&path, "amount=100").await.ok();
    assert_eq!(fee_refunded(&sim, &charge).await, 40);
    let error = sim.post(&path, "amount=501").await.error(400);
    assert_eq!(error["param"], "amount");
    let movement = sim.get(&format!("{path}?expand[]=data.balance_transaction")).await.ok();
    assert_eq!(movement["data"][0]["balance_transaction"]["type"], "transfer_refund");
    let events = sim.get("/v1/events?types[]=transfer.reversed&limit=1").await.ok();
    assert_eq!(events["data"][0]["data"]["object"]["amount_reversed"], 500);
}

/// Small numbers that look random, always the same.
fn parts(seed: u64, whole: i64) -> Vec<i64> {
    let (mut state, mut left, mut parts) = (seed, whole, Vec::new());
    while left > 0 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = i64::try_from(state >> 33).unwrap() % (whole / 3) + 1;
        parts.push(part.min(left));
        left -= part.min(left);
    }
    parts
}

#[tokio::test]
async fn refunds_and_reversals_together_give_back_exactly_the_fee() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    for (seed, amount, fee) in [(1, 1000, 33), (2, 999, 100), (3, 10_007, 1_001), (4, 777, 776)] {
        let charge = sim.paid(amount, Some((&account, fee))).await;
        let reversals = format!("/v1/transfers/{}/reversals", text(&charge["transfer"]));
        let mut given_back = 0;
        for (index, part) in parts(seed, amount).into_iter().enumerate() {
            if index % 2 == 0 {
                let form = format!("amount={part}&refund_application_fee=true");
                sim.post(&reversals, &form).await.ok();
            } else {
                let form = format!(
                    "charge={}&amount={part}&reverse_transfer=true&refund_application_fee=true",
                    text(&charge["id"])
                );
                sim.post("/v1/refunds", &form).await.ok();
            }
            let now = fee_refunded(&sim, &charge).await;
            assert!((given_back..=fee).contains(&now), "{now} of {fee}");
            given_back = now;
        }
        assert_eq!(given_back, fee);
        assert_eq!(transfer_of(&sim, &charge).await["amount_reversed"], amount);
        // What is refunded beyond that takes nothing from the account, and gives nothing back.
        let form = format!(
            "charge={}&amount=1&reverse_transfer=true&refund_application_fee=true",
            text(&charge["id"])
        );
        let refund = sim.post("/v1/refunds", &form).await.ok();
        assert_eq!(refund["transfer_reversal"], Value::Null);
        assert_eq!(fee_refunded(&sim, &charge).await, fee);
    }
}

#[tokio::test]
async fn an_account_can_refuse_reversals() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let events = sim.get("/v1/events").await.ok();
    let control = format!("accounts/{account}");
    sim.control(Method::POST, &control, json!({ "refuse_reversals": true })).await.ok();
    let path = format!("/v1/transfers/{}/reversals", text(&charge["transfer"]));
    let error = sim.post(&path, "refund_application_fee=true").await.error(400);
    assert_eq!(error["code"], "balance_insufficient");
    assert_eq!(transfer_of(&sim, &charge).await["amount_reversed"], 0);
    assert_eq!(fee_refunded(&sim, &charge).await, 0);
    assert_eq!(sim.get("/v1/events").await.ok(), events);
    sim.control(Method::POST, &control, json!({ "refuse_reversals": false })).await.ok();
    sim.post(&path, "refund_application_fee=true").await.ok();
    assert_eq!(fee_refunded(&sim, &charge).await, 100);
}

#[tokio::test]
async fn money_is_transferred_by_hand() {
    let (sim, inbox) = Sim::start_heard().await;
    let (account, other) = (sim.account().await, sim.account().await);
    let charge = sim.paid(1000, None).await;
    let form = format!(
        "amount=700&currency=eur&destination={account}&transfer_group=g1\
                        &metadata[a]=b&source_transaction={}",
        text(&charge["id"])
    );
    let transfer = sim.post("/v1/transfers", &form).await.ok();
    assert_eq!(transfer["amount"], 700);
    assert_eq!(transfer["destination"], json!(account));
    assert_eq!(transfer["metadata"], json!({ "a": "b" }));
    let told = inbox.until_kind("transfer.created").await.event();
    assert_eq!(told["data"]["object"], transfer);
    sim.post("/v1/transfers", &format!("amount=10&currency=eur&destination={other}")).await.ok();
    for filter in [format!("destination={account}"), "transfer_group=g1".to_owned()] {
        let page = sim.get(&format!("/v1/transfers?{filter}")).await.ok();
        assert_eq!(ids(&page), [text(&transfer["id"])], "{filter}");
    }
    let path = format!("/v1/transfers/{}", text(&transfer["id"]));
    let updated = sim.post(&path, "metadata[c]=d").await.ok();
    assert_eq!(updated["metadata"], json!({ "a": "b", "c": "d" }));
    let error = sim.post(&format!("{path}/reversals"), "refund_application_fee=true").await;
    assert_eq!(error.error(400)["param"], "refund_application_fee");
    sim.post(&format!("{path}/reversals"), "amount=200").await.ok();
    let movements = sim.get("/v1/balance_transactions?limit=3").await.ok();
    let nets: Vec<_> = movements["data"].as_array().unwrap().iter().map(|m| &m["net"]).collect();
    assert_eq!(nets, [200, -10, -700]);
    // What came back can be passed on again, and no more than that.
    sim.post("/v1/transfers", &form).await.error(400);
    sim.post("/v1/transfers", &form.replace("amount=700", "amount=500")).await.ok();
}

#[tokio::test]
async fn transfers_that_cannot_be_made() {
    let sim = Sim::start().await;
    let (account, bare) = (sim.account().await, sim.bare_account().await);
    for (form, param, code) in [
        (
            format!("currency=eur&destination={account}"),
            json!("amount"),
            json!("parameter_missing"),
        ),
        (format!("amount=1&destination={account}"), json!("currency"), json!("parameter_missing")),
        ("amount=1&currency=eur".to_owned(), json!("destination"), json!("parameter_missing")),
        (
            format!("amount=0&currency=eur&destination={account}"),
            json!("amount"),
            json!("parameter_invalid_integer"),
        ),
        (
            "amount=1&currency=eur&destination=acct_gone".to_owned(),
            json!("destination"),
            json!("resource_missing"),
        ),
        (
            format!("amount=1&currency=eur&destination={account}&source_transaction=ch_gone"),
            json!("source_transaction"),
            json!("resource_missing"),
        ),
        (
            format!("amount=1&currency=eur&destination={bare}"),
            Value::Null,
            json!("insufficient_capabilities_for_transfer"),
        ),
    ] {
        let error = sim.post("/v1/transfers", &form).await.error(400);
        assert_eq!((&error["param"], &error["code"]), (&param, &code), "{form}");
    }
    let deauthorized = json!({ "deauthorize": true });
    sim.control(Method::POST, &format!("accounts/{account}"), deauthorized).await.ok();
    let form = format!("amount=1&currency=eur&destination={account}");
    sim.post("/v1/transfers", &form).await.error(403);
}

#[tokio::test]
async fn the_connected_account_sees_payments() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    let charge = sim.paid(1000, Some((&account, 100))).await;
    let path = format!("/v1/charges/{}?expand[]=transfer.destination_payment", text(&charge["id"]));
    let payment = sim.get(&path).await.ok()["transfer"]["destination_payment"].clone();
    assert_eq!(payment["source_transfer"], charge["transfer"]);
    assert_eq!(payment["application_fee"], charge["application_fee"]);
    let path = format!("/v1/charges/{}?expand[]=balance_transaction", text(&payment["id"]));
    let seen = as_account(&sim, &account, &path).await.ok();
    let movement = &seen["balance_transaction"];
    assert_eq!(movement["type"], "payment");
    assert_eq!((&movement["amount"], &movement["net"]), (&json!(1000), &json!(900)));
    assert_eq!(movement["fee_details"][0]["type"], "application_fee");
    sim.get(&path).await.error(404);

    let form = format!(
        "charge={}&amount=500&reverse_transfer=true&refund_application_fee=true",
        text(&charge["id"])
    );
    sim.post("/v1/refunds", &form).await.ok();
    let path = "/v1/balance_transactions?expand[]=data.source";
    let movements = as_account(&sim, &account, path).await.ok();
    let of: Vec<_> = movements["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (text(&m["type"]), m["net"].as_i64().unwrap(), text(&m["source"]["object"])))
        .collect();
    assert_eq!(
        of,
        [
            ("adjustment".to_owned(), 50, "fee_refund".to_owned()),
            ("payment_refund".to_owned(), -500, "refund".to_owned()),
            ("payment".to_owned(), 900, "charge".to_owned()),
        ]
    );
    let path = format!("/v1/charges/{}", text(&payment["id"]));
    assert_eq!(as_account(&sim, &account, &path).await.ok()["amount_refunded"], 500);
    let path = format!("/v1/refunds/{}", text(&movements["data"][1]["source"]["id"]));
    let refund = as_account(&sim, &account, &path).await.ok();
    assert_eq!(refund["charge"], payment["id"]);
}
