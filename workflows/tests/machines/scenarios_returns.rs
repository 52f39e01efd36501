//! The hard scenarios of money that comes back, each named by its number. What several runs have to do with
//! each other is played in the models' world, what one machine does is written as a table.

use workflows::{
    checkout::{Checkout, Event as E, State},
    effect::{Effect, FeeReturn, TransferReturn},
    record::{self, GrantKind, Record},
    refund::{self, AccessAfter, Refund, Rejection},
    stripe::{DisputeStatus, Outcome, RefundStatus},
    workflow::Workflow,
};

use crate::{
    examples::{FEE, PRICE, START, paid, refunded, reported, request, retrieved, session_created},
    examples_returns::{asked_for, other_refund_id, refund_id, reserve, reserved, wish},
    models::returns_world::{FEE as PART, PAID, Pace, World},
    scenarios::check,
};

pub const KEPT: AccessAfter = AccessAfter::Kept;
pub const REVERSED: TransferReturn = TransferReturn::Returned;

/// A webhook about the dispute, and all that follows from it.
pub fn hear_of_dispute(world: &mut World) {
    world.tell_purchase(&E::ReturnsChanged);
    world.run_out();
}

/// A refund, and all that follows from it.
pub fn give_back(world: &mut World, amount: i64) {
    let made = world.stripe.refund(None, amount, RefundStatus::Succeeded, REVERSED);
    world.tell_purchase(&E::RefundReported(made.unwrap()));
    world.run_out();
}

pub fn refund_fails(world: &mut World) {
    world.stripe.settle_refund(0, RefundStatus::Failed);
    let refund = world.stripe.refunds[0].clone();
    world.tell_purchase(&E::RefundReported(refund));
    world.run_out();
}

pub fn dispute(world: &mut World, status: DisputeStatus) {
    world.stripe.dispute(status);
    if status == DisputeStatus::Won {
        world.stripe.reinstate();
    }
    hear_of_dispute(world);
}

#[track_caller]
pub fn agrees(world: &World) {
    assert_eq!(world.disagreement(), None);
    assert_eq!(world.broken, Default::default());
}

fn rejection(world: &World, nth: workflows::id::RefundId) -> Rejection {
    match &world.refunds[&nth] {
        refund::State::Rejected { why, .. } => *why,
        state => panic!("not rejected: {state:?}"),
    }
}

#[test]
fn s15_a_refund_that_is_asked_for_or_made_before_the_payment_is_known() {
    check::<Checkout>(&[
        (request(PRICE, FEE), "CreatingSession: create_checkout_session"),
        (reserve(wish(None)), "CreatingSession: / tell refund Rejected"),
        (session_created(), "AwaitingPayment: / know cs_1, row OPEN"),
        (reserve(wish(None)), "AwaitingPayment: / tell refund Rejected"),
        // Made in the dashboard within seconds: then it must be paid.
        (refunded(PRICE, RefundStatus::Succeeded), "AwaitingPayment: retrieve_checkout_session"),
        (
            retrieved(paid()),
            "Settled: mail receipt, retrieve_charge / know pi_1, post paid:pi_1, grant PAID, row SETTLED",
        ),
        (reserve(wish(Some(500))), "Settled: / tell refund Reserved"),
    ]);
    // Nothing was ever paid.
    check::<Checkout>(&[
        (request(PRICE, FEE), "CreatingSession: create_checkout_session"),
        (reported(Outcome::Expired), "Expired: / row EXPIRED"),
        (reserve(wish(None)), "Expired: / tell refund Rejected"),
    ]);
    check::<Checkout>(&[
        (request(0, 0), "Settled: / grant FREE, row SETTLED"),
        (reserve(wish(None)), "Settled: / tell refund Rejected"),
    ]);
}

