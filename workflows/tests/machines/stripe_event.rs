//! What Stripe's events mean, from bodies as Stripe sends them.

use serde_json::{Value, json};
use workflows::{
    Timestamp,
    checkout::{self, Event::SessionReported},
    connect_onboarding,
    message::Message,
    money::Currency,
    payout::{Payee, Report},
    plan_subscription,
    stripe::{self, Outcome, Payment, PayoutStatus, Refund, RefundStatus, Session},
    stripe_event::{Endpoint, Envelope, Meaning, Unrouted, meaning},
};

use crate::examples::{checkout_id, handle};

/// The meaning of an event of a type, with an object, that came in by an endpoint.
#[track_caller]
fn check(endpoint: Endpoint, body: Value, expected: Meaning) {
    let envelope: Envelope = serde_json::from_value(body.clone()).expect("an event");
    assert_eq!(meaning(endpoint, &envelope), expected, "{body:#}");
}

#[track_caller]
fn platform(kind: &str, object: Value, expected: Meaning) {
    check(Endpoint::Platform, event(kind, None, object), expected);
}

#[track_caller]
fn connect(kind: &str, object: Value, expected: Meaning) {
    check(Endpoint::Connect, event(kind, Some("acct_1"), object), expected);
}

fn event(kind: &str, account: Option<&str>, object: Value) -> Value {
    let mut event = json!({
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-09-30.endive",
        "created": 1_900_000_000,
        "livemode": false,
        "pending_webhooks": 1,
        "type": kind,
        "data": { "object": object },
    });
    if let Some(account) = account {
        event["account"] = json!(account);
    }
    event
}

/// A session as in `checkout.session.*`, with some fields otherwise.
fn session(changes: Value) -> Value {
    changed(
        json!({
            "id": "cs_1",
            "object": "checkout.session",
            "mode": "payment",
            "status": "complete",
            "payment_status": "paid",
            "payment_intent": "pi_1",
            "amount_total": 1_250,
            "currency": "usd",
            "metadata": { "sluice_checkout": checkout_id() },
        }),
        changes,
    )
}

fn refund(changes: Value) -> Value {
    changed(
        json!({
            "id": "re_1",
            "object": "refund",
            "amount": 1_250,
            "currency": "usd",
            "charge": "ch_1",
            "payment_intent": "pi_1",
            "status": "succeeded",
            "metadata": { "sluice_checkout": checkout_id() },
        }),
        changes,
    )
}

