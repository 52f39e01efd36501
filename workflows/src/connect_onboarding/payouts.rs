//! Payouts of a handle's accounts: handed on to their own runs, since this one knows whose account it is.

use super::{
    State,
    steps::{handle_of, stay},
};
use crate::{
    payout::{Payee, Report},
    record::Record,
    stripe::Payout,
    workflow::Step,
};

/// Whichever of the handle's accounts it is from, also one that the handle has left. The look that was set
/// stays.
pub(super) fn payout_reported(state: &State, account: &str, payout: &Payout) -> Step<State> {
    let payee = Payee::Creator { handle: handle_of(state), account: account.to_owned() };
    let report = Report { payee, payout: payout.clone() };
    stay(state).record(Record::Send(report.message()))
}
