//! Payout: a payout that goes its way at Stripe and a bank, and events about it that come in any order, any
//! number of times, or never.

use std::collections::BTreeSet;

use stateright::{Model, Property};
use workflows::{
    ledger::Kind,
    payout::{Event, Payout, State},
    record::Record,
    stripe::PayoutStatus,
    workflow::Workflow,
};

use super::check;
use crate::examples::{START, payout_report};

struct PayoutModel;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    run: Option<State>,
    /// How it stands at Stripe.
    outside: PayoutStatus,
    /// What Stripe has said: each may arrive from then on.
    sent: BTreeSet<u8>,
    /// What has arrived.
    heard: BTreeSet<u8>,
    posted: u8,
    taken_back: u8,
    went_back: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// It goes on at Stripe.
    Go(PayoutStatus),
    Deliver(PayoutStatus),
    Cancel,
}

const ALL: [PayoutStatus; 5] = [
    PayoutStatus::Pending,
    PayoutStatus::InTransit,
    PayoutStatus::Paid,
    PayoutStatus::Failed,
    PayoutStatus::Canceled,
];

#[test]
fn payout() {
    check("payout", PayoutModel);
}

/// Where a payout can go. <https://docs.stripe.com/api/payouts/object#payout_object-status>
fn ways(from: PayoutStatus) -> &'static [PayoutStatus] {
    match from {
        PayoutStatus::Pending => &[PayoutStatus::InTransit, PayoutStatus::Canceled],
        PayoutStatus::InTransit => &[PayoutStatus::Paid, PayoutStatus::Failed],
        PayoutStatus::Paid => &[PayoutStatus::Failed],
        PayoutStatus::Failed | PayoutStatus::Canceled => &[],
    }
}

fn number(status: PayoutStatus) -> u8 {
    status as u8
}

fn status(state: &State) -> PayoutStatus {
    match state {
        State::Pending { .. } => PayoutStatus::Pending,
        State::InTransit { .. } => PayoutStatus::InTransit,
        State::Paid { .. } => PayoutStatus::Paid,
        State::Failed { .. } => PayoutStatus::Failed,
        State::Canceled { .. } => PayoutStatus::Canceled,
    }
}

impl World {
    fn hear(&mut self, event: &Event) {
        let step = match &self.run {
            None => Payout::start(event, START),
            Some(state) => Payout::step(state, event, START),
        };
        let Ok(step) = step else {
            return;
        };
        assert!(step.effects.is_empty() && step.wake_at.is_none(), "nothing is asked of anybody");
        let before = self.run.as_ref().map(status);
        self.went_back |= before.is_some_and(|before| before > status(&step.state));
        let mut row = None;
        for record in step.records {
            match record {
                Record::Ledger(posting) if posting.kind == Kind::Payout => self.posted += 1,
                Record::Ledger(posting) if posting.kind == Kind::PayoutFailed => {
                    self.taken_back += 1;
                }
                Record::Payout(update) => row = Some(update.report.payout.status),
                other => panic!("not a record of a payout: {other:?}"),
            }
        }
        assert_eq!(row, Some(status(&step.state)), "the row says what the state is");
        self.run = Some(step.state);
    }

    /// The newest word has arrived.
    fn is_told(&self) -> bool {
        self.heard.contains(&number(self.outside))
    }
}

impl Model for PayoutModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            run: None,
            outside: PayoutStatus::Pending,
            sent: BTreeSet::from([number(PayoutStatus::Pending)]),
            heard: BTreeSet::new(),
            posted: 0,
            taken_back: 0,
            went_back: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(ways(world.outside).iter().map(|status| Action::Go(*status)));
        let sent = ALL.into_iter().filter(|status| world.sent.contains(&number(*status)));
        actions.extend(sent.map(Action::Deliver));
        actions.push(Action::Cancel);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Go(status) => {
                world.outside = status;
                world.sent.insert(number(status));
            }
            Action::Deliver(status) => {
                world.heard.insert(number(status));
                world.hear(&payout_report(status));
            }
            Action::Cancel => world.hear(&Event::Cancel),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("it is posted once, and taken back once", |_, world: &World| {
                world.posted <= 1 && world.taken_back <= world.posted
            }),
            Property::always("it never goes back", |_, world: &World| !world.went_back),
            Property::always("who has the newest word knows how it stands", |_, world: &World| {
                !world.is_told() || world.run.as_ref().map(status) == Some(world.outside)
            }),
            Property::always("and the ledger says so", |_, world: &World| {
                let left = world.posted - world.taken_back;
                !world.is_told() || left == u8::from(world.outside == PayoutStatus::Paid)
            }),
            Property::sometimes("paid, and taken back", |_, world: &World| world.taken_back == 1),
            Property::sometimes("failed, and never posted", |_, world: &World| {
                matches!(world.run, Some(State::Failed { .. }))
                    && world.posted == 0
                    && world.heard.contains(&number(PayoutStatus::Paid))
            }),
            Property::sometimes("called off", |_, world: &World| {
                matches!(world.run, Some(State::Canceled { .. }))
            }),
        ]
    }
}
