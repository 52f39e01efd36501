//! Checkout: one purchase, from the buyer's request to a posted payment. The run is the lock for everything
//! that happens to this payment.
//!
//! It promises:
//! - one settlement for each payment, whatever is repeated, late, early or lost;
//! - access only for what was paid as agreed: another amount or currency waits for a person, in quarantine;
//! - paid wins: a session that expired, failed or was called off and then turns out to be paid is settled;
//! - a lost webhook costs only time: whatever is waited for, an answer or a timer is on its way;
//! - when the seller's account can no longer be paid, the payment page closes, unless the buyer was faster;
//! - of two paid purchases of the same page by the same visitor, one is granted and the other given back;
//! - what only those may buy who are interested in a group buy is given back to who has withdrawn meanwhile;
//! - never more is given back than was paid: the run is the only judge of what is refundable;
//! - each refund, dispute and reversal at Stripe is posted once, whoever made it, and whatever told of it: an
//!   answer, a webhook, or the timer, all of which lead to reading the charge;
//! - access ends with the last cent, with a lost dispute, or when it is taken away, rests while a dispute is
//!   open, and comes back when the reason is gone.
//!
//! A webhook of Stripe's is believed as it is (it is signed) where it leads forward. Where it contradicts
//! what is known (paid, after expired), the session is retrieved, and that answer decides.
//!
//! This file says which event leads where until there is a payment, and `paid` from then on (`other_payment`, if
//! there is more than one); `answers` what the machine hears of its calls; `steps` says with
//! which effects and records, `returns` what is remembered of what came back and `creator` from whom, and `fold`
//! what a reading of it leads to.
//!
//! Diagrams: `workflows/diagrams/checkout.mmd` until there is a payment and `checkout_paid.mmd` from then on,
//! explored from these files.

mod answers;
pub mod creator;
mod fold;
mod other_payment;
mod paid;
mod passed_on;
mod preview;
pub mod returns;
mod steps;

use serde::{Deserialize, Serialize};

use crate::{
    effect::{Answer, Effect, Failure},
    id::{CheckoutId, GroupBuyId, RefundId, VisitorId},
    ledger::Sale,
    record::Record,
    refund::Wish,
    stripe::{BalanceTransaction, Charge, Outcome, Payment, Refund, Session},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};
pub use preview::{Preview, preview};
use returns::{Returns, Withheld};
use steps::*;

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
    Expiring {
        order: Order,
        session: String,
        #[serde(default, skip_serializing_if = "Why::is_called_off")]
        why: Why,
    },
    /// Paid, posted, granted. `payment` is absent where nothing had to be paid.
    Settled {
        order: Order,
        payment: Option<Payment>,
        #[serde(default, skip_serializing_if = "Returns::is_nothing")]
        returns: Returns,
    },
    /// A part went back.
    PartlyRefunded { order: Order, payment: Payment, returns: Returns },
    /// The buyer's bank disputes the payment, and has not decided yet.
    Disputed { order: Order, payment: Payment, returns: Returns },
    /// The buyer's bank has taken the payment back.
    ChargedBack { order: Order, payment: Payment, returns: Returns },
    /// Closed, and then reported as paid or on its way: the session itself is read, and decides.
    Confirming { order: Order, session: String },
    /// Paid as agreed, but not granted: the visitor had access already, or has withdrawn the interest that the
    /// purchase needs. The money goes back.
    RefundingDuplicate {
        order: Order,
        payment: Payment,
        #[serde(default = "Returns::without_access")]
        returns: Returns,
    },
    /// The money went back.
    Refunded {
        order: Order,
        payment: Payment,
        #[serde(default = "Returns::without_access")]
        returns: Returns,
    },
    /// Paid, posted, not granted: a person decides.
    Quarantined {
        order: Order,
        payment: Payment,
        #[serde(default = "Returns::without_access")]
        returns: Returns,
    },
    /// Closed without a payment.
    Expired { order: Order },
    /// The session could not be made, or the delayed payment failed.
    Failed { order: Order, reason: String },
    /// Called off before anything was paid.
    Cancelled {
        order: Order,
        #[serde(default, skip_serializing_if = "Why::is_called_off")]
        why: Why,
    },
}

/// Why a purchase was called off.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Why {
    /// A person did.
    #[default]
    Cancelled,
    /// The seller's account can no longer be paid.
    SellerLost,
}

impl Why {
    fn is_called_off(&self) -> bool {
        *self == Self::Cancelled
    }
}

