//! Checkout: one purchase, from the buyer's request to a posted payment. The run is the lock for everything
//! that happens to this payment.
//!
//! It promises:
//! - one settlement for each payment, whatever is repeated, late, early or lost;
//! - access only for what was paid as agreed: another amount or currency waits for a person, in quarantine;
//! - paid wins: a session that expired, failed or was called off and then turns out to be paid is settled;
//! - of two paid purchases of the same page by the same visitor, one is granted and the other given back.
//!
//! A webhook of Stripe's is believed as it is (it is signed) where it leads forward. Where it contradicts
//! what is known (paid, after expired), the session is retrieved, and that answer decides.
//!
//! Diagram: `workflows/diagrams/checkout.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure, FeeReturn, Mail, SessionRequest},
    id::{CheckoutId, VisitorId},
    ledger::{self, Kind, Sale},
    record::{CaseKind, CheckoutStatus, CheckoutUpdate, Grant, GrantKind, OperatorCase, Record},
    stripe::{BalanceTransaction, Outcome, Payment, Refund, RefundStatus, Session},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What a purchase remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// Stripe is asked for a Checkout Session.
    CreatingSession { order: Order, expires_at: Timestamp },
    /// The buyer has the payment page.
    AwaitingPayment { order: Order, session: String, expires_at: Timestamp },
    /// The buyer is through, the money is on its way (a delayed payment method).
    AwaitingFunds { order: Order, session: String },
    /// Called off: the session is being closed at Stripe, unless the buyer was faster.
    Expiring { order: Order, session: String },
    /// Paid, posted, granted. `payment` is absent where nothing had to be paid.
    Settled { order: Order, payment: Option<Payment> },
    /// Paid, but the visitor had access already: the money goes back.
    RefundingDuplicate { order: Order, payment: Payment },
    /// The money went back.
    Refunded { order: Order, payment: Payment },
    /// Paid, posted, not granted: a person decides.
    Quarantined { order: Order, payment: Payment },
    /// Closed without a payment.
    Expired { order: Order },
    /// The session could not be made, or the delayed payment failed.
    Failed { order: Order, reason: String },
    /// Called off before anything was paid.
    Cancelled { order: Order },
}

/// What was agreed when the buyer asked: frozen, whatever becomes of the page and its price.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// What is sold, by whom, for how much.
    pub sale: Sale,
    /// Who gets access.
    pub visitor: VisitorId,
}

/// What can happen to a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// A visitor wants to buy.
    Request(Box<Request>),
    /// The session is open.
    SessionCreated { session: String, url: String },
    /// The session cannot be made.
    SessionFailed(Failure),
    /// Stripe reported the session, in a webhook.
    SessionReported(Session),
    /// The session was read at Stripe.
    SessionRetrieved(Session),
    /// The session could not be read or closed.
    SessionUnreadable(Failure),
    /// Another purchase holds the access.
    GrantLost { holder: CheckoutId },
    /// Stripe accepted or reported a refund.
    RefundReported(Refund),
    /// Stripe will not refund.
    RefundFailed(Failure),
    /// The payment's balance transaction became known.
    ProcessorFee(BalanceTransaction),
    /// A person calls the purchase off.
    Cancel,
    /// The timer: the session should have closed by now.
    TimerFired,
}

/// All that is needed to sell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// What is frozen.
    pub order: Order,
    /// The line on the payment page.
    pub title: String,
    /// The visitor's own address.
    pub email: String,
    /// Where the buyer goes after paying.
    pub success_url: String,
    /// Where the buyer goes without paying.
    pub cancel_url: String,
    /// When the session closes by itself: 30 minutes to 24 hours on, says Stripe.
    pub expires_at: Timestamp,
}

/// How long after a session should have closed the next look is, while no webhook comes.
const LOOK_AGAIN: i64 = 15 * Timestamp::MINUTE;
/// Delayed payment methods take days.
const LOOK_FOR_FUNDS: i64 = 12 * Timestamp::HOUR;

/// One purchase.
pub struct Checkout;

