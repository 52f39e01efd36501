//! One stored example of every state and event, so that a change which cannot read yesterday's runs fails
//! a test.
//!
//! A difference under `golden/` means that stored rows look different. Where an old row would be read
//! wrongly, raise the machine's `VERSION`, translate in `upgrade`, and keep the old file as a test of that.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{ExpectFile, expect_file};
use serde_json::{Value, json};
use workflows::workflow::Workflow;

use crate::{
    examples::{
        Example, START, checkout_events, connect_onboarding_events, earnings_rollup_events,
        enabled, group_buy_events, handle, link, magic_link_events, page_publish_events,
        payout_events, plan_subscription_events,
    },
    examples_returns::{dispute_events, refund_events},
    explore::{label, transitions},
};

/// The names of an enum's variants. One that is left out does not compile.
macro_rules! variants {
    ($enum:ident: $($variant:ident),+ $(,)?) => {{
        fn _every_variant_is_named(value: &$enum) {
            match value {
                $($enum::$variant { .. } => {})+
            }
        }
        BTreeSet::from([$(stringify!($variant)),+])
    }};
}

#[test]
fn checkout() {
    use workflows::checkout::{Checkout, Event, State};
    check::<Checkout>(
        &expect_file!["../golden/checkout.json"],
        &checkout_events(),
        &variants!(State: CreatingSession, AwaitingPayment, AwaitingFunds, Expiring, Confirming,
            Settled, PartlyRefunded, Disputed, ChargedBack, RefundingDuplicate, Refunded,
            Quarantined, Expired, Failed, Cancelled),
        &variants!(Event: Request, SessionCreated, SessionFailed, SessionReported, SessionRetrieved,
            SessionUnreadable, GrantLost, InterestLost, RefundReported, RefundFailed, ReturnsChanged,
            ReserveRefund, ReleaseRefund, ChargeRetrieved, ChargeUnreadable,
            ReversalRefused, TransferRefused, FraudWarning, ProcessorFee,
            SellerLost, Cancel, TimerFired),
    );
}

/// Version 1 gave back whole payments only, and knew a refund by its id.
#[test]
fn checkout_of_version_1_is_read() {
    use workflows::checkout::{Checkout, Event};
    let stored: Value =
        serde_json::from_str(include_str!("../golden/checkout_version_1.json")).unwrap();
    assert_eq!(stored["version"], 1);
    let states = stored["states"].as_object().unwrap();
    assert_eq!(states.len(), 12);
    for (name, state) in states {
        let read = serde_json::to_value(Checkout::upgrade(1, state.clone()).unwrap()).unwrap();
        let mut expected = state.clone();
        let of_state = expected[name].as_object_mut().unwrap();
        of_state.remove("refund");
        if matches!(name.as_str(), "RefundingDuplicate" | "Refunded" | "Quarantined") {
            let returns = &read[name]["returns"];
            assert_eq!(returns["access"], "never", "{name} gave no access");
            of_state.insert("returns".to_owned(), returns.clone());
        }
        assert_eq!(read, expected, "{name}");
    }
    for (label, event) in stored["events"].as_object().unwrap() {
        serde_json::from_value::<Event>(event.clone()).expect(label);
    }
}

/// Version 2 knew of no group buys.
#[test]
fn checkout_of_version_2_is_read() {
    use workflows::checkout::{Checkout, Event};
    let stored: Value =
        serde_json::from_str(include_str!("../golden/checkout_version_2.json")).unwrap();
    assert_eq!(stored["version"], 2);
    let states = stored["states"].as_object().unwrap();
    assert_eq!(states.len(), 15);
    for (name, state) in states {
        let read = Checkout::upgrade(2, state.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *state, "{name}");
    }
    for (label, event) in stored["events"].as_object().unwrap() {
        serde_json::from_value::<Event>(event.clone()).expect(label);
    }
}

#[test]
fn group_buy() {
    use workflows::group_buy::{Event, GroupBuy, State};
    check::<GroupBuy>(
        &expect_file!["../golden/group_buy.json"],
        &group_buy_events(),
        &variants!(State: Draft, Collecting, Ending, Activated, Lapsed, Cancelled),
        &variants!(Event: Create, Publish, ThresholdReached, Ended, EndFailed, InterestedListed,
            ListFailed, Sealed, SealFailed, Cancel, TimerFired),
    );
}

