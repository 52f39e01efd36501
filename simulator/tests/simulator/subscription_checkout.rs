use serde_json::{Value, json};

use crate::support::{Inbox, Sim, period, text};

const DAY: i64 = 24 * 3600;

/// The kinds of all events, oldest first, as the API lists them.
async fn kinds(sim: &Sim) -> Vec<String> {
    let events = sim.get("/v1/events?limit=100").await.ok();
    events["data"].as_array().unwrap().iter().rev().map(|event| text(&event["type"])).collect()
}

#[tokio::test]
async fn a_stranger_subscribes() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let more = "&customer_email=owner@a.test&client_reference_id=handle_1&metadata[a]=1\
                &subscription_data[metadata][handle]=1";
    let session = sim.subscription_session(&price, more).await;
    assert_eq!(session["mode"], "subscription");
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(1200), &json!("eur")));
    for name in ["customer", "subscription", "invoice", "payment_intent"] {
        assert_eq!(session[name], Value::Null, "{name} of an open session");
    }
    let before = kinds(&sim).await.len();
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    let session = &paid["session"];
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&json!("complete"), &json!("paid"))
    );
    assert_eq!(session["payment_intent"], Value::Null, "it is in the invoice");
    assert_eq!(session["client_reference_id"], "handle_1");
    assert_eq!(session["customer_details"]["email"], "owner@a.test");

    let subscription = sim.subscription(&text(&session["subscription"])).await;
    assert_eq!(subscription["status"], "active");
    assert_eq!(subscription["customer"], session["customer"]);
    assert_eq!(subscription["metadata"], json!({ "handle": "1" }));
    assert_eq!(subscription["latest_invoice"], session["invoice"]);
    assert_eq!(subscription["items"]["data"][0]["price"]["id"], price);
    let (start, end) = period(&subscription);
    assert!((28 * DAY..=31 * DAY).contains(&(end - start)), "{start} to {end}");

    let path = format!("/v1/invoices/{}", text(&session["invoice"]));
    let invoice = sim
        .get(&format!("{path}?expand[]=customer&expand[]=payments.data.payment.payment_intent"))
        .await
        .ok();
    assert_eq!((&invoice["status"], &invoice["amount_paid"]), (&json!("paid"), &json!(1200)));
    assert_eq!(invoice["billing_reason"], "subscription_create");
    assert_eq!(invoice["customer"]["email"], "owner@a.test");
    let parent = &invoice["parent"]["subscription_details"];
    assert_eq!(
        (&parent["subscription"], &parent["metadata"]["handle"]),
        (&subscription["id"], &json!("1"))
    );
    let line = &invoice["lines"]["data"][0];
    assert_eq!(line["period"], json!({ "start": start, "end": end }));
    assert_eq!(line["pricing"]["price_details"]["price"], price);
    let intent = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!((&intent["status"], &intent["amount"]), (&json!("succeeded"), &json!(1200)));

    assert_eq!(
        kinds(&sim).await[before..],
        [
            "customer.created",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "charge.updated",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.subscription.updated",
            "checkout.session.completed",
        ]
    );
}

#[tokio::test]
async fn the_events_of_a_subscription_are_the_platforms() {
    let (sim, inbox): (Sim, Inbox) = Sim::start_heard().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (subscription, _) = sim.subscribed(&price).await;
    for (kind, status) in [
        ("customer.subscription.created", "incomplete"),
        ("customer.subscription.updated", "active"),
        ("invoice.created", "draft"),
        ("invoice.finalized", "open"),
        ("invoice.paid", "paid"),
        ("checkout.session.completed", "complete"),
    ] {
        let received = inbox.until_kind(kind).await;
        assert_eq!(received.path, "/platform", "{kind}");
        let event = received.event();
        assert_eq!(event["data"]["object"]["status"], status, "{kind}");
        assert_eq!(event.get("account"), None, "{kind}");
    }
    let event = inbox.until_kind("checkout.session.completed").await.event();
    assert_eq!(event["data"]["object"]["subscription"], subscription);
}

