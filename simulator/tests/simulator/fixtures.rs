//! Stripe's own example objects are the judge of the simulator's: every object has all the
//! top-level keys of the example with its name, each of the same JSON type or null.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Sim, as_account, text};

/// Where to look for the examples instead.
const ELSEWHERE: &str = "STRIPE_FIXTURES";

fn examples() -> Option<Value> {
    let path = std::env::var_os(ELSEWHERE).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/stripe/fixtures3.json"),
        PathBuf::from,
    );
    match std::fs::read_to_string(&path) {
        Ok(examples) => Some(serde_json::from_str(&examples).unwrap()),
        Err(error) => {
            // Not `eprintln!`, which nobody sees when the test passes.
            let place = path.display();
            let skipped = format!(
                "SKIPPED: no examples of Stripe at {place} ({error})
"
            );
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            None
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// How an object differs from Stripe's example.
fn differences(object: &Value, example: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, expected) in example.as_object().unwrap() {
        match object.get(key) {
            None => differences.push(format!("{key} is missing")),
            Some(Value::Null) => {}
            // Stripe's examples have null where it may be anything.
            Some(_) if expected.is_null() => {}
            // Ids in the simulator's answers may be expanded in the example.
            Some(value) if kind(value) != kind(expected) => {
                differences.push(format!("{key} is {} not {}", kind(value), kind(expected)));
            }
            Some(_) => {}
        }
    }
    differences
}

/// All objects, by name, that the simulator gives or puts into events.
async fn all_objects(sim: &Sim) -> BTreeMap<String, Vec<Value>> {
    let account = sim.account().await;
    sim.post("/v1/customers", "email=a@b.test").await.ok();
    sim.post("/v1/webhook_endpoints", "url=http://127.0.0.1:9&enabled_events[]=*").await.ok();
    let mut loose = vec![
        sim.post(
            "/v1/account_links",
            &format!(
                "account={account}&type=account_onboarding\
                 &refresh_url=https://a.test&return_url=https://a.test"
            ),
        )
        .await
        .ok(),
        sim.post(&format!("/v1/accounts/{account}/login_links"), "").await.ok(),
    ];
    let charge = sim.paid(10_000, Some((&account, 1_000))).await;
    let form = format!(
        "charge={}&amount=4000&reverse_transfer=true&refund_application_fee=true",
        text(&charge["id"])
    );
    let refund = sim.post("/v1/refunds", &form).await.ok();
    let path = format!("refunds/{}", text(&refund["id"]));
    for status in ["pending", "failed"] {
        let body = json!({ "status": status });
        loose.push(sim.control(Method::POST, &path, body).await.ok());
    }
    for outcomes in [
        vec!["declined", "paid"],
        vec!["declined", "expired"],
        vec!["delayed", "delayed_succeeds"],
        vec!["delayed", "delayed_fails"],
        vec![],
    ] {
        let session = sim.session(1_000, None).await;
        for outcome in outcomes {
            sim.play(&session, json!({ "outcome": outcome })).await.ok();
        }
    }
    loose.extend(disputed_objects(sim).await);
    let path = format!("accounts/{account}");
    let restricted = json!({
        "disabled_reason": "requirements.past_due",
        "errors": [{ "requirement": "external_account", "code": "invalid_value_other",
            "reason": "No such account." }],
    });
    sim.control(Method::POST, &path, restricted).await.ok();
    let request = sim.api(Method::GET, "/v1/events?limit=100");
    let of_account = crate::support::send(request.header("stripe-account", &account)).await.ok();
    loose.extend(of_account["data"].as_array().unwrap().clone());

    loose.extend(billing_objects(sim).await);

    let transfer = text(&charge["transfer"]);
    let fee = text(&charge["application_fee"]);
    for list in [
        "/v1/accounts",
        &format!("/v1/accounts/{account}/capabilities"),
        "/v1/application_fees",
        &format!("/v1/application_fees/{fee}/refunds"),
        "/v1/balance_transactions",
        "/v1/charges",
        "/v1/checkout/sessions",
        "/v1/customers",
        "/v1/disputes",
        "/v1/events",
        "/v1/invoices",
        "/v1/payment_intents",
        "/v1/payouts",
        "/v1/prices",
        "/v1/products",
        "/v1/radar/early_fraud_warnings",
        "/v1/refunds",
        "/v1/subscriptions?status=all",
        "/v1/transfers",
        &format!("/v1/transfers/{transfer}/reversals"),
        "/v1/webhook_endpoints",
    ] {
        let separator = if list.contains('?') { '&' } else { '?' };
        let page = sim.get(&format!("{list}{separator}limit=100")).await.ok();
        let objects = page["data"].as_array().unwrap();
        assert!(!objects.is_empty(), "{list} is empty");
        loose.extend(objects.clone());
    }
    loose.push(sim.get("/v1/account").await.ok());
    let disconnected = json!({ "deauthorize": true });
    sim.control(Method::POST, &path, disconnected).await.ok();

    let snapshots: Vec<Value> = loose
        .iter()
        .filter(|object| object["object"] == "event")
        .map(|event| event["data"]["object"].clone())
        .collect();
    let mut by_name: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in loose.into_iter().chain(snapshots) {
        by_name.entry(text(&object["object"])).or_default().push(object);
    }
    by_name
}

/// Lets buyers and banks take payments back; gives what only the connected account sees.
async fn disputed_objects(sim: &Sim) -> Vec<Value> {
    let account = sim.account().await;
    let form = format!("amount=100&currency=eur&destination={account}");
    let by_hand = sim.post("/v1/transfers", &form).await.ok();
    let path = format!("/v1/transfers/{}/reversals", text(&by_hand["id"]));
    sim.post(&path, "amount=40").await.ok();
    for verdict in ["won", "lost"] {
        let charge = text(&sim.paid(1_000, Some((&account, 100))).await["id"]);
        let warning = format!("charges/{charge}/early_fraud_warning");
        sim.control(Method::POST, &warning, json!({})).await.ok();
        let dispute = format!("charges/{charge}/dispute");
        let dispute = sim.control(Method::POST, &dispute, json!({})).await.ok();
        let path = format!("disputes/{}", text(&dispute["id"]));
        let body = json!({ "status": "under_review" });
        sim.control(Method::POST, &path, body).await.ok();
        let body = json!({ "status": verdict });
        sim.control(Method::POST, &format!("{path}/close"), body).await.ok();
    }
    for body in [json!({ "currency": "eur" }), json!({ "currency": "eur", "account": account })] {
        let payout = sim.control(Method::POST, "payouts", body).await.ok();
        let path = format!("payouts/{}", text(&payout["id"]));
        sim.control(Method::POST, &path, json!({ "status": "failed" })).await.ok();
    }
    let path = "/v1/balance_transactions?limit=100";
    let plain = as_account(sim, &account, path).await.ok();
    let expanded = as_account(sim, &account, &format!("{path}&expand[]=data.source")).await.ok();
    let sources = expanded["data"].as_array().unwrap().iter().map(|one| one["source"].clone());
    let balances =
        [sim.get("/v1/balance").await.ok(), as_account(sim, &account, "/v1/balance").await.ok()];
    plain["data"].as_array().unwrap().iter().cloned().chain(sources).chain(balances).collect()
}

/// Lets subscriptions go through their lives; gives what is in no list.
async fn billing_objects(sim: &Sim) -> Vec<Value> {
    // Those of the sales, before they are forgotten.
    let events = sim.get("/v1/events?limit=100").await.ok();
    let (price, other) =
        (sim.price("Pro", 1200, "month").await, sim.price("Business", 4800, "month").await);
    let (first, customer) = sim.subscribed(&price).await;
    let trial = sim.subscription_session(&price, "&subscription_data[trial_period_days]=3").await;
    sim.play(&trial, json!({ "outcome": "paid" })).await.ok();
    let form =
        format!("customer={customer}&items[0][price]={other}&payment_behavior=default_incomplete");
    sim.post("/v1/subscriptions", &form).await.ok();
    let open = sim.invoices(&first).await;
    let item = sim.subscription(&first).await["items"]["data"][0].clone();
    let form = format!("items[0][id]={}&items[0][price]={other}", text(&item["id"]));
    sim.post(&format!("/v1/subscriptions/{first}"), &form).await.ok();
    sim.set_card(&customer, "declines").await;
    sim.end_period(&first).await;
    let portal = format!("customer={customer}&return_url=https://a.test");
    let portal = sim.post("/v1/billing_portal/sessions", &portal).await.ok();
    sim.advance(20 * 24 * 3600).await;
    let mut loose = vec![portal, item];
    loose.extend(events["data"].as_array().unwrap().clone());
    for invoice in open.into_iter().chain(sim.invoices(&first).await) {
        loose.extend(invoice["lines"]["data"].as_array().unwrap().clone());
        loose.extend(invoice["payments"]["data"].as_array().unwrap().clone());
    }
    let card = format!("/v1/customers/{customer}");
    let deleted = crate::support::send(sim.api(Method::DELETE, &card)).await.ok();
    assert_eq!(deleted, json!({ "id": customer, "object": "customer", "deleted": true }));
    loose
}

#[tokio::test]
async fn objects_have_the_keys_and_types_of_stripes_examples() {
    let Some(examples) = examples() else {
        return;
    };
    let sim = Sim::start().await;
    let objects = all_objects(&sim).await;
    let names: Vec<_> = objects.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "account",
            "account_link",
            "application_fee",
            "balance",
            "balance_transaction",
            "billing_portal.session",
            "capability",
            "charge",
            "checkout.session",
            "customer",
            "dispute",
            "event",
            "fee_refund",
            "invoice",
            "invoice_payment",
            "line_item",
            "login_link",
            "payment_intent",
            "payout",
            "price",
            "product",
            "radar.early_fraud_warning",
            "refund",
            "subscription",
            "subscription_item",
            "transfer",
            "transfer_reversal",
            "webhook_endpoint",
        ]
    );
    for (name, objects) in objects {
        let example = &examples["resources"][&name];
        assert!(example.is_object(), "there is no example of {name}");
        for object in objects {
            let differences = differences(&object, example);
            assert!(differences.is_empty(), "{name}: {differences:?} in {object}");
        }
    }
}

