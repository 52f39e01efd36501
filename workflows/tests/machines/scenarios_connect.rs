//! The hard scenarios of connected accounts, each named by its number.

use workflows::{
    Timestamp,
    connect_onboarding::{ConnectOnboarding, Event as C, State},
    effect::Effect,
    id::{CheckoutId, LoginLinkId},
    stripe::{Account, Requirements},
    workflow::Workflow,
};

use crate::{
    examples::{
        START, checkout_id, enabled, failure, incomplete, onboard, payouts_paused, rejected,
        restricted, submitted,
    },
    scenarios::check,
};

const CREATING_ACCOUNT: &str = "CreatingAccount: create_account / row ONBOARDING";
const CREATING_LINK: &str = "CreatingLink: create_account_link / row unchanged, know acct_1";
const AWAITING: &str = "AwaitingCreator: retrieve_account / row unchanged";
const CONNECTED: &str = "Connected: / row CONNECTED";

fn account_created(account: &str) -> C {
    C::AccountCreated { account: account.to_owned() }
}

fn link_created(account: &str) -> C {
    C::LinkCreated {
        account: account.to_owned(),
        url: "https://connect.example.com/setup".to_owned(),
        expires_at: START.plus(5 * Timestamp::MINUTE),
    }
}

fn deauthorized(account: &str) -> C {
    C::Deauthorized { account: account.to_owned() }
}

fn unreadable(account: &str, code: &str) -> C {
    C::AccountUnreadable { account: account.to_owned(), failure: failure(code) }
}

fn closed(account: &str, after: Option<CheckoutId>) -> C {
    C::CheckoutsClosed { account: account.to_owned(), after }
}

/// A creator who may sell, and what happens then.
#[track_caller]
fn once_connected(rows: &[(C, &str)]) {
    let until_then = [
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
    ];
    check::<ConnectOnboarding>(&[until_then.as_slice(), rows].concat());
}

#[test]
fn s30_an_account_that_cannot_be_paid_has_its_purchases_closed_page_by_page() {
    once_connected(&[
        (C::AccountChanged, "Connected: retrieve_account"),
        (C::AccountRetrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
        (closed("acct_1", Some(checkout_id())), "Restricted: close_checkouts"),
        (closed("acct_1", None), "Restricted"),
        // Closed once: what could not be sold since need not be closed.
        (C::TimerFired, "Restricted: retrieve_account"),
        (C::AccountRetrieved(restricted("acct_1")), "Restricted: / row RESTRICTED"),
        // It may sell again, and so there may be purchases again.
        (C::AccountChanged, "Restricted: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
        (closed("acct_1", Some(checkout_id())), "refused: the account can be paid again"),
        (C::AccountChanged, "Connected: retrieve_account"),
        (C::AccountRetrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
        (closed("acct_1", Some(checkout_id())), "Rejected: close_checkouts"),
        (closed("acct_1", None), "Rejected"),
    ]);
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (closed("acct_1", None), "Disconnected"),
    ]);
}

#[test]
fn s30_an_account_that_is_only_not_paid_out_keeps_its_purchases() {
    once_connected(&[
        (C::AccountChanged, "Connected: retrieve_account"),
        (C::AccountRetrieved(payouts_paused("acct_1")), "Restricted: / row RESTRICTED"),
        (C::AccountChanged, "Restricted: retrieve_account"),
        (
            C::AccountRetrieved(submitted("acct_1")),
            "PendingVerification: close_checkouts / row PENDING_VERIFICATION",
        ),
    ]);
}

#[test]
fn s30_the_first_page_begins_a_day_ago() {
    let mut state = ConnectOnboarding::start(&onboard(), START).unwrap().state;
    for event in [
        account_created("acct_1"),
        link_created("acct_1"),
        C::AccountRetrieved(enabled("acct_1")),
        C::AccountChanged,
    ] {
        state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
    }
    let lost = C::AccountRetrieved(restricted("acct_1"));
    let step = ConnectOnboarding::step(&state, &lost, START).unwrap();
    let [Effect::CloseCheckouts { after, .. }] = step.effects.as_slice() else {
        panic!("{:?}", step.effects)
    };
    // Ids of purchases begin with the time.
    let millis = i64::try_from(after.0.as_u128() >> 80).unwrap();
    assert_eq!(millis, START.plus(-Timestamp::DAY).millis());
}

#[test]
fn s31_the_creator_comes_back_with_another_account() {
    let earlier = "refused: this is about an earlier account";
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (onboard(), "Reconnecting: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "CreatingAccount: create_account / row ONBOARDING, keep acct_1",
        ),
        (closed("acct_1", Some(checkout_id())), "CreatingAccount: close_checkouts"),
        (
            account_created("acct_2"),
            "CreatingLink: create_account_link / row unchanged, know acct_2",
        ),
        // What is late about the earlier account means nothing to the new one.
        (link_created("acct_1"), earlier),
        (C::AccountRetrieved(enabled("acct_1")), earlier),
        (unreadable("acct_1", "account_invalid"), earlier),
        (deauthorized("acct_1"), earlier),
        (link_created("acct_2"), AWAITING),
        (C::AccountRetrieved(enabled("acct_2")), CONNECTED),
        // But its purchases are closed to the last.
        (closed("acct_1", Some(checkout_id())), "Connected: close_checkouts"),
    ]);
}