/// What was agreed when the buyer asked: frozen, whatever becomes of the page and its price. With it goes what is
/// heard before the payment and posted with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// What is sold, by whom, for how much.
    pub sale: Sale,
    /// Who gets access.
    pub visitor: VisitorId,
    /// The payment's balance transaction, where it became known first: of a bank debit Stripe makes it when the
    /// debit is submitted, which may still fail
    /// (<https://docs.stripe.com/reports/balance-transaction-types>). So nothing is posted before the payment is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_fee: Option<Box<BalanceTransaction>>,
    /// Group buys in which the visitor must be interested when it is settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interests: Vec<GroupBuyId>,
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
    /// The visitor has withdrawn an interest that the purchase needs: it was not granted.
    InterestLost { group_buy: GroupBuyId },
    /// Stripe accepted or reported a refund.
    RefundReported(Refund),
    /// Stripe will not refund. Only what versions before there were refund runs asked for comes to this.
    RefundFailed(Failure),
    /// Something about a dispute, the transfer or the fee changed: a webhook, or a refund run says so.
    ReturnsChanged,
    /// A refund wants money to be set aside.
    ReserveRefund(Box<Wish>),
    /// A refund was given up.
    ReleaseRefund { refund: RefundId },
    /// All that has come back of the payment, as it is.
    ChargeRetrieved { payment_intent: String, reading: u32, charge: Box<Charge> },
    /// It cannot be read.
    ChargeUnreadable { payment_intent: String, reading: u32, failure: Failure },
    /// What was to be taken back from the creator cannot be.
    ReversalRefused { cause: String, transfer: String, failure: Failure },
    /// What the creator was to get again cannot be passed on.
    TransferRefused { cause: String, failure: Failure },
    /// A card network warns of fraud.
    FraudWarning { warning: String },
    /// The payment's balance transaction became known.
    ProcessorFee(BalanceTransaction),
    /// The seller's account can no longer be paid.
    SellerLost,
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

/// One purchase.
pub struct Checkout;

impl Workflow for Checkout {
    const NAME: &'static str = "checkout";
    const VERSION: u32 = 3;
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
            (S::CreatingSession { order, .. }, E::Cancel) => Ok(cancelled(order, Why::Cancelled)),
            (S::CreatingSession { order, .. }, E::SellerLost) => {
                Ok(cancelled(order, Why::SellerLost))
            }

            // Read because something contradicted what was known, or came late: so the payment is read, too.
            (
                S::AwaitingPayment { order, .. }
                | S::AwaitingFunds { order, .. }
                | S::Expiring { order, .. }
                | S::Confirming { order, .. }
                | S::Expired { order }
                | S::Failed { order, .. }
                | S::Cancelled { order, .. },
                E::SessionRetrieved(Session { outcome: Outcome::Paid(payment), .. }),
            ) => Ok(paid::and_look(settle(order, payment), at)),

