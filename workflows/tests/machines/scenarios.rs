//! The hard scenarios that can happen to one machine alone, each named by its number.

use workflows::{
    Timestamp,
    checkout::{Checkout, Event as E},
    effect::Effect,
    id::RefundId,
    ledger::Share,
    message::Message,
    money::Currency,
    record::Record,
    stripe::{Charge, Outcome, Refund, RefundStatus},
    workflow::{Refused, Step, Workflow},
};

use crate::{
    examples::{
        FEE, PRICE, START, checkout_id, failure, paid, paid_otherwise, paid_twice, payment,
        processor_fee, refund, refunded, reported, request, retrieved, rival_id, sale,
        session_created,
    },
    examples_returns::{asked_for, by_hand, charge, read, reserve, wish_of},
};

/// Events in their order, each with where it leads: `State: effects / records`, or `refused: why`.
#[track_caller]
pub fn check<W: Workflow>(rows: &[(W::Event, &str)]) {
    let mut state: Option<W::State> = None;
    for (row, (event, expected)) in rows.iter().enumerate() {
        let at = START.plus(i64::try_from(row).unwrap() * Timestamp::SECOND);
        let step = match &state {
            None => W::start(event, at),
            Some(state) => W::step(state, event, at),
        };
        assert_eq!(&told(&step), expected, "row {row}: {event:?}");
        state = step.ok().map(|step| step.state).or(state);
    }
}

fn told<S: Clone + Into<&'static str>>(step: &Result<Step<S>, Refused>) -> String {
    let step = match step {
        Ok(step) => step,
        Err(refused) => return format!("refused: {refused}"),
    };
    let state: &'static str = step.state.clone().into();
    let effects: Vec<_> = step.effects.iter().map(effect).collect();
    let records: Vec<_> = step.records.iter().map(record).collect();
    match (effects.join(", "), records.join(", ")) {
        (effects, records) if effects.is_empty() && records.is_empty() => state.to_owned(),
        (effects, records) if records.is_empty() => format!("{state}: {effects}"),
        (effects, records) if effects.is_empty() => format!("{state}: / {records}"),
        (effects, records) => format!("{state}: {effects} / {records}"),
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::SendMail(mail) => {
            let mail: &'static str = mail.into();
            format!("mail {mail}")
        }
        effect => {
            let effect: &'static str = effect.into();
            effect.to_owned()
        }
    }
}

fn record(record: &Record) -> String {
    fn name(name: impl Into<&'static str>) -> &'static str {
        name.into()
    }
    match record {
        Record::Ledger(posting) => format!("post {}", posting.key),
        Record::Grant(grant) => format!("grant {}", name(grant.kind)),
        Record::Checkout(update) if update.reason.as_deref() == Some("seller_lost") => {
            format!("row {} because seller_lost", name(update.status))
        }
        Record::Checkout(update) => format!("row {}", name(update.status)),
        Record::ConnectAccount(update) => {
            format!("row {}", update.status.map_or("unchanged", |status| name(status)))
        }
        Record::PastConnectAccount(past) => format!("keep {}", past.account),
        Record::LoginLink(link) => match &link.made {
            Ok(url) => format!("link {url}"),
            Err(why) => format!("no link: {why}"),
        },
        Record::PlanSubscription(row) => {
            format!("row {} {} {}", name(row.plan), name(row.source), name(row.status))
        }
        Record::Payout(row) => format!("row {}", name(row.report.payout.status)),
        Record::StripeObject(id) => format!("know {id}"),
        Record::OperatorCase(case) => format!("case {}", name(case.kind)),
        Record::Access(update) => format!("access {}", name(update.kind)),
        Record::Refund(row) => format!("refund {}", name(row.status)),
        Record::Dispute(row) => format!("dispute {}", name(row.status)),
        Record::Send(message) => told_to(message),
        Record::Marker(_) | Record::VisitorSession(_) => unreachable!(),
    }
}

fn told_to(message: &Message) -> String {
    let event: &'static str = match message {
        Message::Checkout(_, event) => event.into(),
        Message::Refund(_, event) => event.into(),
        Message::Dispute(_, event) => event.into(),
        Message::Payout(_, event) => event.into(),
        Message::ConnectOnboarding(..)
        | Message::EarningsRollup(..)
        | Message::GroupBuy(..)
        | Message::MagicLink(..)
        | Message::PagePublish(..)
        | Message::PlanSubscription(..) => unreachable!(),
    };
    format!("tell {} {event}", message.workflow())
}

