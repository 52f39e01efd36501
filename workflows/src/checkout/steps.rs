//! Where a checkout goes and what it asks for on the way: each state with its effects and records.

use super::{Order, Request, State};
use crate::{
    effect::{Effect, FeeReturn, Mail, SessionRequest},
    ledger::{self, Kind, Sale},
    record::{CaseKind, CheckoutStatus, CheckoutUpdate, Grant, GrantKind, OperatorCase, Record},
    stripe::{BalanceTransaction, Outcome, Payment, Refund, RefundStatus, Session},
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
            price: crate::money::Money::new(sale.amount, sale.currency),
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
        (Outcome::Expired, State::Expiring { .. }) => Ok(cancelled(order)),
        (Outcome::Expired, _) => Ok(expired(order)),
        (Outcome::Open, _) => Err(Refused::because("the session is still open")),
    }
}

pub(super) fn session_of(state: &State) -> Option<&str> {
    match state {
        State::AwaitingPayment { session, .. }
        | State::AwaitingFunds { session, .. }
        | State::Expiring { session, .. } => Some(session),
        _ => None,
    }
}

pub(super) fn await_funds(order: Order, session: &str, at: Timestamp) -> Step<State> {
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
    if payment.amount != order.sale.amount || payment.currency != order.sale.currency {
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
        .record(Record::Ledger(posting))
        .record(granted)
        .record(Record::Checkout(row))
        .effect(receipt)
}

pub(super) fn quarantine(order: Order, payment: &Payment) -> Step<State> {
    let agreed = crate::money::Money::new(order.sale.amount, order.sale.currency);
    let paid = crate::money::Money::new(payment.amount, payment.currency);
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
    Ok(Step::to(state.clone()).record(Record::Ledger(posting)).record(Record::OperatorCase(case)))
}

pub(super) fn refund_duplicate(order: Order, payment: Payment) -> Step<State> {
    let fee = if order.sale.fee > 0 { FeeReturn::Returned } else { FeeReturn::NoFee };
    let refund = Effect::CreateRefund {
        payment_intent: payment.intent.clone(),
        amount: payment.amount,
        fee,
    };
    Step::to(State::RefundingDuplicate { order, payment }).effect(refund)
}

pub(super) fn refund_reported(
    state: &State,
    order: Order,
    payment: Payment,
    refund: &Refund,
    at: Timestamp,
) -> Result<Step<State>, Refused> {
    match refund.status {
        RefundStatus::Pending => Err(Refused::because("the refund is on its way")),
        RefundStatus::Succeeded if refund.amount != payment.amount => {
            Err(Refused::because("only a part was given back"))
        }
        RefundStatus::Succeeded => Ok(refunded(order, payment, refund, at)),
        RefundStatus::Failed | RefundStatus::Canceled => match state {
            State::RefundingDuplicate { .. } => {
                Ok(not_refunded(order, payment, "the refund failed at Stripe"))
            }
            _ => Err(Refused::because("the refund failed")),
        },
    }
}

pub(super) fn refunded(
    order: Order,
    payment: Payment,
    refund: &Refund,
    at: Timestamp,
) -> Step<State> {
    let posting =
        ledger::refunded_in_full(&order.sale, &refund.id, payment.amount, payment.currency, at);
    let row = CheckoutUpdate {
        reason: Some("duplicate".to_owned()),
        ..update(&order, CheckoutStatus::Refunded)
    };
    let mail = Effect::SendMail(Mail::DuplicateRefunded(order.sale.checkout));
    Step::to(State::Refunded { order, payment })
        .record(Record::StripeObject(refund.id.clone()))
        .record(Record::Ledger(posting))
        .record(Record::Checkout(row))
        .effect(mail)
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

/// Posts the processor's fee. `paid` is what the buyer paid (or is to pay), minor units.
pub(super) fn processor_fee(
    state: &State,
    order: &Order,
    fee: &BalanceTransaction,
    paid: i64,
) -> Step<State> {
    let stay = Step { wake_at: timer_of(state), ..Step::to(state.clone()) };
    if fee.currency != order.sale.currency {
        return stay.record(Record::OperatorCase(OperatorCase {
            kind: CaseKind::FeeCurrency,
            key: fee.id.clone(),
            detail: format!(
                "the fee is in {}, the sale in {}: post it by hand",
                fee.currency, order.sale.currency
            ),
        }));
    }
    stay.record(Record::Ledger(ledger::processor_fee(
        &order.sale,
        fee,
        paid - order.sale.fee.min(paid),
    )))
}

/// The timer that belongs to a state, for steps that stay in it.
pub(super) fn timer_of(state: &State) -> Option<Timestamp> {
    match state {
        State::AwaitingPayment { expires_at, .. } => Some(expires_at.plus(Timestamp::MINUTE)),
        _ => None,
    }
}

pub(super) fn retrieve(state: &State, session: String, wake_at: Timestamp) -> Step<State> {
    Step::to(state.clone()).effect(Effect::RetrieveCheckoutSession { session }).wake_at(wake_at)
}

pub(super) fn expire(order: Order, session: String, at: Timestamp) -> Step<State> {
    let effect = Effect::ExpireCheckoutSession { session: session.clone() };
    Step::to(State::Expiring { order, session }).effect(effect).wake_at(at.plus(LOOK_AGAIN))
}

pub(super) fn expire_again(state: &State, session: String, at: Timestamp) -> Step<State> {
    Step::to(state.clone())
        .effect(Effect::ExpireCheckoutSession { session })
        .wake_at(at.plus(LOOK_AGAIN))
}

pub(super) fn expired(order: Order) -> Step<State> {
    let row = update(&order, CheckoutStatus::Expired);
    Step::to(State::Expired { order }).record(Record::Checkout(row))
}

pub(super) fn cancelled(order: Order) -> Step<State> {
    let row = CheckoutUpdate {
        reason: Some("cancelled".to_owned()),
        ..update(&order, CheckoutStatus::Expired)
    };
    Step::to(State::Cancelled { order }).record(Record::Checkout(row))
}

pub(super) fn fail(order: Order, reason: &str) -> Step<State> {
    let row = CheckoutUpdate {
        reason: Some(reason.to_owned()),
        ..update(&order, CheckoutStatus::Failed)
    };
    Step::to(State::Failed { order, reason: reason.to_owned() }).record(Record::Checkout(row))
}

pub(super) fn grant(order: &Order, kind: GrantKind) -> Record {
    let Sale { page, checkout, .. } = order.sale;
    Record::Grant(Grant { page, visitor: order.visitor, checkout, kind })
}

pub(super) fn update(order: &Order, status: CheckoutStatus) -> CheckoutUpdate {
    CheckoutUpdate {
        checkout: order.sale.checkout,
        status,
        session: None,
        url: None,
        payment_intent: None,
        reason: None,
    }
}
