//! Links to Stripe's form and dashboard: whose they are, and what is said where there is none.

use workflows::{
    connect_onboarding::{ConnectOnboarding, Event as C},
    effect::Failure,
    id::LoginLinkId,
    record::Record,
    workflow::Workflow,
};

use crate::{
    examples::{
        START, checkout_id, failure, incomplete, onboard, onboard_again, onboard_by_used_link,
        rejected, wish,
    },
    scenarios_connect::{
        AWAITING, CREATING_ACCOUNT, CREATING_LINK, RECONNECTING, account_created, connected,
        link_created, link_for, onboarding, once_connected, retrieved, unreadable,
    },
};

const EARLIER_WISH: &str = "refused: this answers an earlier wish for a link";
const BY_USED_LINK: &str = "refused: a used link begins nothing anew: the creator must sign in";

#[test]
fn a_link_that_went_dead_does_not_end_the_looking() {
    onboarding(&[
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        // It may take its time.
        (C::TimerFired, "CreatingLink: retrieve_account"),
        (retrieved(incomplete("acct_1")), "CreatingLink: / row ONBOARDING"),
        (C::TimerFired, "AwaitingCreator: retrieve_account"),
        (retrieved(incomplete("acct_1")), "AwaitingCreator: / row ONBOARDING"),
        // An operator had it made after all.
        (link_created("acct_1"), "AwaitingCreator: / row unchanged"),
    ]);
}

#[test]
fn a_link_answers_the_newest_wish_and_no_other() {
    let failed = |request| C::LinkFailed {
        account: "acct_1".to_owned(),
        request,
        failure: failure("api_error"),
    };
    onboarding(&[
        (onboard(), CREATING_ACCOUNT),
        // The newest of those who wait for the account gets the link.
        (onboard_again(2), "CreatingAccount: / row unchanged"),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), EARLIER_WISH),
        (onboard_again(3), "CreatingLink: create_account_link / row unchanged"),
        (failed(wish(2)), EARLIER_WISH),
        (link_for("acct_1", wish(2)), EARLIER_WISH),
        (link_for("acct_1", wish(3)), AWAITING),
        (link_for("acct_1", wish(2)), EARLIER_WISH),
    ]);
}

#[test]
fn a_used_link_leads_on_and_begins_nothing_anew() {
    assert!(ConnectOnboarding::start(&onboard_by_used_link(1), START).is_err());
    once_connected(&[
        (onboard_by_used_link(2), "CreatingLink: create_account_link / row unchanged"),
        (link_for("acct_1", wish(2)), AWAITING),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (onboard_by_used_link(3), BY_USED_LINK),
        (onboard_again(4), RECONNECTING),
        (onboard_by_used_link(5), BY_USED_LINK),
        (
            unreadable("acct_1", "account_invalid"),
            "CreatingAccount: create_account / row ONBOARDING, keep acct_1",
        ),
        (onboard_by_used_link(5), BY_USED_LINK),
        (C::AccountFailed(failure("country_unsupported")), "Failed: / row NOT_STARTED"),
        (onboard_by_used_link(5), BY_USED_LINK),
        (onboard_again(6), CREATING_ACCOUNT),
    ]);
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
        (retrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
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

/// What Stripe says of access quotes the platform's key.
#[test]
fn stripes_words_about_access_are_not_passed_on() {
    let says =
        |code: &str, message: &str| Failure { code: code.to_owned(), message: message.to_owned() };
    let request = LoginLinkId(checkout_id().0);
    for (failure, passed_on) in [
        (says("account_invalid", "The provided key 'sk_test_***Q' has no access"), false),
        (says("api_key_expired", "Expired API Key provided"), false),
        (says("stripe_refused", "Invalid API Key provided: rk_live_***Q"), false),
        (says("url_invalid", "Not a valid URL"), true),
    ] {
        let told = |event: C| {
            let mut state = connected();
            for event in [onboard_again(2), event] {
                let step = ConnectOnboarding::step(&state, &event, START).unwrap();
                state = step.state;
                for record in step.records {
                    match record {
                        Record::ConnectAccount(row) if row.failure.is_some() => return row.failure,
                        Record::LoginLink(link) => return link.made.err(),
                        _ => {}
                    }
                }
            }
            None
        };
        let account = || "acct_1".to_owned();
        for event in [
            C::LinkFailed { account: account(), request: wish(2), failure: failure.clone() },
            C::LoginLinkFailed { request, failure: failure.clone() },
        ] {
            let words = told(event).unwrap();
            assert_eq!(words == failure.message, passed_on, "{words}");
        }
    }
}
