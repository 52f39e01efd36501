//! Calls to Stripe, when all goes well: what is made there, what is read back, and that twice is once.

use std::collections::BTreeMap;

use engine::{Perform, Task, Trouble};
use serde_json::json;
use uuid::Uuid;
use workers::stripe::StripePerformer;
use workflows::{
    Timestamp,
    connect_onboarding::ConnectOnboarding,
    effect::{
        Answer, Effect, FeeReturn, LinkRequest, OnboardingUrls, SessionRequest, TransferReturn,
    },
    id::{CheckoutId, HandleId, LoginLinkId, RunId},
    money::{Currency, Money},
    refresh_token,
    stripe::{
        Account,
        CapabilityStatus::{Active, Inactive, Pending},
        Outcome, Payment, Refund, RefundStatus, RequirementError, Session,
    },
    stripe_event::{CHECKOUT, EFFECT, HANDLE},
    workflow::Workflow,
};

use crate::sim::{Sim, read, task, text};

/// A session over so much, of which the platform keeps the fee.
pub fn session_effect(account: &str, price: Money, fee: i64) -> Effect {
    let now = task(read("")).asked_at;
    Effect::CreateCheckoutSession(Box::new(SessionRequest {
        checkout: CheckoutId(Uuid::now_v7()),
        account: account.to_owned(),
        title: "A page".to_owned(),
        price,
        fee,
        email: "visitor@example.test".to_owned(),
        success_url: "https://sluice.test/done".to_owned(),
        cancel_url: "https://sluice.test/back".to_owned(),
        expires_at: now.plus(2 * Timestamp::HOUR),
    }))
}

