//! Checkout: what its doc comment promises, in five worlds.

use std::collections::BTreeMap;

use stateright::{Model, Property};
use workflows::{
    checkout::{Checkout, Event, State, Why, returns::Returns},
    effect::{Answer, Effect},
    ledger::Account,
    money::Currency,
    stripe::{Outcome, Payment, RefundStatus},
    workflow::{Standing, Workflow},
};

use super::{
    Call, check,
    checkout_world::{BY_HAND, Broken, Facts, Holder, OURS, World},
};
use crate::examples::{
    FEE, PRICE, START, failure, payment, processor_fee, reported, request,
    request_of_the_interested,
};

/// Which world the purchase is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// Paid as agreed, or not at all; calls may fail for good.
    Plain,
    /// Another purchase may get the access first.
    Rival,
    /// Only those may buy who are interested, and the visitor may withdraw.
    Interest,
    /// What is paid is not what was agreed.
    Mismatch,
    /// Stripe contradicts itself: a closed session is paid after all. An operator discards a call to create
    /// that had been performed.
    Contradiction,
}

struct CheckoutModel(Setting);

#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// The buyer, the buyer's bank, and time, at Stripe.
    Stripe(Outcome),
    Perform(usize),
    PerformSlowly(usize),
    Fail(usize),
    Answer(usize),
    /// A webhook, or the message that a fee became known.
    Deliver(Event),
    Lost,
    Withdraw,
    Timer,
    SellerLost,
    /// The calls that nobody has taken up yet are dropped with it, or all of them were taken up.
    Cancel {
        drop_calls: bool,
    },
    RivalBuys,
    RefundSettles(RefundStatus),
    RefundByHand,
}

#[test]
fn plain() {
    check("checkout, plain", CheckoutModel(Setting::Plain));
}

#[test]
fn rival() {
    check("checkout, rival", CheckoutModel(Setting::Rival));
}

#[test]
fn interest() {
    check("checkout, interest", CheckoutModel(Setting::Interest));
}

#[test]
fn mismatch() {
    check("checkout, mismatch", CheckoutModel(Setting::Mismatch));
}

#[test]
fn contradiction() {
    check("checkout, contradiction", CheckoutModel(Setting::Contradiction));
}