fn changed(mut object: Value, changes: Value) -> Value {
    for (field, value) in changes.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

fn to_checkout(event: checkout::Event) -> Meaning {
    Meaning::For(Message::Checkout(checkout_id(), event))
}

fn about(object: &str, event: checkout::Event) -> Meaning {
    Meaning::About(object.to_owned(), Unrouted::Checkout(event))
}

fn report(outcome: Outcome) -> checkout::Event {
    SessionReported(Session { id: "cs_1".to_owned(), outcome })
}

fn paid(currency: &str) -> Outcome {
    let currency = Currency::parse(currency).unwrap();
    Outcome::Paid(Payment { intent: "pi_1".to_owned(), amount: 1_250, currency })
}

fn given_back(status: RefundStatus) -> checkout::Event {
    checkout::Event::RefundReported(Refund {
        id: "re_1".to_owned(),
        payment_intent: "pi_1".to_owned(),
        amount: 1_250,
        status,
        asked: None,
        reason: None,
    })
}

fn malformed(why: &str) -> Meaning {
    Meaning::Malformed(why.to_owned())
}

#[test]
fn sessions() {
    let completed = "checkout.session.completed";
    let nothing = json!({});
    for (kind, changes, outcome) in [
        (completed, json!({}), paid("usd")),
        (completed, json!({ "currency": "jpy" }), paid("jpy")),
        (
            completed,
            json!({ "payment_intent": { "id": "pi_1", "object": "payment_intent" } }),
            paid("usd"),
        ),
        (completed, json!({ "payment_status": "unpaid" }), Outcome::Unpaid),
        ("checkout.session.async_payment_succeeded", nothing.clone(), paid("usd")),
        (
            "checkout.session.async_payment_failed",
            json!({ "payment_status": "unpaid" }),
            Outcome::PaymentFailed,
        ),
        (
            "checkout.session.expired",
            json!({ "payment_status": "unpaid", "payment_intent": null }),
            Outcome::Expired,
        ),
    ] {
        platform(kind, session(changes), to_checkout(report(outcome)));
    }
}

#[test]
fn s13_a_session_of_another_currency_is_reported_as_it_is() {
    let euros = session(json!({ "currency": "eur", "amount_total": 1_250 }));
    platform("checkout.session.completed", euros, to_checkout(report(paid("eur"))));
}

#[test]
fn without_metadata_the_object_leads_to_the_run() {
    let expired = report(Outcome::Expired);
    for metadata in [
        json!(null),
        json!({}),
        json!({ "order": "7" }),
        json!({ "sluice_checkout": "co_nonsense" }),
        json!({ "sluice_checkout": handle() }),
    ] {
        let session = session(json!({ "metadata": metadata }));
        platform("checkout.session.expired", session, about("cs_1", expired.clone()));
    }
}

#[test]
fn s22_a_refund_made_in_the_dashboard_is_led_by_its_payment() {
    let by_hand = refund(json!({ "metadata": {} }));
    let succeeded = given_back(RefundStatus::Succeeded);
    platform("refund.created", by_hand, about("pi_1", succeeded.clone()));
    let expanded = refund(json!({ "payment_intent": { "id": "pi_1" } }));
    platform("refund.created", expanded, to_checkout(succeeded));
}

/// A transfer by hand, and what comes back of one, lead to the payment whose group it is.
#[test]
fn transfers() {
    let about = |kind: &str, object: serde_json::Value| {
        let event = json!({
            "id": "evt_1", "type": kind, "livemode": false, "data": { "object": object }
        });
        meaning(Endpoint::Platform, &serde_json::from_value(event).unwrap())
    };
    let changed = || Unrouted::Checkout(checkout::Event::ReturnsChanged);
    let by_hand =
        json!({ "id": "tr_2", "transfer_group": "group_pi_1", "source_transaction": null });
    assert_eq!(about("transfer.created", by_hand), Meaning::About("pi_1".to_owned(), changed()));
    // The charge's own is made with every sale.
    let own = json!({ "id": "tr_1", "transfer_group": "group_pi_1", "source_transaction": "ch_1" });
    assert_eq!(about("transfer.created", own.clone()), Meaning::Nothing);
    assert_eq!(about("transfer.reversed", own), Meaning::About("pi_1".to_owned(), changed()));
    let foreign = json!({ "id": "tr_3", "transfer_group": null });
    assert_eq!(about("transfer.created", foreign.clone()), Meaning::Nothing);
    assert_eq!(about("transfer.reversed", foreign), Meaning::About("tr_3".to_owned(), changed()));
}

#[test]
fn refunds() {
    for (kind, status, expected) in [
        ("refund.created", "pending", RefundStatus::Pending),
        ("refund.updated", "requires_action", RefundStatus::Pending),
        ("refund.updated", "succeeded", RefundStatus::Succeeded),
        ("refund.failed", "failed", RefundStatus::Failed),
        ("refund.updated", "canceled", RefundStatus::Canceled),
    ] {
        platform(kind, refund(json!({ "status": status })), to_checkout(given_back(expected)));
    }
    // A charge without a payment intent is none of ours.
    let foreign = refund(json!({ "payment_intent": null, "metadata": {} }));
    platform("refund.created", foreign, Meaning::Nothing);
}

#[test]
fn malformed_events_say_what_is_missing() {
    let completed = "checkout.session.completed";
    for (kind, object, why) in [
        (
            completed,
            session(json!({ "payment_intent": null })),
            "data.object.payment_intent is missing",
        ),
        (
            completed,
            session(json!({ "amount_total": null })),
            "data.object.amount_total is missing",
        ),
        (completed, session(json!({ "currency": null })), "data.object.currency is missing"),
        (
            completed,
            session(json!({ "currency": "zzz" })),
            "unknown currency \"zzz\": an ISO 4217 code that Stripe can charge, such as USD, is \
             needed",
        ),
        (completed, session(json!({ "id": null })), "data.object.id is missing"),
        (
            "refund.updated",
            refund(json!({ "status": "lost" })),
            "data.object.status is not that of a refund",
        ),
        (
            "refund.updated",
            refund(json!({ "status": null })),
            "data.object.status is not that of a refund",
        ),
        (
            "refund.updated",
            refund(json!({ "amount": null })),
            "data.object.id or amount is missing",
        ),
    ] {
        platform(kind, object, malformed(why));
    }
    let without_account = event("account.updated", None, json!({ "id": "acct_1" }));
    check(Endpoint::Connect, without_account, malformed("account is missing"));
}

#[test]
fn accounts() {
    use connect_onboarding::Event as E;
    let about = |event| Meaning::About("acct_1".to_owned(), Unrouted::ConnectOnboarding(event));
    let account = json!({ "id": "acct_1", "object": "account" });
    let capability = json!({ "id": "transfers", "object": "capability", "status": "active" });
    let bank = json!({ "id": "ba_1", "object": "bank_account" });
    connect("account.updated", account.clone(), about(E::AccountChanged));
    connect("capability.updated", capability, about(E::AccountChanged));
    for kind in ["created", "updated", "deleted"] {
        let kind = format!("account.external_account.{kind}");
        connect(&kind, bank.clone(), about(E::AccountChanged));
    }
    connect("person.updated", json!({ "id": "person_1" }), about(E::AccountChanged));
    let application = json!({ "id": "ca_1", "object": "application" });
    connect("account.application.authorized", application, about(E::AccountChanged));
    // The object is the application that was thrown out; the account is in the envelope.
    connect(
        "account.application.deauthorized",
        json!({ "id": "ca_1", "object": "application" }),
        about(E::Deauthorized { account: "acct_1".to_owned() }),
    );
    // The platform's own account is nobody's to sell with.
    platform("account.updated", account, Meaning::Nothing);
}

/// What happened to a plan is never read from the event: it leads to reading the customer's subscriptions.
#[test]
fn plans() {
    let changed = || plan_subscription::Event::Changed;
    let to_handle = || Meaning::For(Message::PlanSubscription(handle(), changed()));
    let about = || Meaning::About("cus_1".to_owned(), Unrouted::PlanSubscription(changed()));
    let subscription = json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
        "metadata": { "sluice_handle": handle() },
    });
    let invoice = json!({ "id": "in_1", "object": "invoice", "customer": "cus_1", "metadata": {} });
    for kind in ["created", "updated", "deleted"] {
        platform(&format!("customer.subscription.{kind}"), subscription.clone(), to_handle());
    }
    for kind in ["invoice.paid", "invoice.payment_failed"] {
        platform(kind, invoice.clone(), about());
        let expanded = json!({ "id": "in_1", "customer": { "id": "cus_1" } });
        platform(kind, expanded, about());
        // On the connect endpoint it is an invoice of a creator's own business.
        connect(kind, invoice.clone(), Meaning::Nothing);
    }
    // Subscribed to without us knowing how: the customer leads to the handle.
    let by_hand = json!({ "id": "sub_2", "customer": "cus_1", "metadata": {} });
    platform("customer.subscription.created", by_hand, about());
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "mode": "subscription", "payment_intent": null,
        "payment_status": "paid", "customer": "cus_1", "metadata": { "sluice_handle": handle() },
    });
    platform("checkout.session.completed", session.clone(), to_handle());
    platform("checkout.session.expired", session, to_handle());
}

