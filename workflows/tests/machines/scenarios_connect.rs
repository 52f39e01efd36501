//! The hard scenarios of connected accounts, each named by its number.

use workflows::{
    Timestamp,
    connect_onboarding::{ConnectOnboarding, Event as C, State},
    effect::Effect,
    id::{CheckoutId, LoginLinkId, OnboardingLinkId},
    stripe::{Account, Requirements},
    workflow::Workflow,
};

use crate::{
    examples::{
        START, account_retrieved, checkout_id, enabled, failure, incomplete, onboard,
        onboard_again, payouts_paused, rejected, restricted, submitted, wish,
    },
    scenarios::check,
};

pub const CREATING_ACCOUNT: &str = "CreatingAccount: create_account / row ONBOARDING";
pub const CREATING_LINK: &str = "CreatingLink: create_account_link / row unchanged, know acct_1";
pub const AWAITING: &str = "AwaitingCreator: retrieve_account / row unchanged";
pub const CONNECTED: &str = "Connected: / row CONNECTED";
pub const RECONNECTING: &str = "Reconnecting: retrieve_account / row unchanged";
const EARLIER_READING: &str = "refused: this is the answer to an earlier reading";

pub fn account_created(account: &str) -> C {
    C::AccountCreated { account: account.to_owned() }
}

pub fn link_created(account: &str) -> C {
    link_for(account, wish(1))
}

pub fn link_for(account: &str, request: OnboardingLinkId) -> C {
    C::LinkCreated {
        account: account.to_owned(),
        request,
        url: "https://connect.example.com/setup".to_owned(),
        expires_at: START.plus(5 * Timestamp::MINUTE),
    }
}

fn deauthorized(account: &str) -> C {
    C::Deauthorized { account: account.to_owned() }
}

pub fn unreadable(account: &str, code: &str) -> C {
    let (account, failure) = (account.to_owned(), failure(code));
    C::AccountUnreadable { account, begun_at: NEWEST, failure }
}

pub fn retrieved(account: Account) -> C {
    C::AccountRetrieved { begun_at: NEWEST, account }
}

/// Stands for the newest reading in answers to it.
const NEWEST: Timestamp = Timestamp::from_millis(-1);

/// As `check`, with answers to the newest reading wherever no other is meant.
#[track_caller]
pub fn onboarding(rows: &[(C, &str)]) {
    let (mut filled, mut newest) = (rows.to_vec(), NEWEST);
    let mut state: Option<State> = None;
    for (row, (event, _)) in filled.iter_mut().enumerate() {
        match event {
            C::AccountRetrieved { begun_at, .. } | C::AccountUnreadable { begun_at, .. }
                if *begun_at == NEWEST =>
            {
                *begun_at = newest;
            }
            _ => {}
        }
        let at = second(row);
        let step = match &state {
            None => ConnectOnboarding::start(event, at),
            Some(state) => ConnectOnboarding::step(state, event, at),
        };
        let Ok(step) = step else { continue };
        let begun = step.effects.iter().find_map(|effect| match effect {
            Effect::RetrieveAccount { begun_at, .. } => Some(*begun_at),
            _ => None,
        });
        newest = begun.unwrap_or(newest);
        state = Some(step.state);
    }
    check::<ConnectOnboarding>(&filled);
}

/// When a row of a scenario happens.
fn second(row: usize) -> Timestamp {
    START.plus(i64::try_from(row).unwrap() * Timestamp::SECOND)
}

fn closed(account: &str, after: Option<CheckoutId>) -> C {
    C::CheckoutsClosed { account: account.to_owned(), after }
}

/// A creator who may sell, and what happens then.
#[track_caller]
pub fn once_connected(rows: &[(C, &str)]) {
    let until_then = [
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (retrieved(enabled("acct_1")), CONNECTED),
    ];
    onboarding(&[until_then.as_slice(), rows].concat());
}

