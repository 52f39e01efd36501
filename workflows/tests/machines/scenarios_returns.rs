//! The hard scenarios of money that comes back, each named by its number. What several runs have to do with
//! each other is played in the models' world, what one machine does is written as a table.

use serde_json::Value;
use workflows::{
    checkout::{Checkout, Event as E, State, creator::Answered},
    dispute::Dispute,
    effect::{Effect, FeeReturn, TransferReturn},
    ledger::Share,
    record::{self, GrantKind, Record},
    refund::{self, AccessAfter, Refund, Rejection},
    stripe::{Dispute as Facts, DisputeStatus, Outcome, RefundStatus, TransferReversal},
    workflow::Workflow,
};

use crate::{
    examples::{
        FEE, PRICE, START, failure, paid, refunded, reported, request, retrieved, session_created,
    },
    examples_returns::{
        DISPUTE_FEE, asked_for, charge, dispute_reported, disputed, other_refund_id, read,
        refund_id, reserve, reserved, wish,
    },
    models::returns_world::{FEE as PART, PAID, Pace, World, returns_of},
    scenarios::check,
};

const KEPT: AccessAfter = AccessAfter::Kept;
const REVERSED: TransferReturn = TransferReturn::Returned;

/// A webhook about the dispute, and all that follows from it.
fn hear_of_dispute(world: &mut World) {
    world.tell_purchase(&E::ReturnsChanged);
    world.run_out();
}

/// A refund, and all that follows from it.
fn give_back(world: &mut World, amount: i64) {
    let made = world.stripe.refund(None, amount, RefundStatus::Succeeded, REVERSED);
    world.tell_purchase(&E::RefundReported(made.unwrap()));
    world.run_out();
}

fn refund_fails(world: &mut World) {
    world.stripe.settle_refund(0, RefundStatus::Failed);
    let refund = world.stripe.refunds[0].clone();
    world.tell_purchase(&E::RefundReported(refund));
    world.run_out();
}

fn dispute(world: &mut World, status: DisputeStatus) {
    world.stripe.dispute(status);
    if status == DisputeStatus::Won {
        world.stripe.reinstate();
    }
    hear_of_dispute(world);
}

#[track_caller]
fn agrees(world: &World) {
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
fn s26_a_dispute_that_is_over_stays_over() {
    let reported = |status| dispute_reported(disputed(PRICE, status));
    check::<Dispute>(&[
        (
            reported(DisputeStatus::Lost),
            "Lost: / dispute LOST, post dispute_withdrawn:dp_1, post dispute_lost:dp_1",
        ),
        (reported(DisputeStatus::NeedsResponse), "refused: the bank has decided"),
        (reported(DisputeStatus::UnderReview), "refused: the bank has decided"),
        (reported(DisputeStatus::Lost), "refused: this was known"),
    ]);
    // Created and closed arrive in either order: each leads to reading how it is.
    let mut world = World::settled();
    world.stripe.dispute(DisputeStatus::Lost);
    hear_of_dispute(&mut world);
    hear_of_dispute(&mut world);
    assert!(matches!(world.purchase, State::ChargedBack { .. }));
    assert_eq!(world.dispute_row, Some("LOST"));
    agrees(&world);
}

#[test]
fn s27_more_is_disputed_than_is_left_of_the_payment() {
    let mut world = World::settled();
    give_back(&mut world, 30);
    dispute(&mut world, DisputeStatus::NeedsResponse);
    dispute(&mut world, DisputeStatus::Lost);
    // All was taken from the platform, the creator had 70 left to lose.
    assert_eq!(world.ledger.stripe, PAID - 30 - PAID - DISPUTE_FEE);
    assert_eq!((world.ledger.creator, world.ledger.due), (0, 30));
    assert_eq!(world.access, GrantKind::ChargedBack);
    agrees(&world);
}

#[test]
fn s28_a_dispute_that_is_won_gives_balance_and_access_back() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    assert_eq!((world.access, world.ledger.creator), (GrantKind::Disputed, 0));
    assert_eq!(world.ledger.dispute_hold, PAID);
    dispute(&mut world, DisputeStatus::Won);
    assert_eq!((world.access, world.ledger.creator), (GrantKind::Paid, PART - PAID));
    assert_eq!((world.ledger.stripe, world.ledger.dispute_hold), (PAID, 0));
    assert_eq!((world.ledger.platform_fee, world.ledger.due), (-PART, 0));
    agrees(&world);
}