/// On the connect endpoint the account leads to whose it is; the platform's own go to their runs at once.
#[test]
fn payouts() {
    let payout = |status: &str| {
        json!({
            "id": "po_1", "object": "payout", "amount": 900, "currency": "usd", "status": status,
            "arrival_date": 1_900_000_000, "failure_code": null, "failure_message": null,
        })
    };
    let read = |status, failure: Option<&str>| stripe::Payout {
        id: "po_1".to_owned(),
        amount: 900,
        currency: Currency::USD,
        status,
        arrives: Timestamp::from_secs(1_900_000_000),
        failure: failure.map(str::to_owned),
    };
    let about = |payout| {
        let event =
            connect_onboarding::Event::PayoutReported { account: "acct_1".to_owned(), payout };
        Meaning::About("acct_1".to_owned(), Unrouted::ConnectOnboarding(event))
    };
    for (kind, status, expected) in [
        ("payout.created", "pending", PayoutStatus::Pending),
        ("payout.updated", "in_transit", PayoutStatus::InTransit),
        ("payout.paid", "paid", PayoutStatus::Paid),
        ("payout.failed", "failed", PayoutStatus::Failed),
        ("payout.canceled", "canceled", PayoutStatus::Canceled),
    ] {
        connect(kind, payout(status), about(read(expected, None)));
        let own = Report { payee: Payee::Platform, payout: read(expected, None) };
        platform(kind, payout(status), Meaning::For(own.message()));
        // A connected account's that strayed to the platform's endpoint is the account's all the same.
        let strayed = event(kind, Some("acct_1"), payout(status));
        check(Endpoint::Platform, strayed, about(read(expected, None)));
    }
    let closed = json!({ "failure_code": "account_closed" });
    let failed = changed(payout("failed"), closed);
    connect(
        "payout.failed",
        failed.clone(),
        about(read(PayoutStatus::Failed, Some("account_closed"))),
    );
    let told = changed(failed, json!({ "failure_message": "The account was closed." }));
    let expected = read(PayoutStatus::Failed, Some("The account was closed."));
    connect("payout.failed", told, about(expected));
    for (field, why) in [
        ("id", "data.object.id is missing"),
        ("amount", "data.object.amount is missing"),
        ("currency", "data.object.currency is missing"),
        ("arrival_date", "data.object.arrival_date is missing"),
        ("status", "data.object.status is not that of a payout"),
    ] {
        let mut without = payout("paid");
        without[field] = json!(null);
        connect("payout.paid", without, malformed(why));
    }
    let without_account = event("payout.paid", None, payout("paid"));
    check(Endpoint::Connect, without_account, malformed("account is missing"));
}

