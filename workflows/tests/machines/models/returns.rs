//! Money that comes back: what purchase, refunds and dispute promise together, in several worlds.

use stateright::{Model, Property};
use workflows::{
    checkout::{self, Checkout, State},
    effect::{Effect, TransferReturn},
    id::RefundId,
    refund::{self, AccessAfter},
    stripe::{DisputeStatus, Refund, RefundStatus},
    workflow::{Standing, Workflow},
};

use super::{
    check,
    returns_world::{PAID, Pace, World},
};
use crate::examples_returns::{by_hand, other_refund_id, refund_id};

/// What happens in a world.
#[derive(Clone, Copy)]
struct Setting {
    /// Refunds that may be asked for here, minor units each.
    wishes: &'static [(i64, AccessAfter)],
    /// Refunds that may be made in Stripe's dashboard.
    by_hand: &'static [(i64, TransferReturn)],
    /// How a dispute may begin.
    disputes: &'static [DisputeStatus],
    /// Whose access it is.
    grant: Grant,
    may: &'static [May],
    messages: Messages,
}

/// How long our own messages take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Messages {
    AtOnce,
    AnyTime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    Ours,
    /// Another purchase had it: the whole payment goes back.
    Lost,
}

/// What may go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// A refund is on its way for a while, and may then fail.
    TakeTime,
    /// A refund that had succeeded fails.
    FailLate,
    /// Calls are refused for good.
    BeRefused,
    /// A person discards a call that had been performed.
    BeDiscarded,
    /// The charge cannot be read.
    BeUnreadable,
    /// The timer fires.
    BeLate,
}

const NOTHING: Setting = Setting {
    wishes: &[],
    by_hand: &[],
    disputes: &[],
    grant: Grant::Ours,
    may: &[],
    messages: Messages::AnyTime,
};
const KEPT: AccessAfter = AccessAfter::Kept;
const REVOKED: AccessAfter = AccessAfter::Revoked;
const REVERSED: TransferReturn = TransferReturn::Returned;

struct Returns(Setting);

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Wish(usize),
    Deliver(usize),
    Perform(usize, Pace),
    Fail(usize),
    Discard(usize),
    Answer(usize),
    Webhook(checkout::Event),
    Timer,
    ByHand(usize),
    Settle(usize, RefundStatus),
    Dispute(DisputeStatus),
    Reinstate,
}

/// Two wishes of 60 of 100, one of which ends the access.
#[test]
fn two_wishes() {
    let (wishes, may) = (&[(60, KEPT), (60, REVOKED)], &[May::BeRefused, May::BeLate]);
    check("returns, two wishes", Returns(Setting { wishes, may, ..NOTHING }));
}

/// A wish for the whole that takes its time, fails, or fails after it had succeeded.
#[test]
fn slow() {
    let may = &[May::TakeTime, May::FailLate, May::BeLate];
    check("returns, slow", Returns(Setting { wishes: &[(PAID, KEPT)], may, ..NOTHING }));
}

/// A call that was performed, and then discarded.
#[test]
fn discarded() {
    let may = &[May::BeDiscarded, May::BeUnreadable, May::BeLate];
    check("returns, discarded", Returns(Setting { wishes: &[(60, REVOKED)], may, ..NOTHING }));
}

/// One wish, and a refund in Stripe's dashboard at the same time.
#[test]
fn by_hand_too() {
    let (wishes, by_hand) = (&[(41, KEPT)], &[(60, REVERSED)]);
    let may = &[May::TakeTime, May::BeUnreadable];
    check("returns, by hand", Returns(Setting { wishes, by_hand, may, ..NOTHING }));
}

/// Refunds in Stripe's dashboard only, with the creator's part and without.
#[test]
fn by_hand_only() {
    let by_hand = &[(67, REVERSED), (33, TransferReturn::Apart)];
    let may = &[May::FailLate, May::BeRefused];
    check("returns, by hand only", Returns(Setting { by_hand, may, ..NOTHING }));
}

/// A dispute of all, after or while a part is given back.
#[test]
fn dispute() {
    let (wishes, disputes) = (&[(30, KEPT)], &[DisputeStatus::NeedsResponse]);
    check("returns, dispute", Returns(Setting { wishes, disputes, ..NOTHING }));
}

