//! The hard scenarios of reading what came back, each named by its number: readings that are torn, fail, show
//! another currency or another payment, and what version 1 stored.

use serde_json::Value;
use workflows::{
    checkout::{Checkout, Event as E, State},
    effect::Effect,
    ledger::Share,
    record::{self, Record},
    stripe::{Dispute as Facts, DisputeStatus, RefundStatus, TransferReversal},
    workflow::Workflow,
};

use crate::{
    examples::{FEE, PRICE, START, failure, paid, refunded, reported, request},
    examples_returns::{charge, disputed, read, refund_id, reserve, wish},
    models::returns_world::returns_of,
};

/// Settled, and being read for the first time.
fn being_read() -> State {
    let settled = Checkout::start(&request(PRICE, FEE), START).unwrap().state;
    let events = [reported(paid()), E::ReturnsChanged];
    after(settled, &events).0
}

fn postings(records: &[Record]) -> Vec<&str> {
    let posted = records.iter().filter_map(|record| match record {
        Record::Ledger(posting) => Some(posting.key.as_str()),
        _ => None,
    });
    posted.collect()
}

fn cases(records: &[Record]) -> Vec<&'static str> {
    let told = records.iter().filter_map(|record| match record {
        Record::OperatorCase(case) => Some(case.kind.into()),
        _ => None,
    });
    told.collect()
}

/// A second payment of the same purchase is given back at Stripe: it is posted, and nothing becomes of the access.
#[test]
fn s22_the_refund_of_a_second_payment_is_posted_and_changes_nothing_else() {
    let settled = Checkout::start(&request(PRICE, FEE), START).unwrap().state;
    let (state, _) = after(settled, &[reported(paid()), reported(crate::examples::paid_twice())]);
    let of_second = |status| workflows::stripe::Refund {
        payment_intent: "pi_2".to_owned(),
        ..crate::examples_returns::by_hand("re_2", PRICE, status)
    };
    let reading = |status| E::ChargeRetrieved {
        payment_intent: "pi_2".to_owned(),
        reading: 1,
        charge: Box::new(charge(
            PRICE,
            vec![of_second(status)],
            Vec::new(),
            Share { reversed: PRICE, fee: FEE },
        )),
    };
    let told =
        Checkout::step(&state, &E::RefundReported(of_second(RefundStatus::Succeeded)), START);
    let told = told.unwrap();
    let read = Effect::RetrieveCharge { payment_intent: "pi_2".to_owned(), reading: 1 };
    assert_eq!(told.effects, [read]);
    assert!(told.wake_at.is_some(), "should its answer be lost");
    let step = Checkout::step(&told.state, &reading(RefundStatus::Succeeded), START).unwrap();
    assert_eq!(postings(&step.records), ["refund:re_2"]);
    let others = |record: &Record| matches!(record, Record::Checkout(_) | Record::Access(_));
    assert!(!step.records.iter().any(others), "{:?}", step.records);
    assert!(matches!(step.state, State::Settled { .. }));
    assert_eq!(step.wake_at, None);
    assert_eq!(returns_of(&step.state).unwrap().refundable(PRICE), PRICE, "of the first");
    // The same payment a third time means nothing.
    let again = Checkout::step(&step.state, &reported(crate::examples::paid_twice()), START);
    assert!(again.is_err());
    // What does not say whose it is leads to reading both.
    let both = Checkout::step(&step.state, &E::ReturnsChanged, START).unwrap();
    assert_eq!(both.effects.len(), 2);
}

