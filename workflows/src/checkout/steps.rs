//! Where a checkout goes and what it asks for on the way: each state with its effects and records.

use super::{Order, Request, State, Why};
use crate::{
    effect::{Effect, FeeReturn, Mail, SessionRequest},
    ledger::{self, Kind, Sale},
    money::Money,
    record::{CaseKind, CheckoutStatus, CheckoutUpdate, Grant, GrantKind, OperatorCase, Record},
    stripe::{BalanceTransaction, Outcome, Payment, Session},
    timestamp::Timestamp,
    workflow::{Refused, Step},
};

/// How long after a session should have closed the next look is, while no webhook comes.
pub(super) const LOOK_AGAIN: i64 = 15 * Timestamp::MINUTE;
/// Delayed payment methods take days.
pub(super) const LOOK_FOR_FUNDS: i64 = 12 * Timestamp::HOUR;

/// A price of zero never meets Stripe.
pub(super) fn give_away(order: Order) -> Step<State> {
    let granted = grant(&order, GrantKind::Free);
    let row = update(&order, CheckoutStatus::Settled);
    Step::to(State::Settled { order, payment: None }).record(granted).record(Record::Checkout(row))
}

pub(super) fn create_session(request: &Request) -> Step<State> {
    let (order, sale) = (request.order.clone(), &request.order.sale);
    let expires_at = request.expires_at;
    Step::to(State::CreatingSession { order, expires_at }).effect(Effect::CreateCheckoutSession(
        Box::new(SessionRequest {
            checkout: sale.checkout,
            account: sale.account.clone(),
            title: request.title.clone(),
            price: Money::new(sale.amount, sale.currency),
            fee: sale.fee,
            email: request.email.clone(),
            success_url: request.success_url.clone(),
            cancel_url: request.cancel_url.clone(),
            expires_at,
        }),
    ))
}

/// The timer is set a little after the session's end, so that the webhook usually comes first.
pub(super) fn await_payment(
    order: Order,
    session: &str,
    url: &str,
    expires_at: Timestamp,
) -> Step<State> {
    let row = CheckoutUpdate {
        session: Some(session.to_owned()),
        url: Some(url.to_owned()),
        ..update(&order, CheckoutStatus::Open)
    };
    Step::to(State::AwaitingPayment { order, session: session.to_owned(), expires_at })
        .record(Record::StripeObject(session.to_owned()))
        .record(Record::Checkout(row))
        .wake_at(expires_at.plus(Timestamp::MINUTE))
}

/// What a report of the session leads to, from any state in which the purchase is still open.
pub(super) fn reported(
    state: &State,
    order: Order,
    report: &Session,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    let ours = session_of(state).is_none_or(|session| session == report.id);
    match (&report.outcome, state) {
        (Outcome::Paid(payment), _) => Ok(settle(order, payment)),
        (_, _) if !ours => Err(Refused::because("this is another session of the same purchase")),
        (Outcome::Unpaid, State::AwaitingFunds { .. }) => {
            Err(Refused::because("the money is still on its way"))
        }
        (Outcome::Unpaid, _) => Ok(await_funds(order, &report.id, at)),
        (Outcome::PaymentFailed, _) => Ok(fail(order, "payment_failed")),
        (Outcome::Expired, State::AwaitingFunds { .. }) => {
            Err(Refused::because("the buyer was through before"))
        }
        (Outcome::Expired, State::Expiring { why, .. }) => Ok(cancelled(order, *why)),
        (Outcome::Expired, _) => Ok(expired(order)),
        (Outcome::Open, _) => Err(Refused::because("the session is still open")),
    }
}

fn session_of(state: &State) -> Option<&str> {
    match state {
        State::AwaitingPayment { session, .. }
        | State::AwaitingFunds { session, .. }
        | State::Expiring { session, .. }
        | State::Confirming { session, .. } => Some(session),
        _ => None,
    }
}

fn await_funds(order: Order, session: &str, at: Timestamp) -> Step<State> {
    let row = CheckoutUpdate {
        session: Some(session.to_owned()),
        ..update(&order, CheckoutStatus::Processing)
    };
    Step::to(State::AwaitingFunds { order, session: session.to_owned() })
        .record(Record::Checkout(row))
        .wake_at(at.plus(LOOK_FOR_FUNDS))
}