impl Model for CheckoutModel {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let request = match self.0 {
            Setting::Interest => request_of_the_interested(),
            _ => request(PRICE, FEE),
        };
        let step = Checkout::start(&request, START).unwrap();
        vec![World {
            run: step.state,
            timer: step.wake_at.is_some(),
            calls: step.effects.into_iter().map(Call::new).collect(),
            sent: Facts::default(),
            session: None,
            refunds: BTreeMap::new(),
            holder: None,
            duplicate: None,
            lost: None,
            interested: self.0 == Setting::Interest,
            ledger: BTreeMap::new(),
            row: None,
            case: false,
            receipts: 0,
            broken: Broken::default(),
            untold: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(self.stripe_may(world).into_iter().map(Action::Stripe));
        for (index, call) in world.calls.iter().enumerate() {
            if call.answer.is_some() {
                actions.push(Action::Answer(index));
                continue;
            }
            actions.push(Action::Perform(index));
            match call.effect {
                Effect::CreateRefund { .. } if world.refunds.is_empty() => {
                    actions.extend([Action::PerformSlowly(index), Action::Fail(index)]);
                }
                _ if self.0 == Setting::Plain => actions.push(Action::Fail(index)),
                Effect::CreateCheckoutSession(_) if self.0 == Setting::Contradiction => {
                    actions.push(Action::Fail(index));
                }
                _ => {}
            }
        }
        if world.lost.is_some() {
            actions.push(Action::Lost);
        }
        if world.interested {
            actions.push(Action::Withdraw);
        }
        // Three calls at a time show all that more would.
        if world.calls.len() < 3 {
            actions.extend(self.facts(world).into_iter().map(Action::Deliver));
        }
        if world.timer && world.calls.len() < 3 {
            actions.push(Action::Timer);
        }
        actions.push(Action::SellerLost);
        actions.extend([true, false].map(|drop_calls| Action::Cancel { drop_calls }));
        if self.0 == Setting::Rival && world.holder.is_none() {
            actions.push(Action::RivalBuys);
        }
        if world.refunds.get(OURS) == Some(&RefundStatus::Pending) {
            let ends = [RefundStatus::Succeeded, RefundStatus::Failed];
            actions.extend(ends.map(Action::RefundSettles));
        }
        if matches!(world.run, State::Quarantined { .. }) && !world.gave_back() {
            actions.push(Action::RefundByHand);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Stripe(outcome) => self.stripe_does(&mut world, outcome),
            Action::Perform(call) => world.perform(call),
            Action::PerformSlowly(call) => world.perform_slowly(call),
            Action::Fail(call) => self.fail(&mut world, call),
            Action::Answer(call) => world.answer(call),
            Action::Deliver(event) => {
                world.hear(&event);
                let news = matches!(event, Event::SessionReported(session)
                    if Some(&session.outcome) == world.session.as_ref());
                world.untold &= !news;
            }
            Action::Lost => {
                if let Some(lost) = world.lost.take() {
                    world.hear(&lost);
                }
            }
            Action::Withdraw => world.interested = false,
            Action::Timer => {
                world.hear(&Event::TimerFired);
            }
            Action::SellerLost => {
                world.hear(&Event::SellerLost);
            }
            Action::Cancel { drop_calls } => {
                let waiting = |call: &Call| call.answer.is_some();
                let mut kept = world.calls.clone();
                kept.retain(waiting);
                let before = world.calls.len();
                if world.hear(&Event::Cancel) && drop_calls {
                    kept.extend(world.calls.split_off(before));
                    world.calls = kept;
                }
            }
            Action::RivalBuys => world.holder = Some(Holder::Rival),
            Action::RefundSettles(status) => world.refund(OURS, status),
            Action::RefundByHand => world.refund(BY_HAND, RefundStatus::Succeeded),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = always();
        properties.extend(sometimes(self.0));
        properties
    }
}

impl CheckoutModel {
    fn payment(&self) -> Payment {
        match self.0 {
            Setting::Mismatch => payment("pi_1", PRICE, Currency::parse("EUR").unwrap()),
            _ => payment("pi_1", PRICE, Currency::USD),
        }
    }

    /// What may become of the session next.
    fn stripe_may(&self, world: &World) -> Vec<Outcome> {
        let paid = Outcome::Paid(self.payment());
        match &world.session {
            Some(Outcome::Open) => vec![Outcome::Unpaid, paid, Outcome::Expired],
            Some(Outcome::Unpaid) => vec![paid, Outcome::PaymentFailed],
            Some(Outcome::PaymentFailed | Outcome::Expired) if self.0 == Setting::Contradiction => {
                vec![paid]
            }
            _ => Vec::new(),
        }
    }

    fn stripe_does(&self, world: &mut World, outcome: Outcome) {
        let closed = matches!(world.session, Some(Outcome::PaymentFailed | Outcome::Expired));
        world.untold |= closed;
        match outcome {
            Outcome::Unpaid => world.sent.unpaid = true,
            Outcome::Paid(_) => (world.sent.paid, world.sent.fee) = (true, true),
            Outcome::PaymentFailed => world.sent.payment_failed = true,
            Outcome::Expired => world.sent.expired = true,
            Outcome::Open => {}
        }
        world.session = Some(outcome);
    }

    /// For good. Where Stripe contradicts itself it did the work nevertheless.
    fn fail(&self, world: &mut World, call: usize) {
        if self.0 == Setting::Contradiction {
            world.perform(call);
            world.untold = true;
        }
        world.calls[call].answer = Some(Answer::Failed(failure("discarded")));
    }

    /// Everything that was ever sent and means something to the run now.
    fn facts(&self, world: &World) -> Vec<Event> {
        let mut facts = Vec::new();
        let sent = &world.sent;
        for (sent, outcome) in [
            (sent.unpaid, Outcome::Unpaid),
            (sent.paid, Outcome::Paid(self.payment())),
            (sent.payment_failed, Outcome::PaymentFailed),
            (sent.expired, Outcome::Expired),
        ] {
            if sent {
                facts.push(reported(outcome));
            }
        }
        if sent.fee {
            facts.push(processor_fee(self.payment().currency));
        }
        for (id, status) in &sent.refunds {
            let all = [RefundStatus::Pending, RefundStatus::Succeeded, RefundStatus::Failed];
            let status = all.into_iter().find(|known| *known as u8 == *status).unwrap();
            let refund = world.at_stripe(id, self.payment().amount, status);
            facts.push(Event::RefundReported(refund));
        }
        facts
    }
}

fn is_paid(run: &State) -> bool {
    matches!(
        run,
        State::Settled { .. }
            | State::RefundingDuplicate { .. }
            | State::Refunded { .. }
            | State::Quarantined { .. }
    )
}

/// Whether the buyer has what is on its way.
fn is_there(returns: &Returns) -> bool {
    returns.refunds.iter().all(|one| one.status == RefundStatus::Succeeded)
}

fn is_closed(run: &State) -> bool {
    matches!(run, State::Expired { .. } | State::Failed { .. } | State::Cancelled { .. })
}

fn always() -> Vec<Property<CheckoutModel>> {
    vec![
        Property::always("every posting is balanced", |_, world: &World| !world.broken.unbalanced),
        Property::always("a payment and a refund are posted once", |_, world: &World| {
            !world.broken.posted_again
        }),
        Property::always("a state never moves backwards", |_, world: &World| {
            !world.broken.went_back
        }),
        Property::always("access only for what was paid as agreed", |_, world: &World| {
            !world.broken.wrong_grant
        }),
        Property::always("access and the money back are never both given", |_, world: &World| {
            !(world.holder == Some(Holder::Us) && world.gave_back())
        }),
        Property::always("what is paid is posted, what is not is not", |_, world: &World| {
            is_paid(&world.run) == world.ledger.contains_key("paid:pi_1")
        }),
        Property::always("the row says what the state is", |_, world: &World| world.row_is_right()),
        Property::always("one receipt, with the access", |_, world: &World| world.receipts <= 1),
        Property::always("given back, the sale sums to nothing", |_, world: &World| {
            let accounts: [fn(&Account) -> bool; 3] = [
                |account| *account == Account::Stripe,
                |account| *account == Account::PlatformFee,
                |account| matches!(account, Account::Creator(_)),
            ];
            !matches!(&world.run, State::Refunded { returns, .. } if is_there(returns))
                // It failed, and was given back without the creator's part.
                || world.refunds.len() > 1
                || accounts.into_iter().all(|account| world.balance(account) == 0)
        }),
        Property::always("what is waited for is on its way", |_, world: &World| {
            match Checkout::standing(&world.run) {
                Standing::Waiting(_) => world.timer || !world.calls.is_empty() || world.case,
                Standing::Done | Standing::Cancelled => !world.timer,
            }
        }),
        Property::always("a timer is not set in vain", |_, world: &World| {
            !world.timer || Checkout::step(&world.run, &Event::TimerFired, START).is_ok()
        }),
        Property::always("left alone, it agrees with Stripe", |_, world: &World| {
            world.untold || agrees_with_stripe(&world.left_alone())
        }),
    ]
}

/// Where nothing is on its way any more.
fn agrees_with_stripe(world: &World) -> bool {
    match &world.session {
        None | Some(Outcome::PaymentFailed | Outcome::Expired) => is_closed(&world.run),
        Some(Outcome::Open) => matches!(world.run, State::AwaitingPayment { .. }),
        Some(Outcome::Unpaid) => matches!(world.run, State::AwaitingFunds { .. }),
        Some(Outcome::Paid(_)) => match &world.run {
            State::Settled { .. } => world.holder == Some(Holder::Us),
            State::Refunded { .. } => world.gave_back(),
            State::Quarantined { .. } => world.case,
            _ => false,
        },
    }
}

fn sometimes(setting: Setting) -> Vec<Property<CheckoutModel>> {
    let settled = |_: &CheckoutModel, world: &World| matches!(world.run, State::Settled { .. });
    let settled = Property::sometimes("settled", settled);
    let awaiting_funds = Property::sometimes("the money is on its way", |_, world: &World| {
        matches!(world.run, State::AwaitingFunds { .. })
    });
    let confirming = Property::sometimes("asked again after it was closed", |_, world: &World| {
        matches!(world.run, State::Confirming { .. })
    });
    let refunded = Property::sometimes("refunded", |_, world: &World| {
        matches!(world.run, State::Refunded { .. })
    });
    let quarantined = Property::sometimes("a person decides", |_, world: &World| {
        matches!(world.run, State::Quarantined { .. })
    });
    match setting {
        Setting::Plain => vec![
            settled,
            awaiting_funds,
            Property::sometimes("expired", |_, world: &World| {
                matches!(world.run, State::Expired { .. })
            }),
            Property::sometimes("failed", |_, world: &World| {
                matches!(world.run, State::Failed { .. })
            }),
            Property::sometimes("called off", |_, world: &World| {
                matches!(world.run, State::Cancelled { .. })
            }),
            Property::sometimes("closed with the seller's account", |_, world: &World| {
                matches!(world.run, State::Cancelled { why: Why::SellerLost, .. })
            }),
            Property::sometimes("settled though called off", |_, world: &World| {
                matches!(world.run, State::Expiring { .. }) && world.payment().is_some()
            }),
        ],
        Setting::Interest => vec![
            settled,
            refunded,
            Property::sometimes("withdrawn after it was granted", |_, world: &World| {
                world.holder == Some(Holder::Us) && !world.interested
            }),
        ],
        Setting::Rival => vec![
            settled,
            refunded,
            quarantined,
            Property::sometimes(
                "a refund takes its time",
                |_, world: &World| matches!(&world.run, State::Refunded { returns, .. } if !is_there(returns)),
            ),
        ],
        Setting::Mismatch => vec![quarantined, refunded],
        Setting::Contradiction => vec![settled, confirming],
    }
}
