//! What can happen to a payout, and to the onboarding that hands it on.

use workflows::{
    Timestamp,
    connect_onboarding::{ConnectOnboarding, Event as C},
    payout::{Event as E, Payee, Payout, Report},
    record::Record,
    stripe::{self, PayoutStatus as P},
    workflow::Workflow,
};

use crate::{
    examples::{START, account_retrieved, enabled, handle, onboard, payout, payout_report, wish},
    scenarios::check,
};

const PENDING: &str = "Pending: / row PENDING";
const PAID: &str = "Paid: / row PAID, post payout:po_1";
const FAILED_AFTER: &str = "Failed: / row FAILED, post payout_failed:po_1";
const LATE: &str = "refused: the payout is further than that";

#[test]
fn a_payout_arrives() {
    check::<Payout>(&[
        (payout_report(P::Pending), PENDING),
        (payout_report(P::Pending), "refused: this is known"),
        (payout_report(P::InTransit), "InTransit: / row IN_TRANSIT"),
        (payout_report(P::Paid), PAID),
        (payout_report(P::Paid), "refused: this is known"),
        (E::Cancel, "refused: Cancel means nothing in Paid"),
        (E::TimerFired, "refused: TimerFired means nothing in Paid"),
    ]);
}

#[test]
fn that_it_was_made_is_heard_after_that_it_arrived() {
    check::<Payout>(&[
        (payout_report(P::Paid), PAID),
        (payout_report(P::Pending), LATE),
        (payout_report(P::InTransit), LATE),
    ]);
}

#[test]
fn the_bank_refuses_it_days_after_it_was_paid() {
    check::<Payout>(&[
        (payout_report(P::Pending), PENDING),
        (payout_report(P::Paid), PAID),
        (payout_report(P::Failed), FAILED_AFTER),
        (payout_report(P::Failed), "refused: this is known"),
        (payout_report(P::Paid), LATE),
        (payout_report(P::Canceled), LATE),
    ]);
}

#[test]
fn the_refusal_is_heard_first() {
    check::<Payout>(&[
        (payout_report(P::Failed), "Failed: / row FAILED"),
        (payout_report(P::Paid), LATE),
        (payout_report(P::Pending), LATE),
    ]);
}

#[test]
fn it_is_called_off() {
    check::<Payout>(&[
        (payout_report(P::Pending), PENDING),
        (payout_report(P::Canceled), "Canceled: / row CANCELED"),
        (payout_report(P::InTransit), LATE),
    ]);
}

/// What is taken back is what was posted, whatever a later event says; when it arrives may change.
#[test]
fn a_later_word_changes_when_it_arrives_and_never_how_much() {
    let paid = Payout::start(&payout_report(P::Paid), START).unwrap();
    let changed = stripe::Payout { amount: 1, arrives: START.plus(1), ..payout(P::Paid) };
    let report = |payout| E::Reported(Report { payee: Payee::Platform, payout });
    let mended = Payout::step(&paid.state, &report(changed.clone()), START).unwrap();
    let [Record::Payout(row)] = &mended.records[..] else { panic!("{:?}", mended.records) };
    assert_eq!(row.report.payout, stripe::Payout { arrives: START.plus(1), ..payout(P::Paid) });
    assert_eq!(row.report.payee.handle(), Some(handle()), "nor whose it is");
    let failed = stripe::Payout { status: P::Failed, ..changed };
    let back = Payout::step(&mended.state, &report(failed), START).unwrap();
    let [Record::Payout(_), Record::Ledger(posting)] = &back.records[..] else {
        panic!("{:?}", back.records)
    };
    assert_eq!(posting.entries[0].amount, -payout(P::Paid).amount);
}

#[test]
fn the_platforms_own_goes_to_its_bank() {
    let report = Report { payee: Payee::Platform, payout: payout(P::Paid) };
    assert_ne!(report.id(), Report { payee: creator(), payout: payout(P::Paid) }.id());
    let step = Payout::start(&E::Reported(report), START).unwrap();
    let [Record::Payout(_), Record::Ledger(posting)] = &step.records[..] else {
        panic!("{:?}", step.records)
    };
    let accounts: Vec<_> =
        posting.entries.iter().map(|e| (e.account.to_string(), e.amount)).collect();
    assert_eq!(accounts, [("bank".to_owned(), 900), ("stripe".to_owned(), -900)]);
}

fn creator() -> Payee {
    Payee::Creator { handle: handle(), account: "acct_1".to_owned() }
}

fn told(account: &str, status: P) -> C {
    C::PayoutReported { account: account.to_owned(), payout: payout(status) }
}

/// The onboarding hands payouts on, also of an account that the handle has left. The look that was set stays.
#[test]
fn an_onboarding_hands_payouts_on() {
    let mut state = ConnectOnboarding::start(&onboard(), START).unwrap().state;
    let linked = C::LinkCreated {
        account: "acct_1".to_owned(),
        request: wish(1),
        url: "https://connect.example.com/1".to_owned(),
        expires_at: START,
    };
    let created = C::AccountCreated { account: "acct_1".to_owned() };
    let mut look_at = None;
    for event in [created, linked, account_retrieved(enabled("acct_1"))] {
        let step = ConnectOnboarding::step(&state, &event, START).unwrap();
        (state, look_at) = (step.state, step.wake_at);
    }
    for (account, status) in [("acct_1", P::Pending), ("acct_1", P::Paid), ("acct_0", P::InTransit)]
    {
        let later = START.plus(Timestamp::HOUR);
        let step = ConnectOnboarding::step(&state, &told(account, status), later).unwrap();
        assert_eq!(<&str>::from(&step.state), "Connected");
        assert_eq!((step.effects.len(), step.wake_at), (0, look_at), "{status:?}");
        let payee = Payee::Creator { handle: handle(), account: account.to_owned() };
        let message = Report { payee, payout: payout(status) }.message();
        assert_eq!(step.records, [Record::Send(message)]);
    }
}