/// All of it at once: two wishes, a refund by hand and a dispute; our own messages take no time.
#[test]
fn everything() {
    let (wishes, by_hand) = (&[(60, KEPT), (60, REVOKED)], &[(30, REVERSED)]);
    let disputes = &[DisputeStatus::NeedsResponse];
    let messages = Messages::AtOnce;
    check(
        "returns, everything",
        Returns(Setting { wishes, by_hand, disputes, messages, ..NOTHING }),
    );
}

/// What failed is given back once more, from the creator's second transfer.
#[test]
fn passed_on_and_taken_back() {
    let (wishes, by_hand) = (&[(60, KEPT)], &[(PAID, REVERSED)]);
    let may = &[May::FailLate, May::BeRefused];
    check(
        "returns, passed on and taken back",
        Returns(Setting { wishes, by_hand, may, ..NOTHING }),
    );
}

/// What failed is disputed.
#[test]
fn passed_on_and_disputed() {
    let (by_hand, disputes) = (&[(60, REVERSED)], &[DisputeStatus::NeedsResponse]);
    let may = &[May::FailLate, May::BeDiscarded];
    check(
        "returns, passed on and disputed",
        Returns(Setting { by_hand, disputes, may, ..NOTHING }),
    );
}

/// The bank asks first; and a refund is made by hand, and may fail.
#[test]
fn inquiry() {
    let (by_hand, disputes) = (&[(45, REVERSED)], &[DisputeStatus::Inquiry]);
    let may = &[May::FailLate];
    check("returns, inquiry", Returns(Setting { by_hand, disputes, may, ..NOTHING }));
}

/// A dispute that may be over when it is first heard of, and calls that fail.
#[test]
fn dispute_over() {
    let disputes = &[DisputeStatus::NeedsResponse, DisputeStatus::Won, DisputeStatus::Lost];
    let may = &[May::BeRefused, May::BeDiscarded, May::BeUnreadable, May::BeLate];
    check("returns, dispute over", Returns(Setting { disputes, may, ..NOTHING }));
}

/// The second payment for a page goes back, though a part of it was given back by hand.
#[test]
fn duplicate() {
    let (grant, by_hand) = (Grant::Lost, &[(60, REVERSED)]);
    let may = &[May::TakeTime, May::BeRefused];
    check("returns, duplicate", Returns(Setting { by_hand, grant, may, ..NOTHING }));
}

/// The second payment for a page is disputed.
#[test]
fn duplicate_disputed() {
    let (grant, disputes) = (Grant::Lost, &[DisputeStatus::NeedsResponse]);
    let messages = Messages::AtOnce;
    check(
        "returns, duplicate, disputed",
        Returns(Setting { disputes, grant, messages, ..NOTHING }),
    );
}

impl Setting {
    fn may(&self, what: May) -> bool {
        self.may.contains(&what)
    }

    /// The refund that a wish is.
    fn refund(nth: usize) -> RefundId {
        [refund_id(), other_refund_id()][nth]
    }

    fn about_calls(&self, world: &World, actions: &mut Vec<Action>) {
        for (nth, call) in world.calls.iter().enumerate() {
            if call.answer.is_some() {
                actions.push(Action::Answer(nth));
                continue;
            }
            actions.push(Action::Perform(nth, Pace::AtOnce));
            match &call.effect {
                Effect::RetrieveCharge { .. } => {
                    if self.may(May::BeUnreadable) {
                        actions.push(Action::Fail(nth));
                    }
                    continue;
                }
                Effect::CreateRefund { .. } if self.may(May::TakeTime) => {
                    actions.push(Action::Perform(nth, Pace::Slowly));
                }
                _ => {}
            }
            if self.may(May::BeRefused) {
                actions.push(Action::Fail(nth));
            }
            if self.may(May::BeDiscarded) {
                actions.push(Action::Discard(nth));
            }
        }
    }