/// Paid: posted in any case, granted only if it is what was agreed.
pub(super) fn settle(order: Order, payment: &Payment) -> Step<State> {
    if !is_as_agreed(&order, payment) {
        return quarantine(order, payment);
    }
    let row = CheckoutUpdate {
        payment_intent: Some(payment.intent.clone()),
        ..update(&order, CheckoutStatus::Settled)
    };
    let posting =
        ledger::paid(&order.sale, Kind::Paid, &payment.intent, payment.amount, payment.currency);
    let granted = grant(&order, GrantKind::Paid);
    let receipt = Effect::SendMail(Mail::Receipt(order.sale.checkout));
    Step::to(State::Settled { order, payment: Some(payment.clone()) })
        .record(Record::StripeObject(payment.intent.clone()))
        .record(Record::Ledger(posting))
        .record(granted)
        .record(Record::Checkout(row))
        .effect(receipt)
}

fn is_as_agreed(order: &Order, payment: &Payment) -> bool {
    payment.amount == order.sale.amount && payment.currency == order.sale.currency
}

fn quarantine(order: Order, payment: &Payment) -> Step<State> {
    let agreed = Money::new(order.sale.amount, order.sale.currency);
    let paid = Money::new(payment.amount, payment.currency);
    let case = OperatorCase {
        kind: CaseKind::AmountMismatch,
        key: payment.intent.clone(),
        detail: format!(
            "{paid} was paid where {agreed} was agreed: grant access by hand, or refund the payment"
        ),
    };
    let row = CheckoutUpdate {
        payment_intent: Some(payment.intent.clone()),
        reason: Some("amount_mismatch".to_owned()),
        ..update(&order, CheckoutStatus::InReview)
    };
    let posting = ledger::paid(
        &order.sale,
        Kind::Quarantined,
        &payment.intent,
        payment.amount,
        payment.currency,
    );
    Step::to(State::Quarantined { order, payment: payment.clone() })
        .record(Record::StripeObject(payment.intent.clone()))
        .record(Record::Ledger(posting))
        .record(Record::Checkout(row))
        .record(Record::OperatorCase(case))
}

/// The same payment once more means nothing. Another payment of the same purchase is posted for a person.
pub(super) fn paid_again(
    state: &State,
    order: &Order,
    known: &Payment,
    paid: &Payment,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    if paid.intent == known.intent {
        return Err(Refused::because("this payment was settled before"));
    }
    let posting =
        ledger::paid(&order.sale, Kind::Quarantined, &paid.intent, paid.amount, paid.currency);
    let case = OperatorCase {
        kind: CaseKind::AmountMismatch,
        key: paid.intent.clone(),
        detail: format!(
            "the purchase was paid a second time, beside {}: refund this payment",
            known.intent
        ),
    };
    let stay = Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) };
    Ok(stay
        .record(Record::StripeObject(paid.intent.clone()))
        .record(Record::Ledger(posting))
        .record(Record::OperatorCase(case)))
}

pub(super) fn refund_duplicate(order: Order, payment: Payment) -> Step<State> {
    let fee = if order.sale.fee > 0 { FeeReturn::Returned } else { FeeReturn::NoFee };
    let refund = Effect::CreateRefund {
        payment_intent: payment.intent.clone(),
        amount: payment.amount,
        fee,
    };
    Step::to(State::RefundingDuplicate { order, payment, refund: None }).effect(refund)
}

/// A refund may take days. The timer reads it, in case the webhook is lost.
pub(super) fn refund_pending(
    order: Order,
    payment: Payment,
    refund: &str,
    at: Timestamp,
) -> Step<State> {
    Step::to(State::RefundingDuplicate { order, payment, refund: Some(refund.to_owned()) })
        .record(Record::StripeObject(refund.to_owned()))
        .wake_at(at.plus(LOOK_FOR_FUNDS))
}

pub(super) fn retrieve_refund(state: &State, refund: String, at: Timestamp) -> Step<State> {
    Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) }
        .effect(Effect::RetrieveRefund { refund })
}

/// Given back: as a duplicate, or by hand where what was paid was not what was agreed.
pub(super) fn refunded(order: Order, payment: Payment, refund: &str, at: Timestamp) -> Step<State> {
    let posting =
        ledger::refunded_in_full(&order.sale, refund, payment.amount, payment.currency, at);
    let duplicate = is_as_agreed(&order, &payment);
    let reason = if duplicate { "duplicate" } else { "amount_mismatch" };
    let row = CheckoutUpdate {
        reason: Some(reason.to_owned()),
        ..update(&order, CheckoutStatus::Refunded)
    };
    let mail = Effect::SendMail(Mail::DuplicateRefunded(order.sale.checkout));
    let step = Step::to(State::Refunded { order, payment })
        .record(Record::StripeObject(refund.to_owned()))
        .record(Record::Ledger(posting))
        .record(Record::Checkout(row));
    if duplicate { step.effect(mail) } else { step }
}