impl Workflow for Checkout {
    const NAME: &'static str = "checkout";
    const VERSION: u32 = 1;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Request(request) if request.order.sale.amount == 0 => {
                Ok(give_away(request.order.clone()))
            }
            Event::Request(request) => Ok(create_session(request)),
            _ => Err(Refused::because("a purchase begins with a request")),
        }
    }

    fn step(state: &State, event: &Event, at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::CreatingSession { order, expires_at }, E::SessionCreated { session, url }) => {
                Ok(await_payment(order, session, url, expires_at))
            }
            (S::CreatingSession { order, .. }, E::SessionFailed(failure)) => {
                Ok(fail(order, &failure.code))
            }
            (S::CreatingSession { order, .. }, E::SessionReported(report)) => {
                reported(state, order, report, at)
            }
            (S::CreatingSession { order, .. }, E::Cancel) => Ok(cancelled(order)),

            (
                S::AwaitingPayment { order, .. },
                E::SessionReported(report) | E::SessionRetrieved(report),
            ) => reported(state, order, report, at),
            (S::AwaitingPayment { order, session, .. }, E::Cancel) => {
                Ok(expire(order, session, at))
            }
            (S::AwaitingPayment { session, .. }, E::TimerFired) => {
                Ok(retrieve(state, session, at.plus(LOOK_AGAIN)))
            }

            (
                S::AwaitingFunds { order, .. },
                E::SessionReported(report) | E::SessionRetrieved(report),
            ) => reported(state, order, report, at),
            (S::AwaitingFunds { session, .. }, E::TimerFired) => {
                Ok(retrieve(state, session, at.plus(LOOK_FOR_FUNDS)))
            }

            (
                S::Expiring { order, .. },
                E::SessionReported(report) | E::SessionRetrieved(report),
            ) => reported(state, order, report, at),
            (S::Expiring { session, .. }, E::TimerFired) => Ok(expire_again(state, session, at)),

            // Paid after all? The session itself decides.
            (
                S::Expired { .. } | S::Failed { .. } | S::Cancelled { .. },
                E::SessionReported(Session { id, outcome: Outcome::Paid(_) }),
            ) => Ok(Step::to(state.clone())
                .effect(Effect::RetrieveCheckoutSession { session: id.clone() })),
            (
                S::Expired { order } | S::Failed { order, .. } | S::Cancelled { order },
                E::SessionRetrieved(Session { outcome: Outcome::Paid(payment), .. }),
            ) => Ok(settle(order, payment)),
            // Stripe made the session while the purchase was called off: close it.
            (S::Cancelled { .. }, E::SessionCreated { session, .. }) => Ok(Step::to(state.clone())
                .record(Record::StripeObject(session.clone()))
                .effect(Effect::ExpireCheckoutSession { session: session.clone() })),

            (
                S::Settled { order, payment: Some(known) }
                | S::RefundingDuplicate { order, payment: known }
                | S::Refunded { order, payment: known }
                | S::Quarantined { order, payment: known },
                E::SessionReported(Session { outcome: Outcome::Paid(paid), .. })
                | E::SessionRetrieved(Session { outcome: Outcome::Paid(paid), .. }),
            ) => paid_again(state, &order, &known, paid),
            (S::Settled { order, payment: Some(payment) }, E::GrantLost { .. }) => {
                Ok(refund_duplicate(order, payment))
            }
            (
                S::RefundingDuplicate { order, payment } | S::Quarantined { order, payment },
                E::RefundReported(refund),
            ) => refund_reported(state, order, payment, refund, at),
            (S::RefundingDuplicate { order, payment }, E::RefundFailed(failure)) => {
                Ok(not_refunded(order, payment, &failure.message))
            }

            // The fee may become known before the payment does: a posting stands in any order.
            (
                S::Settled { order, payment: Some(payment) }
                | S::RefundingDuplicate { order, payment }
                | S::Refunded { order, payment }
                | S::Quarantined { order, payment },
                E::ProcessorFee(fee),
            ) => Ok(processor_fee(state, &order, fee, payment.amount)),
            (
                S::CreatingSession { order, .. }
                | S::AwaitingPayment { order, .. }
                | S::AwaitingFunds { order, .. }
                | S::Expiring { order, .. }
                | S::Expired { order }
                | S::Failed { order, .. }
                | S::Cancelled { order },
                E::ProcessorFee(fee),
            ) => Ok(processor_fee(state, &order, fee, order.sale.amount)),

            (
                S::CreatingSession { .. }
                | S::AwaitingPayment { .. }
                | S::AwaitingFunds { .. }
                | S::Expiring { .. }
                | S::Settled { .. }
                | S::RefundingDuplicate { .. }
                | S::Refunded { .. }
                | S::Quarantined { .. }
                | S::Expired { .. }
                | S::Failed { .. }
                | S::Cancelled { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        Some(match (effect, answer) {
            (_, Answer::SessionCreated { session, url }) => {
                Event::SessionCreated { session: session.clone(), url: url.clone() }
            }
            (_, Answer::SessionRetrieved(session)) => Event::SessionRetrieved(session.clone()),
            (_, Answer::RefundCreated(refund)) => Event::RefundReported(refund.clone()),
            (Effect::CreateCheckoutSession(_), Answer::Failed(failure)) => {
                Event::SessionFailed(failure.clone())
            }
            (Effect::CreateRefund { .. }, Answer::Failed(failure)) => {
                Event::RefundFailed(failure.clone())
            }
            (
                Effect::RetrieveCheckoutSession { .. } | Effect::ExpireCheckoutSession { .. },
                Answer::Failed(failure),
            ) => Event::SessionUnreadable(failure.clone()),
            _ => return None,
        })
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::CreatingSession { .. } => Standing::waiting("Stripe to open the payment page"),
            State::AwaitingPayment { expires_at, .. } => {
                Standing::waiting_until("the buyer to pay", *expires_at)
            }
            State::AwaitingFunds { .. } => Standing::waiting("the buyer's bank to send the money"),
            State::Expiring { .. } => Standing::waiting("Stripe to close the payment page"),
            State::RefundingDuplicate { .. } => {
                Standing::waiting("Stripe to give the second payment back")
            }
            State::Quarantined { .. } => {
                Standing::waiting("an operator to decide about the payment")
            }
            State::Cancelled { .. } => Standing::Cancelled,
            State::Settled { .. }
            | State::Refunded { .. }
            | State::Expired { .. }
            | State::Failed { .. } => Standing::Done,
        }
    }
}

