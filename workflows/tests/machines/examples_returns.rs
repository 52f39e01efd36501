//! Examples of money that comes back: wishes, refunds, disputes, and what is read of a charge.

use workflows::{
    Timestamp, checkout, dispute,
    effect::{FeeReturn, TransferReturn},
    id::RefundId,
    ledger::{Sale, Share},
    money::{Currency, Money},
    record::RefundReason,
    refund::{self, AccessAfter, Rejection, Wish},
    stripe::{Charge, Dispute, DisputeStatus, Refund, RefundStatus, Transfer, TransferReversal},
};

use crate::examples::{Example, FEE, PRICE, START, example, failure, refund, sale, uuid};

/// What Stripe keeps for a dispute, minor units.
pub const DISPUTE_FEE: i64 = 1_500;

pub fn refund_id() -> RefundId {
    RefundId(uuid(10))
}

pub fn wish_of(sale: Sale, refund: RefundId, amount: Option<i64>) -> Wish {
    Wish {
        refund,
        sale,
        amount,
        expected: None,
        reason: RefundReason::RequestedByCustomer,
        access: AccessAfter::Kept,
        by: Some("user_1".to_owned()),
    }
}

/// A wish for a part of the price, or for all that is left.
pub fn wish(amount: Option<i64>) -> Wish {
    wish_of(sale(PRICE, FEE), refund_id(), amount)
}

pub fn reserve(wish: Wish) -> checkout::Event {
    checkout::Event::ReserveRefund(Box::new(wish))
}

/// The refund that was asked for here.
pub fn asked_for(asked: RefundId, id: &str, amount: i64, status: RefundStatus) -> Refund {
    Refund { asked: Some(asked), ..by_hand(id, amount, status) }
}

/// One that was made in Stripe's dashboard.
pub fn by_hand(id: &str, amount: i64, status: RefundStatus) -> Refund {
    let reason = match status {
        RefundStatus::Pending => Some("insufficient_funds".to_owned()),
        RefundStatus::Failed => Some("lost_or_stolen_card".to_owned()),
        RefundStatus::Succeeded | RefundStatus::Canceled => None,
    };
    Refund { reason, ..refund(id, amount, status) }
}

/// A dispute whose money was taken as soon as the bank did not only ask, and is back as soon as it is won.
pub fn disputed(amount: i64, status: DisputeStatus) -> Dispute {
    use DisputeStatus as S;
    let taken = !matches!(status, S::Inquiry | S::Closed);
    let (withdrawn, fee) = if taken { (amount, DISPUTE_FEE) } else { (0, 0) };
    let back = status == S::Won;
    Dispute {
        id: "dp_1".to_owned(),
        amount,
        status,
        reason: "fraudulent".to_owned(),
        withdrawn,
        fee,
        reinstated: if back { withdrawn } else { 0 },
        fee_reinstated: if back { fee } else { 0 },
        currency: Currency::USD,
        evidence_due: Some(START.plus(7 * Timestamp::DAY)),
    }
}

/// A part of a transfer that came back for a refund or a dispute.
pub fn reversal(id: &str, amount: i64, cause: &str) -> TransferReversal {
    TransferReversal { id: id.to_owned(), amount, cause: Some(cause.to_owned()) }
}

/// A transfer of so much, of which that came back.
pub fn transfer(id: &str, amount: i64, reversals: Vec<TransferReversal>) -> Transfer {
    Transfer { id: id.to_owned(), amount, currency: Currency::USD, cause: None, reversals }
}

/// A charge of so much, of which so much came back from creator and fee, for the first refund or dispute.
pub fn charge(paid: i64, refunds: Vec<Refund>, disputes: Vec<Dispute>, back: Share) -> Charge {
    let causes = refunds.iter().map(|one| &one.id).chain(disputes.iter().map(|one| &one.id));
    let cause = causes.into_iter().next().filter(|_| back.reversed > 0);
    let reversals = cause.map(|cause| reversal("trr_1", back.reversed, cause));
    let transfer = transfer("tr_1", paid, reversals.into_iter().collect());
    Charge {
        id: "ch_1".to_owned(),
        currency: Currency::USD,
        refunds,
        disputes,
        transfer: Some(transfer),
        again: Vec::new(),
        fee_returned: back.fee,
    }
}

pub fn read(reading: u32, charge: Charge) -> checkout::Event {
    let payment_intent = "pi_1".to_owned();
    checkout::Event::ChargeRetrieved { payment_intent, reading, charge: Box::new(charge) }
}

