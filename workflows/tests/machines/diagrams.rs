//! The diagrams under `diagrams/` are explored from the code, never drawn by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use expect_test::{ExpectFile, expect_file};
use workflows::{
    checkout::Checkout, connect_onboarding::ConnectOnboarding, earnings_rollup::EarningsRollup,
    magic_link::MagicLink, page_publish::PagePublish, payout::Payout,
    plan_subscription::PlanSubscription, workflow::Workflow,
};

use crate::{
    examples::{
        Example, checkout_events, connect_onboarding_events, earnings_rollup_events,
        magic_link_events, page_publish_events, payout_events, plan_subscription_events,
    },
    explore::transitions,
};

#[test]
fn checkout() {
    check::<Checkout>(&checkout_events(), &expect_file!["../../diagrams/checkout.mmd"]);
}

#[test]
fn connect_onboarding() {
    check::<ConnectOnboarding>(
        &connect_onboarding_events(),
        &expect_file!["../../diagrams/connect_onboarding.mmd"],
    );
}

#[test]
fn earnings_rollup() {
    check::<EarningsRollup>(
        &earnings_rollup_events(),
        &expect_file!["../../diagrams/earnings_rollup.mmd"],
    );
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

fn check<W: Workflow>(examples: &[Example<W::Event>], drawn: &ExpectFile) {
    drawn.assert_eq(&draw::<W>(examples));
}

/// One arrow for each pair of states, with all that leads along it. Refused events do not appear.
fn draw<W: Workflow>(examples: &[Example<W::Event>]) -> String {
    let mut arrows: BTreeMap<(Option<&str>, &str), BTreeSet<String>> = BTreeMap::new();
    for transition in transitions::<W>(examples) {
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
