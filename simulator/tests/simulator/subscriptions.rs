use reqwest::Method;
use serde_json::json;

use crate::support::{Sim, ids, period, send, text};

async fn customer(sim: &Sim, form: &str) -> String {
    text(&sim.post("/v1/customers", form).await.ok()["id"])
}

#[tokio::test]
async fn a_subscription_is_made_changed_and_canceled() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let owner = customer(&sim, "payment_method=pm_card_visa&email=a@b.test").await;
    let form =
        format!("customer={owner}&items[0][price]={price}&items[0][quantity]=2&metadata[a]=1");
    let made = sim.post("/v1/subscriptions", &form).await.ok();
    let id = text(&made["id"]);
    assert_eq!((&made["status"], &made["metadata"]["a"]), (&json!("active"), &json!("1")));
    assert_eq!(sim.invoices(&id).await[0]["amount_paid"], 2400);
    let path = format!("/v1/subscriptions/{id}");
    let changed = sim.post(&path, "metadata[b]=2&description=Plan").await.ok();
    assert_eq!(changed["metadata"], json!({ "a": "1", "b": "2" }));
    let expanded = sim
        .get(&format!(
            "{path}?expand[]=customer&expand[]=latest_invoice&expand[]=items.data.price.product"
        ))
        .await
        .ok();
    assert_eq!(expanded["customer"]["email"], "a@b.test");
    assert_eq!(expanded["latest_invoice"]["status"], "paid");
    assert_eq!(expanded["items"]["data"][0]["price"]["product"]["name"], "Pro");
    let cancel = format!("{path}?cancellation_details[comment]=Too+dear");
    let canceled = send(sim.api(Method::DELETE, &cancel)).await.ok();
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(canceled["cancellation_details"]["comment"], "Too dear");
    send(sim.api(Method::DELETE, &path)).await.error(404);
    sim.post(&path, "cancel_at_period_end=true").await.error(400);
}

#[tokio::test]
async fn lists_leave_out_what_was_canceled_unless_asked() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (one, owner) = sim.subscribed(&price).await;
    let (two, _) = sim.subscribed(&price).await;
    send(sim.api(Method::DELETE, &format!("/v1/subscriptions/{one}"))).await.ok();
    let listed =
        async |filter: &str| ids(&sim.get(&format!("/v1/subscriptions?{filter}")).await.ok());
    assert_eq!(listed("").await, [two.as_str()]);
    assert_eq!(listed("status=all").await, [two.as_str(), one.as_str()]);
    assert_eq!(listed("status=canceled").await, [one.as_str()]);
    assert_eq!(listed("status=active").await, [two.as_str()]);
    assert_eq!(listed(&format!("status=all&customer={owner}")).await, [one.as_str()]);
    assert_eq!(listed(&format!("price={price}")).await, [two.as_str()]);
}

#[tokio::test]
async fn what_cannot_begin_is_refused_or_incomplete() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let broke = customer(&sim, "").await;
    let poor = customer(&sim, "payment_method=pm_card_chargeCustomerFail").await;
    let subscribe = async |customer: &str, more: &str| {
        let form = format!("customer={customer}&items[0][price]={price}{more}");
        sim.post("/v1/subscriptions", &form).await
    };
    let error = subscribe(&broke, "").await.error(400);
    assert_eq!(error["code"], "resource_missing");
    let error = subscribe(&poor, "&payment_behavior=error_if_incomplete").await.error(402);
    assert_eq!((&error["type"], &error["code"]), (&json!("card_error"), &json!("card_declined")));
    assert_eq!(subscribe("cus_of_nobody", "").await.error(400)["param"], "customer");
    let error = sim.post("/v1/subscriptions", &format!("customer={broke}")).await.error(400);
    assert_eq!(error["param"], "items");
    assert_eq!(sim.get("/v1/subscriptions?status=all").await.ok()["data"], json!([]));
    let waiting = subscribe(&broke, "&payment_behavior=default_incomplete").await.ok();
    assert_eq!(waiting["status"], "incomplete");
    assert_eq!(sim.invoices(&text(&waiting["id"])).await[0]["attempted"], false);
    let trial = subscribe(&broke, "&trial_period_days=3").await.ok();
    let (start, end) = period(&trial);
    assert_eq!((&trial["status"], end - start), (&json!("trialing"), 3 * 24 * 3600));
}