#[test]
fn s16_s17_one_wish_is_one_call_whatever_is_repeated() {
    let asked = refund::Event::Request(Box::new(wish(Some(500))));
    let made = || asked_for(refund_id(), "re_1", 500, RefundStatus::Succeeded);
    check::<Refund>(&[
        (asked.clone(), "Reserving: / refund REQUESTED, tell checkout ReserveRefund"),
        (asked, "refused: Request means nothing in Reserving"),
        (reserved(500), "AtStripe: create_refund / refund REQUESTED"),
        (reserved(500), "refused: Reserved means nothing in AtStripe"),
        (refund::Event::TimerFired, "refused: TimerFired means nothing in AtStripe"),
        (refund::Event::Cancel, "refused: Cancel means nothing in AtStripe"),
        (refund::Event::Made(made()), "AtStripe: / tell checkout ReturnsChanged"),
        (refund::Event::Reported(made()), "Succeeded: mail refunded / refund SUCCEEDED"),
        (refund::Event::Reported(made()), "refused: Reported means nothing in Succeeded"),
        (refund::Event::Made(made()), "refused: Made means nothing in Succeeded"),
    ]);
    // Asked twice, the purchase sets it aside once.
    check::<Checkout>(&[
        (request(PRICE, FEE), "CreatingSession: create_checkout_session"),
        (
            reported(paid()),
            "Settled: mail receipt / know pi_1, post paid:pi_1, grant PAID, row SETTLED",
        ),
        (reserve(wish(Some(PRICE))), "Settled: / tell refund Reserved"),
        (reserve(wish(Some(PRICE))), "Settled: / tell refund Reserved"),
    ]);
}

#[test]
fn s19_of_two_refunds_of_60_of_100_one_is_refused_with_what_is_left() {
    let mut world = World::settled();
    world.wish(refund_id(), 60, KEPT);
    world.wish(other_refund_id(), 60, KEPT);
    world.run_out();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Succeeded { .. }));
    let left = Rejection::ExceedsRefundable { refundable: 40 };
    assert_eq!(rejection(&world, other_refund_id()), left);
    assert_eq!(world.stripe.given_back(), 60);
    assert!(matches!(world.purchase, State::PartlyRefunded { .. }));
    assert_eq!(world.access, GrantKind::Paid);
    agrees(&world);
}

#[test]
fn s19_a_wish_that_was_thought_over_before_something_changed_is_refused() {
    let mut world = World::settled();
    give_back(&mut world, 10);
    let thought_over = refund::Wish { expected: Some(PAID), ..wish(None) };
    world.tell_refund(refund_id(), &refund::Event::Request(Box::new(thought_over)));
    world.run_out();
    assert_eq!(rejection(&world, refund_id()), Rejection::Changed { refundable: PAID - 10 });
}

#[test]
fn s20_answer_and_webhook_in_either_order_are_one_posting() {
    for webhook_first in [true, false] {
        let mut world = World::settled();
        world.wish(refund_id(), 60, KEPT);
        world.deliver(0);
        world.deliver(0);
        world.perform(0, Pace::AtOnce);
        let webhook = E::RefundReported(world.stripe.refunds[0].clone());
        if webhook_first {
            world.tell_purchase(&webhook);
            world.run_out();
        } else {
            world.run_out();
            assert!(!world.tell_purchase(&webhook), "it was known");
        }
        assert_eq!(world.ledger.stripe, PAID - 60);
        agrees(&world);
    }
}

#[test]
fn s21_partial_partial_and_the_rest_with_a_fee_that_rounds() {
    let mut world = World::settled();
    for (amount, fee, access) in
        [(33, 2, GrantKind::Paid), (33, 5, GrantKind::Paid), (34, 7, GrantKind::Refunded)]
    {
        give_back(&mut world, amount);
        assert_eq!(world.ledger.platform_fee, fee - PART);
        assert_eq!(world.access, access);
        agrees(&world);
    }
    assert_eq!((world.ledger.stripe, world.ledger.creator, world.ledger.due), (0, 0, 0));
    assert!(matches!(world.purchase, State::Refunded { .. }));
    assert!(world.cases.is_empty(), "{:?}", world.cases);
}

#[test]
fn s21_a_part_takes_the_access_if_that_was_asked_for() {
    let mut world = World::settled();
    world.wish(refund_id(), 10, AccessAfter::Revoked);
    world.run_out();
    assert_eq!(world.access, GrantKind::Revoked);
    assert!(matches!(world.purchase, State::PartlyRefunded { .. }));
    agrees(&world);
}