/// A creator can write what they like into the metadata of their own account's objects.
#[test]
fn s40_metadata_is_believed_on_the_platforms_own_objects_only() {
    for kind in ["checkout.session.completed", "checkout.session.expired"] {
        connect(kind, session(json!({})), Meaning::Nothing);
        // Also where the event came in by the wrong endpoint.
        let strayed = event(kind, Some("acct_1"), session(json!({})));
        check(Endpoint::Platform, strayed, Meaning::Nothing);
    }
    connect("refund.updated", refund(json!({})), Meaning::Nothing);
    let claimed = json!({ "id": "acct_1", "metadata": { "sluice_handle": handle() } });
    let event = Unrouted::ConnectOnboarding(connect_onboarding::Event::AccountChanged);
    connect("account.updated", claimed, Meaning::About("acct_1".to_owned(), event));
}

/// Other objects have fields of the same names and of other types.
#[test]
fn fields_of_other_types_matter_only_where_they_are_read() {
    let object = json!({
        "id": 7, "metadata": "x", "payment_status": {}, "payment_intent": 1, "customer": [],
        "mode": 0, "amount_total": "1", "amount": {"value": 1, "currency": "usd"},
        "currency": ["usd"], "status": {},
    });
    platform("treasury.thing.made", object.clone(), Meaning::Nothing);
    connect("treasury.thing.made", object.clone(), Meaning::Nothing);
    connect(
        "account.updated",
        object,
        Meaning::About(
            "acct_1".to_owned(),
            Unrouted::ConnectOnboarding(connect_onboarding::Event::AccountChanged),
        ),
    );
    for (kind, field, value) in [
        ("checkout.session.completed", "payment_status", json!({})),
        ("checkout.session.completed", "amount_total", json!("1250")),
        ("checkout.session.completed", "currency", json!(["usd"])),
        ("refund.updated", "amount", json!({})),
    ] {
        let object =
            if kind.starts_with("refund") { refund(json!({})) } else { session(json!({})) };
        let event = event(kind, None, changed(object, json!({ field: value })));
        let read = meaning(Endpoint::Platform, &serde_json::from_value(event).unwrap());
        assert!(matches!(read, Meaning::Malformed(_)), "{kind} {field}: {read:?}");
    }
}

#[test]
fn other_types_mean_nothing() {
    for kind in ["payment_intent.succeeded", "charge.updated", "invoice.paid", "no.such.type", ""] {
        platform(kind, json!({ "id": "x_1" }), Meaning::Nothing);
        connect(kind, json!({}), Meaning::Nothing);
        check(Endpoint::Connect, event(kind, None, json!({})), Meaning::Nothing);
    }
}