#[test]
fn s28_what_was_won_can_be_given_back() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    dispute(&mut world, DisputeStatus::Won);
    world.wish(refund_id(), PAID, KEPT);
    world.run_out();
    assert!(matches!(world.refunds[&refund_id()], refund::State::Succeeded { .. }));
    assert_eq!((world.ledger.creator, world.ledger.platform_fee, world.ledger.due), (0, 0, 0));
    agrees(&world);
}

/// The creator has it again as soon as the platform has.
#[test]
fn s28_what_is_won_is_passed_on_when_it_is_there() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.stripe.dispute(DisputeStatus::Won);
    hear_of_dispute(&mut world);
    assert_eq!((world.stripe.transferred(), world.access), (0, GrantKind::Paid));
    agrees(&world);
    // Its webhook is lost: the timer finds out.
    world.stripe.reinstate();
    let world = world.left_alone();
    assert_eq!(world.stripe.transferred(), PAID - PART);
    agrees(&world);
}

#[test]
fn s28_a_reversal_that_was_discarded_and_had_happened_is_passed_on() {
    let mut world = World::settled();
    world.stripe.dispute(DisputeStatus::NeedsResponse);
    world.tell_purchase(&E::ReturnsChanged);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.discard(0);
    world.run_out();
    assert!(world.cases.is_empty(), "it is seen before anybody is told: {:?}", world.cases);
    dispute(&mut world, DisputeStatus::Won);
    assert_eq!((world.stripe.transferred(), world.ledger.due), (PAID - PART, 0));
    agrees(&world);
}

#[test]
fn s28_what_cannot_be_passed_on_is_transferred_by_hand() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.stripe.dispute(DisputeStatus::Won);
    world.stripe.reinstate();
    world.tell_purchase(&E::ReturnsChanged);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.fail(0);
    world.run_out();
    assert!(world.cases.contains("transfer_refused"));
    assert_eq!(world.ledger.due, -PAID, "the platform owes it");
    agrees(&world);
    // A person does it, in the group that the case names.
    world.stripe.not_transferred = 0;
    world.stripe.transfer(PAID - PART, "dp_1");
    world.stripe.again[0].cause = None;
    hear_of_dispute(&mut world);
    assert_eq!((world.ledger.creator, world.ledger.due), (PART - PAID, 0));
}

/// What buyers paid becomes available within days: the transfer is asked for once more, and nobody is told.
#[test]
fn s28_what_the_platform_has_not_the_money_for_is_passed_on_later() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.stripe.dispute(DisputeStatus::Won);
    world.stripe.reinstate();
    world.tell_purchase(&E::ReturnsChanged);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.calls[0].answer =
        Some(workflows::effect::Answer::Failed(failure("balance_insufficient")));
    world.answer(0);
    world.run_out();
    assert!(world.cases.is_empty(), "{:?}", world.cases);
    assert_eq!(world.timer, Some(6 * 3_600_000));
    let world = world.left_alone();
    assert_eq!((world.stripe.transferred(), world.ledger.due), (PAID - PART, 0));
    agrees(&world);
}

/// Lost in part: what was taken too much is the creator's again.
#[test]
fn s28_a_dispute_that_is_lost_in_part_leaves_the_creator_the_rest() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.stripe.dispute(DisputeStatus::Lost);
    world.stripe.dispute.as_mut().unwrap().reinstated = 40;
    hear_of_dispute(&mut world);
    assert_eq!(world.stripe.transferred(), 37, "40 without the fee of it");
    assert_eq!((world.ledger.due, world.ledger.dispute_hold), (0, 0));
    assert_eq!(world.ledger.stripe, PAID - 60 - DISPUTE_FEE);
}

/// The creator's part went with another refund meanwhile: it is taken from where there is some.
#[test]
fn s29_what_is_gone_from_one_transfer_is_taken_from_the_next() {
    let mut world = World::settled();
    give_back(&mut world, 60);
    refund_fails(&mut world);
    world.wish(refund_id(), 90, KEPT);
    world.deliver(0);
    world.deliver(0);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.deliver(0);
    // The refund is read, 40 are asked of the first transfer, and a person takes 10 of it by hand before.
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.stripe.reverse("tr_1", 10, FeeReturn::NoFee, "").unwrap();
    world.stripe.with_charge.reversals.last_mut().unwrap().cause = None;
    world.run_out();
    world.tell_purchase(&E::ReturnsChanged);
    world.run_out();
    assert!(world.cases.iter().all(|case| *case != "reversal_refused"), "{:?}", world.cases);
    let lost = world.stripe.lost_for("re_2");
    assert_eq!(lost, 90, "all that the buyer got");
}