#[test]
fn s31_the_creator_comes_back_with_the_same_account() {
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (onboard(), "Reconnecting: retrieve_account"),
        (onboard(), "Reconnecting"),
        (
            C::AccountRetrieved(enabled("acct_1")),
            "CreatingLink: create_account_link / row CONNECTED",
        ),
        (link_created("acct_1"), AWAITING),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
    ]);
    // Without asking us: Stripe speaks of it.
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (C::TimerFired, "refused: TimerFired means nothing in Disconnected"),
        (C::AccountChanged, "Disconnected: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
    ]);
    // Nobody can say: nothing is made.
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (onboard(), "Reconnecting: retrieve_account"),
        (unreadable("acct_1", "discarded"), "Disconnected: / row unchanged"),
    ]);
}

#[test]
fn s32_an_early_account_updated_is_ignored_and_a_late_one_reads_once_more() {
    check::<ConnectOnboarding>(&[
        (onboard(), CREATING_ACCOUNT),
        (C::AccountChanged, "refused: AccountChanged means nothing in CreatingAccount"),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (C::AccountChanged, "AwaitingCreator"),
        (C::AccountChanged, "refused: the account is read once more already"),
        (C::AccountRetrieved(enabled("acct_1")), "Connected: retrieve_account / row CONNECTED"),
        (C::AccountRetrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
    ]);
}

#[test]
fn s32_a_late_word_of_leaving_does_not_undo_the_coming_back() {
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
        // Nor does an answer that nobody waits for any more.
        (C::AccountRetrieved(restricted("acct_1")), "Connected: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
        (unreadable("acct_1", "account_invalid"), "Connected: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
    ]);
}

#[test]
fn s32_a_failed_reading_forgets_nothing() {
    check::<ConnectOnboarding>(&[
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (C::AccountChanged, "AwaitingCreator"),
        (unreadable("acct_1", "discarded"), "AwaitingCreator: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
        (C::TimerFired, "Connected: retrieve_account"),
    ]);
}

#[test]
fn s33_what_changed_without_an_event_is_found_by_the_timer() {
    once_connected(&[
        (C::TimerFired, "Connected: retrieve_account"),
        (C::AccountRetrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
        (C::TimerFired, "Restricted: retrieve_account"),
        // The look went dead: the timer looks all the same.
        (C::TimerFired, "Restricted: retrieve_account"),
        (C::AccountRetrieved(enabled("acct_1")), CONNECTED),
    ]);
}

#[test]
fn s33_looks_come_often_while_something_is_open_and_the_safety_net_is_a_day_away() {
    let step = |state: &State, event: &C| ConnectOnboarding::step(state, event, START).unwrap();
    let after = |wake_at: Option<Timestamp>| wake_at.map(|at| at.millis() - START.millis());
    let mut state = ConnectOnboarding::start(&onboard(), START).unwrap().state;
    for event in [account_created("acct_1"), link_created("acct_1")] {
        let stepped = step(&state, &event);
        assert_eq!(after(stepped.wake_at), Some(Timestamp::DAY), "{event:?}");
        state = stepped.state;
    }
    let mut waits = Vec::new();
    for _ in 0..11 {
        let stepped = step(&state, &C::AccountRetrieved(incomplete("acct_1")));
        waits.extend(after(stepped.wake_at).map(|wait| wait / Timestamp::MINUTE));
        let stepped = step(&stepped.state, &C::TimerFired);
        assert_eq!(after(stepped.wake_at), Some(Timestamp::DAY));
        state = stepped.state;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440]);
    let connected = step(&state, &C::AccountRetrieved(enabled("acct_1")));
    assert_eq!(after(connected.wake_at), Some(Timestamp::DAY));
}

#[test]
fn a_link_that_went_dead_does_not_end_the_looking() {
    check::<ConnectOnboarding>(&[
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        (C::TimerFired, "AwaitingCreator: retrieve_account"),
        (C::AccountRetrieved(incomplete("acct_1")), "AwaitingCreator: / row ONBOARDING"),
    ]);
}

#[test]
fn the_rejected_are_asked_for_nothing_any_more() {
    once_connected(&[
        (C::AccountChanged, "Connected: retrieve_account"),
        (C::AccountRetrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
        (onboard(), "refused: Onboard means nothing in Rejected"),
        (C::AccountChanged, "refused: AccountChanged means nothing in Rejected"),
        (C::TimerFired, "refused: TimerFired means nothing in Rejected"),
    ]);
}

/// `disabled_reason` is an open set.
#[test]
fn reasons_that_nobody_knows_yet_restrict() {
    let disabled = |reason: &str, pending: &[&str]| Account {
        id: "acct_1".to_owned(),
        details_submitted: true,
        requirements: Requirements {
            disabled_reason: Some(reason.to_owned()),
            pending_verification: pending.iter().map(|&field| field.to_owned()).collect(),
            ..Requirements::default()
        },
        ..Account::default()
    };
    for (account, expected) in [
        (disabled("requirements.pending_verification", &[]), "PendingVerification"),
        (disabled("under_review", &[]), "PendingVerification"),
        (disabled("listed", &[]), "PendingVerification"),
        (disabled("platform_paused", &["individual.address"]), "Restricted"),
        (disabled("the_moon_is_full", &[]), "Restricted"),
        (disabled("the_moon_is_full", &["individual.address"]), "PendingVerification"),
        (disabled("rejected.the_moon_is_full", &[]), "Rejected"),
        (Account { details_submitted: false, ..disabled("other", &[]) }, "AwaitingCreator"),
        // Everything is enabled, and yet there is a reason.
        (
            Account { requirements: disabled("other", &[]).requirements, ..enabled("acct_1") },
            "Restricted",
        ),
        (Account { transfers_active: false, ..enabled("acct_1") }, "PendingVerification"),
    ] {
        let mut state = ConnectOnboarding::start(&onboard(), START).unwrap().state;
        let told = C::AccountRetrieved(account.clone());
        for event in [account_created("acct_1"), link_created("acct_1"), told] {
            state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
        }
        assert_eq!(<&str>::from(state), expected, "{account:?}");
    }
}

#[test]
fn a_link_to_the_dashboard_is_made_for_whoever_asked() {
    let request = LoginLinkId(checkout_id().0);
    let url = "https://connect.example.com/express".to_owned();
    let made = C::LoginLinkCreated { request, url: url.clone() };
    once_connected(&[
        (C::OpenDashboard { request }, "Connected: create_login_link"),
        (made.clone(), "Connected: / link https://connect.example.com/express"),
        (C::OpenDashboard { request }, "Connected: create_login_link"),
        (
            C::LoginLinkFailed { request, failure: failure("api_error") },
            "Connected: / no link: it failed: api_error",
        ),
        (C::AccountChanged, "Connected: retrieve_account"),
        (C::AccountRetrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
        (C::OpenDashboard { request }, "refused: OpenDashboard means nothing in Rejected"),
    ]);
    let kept = ConnectOnboarding::masked(&made).unwrap();
    assert!(!serde_json::to_string(&kept).unwrap().contains(&url), "{kept:?}");
}

#[test]
fn an_onboarding_link_is_a_secret_that_history_does_not_keep() {
    let kept = ConnectOnboarding::masked(&link_created("acct_1")).unwrap();
    assert!(!serde_json::to_string(&kept).unwrap().contains("connect.example.com"), "{kept:?}");
    assert_eq!(ConnectOnboarding::masked(&onboard()), None);
}