const CREATING: &str = "CreatingSession: create_checkout_session";
const OPEN: &str = "AwaitingPayment: / know cs_1, row OPEN";
/// Settled by reading the session: then the charge is read, too.
const SETTLED_AND_READ: &str = "Settled: mail receipt, retrieve_charge \
     / know pi_1, post paid:pi_1, grant PAID, row SETTLED";
const SETTLED: &str = "Settled: mail receipt / know pi_1, post paid:pi_1, grant PAID, row SETTLED";
const DUPLICATE: &str = "RefundingDuplicate: / row SETTLED, tell refund Request";
const GIVEN_BACK: &str = "Refunded: / post refund:re_1, tell refund Reported, row REFUNDED";
const SETTLED_BEFORE: &str = "refused: this payment was settled before";
const QUARANTINED: &str =
    "Quarantined: / know pi_1, post paid:pi_1, row IN_REVIEW, case amount_mismatch";

fn duplicate_id() -> RefundId {
    RefundId::of(checkout_id(), "duplicate")
}

fn nothing_given_back() -> Charge {
    charge(PRICE, Vec::new(), Vec::new(), Share::default())
}

/// What is read of a duplicate.
fn given_back(status: RefundStatus) -> Charge {
    let refund = asked_for(duplicate_id(), "re_1", PRICE, status);
    charge(PRICE, vec![refund], Vec::new(), Share { reversed: PRICE, fee: FEE })
}

#[test]
fn s01_the_webhook_arrives_before_the_call_returns() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(paid()), SETTLED),
        (session_created(), "refused: SessionCreated means nothing in Settled"),
    ]);
}

#[test]
fn s02_the_same_event_twice() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(paid()), SETTLED),
        (reported(paid()), SETTLED_BEFORE),
    ]);
}

#[test]
fn s03_different_events_tell_the_same_fact() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(Outcome::Unpaid), "AwaitingFunds: / row PROCESSING"),
        (reported(paid()), SETTLED),
        (retrieved(paid()), "Settled: retrieve_charge"),
    ]);
}

#[test]
fn s03_a_second_payment_of_one_purchase_is_posted_for_a_person() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(paid()), SETTLED),
        (reported(paid_twice()), "Settled: / know pi_2, post paid:pi_2, case amount_mismatch"),
    ]);
}

#[test]
fn s06_a_late_failure_after_success_is_ignored() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(paid()), SETTLED),
        (reported(Outcome::PaymentFailed), "refused: SessionReported means nothing in Settled"),
        (reported(Outcome::Expired), "refused: SessionReported means nothing in Settled"),
        (E::SessionFailed(failure("discarded")), "refused: SessionFailed means nothing in Settled"),
    ]);
}

#[test]
fn s07_states_never_move_backwards() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(paid()), SETTLED),
        (E::GrantLost { holder: rival_id() }, DUPLICATE),
        (refunded(PRICE, RefundStatus::Pending), "RefundingDuplicate: retrieve_charge"),
        (
            read(1, given_back(RefundStatus::Succeeded)),
            "Refunded: / know tr_1, post refund:re_1, tell refund Reported, row REFUNDED",
        ),
        (reported(paid()), SETTLED_BEFORE),
        (reported(Outcome::Unpaid), "refused: SessionReported means nothing in Refunded"),
        (refunded(PRICE, RefundStatus::Succeeded), "refused: this was known of the refund"),
        // Late: it was pending once. What is read decides.
        (refunded(PRICE, RefundStatus::Pending), "Refunded: retrieve_charge"),
        (read(2, given_back(RefundStatus::Succeeded)), "Refunded"),
        (
            read(1, given_back(RefundStatus::Pending)),
            "refused: this is the answer to an earlier reading",
        ),
    ]);
}

#[test]
fn s08_a_delayed_payment_gives_no_access_until_it_succeeds() {
    let until_then = [
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(Outcome::Unpaid), "AwaitingFunds: / row PROCESSING"),
        (E::Cancel, "refused: Cancel means nothing in AwaitingFunds"),
        (reported(Outcome::Expired), "refused: the buyer was through before"),
        (E::TimerFired, "AwaitingFunds: retrieve_checkout_session"),
    ];
    let then = |event, expected| [until_then.as_slice(), &[(event, expected)]].concat();
    check::<Checkout>(&then(retrieved(paid()), SETTLED_AND_READ));
    check::<Checkout>(&then(retrieved(Outcome::PaymentFailed), "Failed: / row FAILED"));
    check::<Checkout>(&then(retrieved(Outcome::Unpaid), "refused: the money is still on its way"));
}

