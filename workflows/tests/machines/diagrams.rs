//! The diagrams under `diagrams/` are explored from the code, never drawn by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use expect_test::{ExpectFile, expect_file};
use workflows::{
    checkout::{Checkout, State},
    connect_onboarding::ConnectOnboarding,
    dispute::Dispute,
    earnings_rollup::EarningsRollup,
    group_buy::GroupBuy,
    magic_link::MagicLink,
    page_publish::PagePublish,
    payout::Payout,
    plan_subscription::PlanSubscription,
    refund::Refund,
    workflow::Workflow,
};

use crate::{
    examples::{
        Example, checkout_events, connect_onboarding_events, earnings_rollup_events,
        group_buy_events, magic_link_events, page_publish_events, payout_events,
        plan_subscription_events,
    },
    examples_returns::{dispute_events, refund_events},
    explore::{Transition, transitions},
};

/// In two halves: until there is a payment, and what becomes of it.
#[test]
fn checkout() {
    let found = transitions::<Checkout>(&checkout_events());
    let (after, before): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| found.from.as_ref().is_some_and(is_paid));
    expect_file!["../../diagrams/checkout.mmd"].assert_eq(&draw(before));
    expect_file!["../../diagrams/checkout_paid.mmd"].assert_eq(&draw(after));
}

fn is_paid(state: &State) -> bool {
    matches!(
        state,
        State::Settled { .. }
            | State::PartlyRefunded { .. }
            | State::Disputed { .. }
            | State::ChargedBack { .. }
            | State::RefundingDuplicate { .. }
            | State::Refunded { .. }
            | State::Quarantined { .. }
    )
}

#[test]
fn connect_onboarding() {
    check::<ConnectOnboarding>(
        &connect_onboarding_events(),
        &expect_file!["../../diagrams/connect_onboarding.mmd"],
    );
}

#[test]
fn dispute() {
    check::<Dispute>(&dispute_events(), &expect_file!["../../diagrams/dispute.mmd"]);
}

#[test]
fn earnings_rollup() {
    check::<EarningsRollup>(
        &earnings_rollup_events(),
        &expect_file!["../../diagrams/earnings_rollup.mmd"],
    );
}

#[test]
fn group_buy() {
    check::<GroupBuy>(&group_buy_events(), &expect_file!["../../diagrams/group_buy.mmd"]);
}

#[test]
fn magic_link() {
    check::<MagicLink>(&magic_link_events(), &expect_file!["../../diagrams/magic_link.mmd"]);
}

#[test]
fn page_publish() {
    check::<PagePublish>(&page_publish_events(), &expect_file!["../../diagrams/page_publish.mmd"]);
}

#[test]
fn payout() {
    check::<Payout>(&payout_events(), &expect_file!["../../diagrams/payout.mmd"]);
}

#[test]
fn plan_subscription() {
    check::<PlanSubscription>(
        &plan_subscription_events(),
        &expect_file!["../../diagrams/plan_subscription.mmd"],
    );
}

#[test]
fn refund() {
    check::<Refund>(&refund_events(), &expect_file!["../../diagrams/refund.mmd"]);
}

fn check<W: Workflow>(examples: &[Example<W::Event>], drawn: &ExpectFile) {
    drawn.assert_eq(&draw(transitions::<W>(examples)));
}

/// One arrow for each pair of states, with all that leads along it. Refused events do not appear.
fn draw<W: Workflow>(found: Vec<Transition<W>>) -> String {
    let mut arrows: BTreeMap<(Option<&str>, &str), BTreeSet<String>> = BTreeMap::new();
    for transition in found {
        let from = transition.from.map(Into::into);
        arrows.entry((from, transition.to.into())).or_default().insert(transition.label);
    }
    let mut diagram = "stateDiagram-v2\n".to_owned();
    for ((from, to), labels) in arrows {
        let from = from.unwrap_or("[*]");
        let labels = labels.into_iter().collect::<Vec<_>>().join("<br/>");
        writeln!(diagram, "    {from} --> {to} : {labels}").unwrap();
    }
    diagram
}
