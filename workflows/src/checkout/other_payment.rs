//! Another payment of a purchase that was paid already: it is posted for a person, who gives it back at Stripe. What
//! comes back of it is read and posted like what comes back of the first; access and state follow the first alone.

use super::{
    Event, State,
    paid::{Paid, of_payment, paid_of, stay, with},
    returns::{OtherPayment, Returns},
};
use crate::{
    ledger::{self, Kind},
    record::{CaseKind, OperatorCase, Record},
    stripe::Payment,
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// Whose an event is.
enum Whose {
    /// The payment's that the purchase was settled by.
    First,
    /// Another one's.
    Other(usize),
    /// It does not say.
    Anybodys,
}

/// The same payment once more means nothing. Another one is posted for a person.
pub(super) fn paid_again(
    state: &State,
    mut known: Paid,
    paid: &Payment,
) -> Result<Step<State>, Refused> {
    let others = known.returns.others.iter().map(|other| &other.payment);
    if others.chain([&known.payment]).any(|payment| payment.intent == paid.intent) {
        return Err(Refused::because("this payment was settled before"));
    }
    let sale = &known.order.sale;
    let posting = ledger::paid(sale, Kind::Quarantined, &paid.intent, paid.amount, paid.currency);
    let case = OperatorCase {
        kind: CaseKind::AmountMismatch,
        key: paid.intent.clone(),
        detail: format!(
            "the purchase was paid a second time, beside {}: refund this payment at Stripe",
            known.payment.intent
        ),
    };
    let other = OtherPayment { payment: paid.clone(), returns: Returns::without_access() };
    known.returns.others.push(other);
    Ok(stay(&with(state, known.clone()), &known)
        .record(Record::StripeObject(paid.intent.clone()))
        .record(Record::Ledger(posting))
        .record(Record::OperatorCase(case)))
}

/// Where an event leads that may be about any of several payments.
pub(super) fn step(
    state: &State,
    paid: Paid,
    event: &Event,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    match whose(&paid, event) {
        Whose::First => of_payment(state, paid, event, at),
        Whose::Other(nth) => of_other(state, paid, nth, event, at),
        Whose::Anybodys => {
            let others = 0..paid.returns.others.len();
            let first = of_payment(state, paid, event, at);
            others.fold(first, |before, nth| along(state, before, nth, event, at))
        }
    }
}

fn whose(paid: &Paid, event: &Event) -> Whose {
    let others = &paid.returns.others;
    let other = match event {
        Event::RefundReported(refund) => {
            others.iter().position(|other| other.payment.intent == refund.payment_intent)
        }
        Event::ChargeRetrieved { payment_intent, .. }
        | Event::ChargeUnreadable { payment_intent, .. } => {
            others.iter().position(|other| other.payment.intent == *payment_intent)
        }
        Event::ReversalRefused { cause, .. } | Event::TransferRefused { cause, .. } => {
            others.iter().position(|other| other.returns.creator.is_under_way_for(cause))
        }
        Event::ReturnsChanged | Event::TimerFired => return Whose::Anybodys,
        _ => None,
    };
    other.map_or(Whose::First, Whose::Other)
}

/// A step of another payment, besides what a step before it has led to. One of both that is refused is left out.
fn along(
    state: &State,
    before: Result<Step<State>, Refused>,
    nth: usize,
    event: &Event,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    let now = before.as_ref().map_or(state, |step| &step.state);
    let Some(paid) = paid_of(now) else { return before };
    match (before.as_ref(), of_other(now, paid, nth, event, at)) {
        (Ok(before), Ok(step)) => Ok(Step {
            effects: [before.effects.clone(), step.effects].concat(),
            records: [before.records.clone(), step.records].concat(),
            ..step
        }),
        (Err(_), Ok(step)) => Ok(step),
        (_, Err(_)) => before,
    }
}

/// Another payment never gave access, and is no purchase of its own: its rows are not written.
fn of_other(
    state: &State,
    mut paid: Paid,
    nth: usize,
    event: &Event,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    let OtherPayment { payment, returns } = paid.returns.others[nth].clone();
    let (order, as_its_own) = (paid.order.clone(), payment.clone());
    let alone = State::Quarantined { order, payment, returns: returns.clone() };
    let other = Paid { order: paid.order.clone(), payment: as_its_own, returns };
    let Step { state: next, effects, mut records, .. } = of_payment(&alone, other, event, at)?;
    if let Some(next) = paid_of(&next) {
        paid.returns.others[nth].returns = next.returns;
    }
    records.retain(|record| !matches!(record, Record::Checkout(_) | Record::Access(_)));
    let stay = stay(&with(state, paid.clone()), &paid);
    Ok(Step { effects, records, ..stay })
}
