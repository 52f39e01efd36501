//! Refund: one wish to give a buyer money back. One run for each wish.
//!
//! It promises:
//! - nothing is asked of Stripe before the purchase has set the money aside: the purchase is the only judge of
//!   what can be given back, so that two wishes at once never give back more than was paid;
//! - Stripe is asked once, with one key, however often the call is repeated;
//! - what becomes of the refund at Stripe is heard from the purchase, which reads it: an answer and a webhook
//!   that cross each other cannot contradict each other here;
//! - a refund that failed at Stripe stays failed, one that succeeded may still fail, and nothing else goes
//!   backwards;
//! - the money that was set aside is set free again when Stripe will not give it back.
//!
//! What is posted and what becomes of the access is the purchase's affair
//! ([`crate::checkout`]).
//!
//! Diagram: `workflows/diagrams/refund.mmd`, explored from this file.

use serde::{Deserialize, Serialize};

use crate::{
    checkout,
    effect::{Answer, Effect, Failure, FeeReturn, Mail, TransferReturn},
    id::RefundId,
    ledger::Sale,
    message::Message,
    money::Money,
    record::{self, Record, RefundReason, RefundUpdate},
    stripe::{self, RefundStatus as AtStripe},
    timestamp::Timestamp,
    workflow::{Refused, Standing, Step, Workflow},
};

/// What a refund remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum State {
    /// The purchase is asked to set the money aside.
    Reserving { wish: Wish },
    /// Stripe is asked to give it back.
    AtStripe { wish: Wish, amount: Money },
    /// Stripe has it (`re_…`), the buyer has not: the money has to be found first, or a bank is slow.
    Pending { wish: Wish, amount: Money, stripe: String },
    /// The buyer has it, or will in a few days.
    Succeeded { wish: Wish, amount: Money, stripe: String },
    /// The purchase has not as much to give back, or not now.
    Rejected { wish: Wish, why: Rejection },
    /// Stripe would not, or could not (`stripe` is then its id), give it back.
    Failed { wish: Wish, amount: Money, stripe: Option<String>, reason: String },
    /// Called off at Stripe before it happened.
    Canceled { wish: Wish, amount: Money, stripe: String },
}

/// What is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wish {
    /// The wish.
    pub refund: RefundId,
    /// Of which sale.
    pub sale: Sale,
    /// Minor units to give back; all that is left, where absent.
    pub amount: Option<i64>,
    /// Minor units that could be given back when the wish was thought over: a wish that was made of something
    /// else is rejected.
    pub expected: Option<i64>,
    /// Why.
    pub reason: RefundReason,
    /// What becomes of the access after a part was given back.
    pub access: AccessAfter,
    /// Who wishes: the `sub` of a token.
    pub by: Option<String>,
}

/// What becomes of the access after a part was given back. With the last cent it always ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessAfter {
    /// The buyer keeps it.
    #[default]
    Kept,
    /// It ends.
    Revoked,
}

/// Why a purchase does not set money aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Rejection {
    /// Nothing is paid, or not yet.
    NotPaid,
    /// The buyer's bank disputes the payment.
    DisputeOpen,
    /// More was wished for than is left.
    ExceedsRefundable {
        /// Minor units that are left.
        refundable: i64,
    },
    /// Something has changed since the wish was thought over.
    Changed {
        /// Minor units that are left.
        refundable: i64,
    },
}

/// What can happen to a refund.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the variant's comment speaks of its fields")]
pub enum Event {
    /// Somebody wants money to be given back.
    Request(Box<Wish>),
    /// The purchase has set the money aside.
    Reserved {
        amount: Money,
        payment_intent: String,
        fee: FeeReturn,
        #[serde(default)]
        transfer: TransferReturn,
    },
    /// The purchase has not.
    Rejected(Rejection),
    /// Stripe accepted the refund.
    Made(stripe::Refund),
    /// Stripe will not make it.
    Refused(Failure),
    /// The purchase has read at Stripe how the refund is.
    Reported(stripe::Refund),
    /// Not used: what Stripe is asked for cannot be taken back.
    Cancel,
    /// Not used: the purchase has the timers.
    TimerFired,
}

/// One wish to give money back.
pub struct Refund;