#[test]
fn connect_onboarding() {
    use workflows::connect_onboarding::{ConnectOnboarding, Event, State};
    check::<ConnectOnboarding>(
        &expect_file!["../golden/connect_onboarding.json"],
        &connect_onboarding_events(),
        &variants!(State: CreatingAccount, CreatingLink, AwaitingCreator, PendingVerification,
            Connected, Restricted, Rejected, Disconnected, Reconnecting, Failed),
        &variants!(Event: Onboard, AccountCreated, AccountFailed, LinkCreated, LinkFailed,
            AccountChanged, AccountRetrieved, AccountUnreadable, Deauthorized, OpenDashboard,
            LoginLinkCreated, LoginLinkFailed, CheckoutsClosed, PayoutReported,
            Cancel, TimerFired),
    );
}

/// Version 1 did not know whether there are purchases to close: there may be.
#[test]
fn connect_onboarding_of_version_1_is_read() {
    let stored = include_str!("../golden/connect_onboarding_version_1.json");
    onboardings_are_read(1, stored, 9, &json!({ "purchases": "possible" }));
}

/// Version 2 did not know when the timer looks, which reading is the newest, and what a link answers.
#[test]
fn connect_onboarding_of_version_2_is_read() {
    let stored = include_str!("../golden/connect_onboarding_version_2.json");
    onboardings_are_read(2, stored, 10, &json!({}));
}

/// Stored by an older version: read as they are, with what that version did not know.
fn onboardings_are_read(version: u32, stored: &str, number: usize, unknown: &Value) {
    use workflows::connect_onboarding::{ConnectOnboarding, Event};
    let nobody = "onb_00000000000000000000000000000000";
    let nobodys = json!({ "id": nobody, "subject": "", "proven_at": null });
    let stored: Value = serde_json::from_str(stored).unwrap();
    assert_eq!(stored["version"], version);
    let states = stored["states"].as_object().unwrap();
    assert_eq!(states.len(), number);
    for (name, state) in states {
        let read = ConnectOnboarding::upgrade(version, state.clone()).unwrap();
        let mut expected = state.clone();
        if let Some(known) = expected.pointer_mut(&format!("/{name}/known")) {
            let unknown = unknown.as_object().unwrap().clone();
            let known = known.as_object_mut().unwrap();
            known.extend(unknown);
            known.extend([
                ("begun_at".to_owned(), json!(0)),
                ("look_at".to_owned(), json!(0)),
                ("request".to_owned(), json!(nobody)),
            ]);
        }
        if let Some(fields) = expected.get_mut("CreatingAccount") {
            fields["request"] = nobodys.clone();
        }
        if let Some(wish) = expected.pointer_mut("/Reconnecting/wish") {
            wish["request"] = nobodys.clone();
        }
        assert_eq!(serde_json::to_value(read).unwrap(), expected, "{name}");
    }
    for (label, event) in stored["events"].as_object().unwrap() {
        serde_json::from_value::<Event>(event.clone()).expect(label);
    }
}

/// What a release of version 2 has asked for is performed by this one, and its answer is believed.
#[test]
fn what_an_onboarding_of_version_2_waits_for_is_heard() {
    use workflows::{
        connect_onboarding::{ConnectOnboarding, Event, State},
        effect::{Answer, Effect},
    };
    let known = json!({ "account": "acct_1", "handle": handle(), "looks": 0,
        "purchases": "closed", "reading": "under_way" });
    let urls = json!({ "return_url": "https://example.com", "refresh_url": "https://example.com" });
    let link =
        Answer::AccountLinkCreated { url: "https://example.com".to_owned(), expires_at: START };
    for (state, effect, answer, expected) in [
        (
            "CreatingLink",
            json!({ "create_account_link": { "account": "acct_1", "urls": urls } }),
            link,
            "AwaitingCreator",
        ),
        (
            "AwaitingCreator",
            json!({ "retrieve_account": { "account": "acct_1" } }),
            Answer::AccountRetrieved(enabled("acct_1")),
            "Connected",
        ),
    ] {
        let state: State =
            ConnectOnboarding::upgrade(2, json!({ state: { "known": known } })).unwrap();
        let effect: Effect = serde_json::from_value(effect).unwrap();
        let event: Event = ConnectOnboarding::on_answer(&effect, &answer).unwrap();
        let step = ConnectOnboarding::step(&state, &event, START).unwrap();
        assert_eq!(<&str>::from(step.state), expected);
    }
}