#[tokio::test]
async fn a_known_customer_subscribes_to_what_is_described_on_the_spot() {
    let sim = Sim::start().await;
    let customer = text(&sim.post("/v1/customers", "email=known@a.test").await.ok()["id"]);
    let form = format!(
        "mode=subscription&success_url=https://shop.test/ok&customer={customer}\
         &line_items[0][quantity]=3&line_items[0][price_data][currency]=eur\
         &line_items[0][price_data][unit_amount]=500\
         &line_items[0][price_data][recurring][interval]=week\
         &line_items[0][price_data][recurring][interval_count]=2\
         &line_items[0][price_data][product_data][name]=Seats"
    );
    let session = sim.post("/v1/checkout/sessions", &form).await.ok();
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    assert_eq!(paid["session"]["customer"], customer);
    assert_eq!(paid["session"]["customer_details"]["email"], "known@a.test");
    let subscription = sim.subscription(&text(&paid["session"]["subscription"])).await;
    let (start, end) = period(&subscription);
    assert_eq!(end - start, 14 * DAY);
    let item = &subscription["items"]["data"][0];
    assert_eq!((&item["quantity"], &item["price"]["active"]), (&json!(3), &json!(false)));
    assert_eq!(sim.invoices(&text(&subscription["id"])).await[0]["amount_paid"], 1500);
    assert_eq!(sim.get("/v1/customers").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let session = sim.subscription_session(&price, "").await;
    let declined = sim.play(&session, json!({ "outcome": "declined" })).await.ok();
    assert_eq!(declined["session"]["status"], "open");
    assert_eq!(sim.get("/v1/subscriptions?status=all").await.ok()["data"], json!([]));
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    let subscription = text(&paid["session"]["subscription"]);
    assert_eq!(sim.subscription(&subscription).await["status"], "active");
    let charges = sim.get("/v1/charges").await.ok();
    let statuses: Vec<_> =
        charges["data"].as_array().unwrap().iter().map(|charge| text(&charge["status"])).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
    assert_eq!(sim.get("/v1/payment_intents").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_trial_is_paid_when_it_is_over() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let more = "&subscription_data[trial_period_days]=7";
    let session = sim.subscription_session(&price, more).await;
    assert_eq!(session["amount_total"], 0);
    let paid = sim.play(&session, json!({ "outcome": "paid" })).await.ok();
    assert_eq!(paid["session"]["payment_status"], "no_payment_required");
    let id = text(&paid["session"]["subscription"]);
    let subscription = sim.subscription(&id).await;
    assert_eq!(subscription["status"], "trialing");
    let (start, end) = period(&subscription);
    assert_eq!((end - start, &subscription["trial_end"]), (7 * DAY, &json!(end)));
    assert_eq!(sim.get("/v1/charges").await.ok()["data"], json!([]));
    sim.end_period(&id).await;
    assert_eq!(sim.subscription(&id).await["status"], "active");
    let invoices = sim.invoices(&id).await;
    let amounts: Vec<_> = invoices.iter().map(|invoice| &invoice["amount_paid"]).collect();
    assert_eq!(amounts, [&json!(1200), &json!(0)]);
}

#[tokio::test]
async fn what_is_for_payments_is_refused_for_subscriptions() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let once = sim.post("/v1/prices", "currency=eur&unit_amount=500&product_data[name]=Once").await;
    let once = text(&once.ok()["id"]);
    let customer = text(&sim.post("/v1/customers", "").await.ok()["id"]);
    let urls = "success_url=https://shop.test/ok";
    for (form, param) in [
        (format!("mode=payment&line_items[0][price]={price}"), "line_items[0][price]"),
        (format!("mode=subscription&line_items[0][price]={once}"), "line_items[0][price]"),
        ("mode=subscription&line_items[0][price]=price_no".into(), "line_items[0][price]"),
        ("mode=setup".into(), "mode"),
        (
            format!(
                "mode=subscription&line_items[0][price]={price}&payment_intent_data[description]=a"
            ),
            "payment_intent_data",
        ),
        (
            format!("mode=payment&line_items[0][price]={once}&subscription_data[description]=a"),
            "subscription_data",
        ),
        (
            format!(
                "mode=subscription&line_items[0][price]={price}&customer={customer}\
                 &customer_email=a@b.test"
            ),
            "customer",
        ),
    ] {
        let error = sim.post("/v1/checkout/sessions", &format!("{urls}&{form}")).await.error(400);
        assert_eq!(error["param"], param, "{form}: {error}");
    }
    let session = sim.subscription_session(&price, "").await;
    sim.play(&session, json!({ "outcome": "delayed" })).await.error(409);
    sim.play(&session, json!({ "outcome": "paid", "amount": 1 })).await.error(409);
    let form = format!("{urls}&mode=payment&line_items[0][price]={once}");
    let session = sim.post("/v1/checkout/sessions", &form).await.ok();
    assert_eq!(session["amount_total"], 500);
}
