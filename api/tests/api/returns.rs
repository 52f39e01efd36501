//! Money that comes back, route by route: refunds with previews, disputes, and what becomes of the access.

use serde_json::{Value, json};
use workflows::stripe::{Dispute, DisputeStatus, Refund, RefundStatus};

use crate::{
    on_both,
    stripe::{event, paid},
    world::{World, token},
};

const REFUND: &str = "/v2/handles/alice/pages/guide/refund";

/// A purchase of the page for 10 dollars, settled. The cookie of who bought it, and its id.
async fn sold(world: &World, email: &str) -> (String, String) {
    let cookie = world.visitor(email).await;
    let bought = world.buy(&cookie, "alice", "guide").await.expect(200);
    let id = bought["checkoutId"].as_str().unwrap().to_owned();
    world.webhook(&paid(&format!("evt_{id}"), &id, 1_000)).await.expect(200);
    world.settle().await;
    (cookie, id)
}

async fn shop(world: &World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
}

async fn refund(world: &World, body: Value) -> crate::client::Seen {
    let seen = world.post(REFUND).bearer(token("alice")).json(body).send().await;
    world.settle().await;
    seen
}

/// The first refund of a purchase fails, days after it was made.
async fn refund_fails(world: &World, checkout: &str) {
    let intent = format!("pi_{checkout}");
    let charge = world.stripe.charge(&intent, |charge| {
        charge.refunds[0].status = RefundStatus::Failed;
    });
    let object = json!({
        "id": charge.refunds[0].id, "object": "refund", "amount": 1000, "status": "failed",
        "payment_intent": intent, "metadata": {}
    });
    world.webhook(&event("evt_failed", "refund.failed", object)).await.expect(200);
    world.settle().await;
}

async fn preview(world: &World, body: Value) -> Value {
    let path = format!("{REFUND}/preview");
    world.post(path).bearer(token("alice")).json(body).send().await.expect(200)
}

async fn read(world: &World, path: &str) -> Value {
    world.get(path).bearer(token("alice")).send().await.expect(200)
}

async fn access(world: &World, cookie: &str) -> Value {
    let path = "/v2/public/pages/alice/guide/entitlement";
    world.get(path).cookie(cookie).send().await.expect(200)
}

async fn own(world: &World, cookie: &str, id: &str) -> Value {
    world.get(format!("/v2/public/checkouts/{id}")).cookie(cookie).send().await.expect(200)
}

/// What the handle's ledger holds of an account, minor units.
async fn balance(world: &World, account: &str) -> i64 {
    let sql = format!(
        "SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) AS number FROM ledger_entry \
         WHERE account LIKE '{account}'"
    );
    world.number(&sql).await
}

/// Everything is folded into the earnings, and every invariant holds.
async fn expect_clean(world: &World) {
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    world.settle().await;
    assert_eq!(world.engine.check().await.unwrap(), []);
}

fn dispute(amount: i64, status: DisputeStatus) -> Dispute {
    Dispute {
        id: "dp_1".to_owned(),
        amount,
        status,
        reason: "fraudulent".to_owned(),
        withdrawn: amount,
        fee: 1_500,
        reinstated: 0,
        fee_reinstated: 0,
        currency: workflows::money::Currency::USD,
        evidence_due: None,
    }
}

/// Stripe says that something about the payment's dispute changed.
async fn tell_of_dispute(world: &World, id: &str, n: u8) {
    let object = json!({"id": "dp_1", "object": "dispute", "payment_intent": format!("pi_{id}")});
    let told = event(&format!("evt_dispute_{n}"), "charge.dispute.updated", object);
    world.webhook(&told).await.expect(200);
    world.settle().await;
}