pub fn dollars(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

/// Performs an effect that is not tried again.
pub async fn once(stripe: &StripePerformer, effect: Effect) -> Result<Answer, Trouble> {
    stripe.perform(&task(effect)).await
}

pub async fn open_session(
    stripe: &StripePerformer,
    account: &str,
    price: Money,
    fee: i64,
) -> String {
    match once(stripe, session_effect(account, price, fee)).await.unwrap() {
        Answer::SessionCreated { session, .. } => session,
        other => panic!("{other:?}"),
    }
}

async fn outcome(stripe: &StripePerformer, session: &str) -> Outcome {
    let effect = Effect::RetrieveCheckoutSession { session: session.to_owned() };
    match once(stripe, effect).await.unwrap() {
        Answer::SessionRetrieved(found) => {
            assert_eq!(found.id, session);
            found.outcome
        }
        other => panic!("{other:?}"),
    }
}

/// A session that somebody paid, with the payment.
pub async fn paid_session(sim: &Sim, stripe: &StripePerformer, fee: i64) -> (String, Payment) {
    let account = sim.account().await;
    let session = open_session(stripe, &account, dollars(1_000), fee).await;
    sim.pay(&session, "paid").await;
    match outcome(stripe, &session).await {
        Outcome::Paid(payment) => (session, payment),
        other => panic!("{other:?}"),
    }
}

async fn account(stripe: &StripePerformer, id: &str) -> Account {
    match once(stripe, read(id)).await.unwrap() {
        Answer::AccountRetrieved(account) => account,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_creator_is_onboarded() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let handle = HandleId(Uuid::now_v7());
    let create = task(Effect::CreateAccount { handle, country: Some("DE".to_owned()) });
    let created = stripe.perform(&create).await.unwrap();
    let Answer::AccountCreated { account: id } = created else { panic!("{created:?}") };
    let made = sim.get(&format!("/v1/accounts/{id}")).await;
    assert_eq!((&made["type"], &made["country"]), (&json!("express"), &json!("DE")));
    assert_eq!(made["metadata"][HANDLE], json!(handle.to_string()));
    assert_eq!(made["metadata"][EFFECT], json!(create.id.to_string()));

    let urls = OnboardingUrls {
        return_url: "https://sluice.test/done".to_owned(),
        refresh_url: "https://sluice.test/again?token={token}&to=x".to_owned(),
    };
    let request = LinkRequest { subject: "maria".to_owned(), ..LinkRequest::default() };
    let link_for = |request: LinkRequest| Task {
        run: RunId::of(ConnectOnboarding::NAME, handle.0),
        ..task(Effect::CreateAccountLink { account: id.clone(), request, urls: urls.clone() })
    };
    let link = link_for(request.clone());
    let linked = stripe.perform(&link).await.unwrap();
    let Answer::AccountLinkCreated { url, expires_at } = linked else { panic!("{linked:?}") };
    assert!(url.starts_with(&sim.running.url()), "{url}");
    assert!(expires_at > create.asked_at);
    // Who opens it twice is sent to where another is to be had, with a proof of having had this one.
    let proof = refresh_token::mint(&crate::world::keys(), handle, "maria", link.asked_at);
    assert_eq!(sim.visit(&url).await, None, "the form");
    let again = format!("https://sluice.test/again?token={proof}&to=x");
    assert_eq!(sim.visit(&url).await, Some(again));
    // The proof of a link that was had by a proof is no younger.
    let before = create.asked_at.plus(-Timestamp::HOUR);
    let fresh = link_for(LinkRequest { proven_at: Some(before), ..request });
    let linked = stripe.perform(&fresh).await.unwrap();
    let Answer::AccountLinkCreated { url, .. } = linked else { panic!("{linked:?}") };
    let proof = refresh_token::mint(&crate::world::keys(), handle, "maria", before);
    assert_eq!(sim.visit(&url).await, None, "the form");
    let again = format!("https://sluice.test/again?token={proof}&to=x");
    assert_eq!(sim.visit(&url).await, Some(again));

    let before = account(&stripe, &id).await;
    assert!(!before.charges_enabled && !before.details_submitted && !before.transfers_active);
    assert!(!before.requirements.currently_due.is_empty());
    sim.complete(&id).await;
    let after = account(&stripe, &id).await;
    let flags = [after.charges_enabled, after.payouts_enabled, after.details_submitted];
    assert_eq!(flags, [true; 3]);
    assert!(after.transfers_active, "destination charges can pay this account");
    assert_eq!(after.requirements, workflows::stripe::Requirements::default());
    let active = ["card_payments", "transfers"].map(|name| (name.to_owned(), Active));
    assert_eq!(after.capabilities, BTreeMap::from(active));
}

#[tokio::test]
async fn a_link_to_the_dashboard_is_made_for_those_who_are_onboarded() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let login = |account: &str| Effect::CreateLoginLink {
        account: account.to_owned(),
        request: LoginLinkId(Uuid::now_v7()),
    };
    let id = sim.account().await;
    let answer = once(&stripe, login(&id)).await.unwrap();
    let Answer::LoginLinkCreated { url } = answer else { panic!("{answer:?}") };
    assert!(url.starts_with(&format!("{}/express/{id}/", sim.running.url())), "{url}");
    sim.control(&format!("accounts/{id}"), json!({ "deauthorize": true })).await;
    let Err(Trouble::Permanent(failure)) = once(&stripe, login(&id)).await else { panic!() };
    assert_eq!(failure.code, "account_invalid");
}

#[tokio::test]
async fn a_restriction_is_read() {
    let sim = Sim::start().await;
    let id = sim.account().await;
    let restricted = json!({
        "charges_enabled": false, "past_due": ["individual.id_number"],
        "disabled_reason": "requirements.past_due", "current_deadline": 1_800_000_000,
        "eventually_due": ["individual.address.line1"],
        "errors": [{ "requirement": "individual.id_number", "reason": "Not a number.",
            "code": "verification_failed_id_number_match" }],
        "capabilities": { "card_payments": "pending" },
    });
    sim.control(&format!("accounts/{id}"), restricted).await;
    let account = account(&sim.performer(), &id).await;
    assert!(!account.charges_enabled);
    let due = account.requirements;
    assert_eq!(due.past_due, ["individual.id_number"]);
    assert_eq!(due.eventually_due, ["individual.address.line1"]);
    let expected = RequirementError {
        requirement: "individual.id_number".to_owned(),
        code: "verification_failed_id_number_match".to_owned(),
        reason: "Not a number.".to_owned(),
    };
    assert_eq!(due.errors, [expected]);
    let capabilities = [("card_payments", Pending), ("transfers", Inactive)];
    let capabilities = capabilities.map(|(name, status)| (name.to_owned(), status));
    assert_eq!(account.capabilities, BTreeMap::from(capabilities));
    assert_eq!(due.disabled_reason.as_deref(), Some("requirements.past_due"));
    assert_eq!(due.current_deadline, Some(Timestamp::from_secs(1_800_000_000)));
}

#[tokio::test]
async fn a_session_is_opened_and_paid() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    let create = task(session_effect(&account, dollars(1_250), 125));
    let created = stripe.perform(&create).await.unwrap();
    let Answer::SessionCreated { session, url } = created else { panic!("{created:?}") };
    assert_eq!(url, format!("{}/c/pay/{session}", sim.running.url()));
    assert_eq!(outcome(&stripe, &session).await, Outcome::Open);

    sim.pay(&session, "declined").await;
    assert_eq!(outcome(&stripe, &session).await, Outcome::Open, "the buyer may try another card");
    let intent = text(&sim.pay(&session, "paid").await["payment_intent"]);
    let expected = Payment { intent: intent.clone(), amount: 1_250, currency: Currency::USD };
    assert_eq!(outcome(&stripe, &session).await, Outcome::Paid(expected));

    // What routes webhooks and balance transactions is on the payment itself.
    let charge = &sim.list("/v1/charges").await.pop().unwrap();
    let Effect::CreateCheckoutSession(wanted) = &create.effect else { panic!() };
    assert_eq!(charge["metadata"][CHECKOUT], json!(wanted.checkout.to_string()));
    assert_eq!(charge["transfer_data"]["destination"], json!(account));
    assert_eq!(charge["application_fee_amount"], json!(125));
}

