//! Calls to Stripe, when something goes wrong (scenario 47): what each failure means for the next try.

use std::time::Duration;

use engine::{Perform, Trouble};
use simulator::{ApiFaults, Faults};
use tokio::net::TcpListener;
use uuid::Uuid;
use workflows::{
    effect::{Effect, FeeReturn, TransferReturn},
    id::HandleId,
};

use crate::{
    sim::{Sim, performer_at, read, task},
    stripe::{dollars, once, open_session, paid_session, session_effect},
};

fn api(faults: ApiFaults) -> Faults {
    Faults { api: faults, ..Faults::default() }
}

fn is_transient(result: &Result<impl Sized, Trouble>) -> bool {
    matches!(result, Err(Trouble::Transient { .. }))
}

#[tokio::test]
async fn s47_a_500_is_replayed_for_what_is_made_and_passes_for_what_is_read() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (session, payment) = paid_session(&sim, &stripe, 100).await;
    let account = sim.account().await;
    sim.faults(api(ApiFaults { error_500: 1.0, ..ApiFaults::default() }));
    let refund = Effect::CreateRefund {
        payment_intent: payment.intent,
        amount: 1_000,
        fee: FeeReturn::Returned,
        transfer: TransferReturn::Returned,
        asked: None,
        checkout: None,
    };
    let making = [
        Effect::CreateAccount { handle: HandleId(Uuid::now_v7()), country: None },
        session_effect(&account, dollars(1_000), 100),
        refund,
    ];
    for effect in making {
        let task = task(effect);
        let result = stripe.perform(&task).await;
        assert!(matches!(result, Err(Trouble::Replayed { .. })), "{result:?}");
        // The weather is fine again, and the same key still says 500: a look-up and a new key are needed.
        sim.no_faults();
        let result = stripe.perform(&task).await;
        assert!(matches!(result, Err(Trouble::Replayed { .. })), "{result:?}");
        assert_eq!(stripe.find(&task).await.unwrap(), None);
        let renewed = engine::Task { key_generation: 1, ..task };
        stripe.perform(&renewed).await.unwrap();
        sim.faults(api(ApiFaults { error_500: 1.0, ..ApiFaults::default() }));
    }
    let reading = [
        read(&account),
        Effect::RetrieveCheckoutSession { session: session.clone() },
        Effect::ExpireCheckoutSession { session },
    ];
    for effect in reading {
        let result = once(&stripe, effect).await;
        assert!(is_transient(&result), "{result:?}");
    }
}

#[tokio::test]
async fn s47_a_429_waits() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    sim.faults(api(ApiFaults { error_429: 1.0, ..ApiFaults::default() }));
    let create = task(session_effect(&account, dollars(1_000), 100));
    for effect in [create.effect.clone(), read(&account)] {
        let result = once(&stripe, effect).await;
        let Err(Trouble::Transient { retry_after: Some(wish), .. }) = result else {
            panic!("{result:?}")
        };
        assert!(wish >= 1_000, "{wish} ms");
    }
    sim.no_faults();
    stripe.perform(&create).await.unwrap();
}

#[tokio::test]
async fn s47_work_whose_answer_timed_out_is_found_and_not_done_again() {
    let sim = Sim::start().await;
    let stripe = sim.performer_with_timeout(Duration::from_millis(200));
    let (_, payment) = paid_session(&sim, &stripe, 100).await;
    let account = sim.account().await;
    let making = [
        (Effect::CreateAccount { handle: HandleId(Uuid::now_v7()), country: None }, "accounts"),
        (session_effect(&account, dollars(1_000), 100), "checkout/sessions"),
        (
            Effect::CreateRefund {
                payment_intent: payment.intent,
                amount: 1_000,
                fee: FeeReturn::Returned,
                transfer: TransferReturn::Returned,
                asked: None,
                checkout: None,
            },
            "refunds",
        ),
    ];
    for (effect, noun) in making {
        let (task, list) = (task(effect), format!("/v1/{noun}"));
        let before = sim.count(&list).await;
        sim.faults(api(ApiFaults { timeout_after_work: 1.0, ..ApiFaults::default() }));
        let asked = std::time::Instant::now();
        let result = stripe.perform(&task).await;
        assert!(is_transient(&result), "{result:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "the client's own timeout is respected");
        sim.no_faults();
        let found = stripe.find(&task).await.unwrap().expect("the work was done");
        assert_eq!(stripe.perform(&task).await.unwrap(), found, "the same key, the same answer");
        assert_eq!(sim.count(&list).await, before + 1, "{noun}");
    }
}

#[tokio::test]
async fn s47_a_gateway_that_gives_up_says_nothing_about_the_work() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    let faults = ApiFaults { timeout_after_work: 1.0, timeout_seconds: 0, ..ApiFaults::default() };
    sim.faults(api(faults));
    let task = task(session_effect(&account, dollars(1_000), 100));
    // A 504 without a body, as a proxy on the way would answer: the same key again.
    let result = stripe.perform(&task).await;
    assert!(is_transient(&result), "{result:?}");
    sim.no_faults();
    stripe.perform(&task).await.unwrap();
    assert_eq!(sim.count("/v1/checkout/sessions").await, 1);
}

#[tokio::test]
async fn a_refusal_is_permanent_and_keeps_stripes_code() {
    let sim = Sim::start().await;
    let stripe = sim.performer();
    let (_, payment) = paid_session(&sim, &stripe, 0).await;
    let fee = FeeReturn::NoFee;
    let too_much = Effect::CreateRefund {
        payment_intent: payment.intent,
        amount: 1_001,
        fee,
        transfer: TransferReturn::Returned,
        asked: None,
        checkout: None,
    };
    let refused = [
        (session_effect("acct_nobody", dollars(1_000), 100), "resource_missing"),
        (Effect::RetrieveRefund { refund: "re_nobody".to_owned() }, "resource_missing"),
        (read("acct_nobody"), "account_invalid"),
        (Effect::ExpireCheckoutSession { session: "cs_nobody".to_owned() }, "resource_missing"),
        (too_much, "amount"),
    ];
    for (effect, code) in refused {
        let kind: &'static str = (&effect).into();
        match once(&stripe, effect).await {
            Err(Trouble::Permanent(failure)) if code == "amount" => {
                assert!(!failure.code.is_empty() && !failure.message.is_empty(), "{failure:?}");
            }
            Err(Trouble::Permanent(failure)) => {
                assert_eq!(failure.code, code, "{kind}: {failure:?}");
                assert!(!failure.message.is_empty());
            }
            other => panic!("{kind}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn nobody_at_the_address_may_be_there_later() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let stripe = performer_at(&address, Duration::from_secs(2));
    let create = task(session_effect("acct_1", dollars(1_000), 100));
    let result = stripe.perform(&create).await;
    assert!(is_transient(&result), "{result:?}");
    let result = stripe.find(&create).await;
    assert!(is_transient(&result), "{result:?}");
}

#[tokio::test]
async fn a_deauthorised_account_is_refused() {
    let sim = Sim::start().await;
    let (stripe, account) = (sim.performer(), sim.account().await);
    open_session(&stripe, &account, dollars(1_000), 100).await;
    let gone = serde_json::json!({ "deauthorize": true });
    sim.control(&format!("accounts/{account}"), gone).await;
    let effect = session_effect(&account, dollars(1_000), 100);
    let result = once(&stripe, effect).await;
    assert!(matches!(result, Err(Trouble::Permanent(_))), "{result:?}");
}