    fn at_stripe(&self, world: &World, actions: &mut Vec<Action>) {
        let made = |amount: i64| {
            let by_hand = world.stripe.refunds.iter().filter(|refund| refund.asked.is_none());
            by_hand.into_iter().any(|refund| refund.amount == amount)
        };
        for (nth, (amount, _)) in self.by_hand.iter().enumerate() {
            if !made(*amount) {
                actions.push(Action::ByHand(nth));
            }
        }
        for (nth, refund) in world.stripe.refunds.iter().enumerate() {
            match refund.status {
                RefundStatus::Pending => {
                    let ends = [RefundStatus::Succeeded, RefundStatus::Failed];
                    actions.extend(ends.map(|status| Action::Settle(nth, status)));
                }
                RefundStatus::Succeeded if self.may(May::FailLate) => {
                    actions.push(Action::Settle(nth, RefundStatus::Failed));
                }
                RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::Canceled => {}
            }
        }
        use DisputeStatus as D;
        let next: &[D] = match world.stripe.dispute.as_ref().map(|dispute| dispute.status) {
            None => self.disputes,
            Some(D::Inquiry) => &[D::NeedsResponse, D::Closed],
            Some(D::NeedsResponse) => &[D::Won, D::Lost],
            Some(D::UnderReview | D::Won | D::Lost | D::Closed) => &[],
        };
        actions.extend(next.iter().copied().map(Action::Dispute));
        if world.stripe.dispute_is(D::Won) && world.stripe.held() > 0 {
            actions.push(Action::Reinstate);
        }
    }

    /// Everything that Stripe has sent and that may still arrive. What tells of the past only is represented by
    /// a refund's having been on its way, and by any word of a dispute: both lead to a reading.
    fn webhooks(&self, world: &World) -> Vec<checkout::Event> {
        let mut events = Vec::new();
        for refund in &world.stripe.refunds {
            events.push(checkout::Event::RefundReported(refund.clone()));
            if self.may(May::TakeTime) && refund.status != RefundStatus::Pending {
                let status = RefundStatus::Pending;
                events.push(checkout::Event::RefundReported(Refund { status, ..refund.clone() }));
            }
        }
        events.extend(world.stripe.dispute.iter().map(|_| checkout::Event::ReturnsChanged));
        events
    }
}