#[tokio::test]
async fn a_delayed_payment_is_read_until_it_is_decided() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    for (decision, fails) in [("delayed_succeeds", false), ("delayed_fails", true)] {
        let session = open_session(&stripe, &account, dollars(900), 90).await;
        sim.pay(&session, "delayed").await;
        assert_eq!(outcome(&stripe, &session).await, Outcome::Unpaid);
        sim.pay(&session, decision).await;
        let decided = outcome(&stripe, &session).await;
        match (&decided, fails) {
            (Outcome::Paid(payment), false) => assert_eq!(payment.amount, 900),
            (Outcome::PaymentFailed, true) => {}
            _ => panic!("{decision}: {decided:?}"),
        }
    }
}

#[tokio::test]
async fn s14_minor_units_are_right_in_every_currency() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    for (code, minor, fee) in [("JPY", 1_200, 120), ("KWD", 5_120, 510), ("EUR", 999, 0)] {
        let currency = Currency::parse(code).unwrap();
        let session = open_session(&stripe, &account, Money::new(minor, currency), fee).await;
        let intent = text(&sim.pay(&session, "paid").await["payment_intent"]);
        let expected = Payment { intent, amount: minor, currency };
        assert_eq!(outcome(&stripe, &session).await, Outcome::Paid(expected));
        let totals = &sim.summary().await["platform"][code.to_lowercase()];
        assert_eq!(totals["paid"], json!(minor), "{code}");
        assert_eq!(totals["application_fees"]["gross"], json!(fee), "{code}");
    }
}

#[tokio::test]
async fn an_open_session_is_expired() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    let session = open_session(&stripe, &account, dollars(1_000), 100).await;
    let expire = task(Effect::ExpireCheckoutSession { session: session.clone() });
    for _ in 0..2 {
        let answer = stripe.perform(&expire).await.unwrap();
        let expired = Session { id: session.clone(), outcome: Outcome::Expired };
        assert_eq!(answer, Answer::SessionRetrieved(expired));
    }
}

#[tokio::test]
async fn the_answer_to_expiring_a_paid_session_is_that_it_is_paid() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (session, payment) = paid_session(&sim, &stripe, 100).await;
    let expire = Effect::ExpireCheckoutSession { session: session.clone() };
    let found = Session { id: session, outcome: Outcome::Paid(payment) };
    assert_eq!(once(&stripe, expire).await.unwrap(), Answer::SessionRetrieved(found));
}