/// A refund is made between the parts of a reading: what it took back is posted with it, by the next.
#[test]
fn s20_a_reading_in_the_middle_of_something_is_made_once_more() {
    let share = Share { reversed: 500, fee: 25 };
    let whole = crate::examples_returns::by_hand("re_1", 500, RefundStatus::Succeeded);
    let whole = charge(PRICE, vec![whole], Vec::new(), share);
    let torn = workflows::stripe::Charge { refunds: Vec::new(), ..whole.clone() };
    let step = Checkout::step(&being_read(), &read(1, torn), START).unwrap();
    assert_eq!(postings(&step.records), Vec::<&str>::new());
    assert!(step.effects.is_empty(), "nothing is asked for in the middle of something");
    assert!(
        step.wake_at.is_some_and(|soon| soon <= START.plus(3_600_000)),
        "it is read again soon"
    );
    let (_, records) = after(step.state, &[E::TimerFired, read(2, whole)]);
    let posted = records.iter().find_map(|record| match record {
        Record::Ledger(posting) if posting.key == "refund:re_1" => Some(posting.entries.len()),
        _ => None,
    });
    assert_eq!(posted, Some(3), "Stripe, creator and fee: nobody owes anything");
}

/// Such a reading proves nothing absent: nobody is told of what was refused, and nothing that was set aside is freed.
#[test]
fn s20_a_reading_in_the_middle_of_something_proves_nothing_absent() {
    // The creator's part was asked back for a dispute, and a refund was asked for before that.
    let disputed = charge(
        PRICE,
        Vec::new(),
        vec![disputed(PRICE, DisputeStatus::NeedsResponse)],
        Share::default(),
    );
    let settled = Checkout::start(&request(PRICE, FEE), START).unwrap().state;
    let refused = E::ReversalRefused {
        cause: "dp_1".to_owned(),
        transfer: "tr_1".to_owned(),
        failure: failure("discarded"),
    };
    let (state, _) = after(
        settled,
        &[
            reported(paid()),
            reserve(wish(Some(500))),
            E::ReturnsChanged,
            read(1, disputed.clone()),
            refused,
            E::ReleaseRefund { refund: refund_id() },
        ],
    );
    // What came back with the refund is read, and the refund is not.
    let mut torn = disputed;
    torn.transfer.as_mut().unwrap().reversals = vec![TransferReversal {
        id: "trr_1".to_owned(),
        amount: 500,
        cause: Some("re_1".to_owned()),
    }];
    let before = Checkout::step(&state, &read(2, torn.clone()), START).unwrap();
    let step = Checkout::step(&before.state, &read(3, torn), START).unwrap();
    assert_eq!(cases(&step.records), Vec::<&str>::new(), "it may have been made");
    let returns = returns_of(&step.state).unwrap();
    assert_eq!(returns.reserved.len(), 1, "the refund was made after all");
    assert_eq!(returns.refundable(PRICE), PRICE - 500);
}

/// Amounts of another currency are no amounts of the sale's.
#[test]
fn s27_what_moves_in_another_currency_is_for_a_person() {
    let taken = disputed(PRICE, DisputeStatus::NeedsResponse);
    let taken = Facts {
        currency: workflows::money::Currency::parse("eur").unwrap(),
        withdrawn: 1_100,
        ..taken
    };
    let mut read_so = charge(PRICE, Vec::new(), vec![taken], Share::default());
    let back = TransferReversal { id: "trr_1".to_owned(), amount: 900, cause: None };
    let transfer = read_so.transfer.as_mut().unwrap();
    transfer.amount = 1_100;
    (transfer.currency, transfer.reversals) =
        (workflows::money::Currency::parse("eur").unwrap(), vec![back]);
    let step = Checkout::step(&being_read(), &read(1, read_so), START).unwrap();
    // What came back of the transfer is the same part of what was paid.
    assert_eq!(postings(&step.records), ["reversal:trr_1"]);
    assert_eq!(cases(&step.records), ["returns_currency", "fee_share_differs"]);
    assert!(matches!(step.state, State::Disputed { .. }), "access rests all the same");
    assert!(step.effects.is_empty(), "{:?}", step.effects);
    // And it ends all the same.
    let lost = disputed(PRICE, DisputeStatus::Lost);
    let lost = Facts { currency: workflows::money::Currency::parse("eur").unwrap(), ..lost };
    let read_so = charge(PRICE, Vec::new(), vec![lost], Share::default());
    let step = Checkout::step(&being_read(), &read(1, read_so), START).unwrap();
    assert!(matches!(step.state, State::ChargedBack { .. }), "{:?}", step.state);
    assert_eq!(returns_of(&step.state).unwrap().refundable(PRICE), 0);
}