impl Workflow for Refund {
    const NAME: &'static str = "refund";
    const VERSION: u32 = 2;
    type State = State;
    type Event = Event;
    const TIMER_FIRED: Event = Event::TimerFired;
    const CANCEL: Event = Event::Cancel;

    fn start(event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        match event {
            Event::Request(wish) => Ok(reserve((**wish).clone())),
            _ => Err(Refused::because("a refund begins with a wish")),
        }
    }

    fn step(state: &State, event: &Event, _at: Timestamp) -> Result<Step<State>, Refused> {
        use {Event as E, State as S};
        match (state.clone(), event) {
            (S::Reserving { wish }, E::Reserved { amount, payment_intent, fee, transfer }) => {
                Ok(ask_stripe(wish, *amount, payment_intent, (*fee, *transfer)))
            }
            (S::Reserving { wish }, E::Rejected(why)) => Ok(rejected(wish, *why)),

            // The purchase reads it, and says how it is.
            (S::AtStripe { wish, .. }, E::Made(_)) => Ok(tell_of(state, &wish)),
            (S::AtStripe { wish, amount }, E::Refused(failure)) => {
                Ok(refused(wish, amount, failure))
            }

            (S::AtStripe { wish, amount } | S::Pending { wish, amount, .. }, E::Reported(now)) => {
                reported(state, wish, amount, now)
            }
            // It was given up here, and had been made all the same.
            (S::Failed { wish, amount, stripe: None, .. }, E::Reported(now)) => {
                reported(state, wish, amount, now)
            }
            (S::Succeeded { wish, amount, .. }, E::Reported(now)) if !now.status.counts() => {
                reported(state, wish, amount, now)
            }

            (
                S::Reserving { .. }
                | S::AtStripe { .. }
                | S::Pending { .. }
                | S::Succeeded { .. }
                | S::Rejected { .. }
                | S::Failed { .. }
                | S::Canceled { .. },
                _,
            ) => Err(Refused::unplaced(state, event)),
        }
    }

    fn on_answer(effect: &Effect, answer: &Answer) -> Option<Event> {
        Some(match (effect, answer) {
            (_, Answer::RefundCreated(refund)) => Event::Made(refund.clone()),
            (Effect::CreateRefund { .. }, Answer::Failed(failure)) => {
                Event::Refused(failure.clone())
            }
            // Nobody waits for a mail.
            _ => return None,
        })
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Reserving { .. } => Standing::waiting("the purchase to set the money aside"),
            State::AtStripe { .. } => Standing::waiting("Stripe to give the money back"),
            State::Pending { .. } => Standing::waiting("the money to reach the buyer"),
            State::Succeeded { .. }
            | State::Rejected { .. }
            | State::Failed { .. }
            | State::Canceled { .. } => Standing::Done,
        }
    }
}

fn reserve(wish: Wish) -> Step<State> {
    let message = checkout::Event::ReserveRefund(Box::new(wish.clone()));
    let message = Message::Checkout(wish.sale.checkout, message);
    let row = RefundUpdate { amount: asked(&wish), ..row(&wish, record::RefundStatus::Requested) };
    written(State::Reserving { wish }, row).record(Record::Send(message))
}

fn asked(wish: &Wish) -> Option<Money> {
    wish.amount.map(|minor| Money::new(minor, wish.sale.currency))
}

fn ask_stripe(
    wish: Wish,
    amount: Money,
    payment_intent: &str,
    (fee, transfer): (FeeReturn, TransferReturn),
) -> Step<State> {
    let effect = Effect::CreateRefund {
        payment_intent: payment_intent.to_owned(),
        amount: amount.minor,
        fee,
        transfer,
        asked: Some(wish.refund),
        checkout: Some(wish.sale.checkout),
    };
    let row = RefundUpdate { amount: Some(amount), ..row(&wish, record::RefundStatus::Requested) };
    written(State::AtStripe { wish, amount }, row).effect(effect)
}

fn rejected(wish: Wish, why: Rejection) -> Step<State> {
    let reason: &'static str = why.into();
    let row = RefundUpdate {
        amount: asked(&wish),
        failure: Some(reason.to_owned()),
        ..row(&wish, record::RefundStatus::Rejected)
    };
    written(State::Rejected { wish, why }, row)
}