/// A price of zero never meets Stripe.
fn give_away(order: Order) -> Step<State> {
    let granted = grant(&order, GrantKind::Free);
    let row = update(&order, CheckoutStatus::Settled);
    Step::to(State::Settled { order, payment: None }).record(granted).record(Record::Checkout(row))
}

fn create_session(request: &Request) -> Step<State> {
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
fn await_payment(order: Order, session: &str, url: &str, expires_at: Timestamp) -> Step<State> {
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
fn reported(
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

fn session_of(state: &State) -> Option<&str> {
    match state {
        State::AwaitingPayment { session, .. }
        | State::AwaitingFunds { session, .. }
        | State::Expiring { session, .. } => Some(session),
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
fn settle(order: Order, payment: &Payment) -> Step<State> {
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

fn quarantine(order: Order, payment: &Payment) -> Step<State> {
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
fn paid_again(
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

fn refund_duplicate(order: Order, payment: Payment) -> Step<State> {
    let fee = if order.sale.fee > 0 { FeeReturn::Returned } else { FeeReturn::NoFee };
    let refund = Effect::CreateRefund {
        payment_intent: payment.intent.clone(),
        amount: payment.amount,
        fee,
    };
    Step::to(State::RefundingDuplicate { order, payment }).effect(refund)
}

fn refund_reported(
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

fn refunded(order: Order, payment: Payment, refund: &Refund, at: Timestamp) -> Step<State> {
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

fn not_refunded(order: Order, payment: Payment, why: &str) -> Step<State> {
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
fn processor_fee(state: &State, order: &Order, fee: &BalanceTransaction, paid: i64) -> Step<State> {
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
fn timer_of(state: &State) -> Option<Timestamp> {
    match state {
        State::AwaitingPayment { expires_at, .. } => Some(expires_at.plus(Timestamp::MINUTE)),
        _ => None,
    }
}

fn retrieve(state: &State, session: String, wake_at: Timestamp) -> Step<State> {
    Step::to(state.clone()).effect(Effect::RetrieveCheckoutSession { session }).wake_at(wake_at)
}

fn expire(order: Order, session: String, at: Timestamp) -> Step<State> {
    let effect = Effect::ExpireCheckoutSession { session: session.clone() };
    Step::to(State::Expiring { order, session }).effect(effect).wake_at(at.plus(LOOK_AGAIN))
}

fn expire_again(state: &State, session: String, at: Timestamp) -> Step<State> {
    Step::to(state.clone())
        .effect(Effect::ExpireCheckoutSession { session })
        .wake_at(at.plus(LOOK_AGAIN))
}

fn expired(order: Order) -> Step<State> {
    let row = update(&order, CheckoutStatus::Expired);
    Step::to(State::Expired { order }).record(Record::Checkout(row))
}

fn cancelled(order: Order) -> Step<State> {
    let row = CheckoutUpdate {
        reason: Some("cancelled".to_owned()),
        ..update(&order, CheckoutStatus::Expired)
    };
    Step::to(State::Cancelled { order }).record(Record::Checkout(row))
}

fn fail(order: Order, reason: &str) -> Step<State> {
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