#[test]
fn s47_a_payment_that_cannot_be_read_is_for_a_person_and_looked_at_again() {
    let payment_intent = "pi_1".to_owned();
    let unreadable =
        E::ChargeUnreadable { payment_intent, reading: 1, failure: failure("api_error") };
    let step = Checkout::step(&being_read(), &unreadable, START).unwrap();
    assert_eq!(cases(&step.records), ["payment_unreadable"]);
    assert!(step.wake_at.is_some());
}

/// A state as version 1 stored it.
fn of_version_1(name: &str) -> State {
    let stored = include_str!("../golden/checkout_version_1.json");
    let stored: Value = serde_json::from_str(stored).unwrap();
    Checkout::upgrade(1, stored["states"][name].clone()).unwrap()
}

/// Where it comes to by events, without a refusal.
fn after(mut state: State, events: &[E]) -> (State, Vec<Record>) {
    let mut records = Vec::new();
    for event in events {
        let step = Checkout::step(&state, event, START).unwrap();
        state = step.state;
        records.extend(step.records);
    }
    (state, records)
}

/// Version 1 asked for the refund itself, without a name.
#[test]
fn s50_a_duplicate_of_version_1_is_refunded() {
    let all = Share { reversed: PRICE, fee: FEE };
    let given_back = |status| {
        let refund = crate::examples_returns::by_hand("re_1", PRICE, status);
        read(1, charge(PRICE, vec![refund], Vec::new(), all))
    };
    let answered = || refunded(PRICE, RefundStatus::Succeeded);
    let (state, records) = after(
        of_version_1("RefundingDuplicate"),
        &[answered(), given_back(RefundStatus::Succeeded)],
    );
    assert!(matches!(state, State::Refunded { .. }));
    let rows = |record: &Record| match record {
        Record::Checkout(row) => Some((row.status, row.reason.clone())),
        _ => None,
    };
    let row = (record::CheckoutStatus::Refunded, Some("duplicate".to_owned()));
    assert_eq!(records.iter().filter_map(rows).collect::<Vec<_>>(), [row]);
    // Stripe would not.
    let nothing = read(1, charge(PRICE, Vec::new(), Vec::new(), Share::default()));
    let refused = E::RefundFailed(failure("charge_disputed"));
    let (state, records) = after(of_version_1("RefundingDuplicate"), &[refused, nothing]);
    assert!(matches!(state, State::Quarantined { .. }));
    assert!(records.iter().any(|record| matches!(record, Record::OperatorCase(_))));
    // It takes its time: the timer that was set goes on.
    let (state, _) = after(
        of_version_1("RefundingDuplicate"),
        &[E::TimerFired, given_back(RefundStatus::Pending)],
    );
    assert!(returns_of(&state).unwrap().look_at.is_some());
}

/// What was given back once, and is heard of again, is posted under its old key and gives no access.
#[test]
fn s50_what_version_1_gave_back_stays_so() {
    let read_again = |reading, status| {
        let refund = crate::examples_returns::by_hand("re_1", PRICE + 1, status);
        let back = Share { reversed: PRICE + 1, fee: FEE };
        read(reading, charge(PRICE + 1, vec![refund], Vec::new(), back))
    };
    let heard = refunded(PRICE + 1, RefundStatus::Succeeded);
    let events = [heard, read_again(1, RefundStatus::Succeeded)];
    let (state, records) = after(of_version_1("Refunded"), &events);
    assert!(matches!(state, State::Refunded { .. }));
    let posted: Vec<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Ledger(posting) => Some(posting.key.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(posted, ["refund:re_1"]);
    let failed = [E::ReturnsChanged, read_again(2, RefundStatus::Failed)];
    let (state, records) = after(state, &failed);
    assert!(matches!(state, State::Quarantined { .. }), "it was never granted: {state:?}");
    assert!(!records.iter().any(|record| matches!(record, Record::Access(_))));
}
