//! What time does to subscriptions.

use serde_json::{Value, json};

use crate::support::{Sim, period, text};

const DAY: i64 = 24 * 3600;

fn texts(objects: &[Value], name: &str) -> Vec<String> {
    objects.iter().map(|object| text(&object[name])).collect()
}

#[tokio::test]
async fn every_period_has_its_invoice_however_far_the_clock_is_moved() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, _) = sim.subscribed(&price).await;
    let (begin, _) = period(&sim.subscription(&id).await);
    sim.advance(365 * DAY).await;
    let subscription = sim.subscription(&id).await;
    assert_eq!(subscription["status"], "active");
    let (start, end) = period(&subscription);
    let now = sim.now().await;
    assert!(start <= now && now < end, "{start} <= {now} < {end}");
    let mut invoices = sim.invoices(&id).await;
    invoices.reverse();
    assert_eq!(invoices.len(), 13);
    let mut expected = begin;
    for invoice in &invoices {
        assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(1200)));
        let covered = &invoice["lines"]["data"][0]["period"];
        assert_eq!(covered["start"], expected, "periods follow each other");
        assert_eq!(invoice["created"], expected, "and are billed when they begin");
        expected = covered["end"].as_i64().unwrap();
    }
    let mut numbers = texts(&invoices, "number");
    numbers.dedup();
    assert_eq!(numbers.len(), 13);
}

#[tokio::test]
async fn a_declined_renewal_is_tried_again_until_it_is_paid() {
    let (sim, inbox) = Sim::start_heard().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, customer) = sim.subscribed(&price).await;
    sim.set_card(&customer, "declines").await;
    sim.end_period(&id).await;
    let failed = inbox.until_kind("invoice.payment_failed").await.event();
    let failed = &failed["data"]["object"];
    assert_eq!((&failed["status"], &failed["attempt_count"]), (&json!("open"), &json!(1)));
    assert_eq!(sim.subscription(&id).await["status"], "past_due");
    let path = format!("/v1/customers/{customer}");
    assert_eq!(sim.get(&path).await.ok()["delinquent"], true);

    sim.set_card(&customer, "ok").await;
    assert_eq!(sim.subscription(&id).await["status"], "past_due", "nobody has tried again");
    let next = failed["next_payment_attempt"].as_i64().unwrap();
    sim.advance(next - sim.now().await + 1).await;
    assert_eq!(sim.subscription(&id).await["status"], "active");
    let invoice = &sim.invoices(&id).await[0];
    assert_eq!((&invoice["status"], &invoice["attempt_count"]), (&json!("paid"), &json!(2)));
    assert_eq!(invoice["id"], failed["id"]);
    assert_eq!(sim.get(&path).await.ok()["delinquent"], false);
}

#[tokio::test]
async fn after_the_last_try_it_is_over() {
    let (sim, inbox) = Sim::start_heard().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, customer) = sim.subscribed(&price).await;
    sim.set_card(&customer, "declines").await;
    sim.end_period(&id).await;
    sim.advance(20 * DAY).await;
    let ended = inbox.until_kind("customer.subscription.deleted").await.event();
    let ended = &ended["data"]["object"];
    assert_eq!((&ended["id"], &ended["status"]), (&json!(id), &json!("canceled")));
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    let invoices = sim.invoices(&id).await;
    assert_eq!(texts(&invoices, "status"), ["uncollectible", "paid"]);
    assert_eq!(invoices[0]["attempt_count"], 4);
    sim.advance(90 * DAY).await;
    assert_eq!(sim.invoices(&id).await.len(), 2, "nothing is billed any more");
}

#[tokio::test]
async fn a_new_card_is_tried_at_once() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, customer) = sim.subscribed(&price).await;
    sim.set_card(&customer, "none").await;
    sim.end_period(&id).await;
    assert_eq!(sim.subscription(&id).await["status"], "past_due");
    let form = "invoice_settings[default_payment_method]=pm_card_visa";
    sim.post(&format!("/v1/customers/{customer}"), form).await.ok();
    assert_eq!(sim.subscription(&id).await["status"], "active");
    assert_eq!(sim.invoices(&id).await[0]["status"], "paid");
}

#[tokio::test]
async fn one_that_was_canceled_ends_with_its_period() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, _) = sim.subscribed(&price).await;
    let path = format!("/v1/subscriptions/{id}");
    let canceled = sim.post(&path, "cancel_at_period_end=true").await.ok();
    let (_, end) = period(&canceled);
    assert_eq!((&canceled["status"], &canceled["cancel_at"]), (&json!("active"), &json!(end)));
    let resumed = sim.post(&path, "cancel_at_period_end=false").await.ok();
    assert_eq!((&resumed["cancel_at"], &resumed["canceled_at"]), (&json!(null), &json!(null)));
    sim.end_period(&id).await;
    assert_eq!(sim.subscription(&id).await["status"], "active");
    sim.post(&path, "cancel_at_period_end=true").await.ok();
    sim.end_period(&id).await;
    let ended = sim.subscription(&id).await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["cancellation_details"]["reason"], "cancellation_requested");
    assert_eq!(ended["ended_at"], ended["items"]["data"][0]["current_period_end"]);
    assert_eq!(sim.invoices(&id).await.len(), 2);
}

