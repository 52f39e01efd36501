//! What becomes of a refund after it was made: what the bank says later.

use serde::Deserialize;

use super::{RefundStatus, announce, announce_update, pay_out};
use crate::balance_transaction::{self, Movement, Posting};
use crate::charge;
use crate::event::EventKind;
use crate::state::State;

/// What the bank, or somebody in the dashboard, makes of a refund.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    status: RefundStatus,
    /// Stripe's `failure_reason` of a refund that fails.
    failure_reason: Option<String>,
}

/// Why a refund cannot take a status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StatusError {
    NoSuchRefund,
    /// A refund that failed or was canceled stays as it is.
    Over(RefundStatus),
    /// Only a pending refund can be canceled.
    NotPending,
}

/// Lets a refund take a status, and does nothing if it has it already.
pub(crate) fn set_status(state: &mut State, id: &str, outcome: Outcome) -> Result<(), StatusError> {
    let status = outcome.status;
    let refund = state.refunds.get_mut(id).ok_or(StatusError::NoSuchRefund)?;
    match (refund.status, status) {
        (now, wanted) if now == wanted => return Ok(()),
        (now @ (RefundStatus::Failed | RefundStatus::Canceled), _) => {
            return Err(StatusError::Over(now));
        }
        (RefundStatus::Succeeded, RefundStatus::Canceled) => return Err(StatusError::NotPending),
        (RefundStatus::Pending | RefundStatus::Succeeded, _) => {}
    }
    refund.status = status;
    refund.failure_reason = outcome.failure_reason;
    match status {
        RefundStatus::Pending => {}
        RefundStatus::Succeeded => pay_out(state, id),
        RefundStatus::Failed | RefundStatus::Canceled => undo(state, id),
    }
    announce_update(state, id);
    if status == RefundStatus::Failed {
        announce(state, id, EventKind::RefundFailed);
    }
    if !status.counts()
        && let Some(charge) = state.refunds.get(id).map(|refund| refund.charge.clone())
    {
        charge::announce(state, &charge, EventKind::ChargeUpdated);
    }
    Ok(())
}

/// The money, if it had left, is the platform's again, and the charge can be refunded again. What
/// was taken back of the transfer and given back of the fee stays where it is: Stripe's
/// documentation tells of no undoing of these.
fn undo(state: &mut State, id: &str) {
    let Some(refund) = state.refunds.get(id) else {
        return;
    };
    let (charge, amount) = (refund.charge.clone(), refund.amount);
    let (account, currency) = (refund.account.clone(), refund.currency.clone());
    if refund.balance_transaction.is_some() {
        let posting = Posting {
            account: account.as_deref(),
            ..Posting::new(Movement::RefundFailure, id, amount, &currency)
        };
        let returned = balance_transaction::post(state, &posting);
        if let Some(refund) = state.refunds.get_mut(id) {
            refund.failure_balance_transaction = Some(returned);
        }
    }
    if let Some(charge) = state.charges.get_mut(&charge) {
        charge.amount_refunded -= amount;
    }
}
