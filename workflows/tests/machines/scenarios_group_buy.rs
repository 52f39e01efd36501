//! What can happen to a group buy, and to a purchase that needs an interest in it.

use uuid::Uuid;
use workflows::{
    checkout::{Checkout, Event as C},
    effect::{Effect, Mail},
    group_buy::{Event as E, GroupBuy, News, Outcome, Refusal, State, Telling},
    id::{RefundId, VisitorId},
    ledger::Share,
    record::RefundReason,
    refund::{self, Refund, Wish},
    stripe::RefundStatus,
    workflow::Workflow,
};

use crate::{
    examples::{
        FEE, PRICE, START, checkout_id, failure, group_buy, paid, reported, request,
        request_of_the_interested, sale,
    },
    examples_returns::{asked_for, charge, read, reserved, wish_of},
    scenarios::check,
};

const ACTIVATED: &str = "Activated: seal_activation, list_interested";
const KNOWN: &str = "refused: that the target was reached is known";

fn create() -> E {
    E::Create { group_buy: group_buy() }
}

fn publish() -> E {
    E::Publish { deadline: Some(START) }
}

fn ended(outcome: Outcome, through: i64) -> E {
    E::Ended { outcome, through }
}

fn listed(visitors: &[u128], after: Option<i64>) -> E {
    let visitors = visitors.iter().map(|n| VisitorId(Uuid::from_u128(*n))).collect();
    E::InterestedListed { visitors, after }
}

#[test]
fn s35_the_target_is_reached_once() {
    check::<GroupBuy>(&[
        (create(), "Draft"),
        (publish(), "Collecting"),
        (E::ThresholdReached { through: 7 }, ACTIVATED),
        (E::ThresholdReached { through: 7 }, KNOWN),
        (ended(Outcome::Activated, 7), KNOWN),
        (ended(Outcome::Refused(Refusal::Lapsed), 7), "refused: Ended means nothing in Activated"),
        (E::Cancel, "refused: Cancel means nothing in Activated"),
        (E::TimerFired, "refused: TimerFired means nothing in Activated"),
    ]);
}

#[test]
fn s35_the_target_is_reached_at_the_deadline() {
    // Whoever holds the row first decides; the other hears of it.
    check::<GroupBuy>(&[
        (create(), "Draft"),
        (publish(), "Collecting"),
        (E::TimerFired, "Ending: end_group_buy"),
        (E::ThresholdReached { through: 7 }, ACTIVATED),
        (ended(Outcome::Activated, 7), KNOWN),
    ]);
    check::<GroupBuy>(&[
        (create(), "Draft"),
        (publish(), "Collecting"),
        (E::TimerFired, "Ending: end_group_buy"),
        (E::EndFailed(failure("discarded")), "Ending"),
        (E::TimerFired, "Ending: end_group_buy"),
        (ended(Outcome::Refused(Refusal::Lapsed), 7), "Lapsed: list_interested"),
        (listed(&[1], None), "Lapsed: mail group_buy"),
    ]);
}

#[test]
fn everybody_is_told_once_in_pages() {
    check::<GroupBuy>(&[
        (create(), "Draft"),
        (publish(), "Collecting"),
        (ended(Outcome::Refused(Refusal::Cancelled), 9), "Cancelled: list_interested"),
        (listed(&[1, 2], Some(4)), "Cancelled: mail group_buy, mail group_buy, list_interested"),
        (listed(&[1, 2], Some(4)), "refused: this page was told before"),
        (listed(&[3], None), "Cancelled: mail group_buy"),
        (listed(&[3], None), "refused: everybody was told"),
        (E::ListFailed(failure("discarded")), "refused: everybody was told"),
    ]);
    // Nobody was interested.
    check::<GroupBuy>(&[
        (create(), "Draft"),
        (ended(Outcome::Refused(Refusal::Cancelled), 0), "Cancelled"),
    ]);
}

#[test]
fn a_page_says_who_is_told_what_and_where_the_next_one_begins() {
    let state = State::Lapsed {
        group_buy: group_buy(),
        telling: Telling::UnderWay { after: 3, through: 9, told: 2 },
    };
    let step = GroupBuy::step(&state, &listed(&[1], Some(5)), START).unwrap();
    let (group_buy, visitor) = (group_buy(), VisitorId(Uuid::from_u128(1)));
    let mail = Mail::GroupBuy { group_buy, visitor, news: News::Lapsed };
    let next = Effect::ListInterested { group_buy, after: 5, through: 9 };
    assert_eq!(step.effects, [Effect::SendMail(mail), next]);
    let telling = Telling::UnderWay { after: 5, through: 9, told: 3 };
    assert_eq!(step.state, State::Lapsed { group_buy, telling });
}

const CREATING: &str = "CreatingSession: create_checkout_session";
const SETTLED: &str = "Settled: mail receipt / know pi_1, post paid:pi_1, grant PAID, row SETTLED";

fn lost() -> C {
    C::InterestLost { group_buy: group_buy() }
}

fn withdrawn_id() -> RefundId {
    RefundId::of(checkout_id(), "interest_withdrawn")
}

#[test]
fn s37_what_needs_a_withdrawn_interest_is_given_back() {
    let refund = asked_for(withdrawn_id(), "re_1", PRICE, RefundStatus::Succeeded);
    let given_back = charge(PRICE, vec![refund], Vec::new(), Share { reversed: PRICE, fee: FEE });
    check::<Checkout>(&[
        (request_of_the_interested(), CREATING),
        (reported(paid()), SETTLED),
        (lost(), "RefundingDuplicate: / row SETTLED, tell refund Request"),
        (lost(), "refused: InterestLost means nothing in RefundingDuplicate"),
        (C::ReturnsChanged, "RefundingDuplicate: retrieve_charge"),
        (
            read(1, given_back),
            "Refunded: / know tr_1, post refund:re_1, tell refund Reported, row REFUNDED",
        ),
    ]);
    // It cost nothing.
    check::<Checkout>(&[
        (request(0, 0), "Settled: / grant FREE, row SETTLED"),
        (lost(), "Failed: / row FAILED"),
        (lost(), "refused: InterestLost means nothing in Failed"),
    ]);
}

#[test]
fn s37_the_buyer_hears_why() {
    let reason = RefundReason::InterestWithdrawn;
    let wish = Wish { reason, by: None, ..wish_of(sale(PRICE, FEE), withdrawn_id(), None) };
    let now = asked_for(withdrawn_id(), "re_1", PRICE, RefundStatus::Succeeded);
    check::<Refund>(&[
        (
            refund::Event::Request(Box::new(wish)),
            "Reserving: / refund REQUESTED, tell checkout ReserveRefund",
        ),
        (reserved(PRICE), "AtStripe: create_refund / refund REQUESTED"),
        (refund::Event::Reported(now), "Succeeded: mail interest_refunded / refund SUCCEEDED"),
    ]);
}