#[test]
fn s10_the_loser_of_two_paid_purchases_is_refunded() {
    let of_another_payment = Refund {
        payment_intent: "pi_2".to_owned(),
        ..refund("re_2", PRICE, RefundStatus::Succeeded)
    };
    let lost = [
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(paid()), SETTLED),
        (E::GrantLost { holder: rival_id() }, DUPLICATE),
        // What the refund asks for was set aside.
        (
            reserve(wish_of(sale(PRICE, FEE), duplicate_id(), None)),
            "RefundingDuplicate: / tell refund Reserved",
        ),
        (E::RefundReported(of_another_payment), "refused: this gives back another payment"),
        // Nobody has told anything for half a day.
        (E::TimerFired, "RefundingDuplicate: retrieve_charge"),
        (read(1, nothing_given_back()), "RefundingDuplicate: / know tr_1"),
        (E::ReturnsChanged, "RefundingDuplicate: retrieve_charge"),
    ];
    let then = |event, expected| [lost.as_slice(), &[(event, expected)]].concat();
    check::<Checkout>(&then(read(2, given_back(RefundStatus::Succeeded)), GIVEN_BACK));
    check::<Checkout>(&then(
        read(2, given_back(RefundStatus::Failed)),
        "Quarantined: create_transfer / tell refund Reported, post reversal:trr_1, row IN_REVIEW, case duplicate_not_refunded",
    ));
    // Stripe will not: what was set aside is free as soon as a reading has not shown it.
    check::<Checkout>(
        &[
            lost.as_slice(),
            &[
                (E::ReleaseRefund { refund: duplicate_id() }, "RefundingDuplicate"),
                (read(2, nothing_given_back()), "RefundingDuplicate: retrieve_charge"),
                (
                    read(3, nothing_given_back()),
                    "Quarantined: / row IN_REVIEW, case duplicate_not_refunded",
                ),
            ],
        ]
        .concat(),
    );
}

#[test]
fn s11_paid_wins_over_expired() {
    let confirming = "Confirming: retrieve_checkout_session";
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(Outcome::Expired), "Expired: / row EXPIRED"),
        (reported(paid()), confirming),
        (
            E::SessionUnreadable(failure("api_error")),
            "refused: SessionUnreadable means nothing in Confirming",
        ),
        (E::TimerFired, confirming),
        (retrieved(paid()), SETTLED_AND_READ),
    ]);
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(Outcome::Expired), "Expired: / row EXPIRED"),
        (reported(paid()), confirming),
        (retrieved(Outcome::Expired), "Expired: / row EXPIRED"),
    ]);
}

#[test]
fn s11_paid_wins_over_called_off() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (E::Cancel, "Cancelled: / row EXPIRED"),
        (session_created(), "Expiring: expire_checkout_session / know cs_1"),
        (retrieved(Outcome::Unpaid), "AwaitingFunds: / row PROCESSING"),
        (reported(paid()), SETTLED),
    ]);
}

#[test]
fn s12_the_frozen_price_settles() {
    // The request froze 12.50; whatever the page costs now, this is what must be paid.
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(paid()), SETTLED),
    ]);
    check::<Checkout>(&[
        (request(PRICE - 1, FEE), CREATING),
        (session_created(), OPEN),
        (reported(paid()), QUARANTINED),
    ]);
}

