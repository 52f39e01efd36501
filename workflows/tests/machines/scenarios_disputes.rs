//! The hard scenarios of disputes, each named by its number: what a bank takes, decides and gives back, and what
//! becomes of the creator's part.

use workflows::{
    checkout::{Event as E, State, creator::Answered},
    dispute::Dispute,
    effect::{Effect, FeeReturn},
    record::{GrantKind, Record},
    refund::{self},
    stripe::{Dispute as Facts, DisputeStatus},
    workflow::Workflow,
};

use crate::{
    examples::{PRICE, START, failure},
    examples_returns::{DISPUTE_FEE, dispute_reported, disputed, refund_id},
    models::returns_world::{FEE as PART, PAID, Pace, World, returns_of},
    scenarios::check,
    scenarios_returns::{KEPT, agrees, dispute, give_back, hear_of_dispute, refund_fails},
};

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