/// The purchase hears that there is something to read.
fn tell_of(state: &State, wish: &Wish) -> Step<State> {
    let message = Message::Checkout(wish.sale.checkout, checkout::Event::ReturnsChanged);
    Step::to(state.clone()).record(Record::Send(message))
}

/// What a person discards may have happened: the purchase reads before it sets anything free.
fn refused(wish: Wish, amount: Money, failure: &Failure) -> Step<State> {
    let message = checkout::Event::ReleaseRefund { refund: wish.refund };
    let message = Message::Checkout(wish.sale.checkout, message);
    let reason = failure.code.clone();
    let row = RefundUpdate {
        amount: Some(amount),
        failure: Some(reason.clone()),
        ..row(&wish, record::RefundStatus::Failed)
    };
    written(State::Failed { wish, amount, stripe: None, reason }, row).record(Record::Send(message))
}

fn reported(
    state: &State,
    wish: Wish,
    amount: Money,
    now: &stripe::Refund,
) -> Result<Step<State>, Refused> {
    let stripe = now.id.clone();
    let amount = Money::new(now.amount, amount.currency);
    let (status, next) = match now.status {
        AtStripe::Pending if matches!(state, State::Pending { .. }) => {
            return Err(Refused::because("the money is still on its way"));
        }
        AtStripe::Pending => {
            (record::RefundStatus::Pending, State::Pending { wish, amount, stripe })
        }
        AtStripe::Succeeded => {
            (record::RefundStatus::Succeeded, State::Succeeded { wish, amount, stripe })
        }
        AtStripe::Failed => {
            let reason = now.reason.clone().unwrap_or_else(|| "refund_failed".to_owned());
            let stripe = Some(stripe);
            (record::RefundStatus::Failed, State::Failed { wish, amount, stripe, reason })
        }
        AtStripe::Canceled => {
            (record::RefundStatus::Canceled, State::Canceled { wish, amount, stripe })
        }
    };
    let mail = mail(state, wish_of(&next), now.status);
    let row = RefundUpdate {
        amount: Some(amount),
        stripe_refund: Some(now.id.clone()),
        failure: now.reason.clone().filter(|_| now.status != AtStripe::Succeeded),
        ..row(wish_of(&next), status)
    };
    let step = written(next, row);
    Ok(match mail {
        Some(mail) => step.effect(Effect::SendMail(mail)),
        None => step,
    })
}

/// The buyer hears once that the money is on its way, and once if it does not arrive after all. Who gets it all
/// back without anybody's asking hears why.
fn mail(before: &State, wish: &Wish, now: AtStripe) -> Option<Mail> {
    let told = matches!(before, State::Pending { .. } | State::Succeeded { .. });
    let checkout = wish.sale.checkout;
    let automatic = match wish.reason {
        RefundReason::Duplicate => Some(Mail::DuplicateRefunded(checkout)),
        RefundReason::InterestWithdrawn => Some(Mail::InterestRefunded(checkout)),
        RefundReason::RequestedByCustomer
        | RefundReason::Fraudulent
        | RefundReason::MadeAtStripe => None,
    };
    match (automatic.filter(|_| wish.by.is_none()), now) {
        (_, AtStripe::Failed | AtStripe::Canceled) if told => Some(Mail::RefundFailed(wish.refund)),
        (_, AtStripe::Failed | AtStripe::Canceled) => None,
        (_, AtStripe::Pending | AtStripe::Succeeded) if told => None,
        (Some(why), _) => Some(why),
        (None, AtStripe::Pending | AtStripe::Succeeded) => Some(Mail::Refunded(wish.refund)),
    }
}

fn wish_of(state: &State) -> &Wish {
    match state {
        State::Reserving { wish }
        | State::AtStripe { wish, .. }
        | State::Pending { wish, .. }
        | State::Succeeded { wish, .. }
        | State::Rejected { wish, .. }
        | State::Failed { wish, .. }
        | State::Canceled { wish, .. } => wish,
    }
}

fn row(wish: &Wish, status: record::RefundStatus) -> RefundUpdate {
    RefundUpdate {
        refund: wish.refund,
        sale: wish.sale.clone(),
        status,
        amount: None,
        reason: wish.reason,
        by: wish.by.clone(),
        stripe_refund: None,
        failure: None,
    }
}

fn written(state: State, row: RefundUpdate) -> Step<State> {
    Step::to(state).record(Record::Refund(Box::new(row)))
}