/// What may be read of a payment, with what a diagram says of it.
fn charges() -> Vec<(&'static str, Charge)> {
    let refunded = |id, amount, back, status| {
        let refund = asked_for(refund_id(), id, amount, status);
        charge(PRICE, vec![refund], Vec::new(), back)
    };
    let disputed = |status, back| charge(PRICE, Vec::new(), vec![disputed(PRICE, status)], back);
    let (part, all) = (Share { reversed: 500, fee: 25 }, Share { reversed: PRICE, fee: FEE });
    let none = Share::default();
    vec![
        ("nothing", charge(PRICE, Vec::new(), Vec::new(), none)),
        ("a part given back", refunded("re_2", 500, part, RefundStatus::Succeeded)),
        ("all given back", refunded("re_1", PRICE, all, RefundStatus::Succeeded)),
        ("all on its way back", refunded("re_1", PRICE, all, RefundStatus::Pending)),
        ("refund failed", refunded("re_1", PRICE, all, RefundStatus::Failed)),
        ("disputed", disputed(DisputeStatus::NeedsResponse, none)),
        ("dispute won", disputed(DisputeStatus::Won, all)),
        ("dispute lost", disputed(DisputeStatus::Lost, all)),
    ]
}

pub fn checkout_returns_events() -> Vec<Example<checkout::Event>> {
    use checkout::Event as E;
    let dispute = || "dp_1".to_owned();
    let mut events = vec![
        example("", E::ReturnsChanged),
        example("", reserve(wish(Some(500)))),
        example("", E::ReleaseRefund { refund: refund_id() }),
        example(
            "",
            E::ReversalRefused {
                cause: dispute(),
                transfer: "tr_1".to_owned(),
                failure: failure("balance_insufficient"),
            },
        ),
        example("", E::TransferRefused { cause: dispute(), failure: failure("account_closed") }),
        example("", E::FraudWarning { warning: "issfr_1".to_owned() }),
    ];
    for reading in 1..=2 {
        let all = charges().into_iter();
        events.extend(all.map(|(qualifier, charge)| example(qualifier, read(reading, charge))));
        let failure = failure("api_error");
        let payment_intent = "pi_1".to_owned();
        events.push(example("", E::ChargeUnreadable { payment_intent, reading, failure }));
    }
    events
}

/// What the purchase says when it has set money aside.
pub fn reserved(amount: i64) -> refund::Event {
    refund::Event::Reserved {
        amount: Money::new(amount, Currency::USD),
        payment_intent: "pi_1".to_owned(),
        fee: FeeReturn::Returned,
        transfer: TransferReturn::Returned,
    }
}

pub fn refund_events() -> Vec<Example<refund::Event>> {
    use refund::Event as E;
    let at_stripe = |status| asked_for(refund_id(), "re_1", 500, status);
    let mut events = vec![
        example("", E::Request(Box::new(wish(Some(500))))),
        example("", reserved(500)),
        example("NotPaid", E::Rejected(Rejection::NotPaid)),
        example("DisputeOpen", E::Rejected(Rejection::DisputeOpen)),
        example("ExceedsRefundable", E::Rejected(Rejection::ExceedsRefundable { refundable: 250 })),
        example("Changed", E::Rejected(Rejection::Changed { refundable: 250 })),
        example("", E::Made(at_stripe(RefundStatus::Succeeded))),
        example("", E::Refused(failure("charge_disputed"))),
        example("", E::Cancel),
        example("", E::TimerFired),
    ];
    for status in [
        RefundStatus::Pending,
        RefundStatus::Succeeded,
        RefundStatus::Failed,
        RefundStatus::Canceled,
    ] {
        let qualifier: &'static str = status.into();
        events.push(example(qualifier, E::Reported(at_stripe(status))));
    }
    events
}

pub fn dispute_reported(facts: Dispute) -> dispute::Event {
    dispute::Event::Reported { sale: Box::new(sale(PRICE, FEE)), facts }
}

pub fn dispute_events() -> Vec<Example<dispute::Event>> {
    use DisputeStatus as S;
    let mut events =
        vec![example("", dispute::Event::Cancel), example("", dispute::Event::TimerFired)];
    for status in [S::Inquiry, S::NeedsResponse, S::UnderReview, S::Won, S::Lost, S::Closed] {
        let qualifier: &'static str = status.into();
        events.push(example(qualifier, dispute_reported(disputed(PRICE, status))));
    }
    let not_back = Dispute { reinstated: 0, fee_reinstated: 0, ..disputed(PRICE, S::Won) };
    events.push(example("Won, money not back", dispute_reported(not_back)));
    events
}

/// Another wish for the same purchase.
pub fn other_refund_id() -> RefundId {
    RefundId(uuid(11))
}