pub(super) fn not_refunded(order: Order, payment: Payment, why: &str) -> Step<State> {
    let case = OperatorCase {
        kind: CaseKind::DuplicateNotRefunded,
        key: payment.intent.clone(),
        detail: format!(
            "a second payment for the same page could not be given back ({why}): refund it by hand"
        ),
    };
    let row = CheckoutUpdate {
        reason: Some("duplicate_not_refunded".to_owned()),
        ..update(&order, CheckoutStatus::InReview)
    };
    Step::to(State::Quarantined { order, payment })
        .record(Record::Checkout(row))
        .record(Record::OperatorCase(case))
}

/// Posts the processor's fee. `paid` is what the buyer paid, or is to pay.
pub(super) fn processor_fee(
    state: &State,
    order: &Order,
    fee: &BalanceTransaction,
    paid: Money,
    at: Timestamp,
) -> Step<State> {
    let stay = Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) };
    if fee.currency != paid.currency {
        return stay.record(Record::OperatorCase(OperatorCase {
            kind: CaseKind::FeeCurrency,
            key: fee.id.clone(),
            detail: format!(
                "the fee is in {}, the payment in {}: post it by hand",
                fee.currency, paid.currency
            ),
        }));
    }
    let net = paid.minor - order.sale.fee.min(paid.minor);
    stay.record(Record::Ledger(ledger::processor_fee(&order.sale, fee, net)))
}

/// The timer that belongs to a state, for steps that stay in it.
fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    match state {
        State::AwaitingPayment { expires_at, .. } => Some(expires_at.plus(Timestamp::MINUTE)),
        State::Expiring { .. } | State::Confirming { .. } => Some(at.plus(LOOK_AGAIN)),
        State::AwaitingFunds { .. } | State::RefundingDuplicate { refund: Some(_), .. } => {
            Some(at.plus(LOOK_FOR_FUNDS))
        }
        // The answer to a call is on its way, or nothing is waited for but a person.
        State::CreatingSession { .. }
        | State::RefundingDuplicate { refund: None, .. }
        | State::Settled { .. }
        | State::Refunded { .. }
        | State::Quarantined { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
    }
}

pub(super) fn retrieve(state: &State, session: String, wake_at: Timestamp) -> Step<State> {
    Step::to(state.clone()).effect(Effect::RetrieveCheckoutSession { session }).wake_at(wake_at)
}

pub(super) fn expire(order: Order, session: String, why: Why, at: Timestamp) -> Step<State> {
    let effect = Effect::ExpireCheckoutSession { session: session.clone() };
    Step::to(State::Expiring { order, session, why }).effect(effect).wake_at(at.plus(LOOK_AGAIN))
}

pub(super) fn expire_again(state: &State, session: String, at: Timestamp) -> Step<State> {
    Step::to(state.clone())
        .effect(Effect::ExpireCheckoutSession { session })
        .wake_at(at.plus(LOOK_AGAIN))
}

/// The purchase is closed, and Stripe reports otherwise: its session is read.
pub(super) fn confirm(order: Order, session: &str, at: Timestamp) -> Step<State> {
    Step::to(State::Confirming { order, session: session.to_owned() })
        .effect(Effect::RetrieveCheckoutSession { session: session.to_owned() })
        .wake_at(at.plus(LOOK_AGAIN))
}

fn expired(order: Order) -> Step<State> {
    let row = update(&order, CheckoutStatus::Expired);
    Step::to(State::Expired { order }).record(Record::Checkout(row))
}

pub(super) fn cancelled(order: Order, why: Why) -> Step<State> {
    let reason: &'static str = why.into();
    let row = CheckoutUpdate {
        reason: Some(reason.to_owned()),
        ..update(&order, CheckoutStatus::Expired)
    };
    Step::to(State::Cancelled { order, why }).record(Record::Checkout(row))
}

pub(super) fn fail(order: Order, reason: &str) -> Step<State> {
    let row = CheckoutUpdate {
        reason: Some(reason.to_owned()),
        ..update(&order, CheckoutStatus::Failed)
    };
    Step::to(State::Failed { order, reason: reason.to_owned() }).record(Record::Checkout(row))
}

fn grant(order: &Order, kind: GrantKind) -> Record {
    let Sale { page, checkout, .. } = order.sale;
    Record::Grant(Grant { page, visitor: order.visitor, checkout, kind })
}

fn update(order: &Order, status: CheckoutStatus) -> CheckoutUpdate {
    CheckoutUpdate {
        checkout: order.sale.checkout,
        status,
        session: None,
        url: None,
        payment_intent: None,
        reason: None,
    }
}
