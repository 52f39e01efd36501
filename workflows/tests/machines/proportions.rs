//! Whatever parts a payment goes back in, the parts of creator and platform add up to what Stripe reports.

use proptest::prelude::*;
use workflows::{
    checkout::Event,
    effect::TransferReturn,
    money::{BasisPoints, MAXIMUM_CHARGE},
    record::GrantKind,
    stripe::{DisputeStatus, RefundStatus},
};

use crate::models::returns_world::{Ledger, Pace, World};

/// Reads what there is to read.
fn look(world: &mut World) {
    world.tell_purchase(&Event::ReturnsChanged);
    world.run_out();
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// A webhook arrives, and the charge is read.
    Read,
    /// Nobody looks before there is more.
    Wait,
}

fn parts() -> impl Strategy<Value = Vec<(i64, Then)>> {
    let then = prop_oneof![Just(Then::Read), Just(Then::Wait)];
    // Parts in thousandths of the payment.
    proptest::collection::vec((1..600_i64, then), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn partial_refunds_add_up(
        paid in 50..=MAXIMUM_CHARGE,
        points in 0_u16..9_000,
        parts in parts(),
        decision in prop_oneof![
            Just(None), Just(Some(DisputeStatus::Won)), Just(Some(DisputeStatus::Lost)),
        ],
    ) {
        let mut world = World::paid(paid, BasisPoints::new(points).unwrap().of(paid));
        for (thousandths, then) in parts {
            let left = paid - world.stripe.given_back();
            let amount = (paid * thousandths / 1_000).clamp(1, left.max(1));
            let made = world.stripe.refund(
                None, amount, RefundStatus::Succeeded, TransferReturn::Returned,
            );
            prop_assert_eq!(made.is_ok(), left > 0);
            if let Then::Read = then {
                look(&mut world);
                prop_assert_eq!(world.disagreement(), None);
            }
        }
        if let Some(decision) = decision {
            world.stripe.dispute(DisputeStatus::NeedsResponse);
            look(&mut world);
            prop_assert_eq!(world.disagreement(), None);
            world.stripe.dispute(decision);
            look(&mut world);
            if decision == DisputeStatus::Won {
                world.stripe.reinstate();
            }
        } else {
            let left = paid - world.stripe.given_back();
            if left > 0 {
                world
                    .stripe
                    .refund(None, left, RefundStatus::Succeeded, TransferReturn::Returned)
                    .unwrap();
            }
        }
        look(&mut world);
        prop_assert_eq!(world.disagreement(), None);
        prop_assert!(!world.broken.unbalanced && !world.broken.posted_again);
        let fee = world.stripe.fee;
        if decision.is_none() {
            // After the last cent every account of the sale is at nothing.
            prop_assert_eq!(accounts(&world.ledger), [0; 6]);
            prop_assert_eq!(world.access, GrantKind::Refunded);
        } else if decision == Some(DisputeStatus::Won) {
            // What was given back for the dispute is the platform's again, the rest stays given back.
            let refunded = world.stripe.given_back();
            let kept = fee - workflows::money::part_of(fee, refunded, paid);
            prop_assert!((world.ledger.platform_fee + kept).abs() <= 8);
            prop_assert_eq!(world.ledger.due, 0);
        }
        // Proportional fees never look as though somebody had kept something back.
        prop_assert!(!world.cases.contains("fee_share_differs"), "{:?}", world.cases);
    }
}

fn accounts(ledger: &Ledger) -> [i64; 6] {
    let Ledger { stripe, platform_fee, creator, due, dispute_hold, dispute_fee, .. } = ledger;
    [*stripe, *platform_fee, *creator, *due, *dispute_hold, *dispute_fee]
}

/// A refund that is asked for here is no different.
#[test]
fn the_whole_leaves_nothing() {
    let mut world = World::paid(999, 50);
    world.wish(crate::examples_returns::refund_id(), 999, workflows::refund::AccessAfter::Kept);
    world.deliver(0);
    world.deliver(0);
    world.perform(0, Pace::AtOnce);
    world.run_out();
    assert_eq!(world.disagreement(), None);
    assert_eq!(accounts(&world.ledger), [0; 6]);
}