#[tokio::test]
async fn nobody_pays_the_first_invoice_in_time() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let customer = sim.post("/v1/customers", "payment_method=pm_card_chargeCustomerFail").await;
    let customer = text(&customer.ok()["id"]);
    let form = format!("customer={customer}&items[0][price]={price}");
    let one = text(&sim.post("/v1/subscriptions", &form).await.ok()["id"]);
    let two = text(&sim.post("/v1/subscriptions", &form).await.ok()["id"]);
    assert_eq!(sim.subscription(&one).await["status"], "incomplete");
    let invoice = text(&sim.invoices(&two).await[0]["id"]);
    let error = sim.post(&format!("/v1/invoices/{invoice}/pay"), "").await.error(402);
    assert_eq!(error["code"], "card_declined");
    sim.set_card(&customer, "ok").await;
    sim.post(&format!("/v1/invoices/{invoice}/pay"), "").await.ok();
    sim.advance(DAY).await;
    assert_eq!(sim.subscription(&one).await["status"], "incomplete_expired");
    assert_eq!(sim.invoices(&one).await[0]["status"], "void");
    assert_eq!(sim.subscription(&two).await["status"], "active");
}

#[tokio::test]
async fn an_upgrade_is_prorated() {
    let sim = Sim::start().await;
    let (small, large) =
        (sim.price("Pro", 1000, "month").await, sim.price("Business", 3000, "month").await);
    let (id, _) = sim.subscribed(&small).await;
    let subscription = sim.subscription(&id).await;
    let (start, end) = period(&subscription);
    sim.advance((end - start) / 2).await;
    let item = text(&subscription["items"]["data"][0]["id"]);
    let form = format!("items[0][id]={item}&items[0][price]={large}");
    let path = format!("/v1/subscriptions/{id}");
    let changed = sim.post(&path, &form).await.ok();
    assert_eq!(changed["items"]["data"][0]["price"]["id"], large);
    assert_eq!(period(&changed), (start, end));
    assert_eq!(sim.invoices(&id).await.len(), 1, "it waits for the next invoice");
    sim.end_period(&id).await;
    let invoices = sim.invoices(&id).await;
    let amounts = invoices[0]["lines"]["data"].as_array().unwrap().iter();
    let amounts: Vec<_> = amounts.map(|line| line["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts.len(), 3);
    assert!((amounts[0] + 500).abs() <= 1 && (amounts[1] - 1500).abs() <= 1, "{amounts:?}");
    assert_eq!(amounts[2], 3000);
    assert_eq!(invoices[0]["amount_paid"], amounts.iter().sum::<i64>());
}

#[tokio::test]
async fn a_downgrade_leaves_a_credit_that_is_used_up_later() {
    let sim = Sim::start().await;
    let (large, small) =
        (sim.price("Business", 12_000, "year").await, sim.price("Pro", 1000, "month").await);
    let (id, customer) = sim.subscribed(&large).await;
    let item = text(&sim.subscription(&id).await["items"]["data"][0]["id"]);
    let form = format!("items[0][id]={item}&items[0][price]={small}");
    sim.post(&format!("/v1/subscriptions/{id}"), &form).await.ok();
    let invoice = &sim.invoices(&id).await[0];
    assert_eq!(invoice["billing_reason"], "subscription_update");
    assert_eq!((&invoice["status"], &invoice["amount_due"]), (&json!("paid"), &json!(0)));
    let balance = sim.get(&format!("/v1/customers/{customer}")).await.ok()["balance"].clone();
    assert_eq!(balance, json!(-11_000));
    sim.end_period(&id).await;
    let invoice = &sim.invoices(&id).await[0];
    assert_eq!((&invoice["total"], &invoice["amount_due"]), (&json!(1000), &json!(0)));
    assert_eq!(invoice["ending_balance"], -10_000);
    assert_eq!(sim.get("/v1/charges").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn subscription_money_is_counted_apart_from_sales() {
    let sim = Sim::start().await;
    let account = sim.account().await;
    sim.paid(10_000, Some((&account, 1_000))).await;
    let before = sim.summary().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, customer) = sim.subscribed(&price).await;
    sim.end_period(&id).await;
    sim.set_card(&customer, "declines").await;
    sim.end_period(&id).await;
    let after = sim.summary().await;
    assert_eq!(after["accounts"], before["accounts"]);
    let fee = 65;
    assert_eq!(
        after["subscriptions"]["eur"],
        json!({
            "paid": 2400, "refunded": 0, "disputed": 0, "dispute_fees": 0,
            "processor_fees": 2 * fee, "invoices": 2,
        })
    );
    let balance = |summary: &Value| summary["platform"]["eur"]["balance"].as_i64().unwrap();
    assert_eq!(balance(&after), balance(&before) + 2 * (1200 - fee));
    assert_eq!(after["counts"]["subscriptions"], json!({ "past_due": 1 }));
    assert_eq!(after["counts"]["invoices"], json!({ "open": 1, "paid": 2 }));
    let movements = sim.get("/v1/balance_transactions?type=charge&limit=100").await.ok();
    let nets: i64 =
        movements["data"].as_array().unwrap().iter().map(|m| m["net"].as_i64().unwrap()).sum();
    assert_eq!(nets, 2 * (1200 - fee) + 10_000 - 320);
}