#[test]
fn s30_an_account_that_cannot_be_paid_has_its_purchases_closed_page_by_page() {
    once_connected(&[
        (C::AccountChanged, "Connected: retrieve_account"),
        (retrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
        (closed("acct_1", Some(checkout_id())), "Restricted: close_checkouts"),
        (closed("acct_1", None), "Restricted"),
        // Closed once: what could not be sold since need not be closed.
        (C::TimerFired, "Restricted: retrieve_account"),
        (retrieved(restricted("acct_1")), "Restricted: / row RESTRICTED"),
        // It may sell again, and so there may be purchases again.
        (C::AccountChanged, "Restricted: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
        (closed("acct_1", Some(checkout_id())), "refused: the account can be paid again"),
        (C::AccountChanged, "Connected: retrieve_account"),
        (retrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
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
        (retrieved(payouts_paused("acct_1")), "Restricted: / row RESTRICTED"),
        (C::AccountChanged, "Restricted: retrieve_account"),
        (
            retrieved(submitted("acct_1")),
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
        account_retrieved(enabled("acct_1")),
        C::AccountChanged,
    ] {
        state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
    }
    let lost = account_retrieved(restricted("acct_1"));
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
        (onboard(), RECONNECTING),
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
        (retrieved(enabled("acct_1")), earlier),
        (unreadable("acct_1", "account_invalid"), earlier),
        (deauthorized("acct_1"), earlier),
        (link_created("acct_2"), AWAITING),
        (retrieved(enabled("acct_2")), CONNECTED),
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
        (onboard(), RECONNECTING),
        (onboard(), RECONNECTING),
        (retrieved(enabled("acct_1")), "CreatingLink: create_account_link / row CONNECTED"),
        (link_created("acct_1"), AWAITING),
        (retrieved(enabled("acct_1")), CONNECTED),
    ]);
    // Without asking us: Stripe speaks of it.
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (C::AccountChanged, "Disconnected: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
    ]);
    // Without a word from anybody: it seemed to be gone while our key was wrong.
    once_connected(&[
        (C::TimerFired, "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (C::TimerFired, "Disconnected: retrieve_account"),
        (unreadable("acct_1", "account_invalid"), "Disconnected"),
        (C::TimerFired, "Disconnected: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
    ]);
    // Nobody can say: nothing is made.
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (onboard(), RECONNECTING),
        (unreadable("acct_1", "discarded"), "Disconnected: / row unchanged"),
    ]);
}

#[test]
fn s32_an_early_account_updated_is_ignored_and_a_late_one_reads_once_more() {
    onboarding(&[
        (onboard(), CREATING_ACCOUNT),
        (C::AccountChanged, "refused: AccountChanged means nothing in CreatingAccount"),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (C::AccountChanged, "AwaitingCreator"),
        (C::AccountChanged, "refused: the account is read once more already"),
        (retrieved(enabled("acct_1")), "Connected: retrieve_account / row CONNECTED"),
        (retrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
    ]);
}

#[test]
fn s32_a_late_word_of_leaving_does_not_undo_the_coming_back() {
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
        // Nor does an answer that nobody waits for any more.
        (retrieved(restricted("acct_1")), EARLIER_READING),
        (unreadable("acct_1", "account_invalid"), EARLIER_READING),
    ]);
}

#[test]
fn s32_a_failed_reading_forgets_nothing() {
    onboarding(&[
        (onboard(), CREATING_ACCOUNT),
        (account_created("acct_1"), CREATING_LINK),
        (link_created("acct_1"), AWAITING),
        (C::AccountChanged, "AwaitingCreator"),
        (unreadable("acct_1", "discarded"), "AwaitingCreator: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
        (C::TimerFired, "Connected: retrieve_account"),
    ]);
}

#[test]
fn s33_what_changed_without_an_event_is_found_by_the_timer() {
    once_connected(&[
        (C::TimerFired, "Connected: retrieve_account"),
        (retrieved(restricted("acct_1")), "Restricted: close_checkouts / row RESTRICTED"),
        (C::TimerFired, "Restricted: retrieve_account"),
        // The look went dead: the timer looks all the same.
        (C::TimerFired, "Restricted: retrieve_account"),
        (retrieved(enabled("acct_1")), CONNECTED),
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
        let stepped = step(&state, &account_retrieved(incomplete("acct_1")));
        waits.extend(after(stepped.wake_at).map(|wait| wait / Timestamp::MINUTE));
        let stepped = step(&stepped.state, &C::TimerFired);
        assert_eq!(after(stepped.wake_at), Some(Timestamp::DAY));
        state = stepped.state;
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440]);
    let connected = step(&state, &account_retrieved(enabled("acct_1")));
    assert_eq!(after(connected.wake_at), Some(Timestamp::DAY));
}

/// Whatever is asked for and answered meanwhile: it is looked at a day after the last look.
#[test]
fn s33_only_a_look_puts_the_next_look_off() {
    let (mut state, hour) = (connected(), |n: i64| START.plus(n * Timestamp::HOUR));
    let request = LoginLinkId(checkout_id().0);
    let url = "https://connect.example.com/express".to_owned();
    for (at, event) in [
        (20, C::OpenDashboard { request }),
        (21, C::LoginLinkCreated { request, url }),
        (21, C::LoginLinkFailed { request, failure: failure("api_error") }),
        (22, closed("acct_0", Some(checkout_id()))),
        (22, closed("acct_1", None)),
        (23, onboard_again(2)),
        (23, onboard_again(3)),
    ] {
        let step = ConnectOnboarding::step(&state, &event, hour(at)).unwrap();
        assert_eq!(step.wake_at, Some(hour(24)), "{event:?}");
        state = step.state;
    }
    // Nor does what happens while a reading has gone dead.
    let mut state = ConnectOnboarding::step(&connected(), &C::AccountChanged, START).unwrap().state;
    for (at, event) in [
        (20, C::AccountChanged),
        (21, C::OpenDashboard { request }),
        (22, onboard_again(2)),
        (23, link_for("acct_1", wish(2))),
    ] {
        let step = ConnectOnboarding::step(&state, &event, hour(at)).unwrap();
        assert_eq!(step.wake_at, Some(hour(24)), "{event:?}");
        state = step.state;
    }
}

pub fn connected() -> State {
    let mut state = ConnectOnboarding::start(&onboard(), START).unwrap().state;
    for event in
        [account_created("acct_1"), link_created("acct_1"), account_retrieved(enabled("acct_1"))]
    {
        state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
    }
    state
}

#[test]
fn s31_who_comes_back_twice_is_not_kept_waiting_by_a_reading_that_went_dead() {
    let gone = C::AccountUnreadable {
        account: "acct_1".to_owned(),
        begun_at: START,
        failure: failure("account_invalid"),
    };
    let (mut state, hour) = (connected(), |n: i64| START.plus(n * Timestamp::HOUR));
    for event in [C::AccountChanged, gone] {
        state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
    }
    for (at, wake_at) in [(1, 25), (20, 25), (24, 25)] {
        let step = ConnectOnboarding::step(&state, &onboard_again(2), hour(at)).unwrap();
        let [Effect::RetrieveAccount { begun_at, .. }] = step.effects.as_slice() else {
            panic!("{:?}", step.effects)
        };
        assert_eq!((*begun_at, step.wake_at), (hour(at), Some(hour(wake_at))));
        state = step.state;
    }
}

#[test]
fn s31_what_was_read_before_the_creator_came_back_decides_nothing() {
    let before = C::AccountUnreadable {
        account: "acct_1".to_owned(),
        begun_at: second(6),
        failure: failure("account_invalid"),
    };
    once_connected(&[
        (deauthorized("acct_1"), "Connected: retrieve_account"),
        (
            unreadable("acct_1", "account_invalid"),
            "Disconnected: close_checkouts / row DISCONNECTED",
        ),
        (C::AccountChanged, "Disconnected: retrieve_account"),
        (onboard(), RECONNECTING),
        (before, EARLIER_READING),
        (retrieved(enabled("acct_1")), "CreatingLink: create_account_link / row CONNECTED"),
    ]);
}

#[test]
fn the_rejected_are_asked_for_nothing_any_more() {
    once_connected(&[
        (C::AccountChanged, "Connected: retrieve_account"),
        (retrieved(rejected("acct_1")), "Rejected: close_checkouts / row REJECTED"),
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
        let told = account_retrieved(account.clone());
        for event in [account_created("acct_1"), link_created("acct_1"), told] {
            state = ConnectOnboarding::step(&state, &event, START).unwrap().state;
        }
        assert_eq!(<&str>::from(state), expected, "{account:?}");
    }
}