#[test]
fn dispute() {
    use workflows::dispute::{Dispute, Event, State};
    check::<Dispute>(
        &expect_file!["../golden/dispute.json"],
        &dispute_events(),
        &variants!(State: Opened, UnderReview, Won, Lost, Closed),
        &variants!(Event: Reported, Cancel, TimerFired),
    );
}

#[test]
fn earnings_rollup() {
    use workflows::earnings_rollup::{EarningsRollup, Event, State};
    check::<EarningsRollup>(
        &expect_file!["../golden/earnings_rollup.json"],
        &earnings_rollup_events(),
        &variants!(State: Idle, Rolling),
        &variants!(Event: Dirty, RolledUp, RollUpFailed, Cancel, TimerFired),
    );
}

#[test]
fn magic_link() {
    use workflows::magic_link::{Event, MagicLink, State};
    check::<MagicLink>(
        &expect_file!["../golden/magic_link.json"],
        &magic_link_events(),
        &variants!(State: Requested, Sent, Consumed, Expired),
        &variants!(Event: Request, MailDone, Consume, Cancel, TimerFired),
    );
}

/// Version 1 counted wrong codes in the state.
#[test]
fn a_magic_link_of_version_1_is_read() {
    use workflows::magic_link::{MagicLink, State};
    let fields = json!({"link": link(), "expires_at": START, "wrong_codes": 3});
    for (name, state) in [
        ("Requested", State::Requested { link: link(), expires_at: START }),
        ("Sent", State::Sent { link: link(), expires_at: START }),
    ] {
        assert_eq!(MagicLink::upgrade(1, json!({name: fields.clone()})), Ok(state));
    }
}

#[test]
fn page_publish() {
    use workflows::page_publish::{Event, PagePublish, State};
    check::<PagePublish>(
        &expect_file!["../golden/page_publish.json"],
        &page_publish_events(),
        &variants!(State: Syncing, Publishing, Published, Unpublished, SyncFailed),
        &variants!(Event: Sync, Synced, SyncFailed, Cancel, TimerFired),
    );
}

#[test]
fn payout() {
    use workflows::payout::{Event, Payout, State};
    check::<Payout>(
        &expect_file!["../golden/payout.json"],
        &payout_events(),
        &variants!(State: Pending, InTransit, Paid, Failed, Canceled),
        &variants!(Event: Reported, Cancel, TimerFired),
    );
}

#[test]
fn plan_subscription() {
    use workflows::plan_subscription::{Event, PlanSubscription, State};
    check::<PlanSubscription>(
        &expect_file!["../golden/plan_subscription.json"],
        &plan_subscription_events(),
        &variants!(State: Unbilled, CreatingCustomer, CreatingLink, AwaitingCheckout, Subscribed,
            PastDue, Lapsed, Unsubscribed),
        &variants!(Event: Subscribe, OpenPortal, CustomerCreated, CustomerFailed, CheckoutCreated,
            PortalCreated, LinkFailed, Changed, BillingRetrieved, BillingUnreadable, SetManually,
            Cancel, TimerFired),
    );
}

/// Version 1 did not tell requests apart, nor since when a customer is missing.
#[test]
fn plan_subscription_of_version_1_is_read() {
    use workflows::plan_subscription::{Event, PlanSubscription};
    let stored: Value =
        serde_json::from_str(include_str!("../golden/plan_subscription_version_1.json")).unwrap();
    assert_eq!(stored["version"], 1);
    let states = stored["states"].as_object().unwrap();
    assert_eq!(states.len(), 8);
    for (name, state) in states {
        let read = PlanSubscription::upgrade(1, state.clone()).unwrap();
        let mut expected = state.clone();
        if let Some(known) = expected.pointer_mut(&format!("/{name}/known")) {
            (known["wanted"], known["missing_since"]) = (Value::Null, Value::Null);
        }
        if let Some(wish) = expected.pointer_mut(&format!("/{name}/wish")) {
            wish["request"] = Value::Null;
        }
        assert_eq!(serde_json::to_value(read).unwrap(), expected, "{name}");
    }
    for (label, event) in stored["events"].as_object().unwrap() {
        serde_json::from_value::<Event>(event.clone()).expect(label);
    }
}