on_both! {

async fn s21_a_partial_refund_and_the_rest(world: World) {
    shop(&world).await;
    let (cookie, id) = sold(&world, "bob@example.com").await;

    let seen = preview(&world, json!({"checkoutId": id, "amountCents": 333})).await;
    assert_eq!((&seen["amountCents"], &seen["refundableCents"]), (&json!(333), &json!(1000)));
    assert_eq!((&seen["feeReturnedCents"], &seen["transferReversedCents"]), (&json!(17), &json!(333)));
    assert_eq!((&seen["creatorPaysCents"], &seen["balanceAfterCents"]), (&json!(316), &json!(634)));
    assert_eq!((&seen["statusAfter"], &seen["entitledAfter"]), (&json!("PARTLY_REFUNDED"), &json!(true)));

    let body = json!({"checkoutId": id, "previewToken": seen["previewToken"]});
    let begun = refund(&world, body.clone()).await;
    let made = begun.expect(202);
    assert_eq!(begun.header("location"), Some(format!("/v2/runs/{}", made["runId"].as_str().unwrap()).as_str()));
    assert_eq!(made["amountCents"], 333);
    let list = read(&world, "/v2/handles/alice/refunds").await;
    let row = &list["data"][0];
    assert_eq!((&row["refundId"], &row["status"]), (&made["refundId"], &json!("SUCCEEDED")));
    assert_eq!((&row["reason"], &row["requestedBy"]), (&json!("REQUESTED_BY_CUSTOMER"), &json!("alice")));
    assert_eq!(own(&world, &cookie, &id).await["status"], "PARTLY_REFUNDED");
    assert_eq!(access(&world, &cookie).await["entitled"], true);
    assert_eq!(balance(&world, "creator:%").await, -634, "what the preview said");

    // The preview is of something that has changed since.
    refund(&world, body).await.problem(409, "preview_stale");

    // The rest, by the buyer's address.
    let rest = refund(&world, json!({"visitorEmail": "Bob@example.com"})).await.expect(202);
    assert_eq!(rest["amountCents"], 667);
    assert_eq!(own(&world, &cookie, &id).await["status"], "REFUNDED");
    let after = access(&world, &cookie).await;
    assert_eq!((&after["entitled"], &after["grantType"]), (&json!(false), &json!("REFUNDED")));
    for account in ["creator:%", "platform_fee", "stripe", "due:%"] {
        assert_eq!(balance(&world, account).await, 0, "{account}");
    }
    let sales = read(&world, "/v2/handles/alice/checkouts").await;
    let sale = &sales["data"][0];
    assert_eq!((&sale["refundedCents"], &sale["visitorEmail"]), (&json!(1000), &json!("bob@example.com")));
    refund(&world, json!({"checkoutId": id})).await.problem(409, "refund_exceeds_refundable");

    // Given back, it may be bought again.
    let again = world.buy(&cookie, "alice", "guide").await.expect(200);
    let again = again["checkoutId"].as_str().unwrap();
    world.webhook(&paid("evt_again", again, 1_000)).await.expect(200);
    world.settle().await;
    let access = access(&world, &cookie).await;
    assert_eq!((&access["entitled"], &access["checkoutId"]), (&json!(true), &json!(again)));
    expect_clean(&world).await;
}

async fn s19_two_refunds_of_60_from_100(world: World) {
    shop(&world).await;
    let (_, id) = sold(&world, "bob@example.com").await;
    let ask = || async {
        let body = json!({"checkoutId": id, "amountCents": 600});
        world.post(REFUND).bearer(token("alice")).json(body).send().await
    };
    let (one, two) = tokio::join!(ask(), ask());
    world.settle().await;
    let (made, refused) = if one.status == 202 { (one, two) } else { (two, one) };
    made.expect(202);
    let refused = refused.problem(409, "refund_exceeds_refundable");
    assert!(refused["detail"].as_str().unwrap().contains("4.00 USD"), "{refused}");
    assert_eq!(world.stripe.made("refund"), 1);
    assert_eq!(balance(&world, "stripe").await, 400);
    expect_clean(&world).await;
}

async fn s15_what_is_not_paid_is_not_given_back(world: World) {
    shop(&world).await;
    let cookie = world.visitor("bob@example.com").await;
    let bought = world.buy(&cookie, "alice", "guide").await.expect(200);
    let body = json!({"checkoutId": bought["checkoutId"]});
    refund(&world, body.clone()).await.problem(409, "not_paid");
    let path = format!("{REFUND}/preview");
    let seen = world.post(path).bearer(token("alice")).json(body).send().await;
    seen.problem(409, "not_paid");
    let list = read(&world, "/v2/handles/alice/refunds").await;
    assert_eq!((&list["data"][0]["status"], &list["data"][0]["failure"]), (&json!("REJECTED"), &json!("not_paid")));
}

async fn a_repeated_request_gives_money_back_once(world: World) {
    shop(&world).await;
    let (_, id) = sold(&world, "bob@example.com").await;
    let body = json!({"checkoutId": id, "amountCents": 100});
    let ask = || world.post(REFUND).bearer(token("alice")).key("once").json(body.clone()).send();
    let first = ask().await.expect(202);
    world.settle().await;
    let again = ask().await;
    assert_eq!((again.expect(202), again.header("idempotent-replayed")), (first, Some("true")));
    assert_eq!(world.stripe.made("refund"), 1);
    let other = json!({"checkoutId": id, "amountCents": 200});
    let other = world.post(REFUND).bearer(token("alice")).key("once").json(other).send().await;
    other.problem(422, "idempotency_mismatch");
}

async fn s17_a_request_that_a_crash_left_is_taken_up_whatever_has_changed_since(world: World) {
    shop(&world).await;
    let (_, id) = sold(&world, "bob@example.com").await;
    let token_of = preview(&world, json!({ "checkoutId": id, "amountCents": 400 })).await;
    let wish = json!({ "checkoutId": id, "previewToken": token_of["previewToken"] });
    let ask = || world.post(REFUND).bearer(token("alice")).key("once").json(wish.clone());
    let first = ask().send().await.expect(202);
    world.settle().await;
    // The process ended before it had kept its answer.
    world
        .execute("UPDATE idempotency SET status = NULL, body = NULL, location = NULL, locked_until = 0")
        .await;
    // What was previewed is long past: but this is the refund itself.
    let again = ask().send().await.expect(202);
    assert_eq!(again["refundId"], first["refundId"]);
    assert_eq!(again["status"], "SUCCEEDED");
    let list = read(&world, "/v2/handles/alice/refunds").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    expect_clean(&world).await;
}

// Given back, bought once more and given back, and then the first refund fails: the first purchase stands.
async fn s24_access_comes_back_though_it_was_bought_again_since(world: World) {
    shop(&world).await;
    let (cookie, first) = sold(&world, "bob@example.com").await;
    refund(&world, json!({ "checkoutId": first })).await.expect(202);
    let (_, second) = sold(&world, "bob@example.com").await;
    assert_eq!(access(&world, &cookie).await["entitled"], true);
    refund(&world, json!({ "checkoutId": second })).await.expect(202);
    assert_eq!(access(&world, &cookie).await["entitled"], false);
    refund_fails(&world, &first).await;
    assert_eq!(own(&world, &cookie, &first).await["status"], "SETTLED");
    assert_eq!(access(&world, &cookie).await["entitled"], true);
    expect_clean(&world).await;
}

// Given back, bought once more, and then the first refund fails: the page is paid for twice, and once is enough.
async fn s24_access_that_another_purchase_has_is_not_given_twice(world: World) {
    shop(&world).await;
    let (cookie, first) = sold(&world, "bob@example.com").await;
    refund(&world, json!({ "checkoutId": first })).await.expect(202);
    let (_, second) = sold(&world, "bob@example.com").await;
    refund_fails(&world, &first).await;
    assert_eq!(own(&world, &cookie, &first).await["status"], "REFUNDED", "once more, by itself");
    assert_eq!(own(&world, &cookie, &second).await["status"], "SETTLED");
    assert_eq!(access(&world, &cookie).await["entitled"], true);
    expect_clean(&world).await;
}

async fn s22_a_refund_in_the_dashboard_is_imported(world: World) {
    shop(&world).await;
    let (cookie, id) = sold(&world, "bob@example.com").await;
    let intent = format!("pi_{id}");
    world.stripe.charge(&intent, |charge| {
        charge.refunds.push(Refund {
            id: "re_dashboard".to_owned(),
            payment_intent: intent.clone(),
            amount: 1_000,
            status: RefundStatus::Succeeded,
            asked: None,
            reason: None,
        });
    });
    let object = json!({
        "id": "re_dashboard", "object": "refund", "amount": 1000, "status": "succeeded",
        "payment_intent": intent, "metadata": {}
    });
    for name in ["evt_created", "evt_updated"] {
        world.webhook(&event(name, "refund.created", object.clone())).await.expect(200);
    }
    world.settle().await;
    assert_eq!(own(&world, &cookie, &id).await["status"], "REFUNDED");
    assert_eq!(access(&world, &cookie).await["entitled"], false);
    let list = read(&world, "/v2/handles/alice/refunds").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let row = &list["data"][0];
    assert_eq!((&row["reason"], &row["stripeRefundId"]), (&json!("MADE_AT_STRIPE"), &json!("re_dashboard")));
    // The creator kept the transfer: the creator owes what the buyer got.
    assert_eq!((balance(&world, "creator:%").await, balance(&world, "due:%").await), (-950, 1_000));
    expect_clean(&world).await;
}

async fn s25_s28_a_dispute_holds_access_and_refunds_until_it_is_won(world: World) {
    shop(&world).await;
    let (cookie, id) = sold(&world, "bob@example.com").await;
    let intent = format!("pi_{id}");
    world.stripe.charge(&intent, |charge| {
        charge.disputes = vec![dispute(1_000, DisputeStatus::NeedsResponse)];
    });
    tell_of_dispute(&world, &id, 1).await;
    assert_eq!(own(&world, &cookie, &id).await["status"], "DISPUTED");
    let held = access(&world, &cookie).await;
    assert_eq!((&held["entitled"], &held["reason"]), (&json!(false), &json!("DISPUTED")));
    refund(&world, json!({"checkoutId": id})).await.problem(409, "dispute_open");
    world.buy(&cookie, "alice", "guide").await.problem(409, "payment_processing");
    let list = read(&world, "/v2/handles/alice/disputes").await;
    let row = &list["data"][0];
    assert_eq!((&row["status"], &row["withdrawnCents"]), (&json!("OPEN"), &json!(1000)));
    assert_eq!(balance(&world, "dispute_hold:%").await, 1_000);
    assert_eq!(balance(&world, "creator:%").await, 0, "the creator's part was taken back");

    world.stripe.charge(&intent, |charge| {
        let won = dispute(1_000, DisputeStatus::Won);
        charge.disputes = vec![Dispute { reinstated: 1_000, fee_reinstated: 1_500, ..won }];
    });
    tell_of_dispute(&world, &id, 2).await;
    assert_eq!(own(&world, &cookie, &id).await["status"], "SETTLED");
    assert_eq!(access(&world, &cookie).await["entitled"], true);
    assert_eq!(balance(&world, "creator:%").await, -950, "passed on again");
    for account in ["dispute_hold:%", "dispute_fee", "due:%"] {
        assert_eq!(balance(&world, account).await, 0, "{account}");
    }
    assert_eq!((world.stripe.made("reversal"), world.stripe.made("transfer")), (1, 1));
    expect_clean(&world).await;
}

async fn s27_a_dispute_of_more_than_was_paid_is_lost(world: World) {
    shop(&world).await;
    let (cookie, id) = sold(&world, "bob@example.com").await;
    let intent = format!("pi_{id}");
    world.stripe.charge(&intent, |charge| {
        charge.disputes = vec![dispute(1_200, DisputeStatus::Lost)];
    });
    tell_of_dispute(&world, &id, 1).await;
    assert_eq!(own(&world, &cookie, &id).await["status"], "CHARGED_BACK");
    assert_eq!(access(&world, &cookie).await["grantType"], "CHARGED_BACK");
    // What was taken beyond the payment is the creator's to pay.
    assert_eq!((balance(&world, "creator:%").await, balance(&world, "due:%").await), (0, 200));
    assert_eq!((balance(&world, "dispute_fee").await, balance(&world, "stripe").await), (1_500, -1_700));
    assert_eq!(world.stripe.made("reversal"), 1);
    expect_clean(&world).await;
}

}