#[test]
fn s26_what_moves_after_a_dispute_is_over_is_posted() {
    let facts = |status, withdrawn, reinstated| Facts {
        withdrawn,
        reinstated,
        fee_reinstated: 0,
        ..disputed(PRICE, status)
    };
    let reported =
        |status, withdrawn, reinstated| dispute_reported(facts(status, withdrawn, reinstated));
    check::<Dispute>(&[
        (
            reported(DisputeStatus::NeedsResponse, 1_000, 0),
            "Opened: / dispute OPEN, post dispute_withdrawn:dp_1",
        ),
        // More is taken.
        (
            reported(DisputeStatus::NeedsResponse, PRICE, 0),
            "Opened: / dispute OPEN, post dispute_withdrawn:dp_1:1250:1500",
        ),
        (reported(DisputeStatus::Lost, PRICE, 0), "Lost: / dispute LOST, post dispute_lost:dp_1"),
        // And a part comes back after all.
        (
            reported(DisputeStatus::Lost, PRICE, 250),
            "Lost: / dispute LOST, post dispute_reinstated:dp_1, post dispute_lost:dp_1:1000:250",
        ),
    ]);
    let before = facts(DisputeStatus::Lost, PRICE, 0);
    let lost = Dispute::start(&dispute_reported(before), START).unwrap();
    let after = dispute_reported(facts(DisputeStatus::Lost, PRICE, 250));
    let step = Dispute::step(&lost.state, &after, START).unwrap();
    let held = |records: &[Record]| -> i64 {
        let entries = records.iter().filter_map(|record| match record {
            Record::Ledger(posting) => Some(&posting.entries),
            _ => None,
        });
        let of_hold = |entry: &&workflows::ledger::Entry| {
            matches!(entry.account, workflows::ledger::Account::DisputeHold(_))
        };
        entries.flatten().filter(of_hold).map(|entry| entry.amount).sum()
    };
    assert_eq!((held(&lost.records), held(&step.records)), (0, 0), "nothing is held any more");
}

#[test]
fn s28_what_was_refunded_stays_refunded() {
    let mut world = World::settled();
    give_back(&mut world, PAID);
    dispute(&mut world, DisputeStatus::NeedsResponse);
    dispute(&mut world, DisputeStatus::Won);
    assert!(matches!(world.purchase, State::Refunded { .. }));
    assert_eq!(world.access, GrantKind::Refunded);
    agrees(&world);
}

#[test]
fn s29_the_transfer_is_reversed_once() {
    let mut world = World::settled();
    world.stripe.dispute(DisputeStatus::NeedsResponse);
    for _ in 0..3 {
        hear_of_dispute(&mut world);
    }
    assert_eq!((world.taken_back.len(), world.stripe.lost_for("dp_1")), (1, PAID));
    dispute(&mut world, DisputeStatus::Lost);
    assert_eq!(world.taken_back.len(), 1);
    assert_eq!(world.ledger.due, 0, "the creator has lost it");
    agrees(&world);
}

#[test]
fn s29_what_cannot_be_recovered_is_a_receivable() {
    let mut world = World::settled();
    world.stripe.dispute(DisputeStatus::NeedsResponse);
    world.tell_purchase(&E::ReturnsChanged);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    world.fail(0);
    world.run_out();
    assert!(world.cases.contains("reversal_refused"));
    dispute(&mut world, DisputeStatus::Lost);
    assert_eq!((world.ledger.due, world.ledger.creator), (PAID, PART - PAID));
    assert_eq!(world.stripe.lost_for("dp_1"), 0);
    let returns = returns_of(&world.purchase).unwrap();
    assert_eq!(returns.creator.asked[0].answer, Answered::Told);
    agrees(&world);
}

/// Whatever account the creator has by now: the sale remembers the one that was paid, and the world knows of
/// no other.
#[test]
fn s31_what_is_taken_and_given_again_is_the_first_accounts() {
    let mut world = World::settled();
    dispute(&mut world, DisputeStatus::NeedsResponse);
    world.stripe.reinstate();
    world.tell_purchase(&E::ReturnsChanged);
    world.perform(0, Pace::AtOnce);
    world.answer(0);
    let again = world.calls.iter().find_map(|call| match &call.effect {
        Effect::CreateTransfer { account, .. } => Some(account.as_str()),
        _ => None,
    });
    assert_eq!(again, Some("acct_1"));
    world.run_out();
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