/// What was asked of Stripe before requests had ids is asked all the same, and its answer is understood.
#[test]
fn effects_of_version_1_are_read() {
    use workflows::{
        effect::{Answer, Effect},
        plan_subscription::{Event, PlanSubscription},
    };
    let portal =
        json!({"create_portal_session": {"customer": "cus_1", "return_url": "https://a.test/"}});
    let page = json!({"create_plan_session": {
        "handle": "hndl_01990000000070008000000000000003", "customer": "cus_1", "price": "price_pro",
        "success_url": "https://a.test/", "cancel_url": "https://a.test/", "expires_at": START,
    }});
    let opened =
        |url: &str| Answer::PortalSessionCreated { url: url.to_owned(), expires_at: START };
    let effect: Effect = serde_json::from_value(portal).unwrap();
    let event = PlanSubscription::on_answer(&effect, &opened("https://b.test/"));
    assert!(matches!(event, Some(Event::PortalCreated { request: None, .. })), "{event:?}");
    let effect: Effect = serde_json::from_value(page).unwrap();
    let answer = Answer::PlanSessionCreated { session: "cs_1".to_owned(), url: String::new() };
    let event = PlanSubscription::on_answer(&effect, &answer);
    assert!(matches!(event, Some(Event::CheckoutCreated { request: None, .. })), "{event:?}");
}

#[test]
fn refund() {
    use workflows::refund::{Event, Refund, State};
    check::<Refund>(
        &expect_file!["../golden/refund.json"],
        &refund_events(),
        &variants!(State: Reserving, AtStripe, Pending, Succeeded, Rejected, Failed, Canceled),
        &variants!(Event: Request, Reserved, Rejected, Made, Refused, Reported, Cancel, TimerFired),
    );
}

/// Version 1 knew fewer reasons.
#[test]
fn refund_of_version_1_is_read() {
    use workflows::refund::{Event, Refund};
    let stored: Value =
        serde_json::from_str(include_str!("../golden/refund_version_1.json")).unwrap();
    assert_eq!(stored["version"], 1);
    let states = stored["states"].as_object().unwrap();
    assert_eq!(states.len(), 7);
    for (name, state) in states {
        let read = Refund::upgrade(1, state.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *state, "{name}");
    }
    for (label, event) in stored["events"].as_object().unwrap() {
        serde_json::from_value::<Event>(event.clone()).expect(label);
    }
}

fn check<W: Workflow>(
    file: &ExpectFile,
    examples: &[Example<W::Event>],
    state_names: &BTreeSet<&str>,
    event_names: &BTreeSet<&str>,
) {
    let states = one_of_each_state::<W>(examples);
    assert_eq!(&states.keys().copied().collect::<BTreeSet<_>>(), state_names, "states reached");
    let named = examples.iter().map(|example| example.event.clone().into());
    assert_eq!(&named.collect::<BTreeSet<&str>>(), event_names, "events with an example");

    let events: BTreeMap<_, _> =
        examples.iter().map(|example| (label(example), &example.event)).collect();
    let stored = json!({ "version": W::VERSION, "states": states, "events": events });
    file.assert_eq(&format!("{stored:#}\n"));

    let stored: Value = serde_json::from_str(&file.data()).unwrap();
    let version = serde_json::from_value(stored["version"].clone()).unwrap();
    for (name, state) in states {
        let read = W::upgrade(version, stored["states"][name].clone()).unwrap();
        assert_eq!(read, state, "{name} reads as it was written");
    }
    for (label, event) in events {
        let read: W::Event = serde_json::from_value(stored["events"][&label].clone()).unwrap();
        assert_eq!(&read, event, "{label} reads as it was written");
    }
}

/// Of the states that the examples lead to, the first of each variant with the fewest absent fields.
fn one_of_each_state<W: Workflow>(
    examples: &[Example<W::Event>],
) -> BTreeMap<&'static str, W::State> {
    let absent = |state: &W::State| serde_json::to_string(state).unwrap().matches("null").count();
    let mut states: BTreeMap<&'static str, W::State> = BTreeMap::new();
    for transition in transitions::<W>(examples) {
        let name: &'static str = transition.to.clone().into();
        if states.get(name).is_none_or(|known| absent(&transition.to) < absent(known)) {
            states.insert(name, transition.to);
        }
    }
    states
}