#[test]
fn s22_a_refund_in_the_dashboard_is_imported() {
    let mut world = World::settled();
    give_back(&mut world, PAID);
    assert!(matches!(world.purchase, State::Refunded { .. }));
    assert_eq!(world.access, GrantKind::Refunded);
    assert_eq!(world.refund_rows.values().collect::<Vec<_>>(), [&record::RefundStatus::Succeeded]);
    agrees(&world);
    // Without the creator's part: the creator owes it.
    let mut world = World::settled();
    let made = world.stripe.refund(None, PAID, RefundStatus::Succeeded, TransferReturn::Apart);
    world.tell_purchase(&E::RefundReported(made.unwrap()));
    world.run_out();
    assert_eq!(world.ledger.due, PAID);
    agrees(&world);
}

#[test]
fn s23_a_pending_refund_is_reserved_and_says_why() {
    let mut world = World::settled();
    world.wish(refund_id(), 60, KEPT);
    world.deliver(0);
    world.deliver(0);
    world.perform(0, Pace::Slowly);
    world.run_out();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Pending { .. }));
    assert_eq!(world.ledger.stripe, PAID, "the buyer has not got it");
    world.wish(other_refund_id(), 60, KEPT);
    world.run_out();
    let left = Rejection::ExceedsRefundable { refundable: 40 };
    assert_eq!(rejection(&world, other_refund_id()), left);
    agrees(&world);
    // Every webhook is lost: the timer finds out.
    world.stripe.settle_refund(0, RefundStatus::Succeeded);
    let world = world.left_alone();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Succeeded { .. }));
    agrees(&world);
}

#[test]
fn s23_the_row_says_why() {
    let asked = refund::Event::Request(Box::new(wish(Some(500))));
    let reserving = Refund::start(&asked, START).unwrap().state;
    let at_stripe = Refund::step(&reserving, &reserved(500), START).unwrap().state;
    let pending = asked_for(refund_id(), "re_1", 500, RefundStatus::Pending);
    let step = Refund::step(&at_stripe, &refund::Event::Reported(pending), START).unwrap();
    let why = step.records.iter().find_map(|record| match record {
        Record::Refund(row) => row.failure.as_deref(),
        _ => None,
    });
    assert_eq!(why, Some("insufficient_funds"));
}

#[test]
fn s24_a_refund_that_fails_after_success_is_taken_back() {
    let mut world = World::settled();
    give_back(&mut world, PAID);
    assert_eq!(world.access, GrantKind::Refunded);
    refund_fails(&mut world);
    assert!(matches!(world.purchase, State::Settled { .. }));
    assert_eq!(world.access, GrantKind::Paid);
    assert!(world.cases.contains("refund_failed"));
    // The creator has it again, and all is as after the payment.
    assert_eq!(world.stripe.transferred(), PAID - PART);
    assert_eq!((world.ledger.creator, world.ledger.platform_fee), (PART - PAID, -PART));
    assert_eq!((world.ledger.stripe, world.ledger.due), (PAID, 0));
    agrees(&world);
    // And it can be given back again: from the second transfer, of which the platform gives its fee up.
    world.wish(refund_id(), PAID, KEPT);
    world.run_out();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Succeeded { .. }));
    assert_eq!((world.ledger.creator, world.ledger.platform_fee), (0, 0));
    assert_eq!((world.ledger.stripe, world.ledger.due), (0, 0));
    agrees(&world);
}

#[test]
fn s24_what_failed_is_given_back_in_parts() {
    let mut world = World::settled();
    give_back(&mut world, PAID);
    refund_fails(&mut world);
    for (nth, amount) in [(refund_id(), 60), (other_refund_id(), 40)] {
        world.wish(nth, amount, KEPT);
        world.run_out();
        assert_eq!(world.ledger.due, 0, "the creator owes nothing after {amount}");
        agrees(&world);
    }
    assert_eq!((world.ledger.creator, world.ledger.platform_fee), (0, 0));
}

