//! Payouts of a handle's accounts: handed on to their own runs, since this one knows whose account it is.

use super::{
    Known, Reading, State,
    steps::{handle_of, read, stay},
};
use crate::{
    payout::{Payee, Report},
    record::Record,
    stripe::{Payout, PayoutStatus},
    timestamp::Timestamp,
    workflow::Step,
};

/// Whichever of the handle's accounts it is from, also one that the handle has left.
///
/// Staying sets the timer anew, and payouts come daily: with those that are over, the account is looked at, so
/// that they never keep the timer from looking. One that fails often means that the account needs mending.
pub(super) fn payout_reported(
    state: &State,
    account: &str,
    payout: &Payout,
    at: Timestamp,
) -> Step<State> {
    let payee = Payee::Creator { handle: handle_of(state), account: account.to_owned() };
    let step = match live(state) {
        Some(known) if known.reading == Reading::Idle && is_over(payout.status) => {
            read(state, known.clone(), at)
        }
        Some(_) | None => stay(state, at),
    };
    let report = Report { payee, payout: payout.clone() };
    step.record(Record::Send(report.message()))
}

fn is_over(status: PayoutStatus) -> bool {
    match status {
        PayoutStatus::Paid | PayoutStatus::Failed | PayoutStatus::Canceled => true,
        PayoutStatus::Pending | PayoutStatus::InTransit => false,
    }
}

/// What is known of an account that is looked at by a timer.
fn live(state: &State) -> Option<&Known> {
    match state {
        State::AwaitingCreator { known }
        | State::PendingVerification { known }
        | State::Connected { known }
        | State::Restricted { known } => Some(known),
        State::CreatingAccount { .. }
        | State::CreatingLink { .. }
        | State::Rejected { .. }
        | State::Disconnected { .. }
        | State::Reconnecting { .. }
        | State::Failed { .. } => None,
    }
}