#[test]
fn s13_what_differs_from_the_agreement_is_quarantined() {
    let euros = payment("pi_1", PRICE, Currency::parse("EUR").unwrap());
    for outcome in [paid_otherwise(), Outcome::Paid(euros.clone())] {
        check::<Checkout>(&[
            (request(PRICE, FEE), CREATING),
            (session_created(), OPEN),
            (reported(outcome.clone()), QUARANTINED),
            (reported(outcome), SETTLED_BEFORE),
        ]);
    }
    // Refunded by hand: no mail speaks of a duplicate.
    let by_hand = vec![by_hand("re_1", PRICE + 1, RefundStatus::Succeeded)];
    let all = Share { reversed: PRICE + 1, fee: FEE };
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(paid_otherwise()), QUARANTINED),
        (refunded(PRICE + 1, RefundStatus::Succeeded), "Quarantined: retrieve_charge"),
        (
            read(1, charge(PRICE + 1, by_hand, Vec::new(), all)),
            "Refunded: mail refunded / know tr_1, post refund:re_1, refund SUCCEEDED, row REFUNDED",
        ),
    ]);
    // The fee of a payment in euros is in euros, whatever was agreed.
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (reported(Outcome::Paid(euros)), QUARANTINED),
        (processor_fee(Currency::parse("EUR").unwrap()), "Quarantined: / post fee:txn_1"),
        // It was exchanged on its way into the platform's balance.
        (
            processor_fee(Currency::USD),
            "Quarantined: / post fee:txn_1, post exchange_from:txn_1, post exchange_to:txn_1",
        ),
    ]);
}

/// The webhook of the payment is lost: the fee tells that there was one, and is posted with it.
#[test]
fn s03_a_fee_of_what_is_not_known_to_be_paid_leads_to_reading_the_session() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (processor_fee(Currency::USD), "AwaitingPayment: retrieve_checkout_session"),
        (
            retrieved(paid()),
            "Settled: mail receipt, retrieve_charge / know pi_1, post paid:pi_1, grant PAID, row SETTLED, \
             post fee:txn_1",
        ),
    ]);
}

/// Of a bank debit Stripe lists the fee when it is submitted, days before it succeeds, or does not.
#[test]
fn s08_the_fee_of_a_delayed_payment_is_posted_when_it_succeeds() {
    let waiting = [
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(Outcome::Unpaid), "AwaitingFunds: / row PROCESSING"),
        (processor_fee(Currency::USD), "AwaitingFunds: retrieve_checkout_session"),
        (retrieved(Outcome::Unpaid), "refused: the money is still on its way"),
    ];
    let then = |event, expected| [waiting.as_slice(), &[(event, expected)]].concat();
    check::<Checkout>(&then(
        reported(paid()),
        "Settled: mail receipt / know pi_1, post paid:pi_1, grant PAID, row SETTLED, post fee:txn_1",
    ));
    check::<Checkout>(&then(reported(Outcome::PaymentFailed), "Failed: / row FAILED"));
}

/// Something else was paid than was agreed: what was paid tells what the fee was taken of.
#[test]
fn s13_an_early_fee_is_posted_of_what_was_paid() {
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (processor_fee(Currency::USD), "AwaitingPayment: retrieve_checkout_session"),
        (
            reported(paid_otherwise()),
            "Quarantined: / know pi_1, post paid:pi_1, row IN_REVIEW, case amount_mismatch, \
             post fee:txn_1",
        ),
    ]);
}

#[test]
fn nothing_to_pay_never_meets_stripe() {
    check::<Checkout>(&[(request(0, 0), "Settled: / grant FREE, row SETTLED")]);
}

#[test]
fn s30_the_page_of_a_seller_who_is_lost_closes_unless_the_buyer_was_faster() {
    let expiring = "Expiring: expire_checkout_session";
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (E::SellerLost, expiring),
        (E::SellerLost, "refused: SellerLost means nothing in Expiring"),
        (E::TimerFired, expiring),
        (retrieved(Outcome::Expired), "Cancelled: / row EXPIRED because seller_lost"),
    ]);
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (E::SellerLost, expiring),
        (retrieved(paid()), SETTLED_AND_READ),
    ]);
    // The page was just being made.
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (E::SellerLost, "Cancelled: / row EXPIRED because seller_lost"),
        (session_created(), "Expiring: expire_checkout_session / know cs_1"),
        (reported(Outcome::Expired), "Cancelled: / row EXPIRED because seller_lost"),
    ]);
    // What is paid, or on its way, is settled.
    check::<Checkout>(&[
        (request(PRICE, FEE), CREATING),
        (session_created(), OPEN),
        (reported(Outcome::Unpaid), "AwaitingFunds: / row PROCESSING"),
        (E::SellerLost, "refused: SellerLost means nothing in AwaitingFunds"),
        (reported(paid()), SETTLED),
        (E::SellerLost, "refused: SellerLost means nothing in Settled"),
    ]);
}
