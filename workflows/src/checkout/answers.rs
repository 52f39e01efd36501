//! What a purchase hears of the answers to its calls.

use super::Event;
use crate::effect::{Answer, Effect};

/// What a purchase hears of the answer to a call.
pub(super) fn event(effect: &Effect, answer: &Answer) -> Option<Event> {
    Some(match (effect, answer) {
        (_, Answer::SessionCreated { session, url }) => {
            Event::SessionCreated { session: session.clone(), url: url.clone() }
        }
        (_, Answer::SessionRetrieved(session)) => Event::SessionRetrieved(session.clone()),
        (_, Answer::RefundCreated(refund) | Answer::RefundRetrieved(refund)) => {
            Event::RefundReported(refund.clone())
        }
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
        (Effect::RetrieveCharge { payment_intent, reading }, Answer::ChargeRetrieved(charge)) => {
            Event::ChargeRetrieved {
                payment_intent: payment_intent.clone(),
                reading: *reading,
                charge: charge.clone(),
            }
        }
        (Effect::RetrieveCharge { payment_intent, reading }, Answer::Failed(failure)) => {
            Event::ChargeUnreadable {
                payment_intent: payment_intent.clone(),
                reading: *reading,
                failure: failure.clone(),
            }
        }
        // What was done is read, like all that comes back.
        (_, Answer::TransferReversed { .. } | Answer::TransferCreated { .. }) => {
            Event::ReturnsChanged
        }
        (Effect::ReverseTransfer { cause, transfer, .. }, Answer::Failed(failure)) => {
            Event::ReversalRefused {
                cause: cause.clone(),
                transfer: transfer.clone(),
                failure: failure.clone(),
            }
        }
        (Effect::CreateTransfer { cause, .. }, Answer::Failed(failure)) => {
            Event::TransferRefused { cause: cause.clone(), failure: failure.clone() }
        }
        // Nobody waits for a mail.
        _ => return None,
    })
}