#[tokio::test]
async fn async_stripe_reads_every_object() {
    let sim = Sim::start().await;
    for (name, objects) in all_objects(&sim).await {
        for object in objects {
            let json = object.to_string();
            let read = match name.as_str() {
                "account" => reads::<stripe_shared::Account>(&json),
                "account_link" => reads::<stripe_connect::AccountLink>(&json),
                "application_fee" => reads::<stripe_shared::ApplicationFee>(&json),
                "balance" => reads::<stripe_core::Balance>(&json),
                "balance_transaction" => reads::<stripe_shared::BalanceTransaction>(&json),
                "billing_portal.session" => reads::<stripe_billing::BillingPortalSession>(&json),
                "capability" => reads::<stripe_shared::Capability>(&json),
                "charge" => reads::<stripe_shared::Charge>(&json),
                "checkout.session" => reads::<stripe_shared::CheckoutSession>(&json),
                "customer" => reads::<stripe_shared::Customer>(&json),
                "dispute" => reads::<stripe_shared::Dispute>(&json),
                "event" => reads::<stripe_shared::Event>(&json),
                "fee_refund" => reads::<stripe_shared::ApplicationFeeRefund>(&json),
                "invoice" => reads::<stripe_shared::Invoice>(&json),
                "invoice_payment" => reads::<stripe_shared::InvoicePayment>(&json),
                "line_item" => reads::<stripe_shared::InvoiceLineItem>(&json),
                "login_link" => reads::<stripe_connect::LoginLink>(&json),
                "payment_intent" => reads::<stripe_shared::PaymentIntent>(&json),
                "payout" => reads::<stripe_shared::Payout>(&json),
                "price" => reads::<stripe_shared::Price>(&json),
                "product" => reads::<stripe_shared::Product>(&json),
                "refund" => reads::<stripe_shared::Refund>(&json),
                "subscription" => reads::<stripe_shared::Subscription>(&json),
                "subscription_item" => reads::<stripe_shared::SubscriptionItem>(&json),
                "transfer" => reads::<stripe_shared::Transfer>(&json),
                "transfer_reversal" => reads::<stripe_shared::TransferReversal>(&json),
                // These need a part of async-stripe that nobody else here needs.
                "radar.early_fraud_warning" | "webhook_endpoint" => true,
                other => panic!("nobody reads {other}"),
            };
            assert!(read, "async-stripe cannot read {json}");
        }
    }
}

fn reads<T: miniserde::Deserialize>(json: &str) -> bool {
    miniserde::json::from_str::<T>(json).is_ok()
}