#[tokio::test]
async fn a_payment_is_given_back_with_and_without_a_fee() {
    for (fee, fee_return) in [(100, FeeReturn::Returned), (0, FeeReturn::NoFee)] {
        let sim = Sim::start().await;
        let stripe = sim.performer();
        let (_, payment) = paid_session(&sim, &stripe, fee).await;
        let create = Effect::CreateRefund {
            payment_intent: payment.intent.clone(),
            amount: 1_000,
            fee: fee_return,
            transfer: TransferReturn::Returned,
            asked: None,
            checkout: None,
        };
        let answer = once(&stripe, create).await.unwrap();
        let Answer::RefundCreated(refund) = answer else { panic!("{answer:?}") };
        let expected = Refund {
            id: refund.id.clone(),
            payment_intent: payment.intent,
            amount: 1_000,
            status: RefundStatus::Succeeded,
            asked: None,
            reason: None,
        };
        assert_eq!(refund, expected);
        let read = once(&stripe, Effect::RetrieveRefund { refund: refund.id.clone() }).await;
        assert_eq!(read.unwrap(), Answer::RefundRetrieved(expected));
        let totals = &sim.summary().await["platform"]["usd"];
        assert_eq!(totals["refunded"], json!(1_000));
        assert_eq!(totals["application_fees"]["net"], json!(0), "the platform keeps nothing");
        assert_eq!(totals["transfers"]["net"], json!(0), "the creator keeps nothing");
    }
}

#[tokio::test]
async fn a_refund_is_read_as_its_bank_decides() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (_, payment) = paid_session(&sim, &stripe, 100).await;
    let fee = FeeReturn::Returned;
    let create = Effect::CreateRefund {
        payment_intent: payment.intent,
        amount: 1_000,
        fee,
        transfer: TransferReturn::Returned,
        asked: None,
        checkout: None,
    };
    let Answer::RefundCreated(refund) = once(&stripe, create).await.unwrap() else { panic!() };
    for (said, expected) in [("pending", RefundStatus::Pending), ("failed", RefundStatus::Failed)] {
        sim.control(&format!("refunds/{}", refund.id), json!({ "status": said })).await;
        let effect = Effect::RetrieveRefund { refund: refund.id.clone() };
        let Answer::RefundRetrieved(read) = once(&stripe, effect).await.unwrap() else { panic!() };
        assert_eq!(read.status, expected);
    }
}

#[tokio::test]
async fn s17_the_same_task_twice_makes_one_object() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (_, payment) = paid_session(&sim, &stripe, 100).await;
    let account = sim.account().await;
    let tasks = [
        Effect::CreateAccount { handle: HandleId(Uuid::now_v7()), country: None },
        session_effect(&account, dollars(1_000), 100),
        Effect::CreateRefund {
            payment_intent: payment.intent,
            amount: 1_000,
            fee: FeeReturn::Returned,
            transfer: TransferReturn::Returned,
            asked: None,
            checkout: None,
        },
    ]
    .map(task);
    let lists = ["/v1/accounts", "/v1/checkout/sessions", "/v1/refunds"];
    for (task, list) in tasks.iter().zip(lists) {
        let before = sim.count(list).await;
        let (one, two) = tokio::join!(stripe.perform(task), stripe.perform(task));
        // Two at once: the second may hear that the key is in use, which passes.
        let first = one.or(two).unwrap();
        assert_eq!(stripe.perform(task).await.unwrap(), first);
        assert_eq!(stripe.find(task).await.unwrap(), Some(first), "it can be looked up");
        assert_eq!(sim.count(list).await, before + 1, "{list}");
    }
}

#[tokio::test]
async fn what_was_never_done_is_not_found() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (_, payment) = paid_session(&sim, &stripe, 100).await;
    let account = sim.account().await;
    let fee = FeeReturn::Returned;
    for effect in [
        Effect::CreateAccount { handle: HandleId(Uuid::now_v7()), country: None },
        session_effect(&account, dollars(1_000), 100),
        Effect::CreateRefund {
            payment_intent: payment.intent,
            amount: 1_000,
            fee,
            transfer: TransferReturn::Returned,
            asked: None,
            checkout: None,
        },
    ] {
        assert_eq!(stripe.find(&task(effect)).await.unwrap(), None);
    }
}