#[test]
fn s24_a_part_comes_from_the_first_transfer_and_a_part_from_the_second() {
    let mut world = World::settled();
    give_back(&mut world, 60);
    refund_fails(&mut world);
    world.wish(refund_id(), PAID, KEPT);
    world.run_out();
    let from: Vec<_> = world.taken_back.iter().map(|(transfer, _)| transfer.as_str()).collect();
    assert_eq!(from, ["tr_1", "tr_2"]);
    assert_eq!((world.ledger.creator, world.ledger.platform_fee, world.ledger.due), (0, 0, 0));
    agrees(&world);
}

#[test]
fn s24_whoever_asked_hears_that_it_failed() {
    let mut world = World::settled();
    world.wish(refund_id(), 60, AccessAfter::Revoked);
    world.run_out();
    assert_eq!(world.access, GrantKind::Revoked);
    refund_fails(&mut world);
    assert!(matches!(world.refunds[&refund_id()], refund::State::Failed { .. }));
    assert_eq!(world.access, GrantKind::Paid);
    agrees(&world);
}

#[test]
fn s25_nothing_is_given_back_while_a_dispute_is_open() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.wish(refund_id(), 10, KEPT);
    world.run_out();
    assert_eq!(rejection(&world, refund_id()), Rejection::DisputeOpen);
    assert_eq!(world.stripe.given_back(), 0);
    agrees(&world);
    // A bank that only asks takes nothing: a refund may settle it.
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::Inquiry);
    assert_eq!(world.access, GrantKind::Paid);
    world.wish(refund_id(), PAID, KEPT);
    world.run_out();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Succeeded { .. }));
    agrees(&world);
}

#[test]
fn s07_a_refund_never_goes_backwards() {
    let reported = |status| refund::Event::Reported(asked_for(refund_id(), "re_1", 500, status));
    let unplaced = "refused: Reported means nothing in ";
    check::<Refund>(&[
        (
            refund::Event::Request(Box::new(wish(Some(500)))),
            "Reserving: / refund REQUESTED, tell checkout ReserveRefund",
        ),
        (reserved(500), "AtStripe: create_refund / refund REQUESTED"),
        (reported(RefundStatus::Pending), "Pending: mail refunded / refund PENDING"),
        (reported(RefundStatus::Pending), "refused: the money is still on its way"),
        (reported(RefundStatus::Succeeded), "Succeeded: / refund SUCCEEDED"),
        (reported(RefundStatus::Pending), &format!("{unplaced}Succeeded")),
        (reported(RefundStatus::Failed), "Failed: mail refund_failed / refund FAILED"),
        (reported(RefundStatus::Succeeded), &format!("{unplaced}Failed")),
        (reported(RefundStatus::Pending), &format!("{unplaced}Failed")),
    ]);
}

/// Only what nobody asked for is explained as paid twice.
#[test]
fn s10_a_person_who_gives_back_what_was_paid_twice_sends_the_ordinary_mail() {
    use workflows::{effect::Mail, record::RefundReason};
    for (by, expected) in [
        (Some("user_1".to_owned()), Mail::Refunded(refund_id())),
        (None, Mail::DuplicateRefunded(wish(None).sale.checkout)),
    ] {
        let wish = refund::Wish { reason: RefundReason::Duplicate, by, ..wish(Some(500)) };
        let asked = Refund::start(&refund::Event::Request(Box::new(wish)), START).unwrap();
        let at_stripe = Refund::step(&asked.state, &reserved(500), START).unwrap().state;
        let made = asked_for(refund_id(), "re_1", 500, RefundStatus::Succeeded);
        let step = Refund::step(&at_stripe, &refund::Event::Reported(made), START).unwrap();
        assert_eq!(step.effects, [Effect::SendMail(expected)]);
    }
}

/// What is left of the charge's transfer decides what Stripe is asked for.
#[test]
fn s24_stripe_is_not_asked_for_what_is_exhausted() {
    let mut world = World::settled();
    give_back(&mut world, PAID);
    refund_fails(&mut world);
    world.wish(refund_id(), 10, KEPT);
    world.deliver(0);
    world.deliver(0);
    let asked = world.calls.iter().find_map(|call| match &call.effect {
        Effect::CreateRefund { fee, transfer, .. } => Some((*fee, *transfer)),
        _ => None,
    });
    assert_eq!(asked, Some((FeeReturn::NoFee, TransferReturn::Apart)));
}