            (
                S::AwaitingPayment { order, .. },
                E::SessionReported(report) | E::SessionRetrieved(report),
            ) => reported(state, order, report, at),
            (S::AwaitingPayment { order, session, .. }, E::Cancel) => {
                Ok(expire(order, session, Why::Cancelled, at))
            }
            (S::AwaitingPayment { order, session, .. }, E::SellerLost) => {
                Ok(expire(order, session, Why::SellerLost, at))
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

            // Paid after all? The session itself decides, as it is after this report.
            (
                S::Expired { order }
                | S::Failed { order, .. }
                | S::Cancelled { order, .. }
                | S::Confirming { order, .. },
                E::SessionReported(Session { id, outcome: Outcome::Unpaid | Outcome::Paid(_) }),
            ) => Ok(confirm(order, id, at)),
            (S::Confirming { order, .. }, E::SessionRetrieved(report)) => {
                reported(state, order, report, at)
            }
            (S::Confirming { session, .. }, E::TimerFired) => {
                Ok(retrieve(state, session, at.plus(LOOK_AGAIN)))
            }
            // Stripe made the session while the purchase was called off: close it.
            (S::Cancelled { order, why }, E::SessionCreated { session, .. }) => {
                let known = Record::StripeObject(session.clone());
                Ok(expire(order, session.clone(), why, at).record(known))
            }

            // Money came back of what is not known to be paid.
            (
                S::AwaitingPayment { session, .. }
                | S::AwaitingFunds { session, .. }
                | S::Expiring { session, .. }
                | S::Confirming { session, .. },
                E::RefundReported(_) | E::ReturnsChanged,
            ) => Ok(retrieve_early(state, session, at)),
            (
                S::CreatingSession { .. }
                | S::AwaitingPayment { .. }
                | S::AwaitingFunds { .. }
                | S::Expiring { .. }
                | S::Confirming { .. }
                | S::Expired { .. }
                | S::Failed { .. }
                | S::Cancelled { .. }
                | S::Settled { payment: None, .. },
                E::ReserveRefund(wish),
            ) => Ok(not_paid(state, wish, at)),

            // The fee may become known before the payment does, and tells that there is one, should its webhook be
            // lost: so the session is read.
            (
                S::AwaitingPayment { session, .. }
                | S::AwaitingFunds { session, .. }
                | S::Expiring { session, .. }
                | S::Confirming { session, .. },
                E::ProcessorFee(fee),
            ) => Ok(retrieve_early(&with_early_fee(state, fee), session, at)),
            (
                S::CreatingSession { .. } | S::Expired { .. } | S::Cancelled { .. },
                E::ProcessorFee(fee),
            ) => {
                let next = with_early_fee(state, fee);
                Ok(Step { wake_at: timer_of(state, at), ..Step::to(next) })
            }
            (S::Failed { .. }, E::ProcessorFee(_)) => {
                Err(Refused::because("the payment failed: nothing came of it"))
            }

            // It cost nothing, so nothing goes back.
            (S::Settled { order, payment: None, .. }, E::InterestLost { .. }) => {
                Ok(fail(order, "interest_withdrawn"))
            }

            (
                S::Settled { payment: Some(_), .. }
                | S::PartlyRefunded { .. }
                | S::Refunded { .. }
                | S::Disputed { .. }
                | S::ChargedBack { .. }
                | S::RefundingDuplicate { .. }
                | S::Quarantined { .. },
                _,
            ) => match paid::paid_of(state) {
                Some(paid) => paid::step(state, paid, event, at),
                None => Err(Refused::unplaced(state, event)),
            },

            (
                S::CreatingSession { .. }
                | S::AwaitingPayment { .. }
                | S::AwaitingFunds { .. }
                | S::Expiring { .. }
                | S::Confirming { .. }
                | S::Settled { payment: None, .. }
                | S::Expired { .. }
                | S::Failed { .. }
                | S::Cancelled { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        answers::event(effect, answer)
    }

    /// The buyer's mail address is kept with the visitor, where it can be forgotten.
    fn masked(event: &Event) -> Option<Event> {
        match event {
            Event::Request(request) => Some(Event::Request(Box::new(Request {
                email: "(masked)".to_owned(),
                ..(**request).clone()
            }))),
            _ => None,
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::CreatingSession { .. } => Standing::waiting("Stripe to open the payment page"),
            State::AwaitingPayment { expires_at, .. } => {
                Standing::waiting_until("the buyer to pay", *expires_at)
            }
            State::AwaitingFunds { .. } => Standing::waiting("the buyer's bank to send the money"),
            State::Expiring { .. } => Standing::waiting("Stripe to close the payment page"),
            State::Confirming { .. } => Standing::waiting("Stripe to say whether it was paid"),
            State::RefundingDuplicate { returns, .. } => {
                Standing::waiting(match returns.withheld {
                    Withheld::Duplicate => "Stripe to give the second payment back",
                    Withheld::InterestWithdrawn => "Stripe to give the payment back",
                })
            }
            State::Quarantined { .. } => {
                Standing::waiting("an operator to decide about the payment")
            }
            State::Disputed { .. } => Standing::waiting("the buyer's bank to decide"),
            State::Settled { returns: Returns { look_at: Some(until), .. }, .. }
            | State::PartlyRefunded { returns: Returns { look_at: Some(until), .. }, .. }
            | State::Refunded { returns: Returns { look_at: Some(until), .. }, .. }
            | State::ChargedBack { returns: Returns { look_at: Some(until), .. }, .. } => {
                Standing::waiting_until("what is under way at Stripe", *until)
            }
            State::Cancelled { .. } => Standing::Cancelled,
            State::Settled { .. }
            | State::PartlyRefunded { .. }
            | State::Refunded { .. }
            | State::ChargedBack { .. }
            | State::Expired { .. }
            | State::Failed { .. } => Standing::Done,
        }
    }
}
