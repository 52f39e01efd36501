//! Where a checkout goes and what it asks for on the way: each state with its effects and records.

use super::{Order, Request, State, Why, returns::Returns};
use crate::{
    effect::{Effect, Mail, SessionRequest},
    ledger::{self, Kind, Sale},
    message::Message,
    money::Money,
    record::{CaseKind, CheckoutStatus, CheckoutUpdate, Grant, GrantKind, OperatorCase, Record},
    refund::{self, Rejection, Wish},
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
    Step::to(State::Settled { order, payment: None, returns: Returns::default() })
        .record(granted)
        .record(Record::Checkout(row))
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
pub(super) fn settle(mut order: Order, payment: &Payment) -> Step<State> {
    let early_fee = order.early_fee.take();
    let paid = Money::new(payment.amount, payment.currency);
    let step = match is_as_agreed(&order, payment) {
        true => grant_what_was_paid(order.clone(), payment),
        false => quarantine(order.clone(), payment),
    };
    match early_fee {
        Some(fee) => processor_fee(step, &order, &fee, paid),
        None => step,
    }
}

fn grant_what_was_paid(order: Order, payment: &Payment) -> Step<State> {
    let row = CheckoutUpdate {
        payment_intent: Some(payment.intent.clone()),
        ..update(&order, CheckoutStatus::Settled)
    };
    let posting =
        ledger::paid(&order.sale, Kind::Paid, &payment.intent, payment.amount, payment.currency);
    let granted = grant(&order, GrantKind::Paid);
    let receipt = Effect::SendMail(Mail::Receipt(order.sale.checkout));
    Step::to(State::Settled { order, payment: Some(payment.clone()), returns: Returns::default() })
        .record(Record::StripeObject(payment.intent.clone()))
        .record(Record::Ledger(posting))
        .record(granted)
        .record(Record::Checkout(row))
        .effect(receipt)
}

pub(super) fn is_as_agreed(order: &Order, payment: &Payment) -> bool {
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
    let returns = Returns::without_access();
    Step::to(State::Quarantined { order, payment: payment.clone(), returns })
        .record(Record::StripeObject(payment.intent.clone()))
        .record(Record::Ledger(posting))
        .record(Record::Checkout(row))
        .record(Record::OperatorCase(case))
}

/// The same state, knowing the balance transaction of a payment that is not known yet.
pub(super) fn with_early_fee(state: &State, fee: &BalanceTransaction) -> State {
    let mut state = state.clone();
    if let State::CreatingSession { order, .. }
    | State::AwaitingPayment { order, .. }
    | State::AwaitingFunds { order, .. }
    | State::Expiring { order, .. }
    | State::Confirming { order, .. }
    | State::Expired { order }
    | State::Cancelled { order, .. } = &mut state
    {
        order.early_fee = Some(Box::new(fee.clone()));
    }
    state
}

/// Posts the processor's fee, and what was exchanged on its way. `paid` is what the buyer paid.
pub(super) fn processor_fee(
    stay: Step<State>,
    order: &Order,
    fee: &BalanceTransaction,
    paid: Money,
) -> Step<State> {
    let net = paid.minor - order.sale.fee.min(paid.minor);
    let posting = ledger::processor_fee(&order.sale, fee, net);
    if fee.currency == paid.currency {
        return stay.record(Record::Ledger(posting));
    }
    if fee.amount <= 0 {
        return stay.record(Record::OperatorCase(OperatorCase {
            kind: CaseKind::FeeCurrency,
            key: fee.id.clone(),
            detail: format!(
                "the fee is in {}, the payment in {}, and what it was exchanged for is not known: post it by \
                 hand",
                fee.currency, paid.currency
            ),
        }));
    }
    let became = Money::new(fee.amount, fee.currency);
    let halves = ledger::exchanged(&order.sale, fee, (paid, became), net);
    // What the creator can be paid out is said in the currency of the sale.
    let posting = ledger::Transaction { available: None, ..posting };
    let stay = stay.record(Record::Ledger(posting));
    halves.into_iter().fold(stay, |step, half| step.record(Record::Ledger(half)))
}

/// The timer that belongs to a state before the payment, for steps that stay in it.
pub(super) fn timer_of(state: &State, at: Timestamp) -> Option<Timestamp> {
    match state {
        State::AwaitingPayment { expires_at, .. } => Some(expires_at.plus(Timestamp::MINUTE)),
        State::Expiring { .. } | State::Confirming { .. } => Some(at.plus(LOOK_AGAIN)),
        State::AwaitingFunds { .. } => Some(at.plus(LOOK_FOR_FUNDS)),
        // The answer to a call is on its way, or nothing is waited for.
        State::CreatingSession { .. }
        | State::Expired { .. }
        | State::Failed { .. }
        | State::Cancelled { .. } => None,
        State::Settled { returns, .. }
        | State::PartlyRefunded { returns, .. }
        | State::Refunded { returns, .. }
        | State::Disputed { returns, .. }
        | State::ChargedBack { returns, .. }
        | State::RefundingDuplicate { returns, .. }
        | State::Quarantined { returns, .. } => returns.next_look(),
    }
}

/// Nothing can be given back of what is not paid.
pub(super) fn not_paid(state: &State, wish: &Wish, at: Timestamp) -> Step<State> {
    let message = Message::Refund(wish.refund, refund::Event::Rejected(Rejection::NotPaid));
    let stay = Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) };
    stay.record(Record::Send(message))
}

/// Money moved of what is not known to be paid: the session tells.
pub(super) fn retrieve_early(state: &State, session: String, at: Timestamp) -> Step<State> {
    let stay = Step { wake_at: timer_of(state, at), ..Step::to(state.clone()) };
    stay.effect(Effect::RetrieveCheckoutSession { session })
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

pub(super) fn fail(mut order: Order, reason: &str) -> Step<State> {
    order.early_fee = None;
    let row = CheckoutUpdate {
        reason: Some(reason.to_owned()),
        ..update(&order, CheckoutStatus::Failed)
    };
    Step::to(State::Failed { order, reason: reason.to_owned() }).record(Record::Checkout(row))
}

fn grant(order: &Order, kind: GrantKind) -> Record {
    let Sale { page, checkout, .. } = order.sale;
    let (visitor, interests) = (order.visitor, order.interests.clone());
    Record::Grant(Grant { page, visitor, checkout, kind, interests })
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