impl Model for Returns {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![match self.0.grant {
            Grant::Ours => World::settled(),
            Grant::Lost => World::duplicate(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for nth in 0..self.0.wishes.len() {
            if !world.refunds.contains_key(&Setting::refund(nth)) {
                actions.push(Action::Wish(nth));
            }
        }
        actions.extend(world.next_messages().into_iter().map(Action::Deliver));
        self.0.about_calls(world, actions);
        self.0.at_stripe(world, actions);
        actions.extend(self.0.webhooks(world).into_iter().map(Action::Webhook));
        // One call more than a reading that was given up shows all that more would.
        if world.timer.is_some() && self.0.may(May::BeLate) && world.calls.len() < 3 {
            actions.push(Action::Timer);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Wish(nth) => {
                let (amount, access) = self.0.wishes[nth];
                world.wish(Setting::refund(nth), amount, access);
            }
            Action::Deliver(nth) => world.deliver(nth),
            Action::Perform(nth, pace) => world.perform(nth, pace),
            Action::Fail(nth) => world.fail(nth),
            Action::Discard(nth) => world.discard(nth),
            Action::Answer(nth) => world.answer(nth),
            Action::Webhook(event) => {
                world.tell_purchase(&event);
            }
            Action::Timer => {
                world.fire();
            }
            Action::ByHand(nth) => {
                let (amount, part) = self.0.by_hand[nth];
                let made = world.stripe.refund(None, amount, RefundStatus::Succeeded, part);
                made.ok()?;
                world.untold = true;
            }
            Action::Settle(nth, status) => {
                // A refund of which nothing was known to be on its way is told by a webhook only.
                let was = world.stripe.refunds[nth].status;
                world.untold |= was == RefundStatus::Succeeded;
                world.stripe.settle_refund(nth, status);
            }
            Action::Dispute(status) => {
                world.untold |= world.stripe.dispute.is_none();
                world.stripe.dispute(status);
            }
            Action::Reinstate => world.stripe.reinstate(),
        }
        while self.0.messages == Messages::AtOnce && !world.messages.is_empty() {
            world.deliver(0);
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = always();
        properties.extend(sometimes(self.0));
        properties
    }
}

fn always() -> Vec<Property<Returns>> {
    vec![
        Property::always("never more is given back than was paid", |_, world: &World| {
            world.stripe.given_back() <= PAID
        }),
        Property::always("every posting is balanced", |_, world: &World| !world.broken.unbalanced),
        Property::always("one posting for each object of Stripe's", |_, world: &World| {
            !world.broken.posted_again
        }),
        Property::always("states never move backwards", |_, world: &World| !world.broken.went_back),
        Property::always("of a transfer is taken back once for each cause", |_, world: &World| {
            !world.broken.taken_back_twice
        }),
        Property::always("a refused wish never touches Stripe", |_, world: &World| {
            !world.broken.refused_wish_at_stripe
        }),
        Property::always("Stripe is asked once for each wish", |_, world: &World| {
            !world.broken.wish_at_stripe_twice
        }),
        Property::always("what is set aside can be given back", |_, world: &World| {
            set_aside_fits(world)
        }),
        Property::always("a timer is set to what is to come", |_, world: &World| {
            !world.broken.timer_in_the_past
        }),
        Property::always("a timer is not set in vain", |_, world: &World| {
            world.timer.is_none() || world.clone().fire()
        }),
        Property::always("what is waited for is on its way", |_, world: &World| {
            is_on_its_way(world)
        }),
        Property::always("left alone, all agrees with Stripe", |_, world: &World| {
            world.untold || world.left_alone().disagreement().is_none()
        }),
    ]
}

/// As far as the purchase knows what was given back.
fn set_aside_fits(world: &World) -> bool {
    let (State::Settled { returns, .. } | State::PartlyRefunded { returns, .. }) = &world.purchase
    else {
        return true;
    };
    let aside: i64 = returns.reserved.iter().map(|one| one.amount).sum();
    let known = returns.refunds.iter().filter(|known| known.asked.is_some());
    let known: i64 = known.filter(|known| known.status.counts()).map(|known| known.amount).sum();
    aside + known <= PAID
}

fn is_on_its_way(world: &World) -> bool {
    let under_way = !world.calls.is_empty() || !world.messages.is_empty();
    let purchase = match (&world.purchase, Checkout::standing(&world.purchase)) {
        (State::Quarantined { .. }, _) => !world.cases.is_empty(),
        (_, Standing::Waiting(_)) => world.timer.is_some() || under_way,
        (_, Standing::Done | Standing::Cancelled) => world.timer.is_none(),
    };
    let waits =
        |state: &refund::State| matches!(refund::Refund::standing(state), Standing::Waiting(_));
    let refunds = !world.refunds.values().any(waits) || world.timer.is_some() || under_way;
    purchase && refunds
}

fn sometimes(setting: Setting) -> Vec<Property<Returns>> {
    let mut properties = Vec::new();
    if setting.wishes.len() == 2 {
        properties.push(Property::sometimes("a wish is refused", |_, world: &World| {
            let rejected = |state| matches!(state, &refund::State::Rejected { .. });
            world.refunds.values().any(rejected)
        }));
    }
    if !setting.disputes.is_empty() {
        properties.extend([
            Property::sometimes("won, and whole again", |_, world: &World| {
                world.stripe.dispute_is(DisputeStatus::Won)
                    && world.stripe.transferred() > 0
                    && world.ledger.due == 0
            }),
            Property::sometimes("charged back", |_, world: &World| {
                matches!(world.purchase, State::ChargedBack { .. })
            }),
        ]);
    }
    if setting.may(May::TakeTime) || setting.may(May::FailLate) {
        properties.push(Property::sometimes("given again what was taken", |_, world: &World| {
            world.stripe.is(RefundStatus::Failed) && world.stripe.transferred() > 0
        }));
    }
    if setting.grant == Grant::Lost {
        properties.push(Property::sometimes("a person decides", |_, world: &World| {
            matches!(world.purchase, State::Quarantined { .. })
        }));
    }
    properties
}

/// What the model calls the same refund is the same.
#[test]
fn stripe_rounds_over_all_parts() {
    let mut stripe = super::returns_stripe::Stripe::new(100, 7);
    for (amount, fee) in [(33, 2), (33, 5), (34, 7)] {
        stripe.refund(None, amount, RefundStatus::Succeeded, REVERSED).unwrap();
        assert_eq!(stripe.fee_returned, fee);
    }
    assert_eq!(stripe.refunds[0], by_hand("re_1", 33, RefundStatus::Succeeded));
}
