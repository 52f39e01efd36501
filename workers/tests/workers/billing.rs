//! What handles pay for their plans, as it is asked of Stripe and read back.

use std::{sync::Arc, time::Duration};

use engine::{Perform, Trouble};
use serde_json::{Value, json};
use uuid::Uuid;
use workers::stripe::StripePerformer;
use workflows::{
    Timestamp,
    effect::{Answer, Effect, PlanSessionRequest},
    id::HandleId,
    money::Currency,
    plan::{Plan, Plans},
    stripe::{Billing, PaidInvoice, Subscription, SubscriptionStatus},
    stripe_event::{EFFECT, HANDLE},
};

use crate::{
    fake_stripe::{Asked, FakeStripe, example, list},
    sim::{performer_at, task},
};

fn performer(fake: &FakeStripe) -> StripePerformer {
    let plans =
        Plans::default().priced(Plan::Pro, "price_pro").priced(Plan::Business, "price_business");
    performer_at(&fake.address, Duration::from_secs(20)).with_plans(plans)
}

/// Answers every request alike.
async fn answering(status: u16, body: Value) -> FakeStripe {
    FakeStripe::start(Arc::new(move |_: &Asked| (status, body.clone()))).await
}

/// A subscription as Stripe lists it.
fn subscription(id: &str, status: &str, price: &str, changes: Value) -> Value {
    let mut object = example(
        "subscription",
        &json!({
            "id": id, "status": status, "created": 1_000, "cancel_at": null,
            "cancel_at_period_end": false,
        }),
    );
    let item = &mut object["items"]["data"][0];
    item["price"]["id"] = json!(price);
    item["current_period_start"] = json!(1_000);
    item["current_period_end"] = json!(2_000);
    for (field, value) in changes.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

fn invoice(id: &str, paid: i64) -> Value {
    let changes = json!({
        "id": id, "status": "paid", "amount_paid": paid, "amount_paid_off_stripe": 0, "currency": "usd",
    });
    example("invoice", &changes)
}

/// What is read where these are there.
async fn read(subscriptions: Vec<Value>, invoices: Vec<Value>) -> (Billing, Vec<Asked>) {
    let fake = FakeStripe::start(Arc::new(move |asked: &Asked| match asked.what.as_str() {
        "GET /v1/subscriptions" => (200, list(subscriptions.clone())),
        "GET /v1/invoices" => (200, list(invoices.clone())),
        other => panic!("nobody asks for {other}"),
    }))
    .await;
    let effect = Effect::RetrieveBilling { customer: "cus_1".to_owned(), reading: 1 };
    match performer(&fake).perform(&task(effect)).await.unwrap() {
        Answer::BillingRetrieved(billing) => (billing, fake.asked()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_customer_is_made_once() {
    let fake = answering(200, example("customer", &json!({ "id": "cus_1" }))).await;
    let handle = HandleId(Uuid::now_v7());
    let create = task(Effect::CreateCustomer { handle, name: "Maria".to_owned() });
    let answer = performer(&fake).perform(&create).await.unwrap();
    assert_eq!(answer, Answer::CustomerCreated { customer: "cus_1".to_owned() });
    let asked = fake.last();
    assert_eq!(asked.what, "POST /v1/customers");
    assert_eq!(asked.idempotency_key, Some(create.idempotency_key()));
    assert_eq!(asked.field("name"), Some("Maria"));
    assert_eq!(asked.field(&format!("metadata[{HANDLE}]")), Some(handle.to_string().as_str()));
    assert_eq!(asked.field(&format!("metadata[{EFFECT}]")), Some(create.id.to_string().as_str()));
}

#[tokio::test]
async fn what_an_earlier_try_made_is_found() {
    let handle = HandleId(Uuid::now_v7());
    let create = task(Effect::CreateCustomer { handle, name: "Maria".to_owned() });
    let metadata = json!({ EFFECT: create.id.to_string() });
    let ours = example("customer", &json!({ "id": "cus_2", "metadata": metadata }));
    let another = example("customer", &json!({ "id": "cus_1", "metadata": {} }));
    let fake = answering(200, list(vec![another.clone(), ours])).await;
    let found = performer(&fake).find(&create).await.unwrap();
    assert_eq!(found, Some(Answer::CustomerCreated { customer: "cus_2".to_owned() }));
    let fake = answering(200, list(vec![another])).await;
    assert_eq!(performer(&fake).find(&create).await.unwrap(), None);
}

fn page() -> (HandleId, Effect) {
    let handle = HandleId(Uuid::now_v7());
    let request = PlanSessionRequest {
        handle,
        customer: "cus_1".to_owned(),
        price: "price_pro".to_owned(),
        success_url: "https://sluice.test/thanks".to_owned(),
        cancel_url: "https://sluice.test/plans".to_owned(),
        expires_at: Timestamp::from_secs(5_000),
        request: None,
    };
    (handle, Effect::CreatePlanSession(Box::new(request)))
}

#[tokio::test]
async fn a_page_to_subscribe_on_is_opened() {
    let session = json!({ "id": "cs_1", "url": "https://checkout.stripe.test/1" });
    let session = example("checkout_session", &session);
    let fake = answering(200, session.clone()).await;
    let (handle, effect) = page();
    let create = task(effect);
    let expected = Answer::PlanSessionCreated {
        session: "cs_1".to_owned(),
        url: "https://checkout.stripe.test/1".to_owned(),
    };
    assert_eq!(performer(&fake).perform(&create).await.unwrap(), expected);
    let asked = fake.last();
    assert_eq!(asked.what, "POST /v1/checkout/sessions");
    assert_eq!(asked.idempotency_key, Some(create.idempotency_key()));
    let (handle, effect) = (handle.to_string(), create.id.to_string());
    for (field, value) in [
        ("mode", "subscription"),
        ("customer", "cus_1"),
        ("line_items[0][price]", "price_pro"),
        ("line_items[0][quantity]", "1"),
        ("expires_at", "5000"),
        // What routes webhooks is on the subscription itself.
        (&format!("subscription_data[metadata][{HANDLE}]"), &handle),
        (&format!("metadata[{HANDLE}]"), &handle),
        (&format!("metadata[{EFFECT}]"), &effect),
    ] {
        assert_eq!(asked.field(field), Some(value), "{field}");
    }

    let mut made = session;
    made["metadata"] = json!({ EFFECT: create.id.to_string() });
    let fake = answering(200, list(vec![made])).await;
    assert_eq!(performer(&fake).find(&create).await.unwrap(), Some(expected));
    assert_eq!(fake.last().field("customer"), Some("cus_1"));
}

/// A page that was used, or has closed, cannot be closed: that is all the same.
#[tokio::test]
async fn a_page_is_closed_whatever_became_of_it() {
    let expired = example("checkout_session", &json!({ "id": "cs_1", "status": "expired" }));
    let refused = json!({ "error": {
        "type": "invalid_request_error", "message": "Only open sessions can be expired.",
    }});
    for (status, body) in [(200, expired), (400, refused)] {
        let fake = answering(status, body).await;
        let close = Effect::ExpirePlanSession { session: "cs_1".to_owned() };
        let answer = performer(&fake).perform(&task(close)).await.unwrap();
        assert_eq!(answer, Answer::PlanSessionClosed);
        assert_eq!(fake.last().what, "POST /v1/checkout/sessions/cs_1/expire");
    }
}

#[tokio::test]
async fn the_portal_is_opened() {
    let changes = json!({ "url": "https://billing.stripe.test/1", "created": 7_000 });
    let fake = answering(200, example("portal_session", &changes)).await;
    let open = Effect::CreatePortalSession {
        customer: "cus_1".to_owned(),
        return_url: "https://sluice.test/back".to_owned(),
        request: None,
    };
    let answer = performer(&fake).perform(&task(open)).await.unwrap();
    let expected = Answer::PortalSessionCreated {
        url: "https://billing.stripe.test/1".to_owned(),
        expires_at: Timestamp::from_secs(7_000 + 300),
    };
    assert_eq!(answer, expected);
    let asked = fake.last();
    assert_eq!(asked.what, "POST /v1/billing_portal/sessions");
    assert_eq!(asked.field("customer"), Some("cus_1"));
    assert_eq!(asked.field("return_url"), Some("https://sluice.test/back"));
}

#[tokio::test]
async fn a_subscription_and_its_invoices_are_read() {
    let subscriptions = vec![subscription("sub_1", "active", "price_pro", json!({}))];
    let invoices = vec![invoice("in_2", 2_900), invoice("in_1", 0)];
    let (billing, asked) = read(subscriptions, invoices).await;
    let expected = Subscription {
        id: "sub_1".to_owned(),
        status: SubscriptionStatus::Active,
        price: "price_pro".to_owned(),
        plan: Some(Plan::Pro),
        period_start: Timestamp::from_secs(1_000),
        period_end: Timestamp::from_secs(2_000),
        cancel_at: None,
    };
    assert_eq!((billing.subscription, billing.others), (Some(expected), vec![]));
    let paid = PaidInvoice { id: "in_2".to_owned(), amount: 2_900, currency: Currency::USD };
    assert_eq!(billing.paid, [paid], "nothing was paid for the other");
    assert!(asked.iter().all(|asked| asked.field("customer") == Some("cus_1")));
    let invoices = asked.iter().find(|asked| asked.what.ends_with("/invoices")).unwrap();
    assert_eq!(invoices.field("status"), Some("paid"));
}

#[tokio::test]
async fn every_status_is_read() {
    use SubscriptionStatus as S;
    for (status, expected) in [
        ("active", Some(S::Active)),
        ("trialing", Some(S::Active)),
        ("past_due", Some(S::PastDue)),
        ("unpaid", Some(S::PastDue)),
        ("incomplete", Some(S::Incomplete)),
        ("incomplete_expired", None),
        ("paused", None),
        ("canceled", None),
        ("something_new", None),
    ] {
        let listed = vec![subscription("sub_1", status, "price_pro", json!({}))];
        let (billing, _) = read(listed, vec![]).await;
        let read = billing.subscription.map(|subscription| subscription.status);
        assert_eq!(read, expected, "{status}");
    }
}

#[tokio::test]
async fn a_cancellation_is_read_with_its_date() {
    for (changes, at) in
        [(json!({ "cancel_at_period_end": true }), 2_000), (json!({ "cancel_at": 1_500 }), 1_500)]
    {
        let listed = vec![subscription("sub_1", "active", "price_pro", changes)];
        let (billing, _) = read(listed, vec![]).await;
        let cancel_at = billing.subscription.unwrap().cancel_at;
        assert_eq!(cancel_at, Some(Timestamp::from_secs(at)));
    }
}

/// Of several, the one that is paid counts; of those, the larger plan. The others are for a person to look at.
#[tokio::test]
async fn of_several_subscriptions_one_counts() {
    let listed = vec![
        subscription("sub_4", "incomplete", "price_business", json!({})),
        subscription("sub_3", "past_due", "price_business", json!({})),
        subscription("sub_2", "active", "price_business", json!({})),
        subscription("sub_1", "active", "price_pro", json!({})),
    ];
    let (billing, _) = read(listed, vec![]).await;
    let counts = billing.subscription.unwrap();
    assert_eq!((counts.id.as_str(), counts.plan), ("sub_2", Some(Plan::Business)));
    assert_eq!(billing.others, ["sub_1", "sub_3"]);
}

#[tokio::test]
async fn a_price_that_is_no_plans_is_none() {
    let listed = vec![subscription("sub_1", "active", "price_old", json!({}))];
    let (billing, _) = read(listed, vec![]).await;
    let read = billing.subscription.unwrap();
    assert_eq!((read.price.as_str(), read.plan), ("price_old", None));
}

/// The price is another now; who pays the old one has the same plan.
#[tokio::test]
async fn a_former_price_is_read_as_its_plan() {
    let json = r#"{"PRO": {"stripePrice": "price_new", "formerStripePrices": ["price_old"]}}"#;
    let plans = Plans::configured(None, Some(json)).unwrap();
    for price in ["price_old", "price_new"] {
        let listed = vec![subscription("sub_1", "active", price, json!({}))];
        let fake = FakeStripe::start(Arc::new(move |asked: &Asked| match asked.what.as_str() {
            "GET /v1/subscriptions" => (200, list(listed.clone())),
            _ => (200, list(vec![])),
        }))
        .await;
        let effect = Effect::RetrieveBilling { customer: "cus_1".to_owned(), reading: 1 };
        let performer = performer_at(&fake.address, Duration::from_secs(20));
        let answer = performer.with_plans(plans.clone()).perform(&task(effect)).await.unwrap();
        let Answer::BillingRetrieved(billing) = answer else { panic!("{answer:?}") };
        let read = billing.subscription.unwrap();
        assert_eq!((read.price.as_str(), read.plan), (price, Some(Plan::Pro)));
    }
}

/// Stripe has one code for both; only a customer that is gone is made anew.
#[tokio::test]
async fn a_price_that_is_gone_is_no_customer_that_is_gone() {
    for (param, message, code) in [
        ("customer", "No such customer: 'cus_1'", "resource_missing"),
        ("line_items[0][price]", "No such price: 'price_pro'", "price_missing"),
    ] {
        let gone = json!({ "error": {
            "type": "invalid_request_error", "code": "resource_missing", "param": param,
            "message": message,
        }});
        let fake = answering(400, gone).await;
        let trouble = performer(&fake).perform(&task(page().1)).await.unwrap_err();
        let Trouble::Permanent(failure) = trouble else { panic!("{trouble:?}") };
        assert_eq!((failure.code.as_str(), failure.message.as_str()), (code, message));
    }
}

#[tokio::test]
async fn a_customer_that_is_gone_is_said_to_be() {
    let gone = json!({ "error": {
        "type": "invalid_request_error", "code": "resource_missing",
        "message": "No such customer: 'cus_1'",
    }});
    let fake = answering(404, gone).await;
    let effect = Effect::RetrieveBilling { customer: "cus_1".to_owned(), reading: 1 };
    let trouble = performer(&fake).perform(&task(effect)).await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Permanent(failure) if failure.code == "resource_missing"),
        "{trouble:?}"
    );
}