#[tokio::test]
async fn a_status_comes_out_of_the_blue() {
    let (sim, inbox) = Sim::start_heard().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, _) = sim.subscribed(&price).await;
    let path = format!("subscriptions/{id}");
    for status in ["past_due", "unpaid", "active"] {
        let changed = sim.control(Method::POST, &path, json!({ "status": status })).await.ok();
        assert_eq!(changed["status"], status);
    }
    sim.control(Method::POST, &path, json!({ "status": "canceled" })).await.ok();
    inbox.until_kind("customer.subscription.deleted").await;
    let received = inbox.until(|all| {
        all.iter().filter(|one| one.kind() == "customer.subscription.updated").count() == 4
    });
    let mut statuses: Vec<_> = received
        .await
        .iter()
        .filter(|one| one.kind() == "customer.subscription.updated")
        .map(|one| text(&one.event()["data"]["object"]["status"]))
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["active", "active", "past_due", "unpaid"]);
    sim.control(Method::POST, &path, json!({ "status": "active" })).await.error(409);
    sim.control(Method::POST, &path, json!({ "status": "odd" })).await.error(400);
    sim.control(Method::POST, "subscriptions/sub_no", json!({ "status": "active" }))
        .await
        .error(404);
    sim.control(Method::POST, "customers/cus_no", json!({ "card": "ok" })).await.error(404);
}

#[tokio::test]
async fn an_unpaid_subscription_goes_on_without_invoices() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, _) = sim.subscribed(&price).await;
    let path = format!("subscriptions/{id}");
    sim.control(Method::POST, &path, json!({ "status": "unpaid" })).await.ok();
    let (_, first_end) = period(&sim.subscription(&id).await);
    sim.end_period(&id).await;
    let subscription = sim.subscription(&id).await;
    assert_eq!((&subscription["status"], period(&subscription).0), (&json!("unpaid"), first_end));
    assert_eq!(sim.invoices(&id).await.len(), 1);
}

#[tokio::test]
async fn a_customer_is_changed_listed_and_deleted() {
    let (sim, inbox) = Sim::start_heard().await;
    let form =
        "email=a@b.test&name=A&phone=1&address[city]=Berlin&address[country]=DE&metadata[k]=v";
    let made = sim.post("/v1/customers", form).await.ok();
    let path = format!("/v1/customers/{}", text(&made["id"]));
    assert_eq!(
        (&made["address"]["city"], &made["address"]["state"]),
        (&json!("Berlin"), &json!(null))
    );
    let changed = sim.post(&path, "email=c@d.test&phone=&metadata[k]=").await.ok();
    assert_eq!((&changed["email"], &changed["name"]), (&json!("c@d.test"), &json!("A")));
    assert_eq!((&changed["phone"], &changed["metadata"]), (&json!(null), &json!({})));
    inbox.until_kind("customer.updated").await;
    let error = sim.post(&path, "payment_method=pm_of_nobody").await.error(400);
    assert_eq!(error["code"], "resource_missing");

    let price = sim.price("Pro", 1200, "month").await;
    let (subscription, owner) = sim.subscribed(&price).await;
    let owner = format!("/v1/customers/{owner}");
    let deleted = send(sim.api(Method::DELETE, &owner)).await.ok();
    assert_eq!(deleted["deleted"], true);
    assert_eq!(sim.get(&owner).await.ok(), deleted);
    inbox.until_kind("customer.deleted").await;
    assert_eq!(sim.subscription(&subscription).await["status"], "canceled");
    assert_eq!(ids(&sim.get("/v1/customers").await.ok()), [text(&made["id"])]);
    sim.post(&owner, "name=B").await.error(404);
}

#[tokio::test]
async fn invoices_are_given_up() {
    let sim = Sim::start().await;
    let price = sim.price("Pro", 1200, "month").await;
    let (id, owner) = sim.subscribed(&price).await;
    sim.set_card(&owner, "declines").await;
    sim.end_period(&id).await;
    let invoice = format!("/v1/invoices/{}", text(&sim.invoices(&id).await[0]["id"]));
    let given_up = sim.post(&format!("{invoice}/mark_uncollectible"), "").await.ok();
    assert_eq!(
        (&given_up["status"], &given_up["next_payment_attempt"]),
        (&json!("uncollectible"), &json!(null))
    );
    let open = format!("/v1/invoices?status=open&customer={owner}");
    assert_eq!(sim.get(&open).await.ok()["data"], json!([]));
    assert_eq!(sim.post(&format!("{invoice}/void"), "").await.ok()["status"], "void");
    sim.post(&format!("{invoice}/pay"), "").await.error(400);
    let lines = sim.get(&format!("{invoice}/lines")).await.ok();
    assert_eq!(lines["data"][0]["amount"], 1200);
    let path = format!("/v1/invoice_payments?invoice={}", text(&given_up["id"]));
    assert_eq!(sim.get(&path).await.ok()["data"][0]["status"], "canceled");
}
