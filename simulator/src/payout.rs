//! Payouts (<https://docs.stripe.com/api/payouts>): money of the platform, or of a connected
//! account, on its way to a bank. Only the control interface makes them, as a schedule or somebody
//! in the dashboard would.
//!
//! ```text
//! status       comes from            money of the account   event
//! pending      —                     −amount                payout.created
//! in_transit   pending                                      payout.updated
//! paid         pending, in_transit                          payout.paid
//! failed       any of the above      +amount                payout.failed
//! canceled     pending               +amount                payout.canceled
//! ```
//!
//! Unlike at Stripe a payout of everything includes what is not available yet.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::balance;
use crate::balance_transaction::{self, Movement, Posting};
use crate::clock::DAY;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::state::State;
use crate::table::Record;

/// A payout is at the bank after so long.
const ARRIVES_AFTER: i64 = 2 * DAY;

/// Where all payouts go.
const DESTINATION: &str = "ba_SimulatedBankAccount0000";

/// Money on its way to a bank.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payout {
    id: String,
    created: i64,
    /// The connected account that is paid. None: the platform.
    account: Option<String>,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) status: PayoutStatus,
    extent: Extent,
    balance_transaction: String,
    failure_balance_transaction: Option<String>,
    metadata: Metadata,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PayoutStatus {
    Pending,
    InTransit,
    Paid,
    Failed,
    Canceled,
}

/// What is paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Extent {
    /// Everything there is: an automatic payout, whose balance transactions are known.
    Everything,
    /// An amount that somebody chose.
    Amount,
}

/// What the control interface asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPayout {
    /// A connected account. None: the platform.
    #[serde(default)]
    pub(crate) account: Option<String>,
    pub(crate) currency: String,
    /// In minor units. None: everything.
    #[serde(default)]
    pub(crate) amount: Option<i64>,
}

/// Why it cannot be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PayoutError {
    NoSuchAccount,
    NoSuchPayout,
    /// So much is there, which is less than what is asked for, or nothing.
    Insufficient(i64),
    /// A payout with this status cannot take that one.
    CannotBecome(PayoutStatus),
}

impl Record for Payout {
    const NOUN: &'static str = "payout";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, _: &State) -> Value {
        let failed = self.status == PayoutStatus::Failed;
        json!({
            "id": self.id,
            "object": "payout",
            "amount": self.amount,
            "application_fee": null,
            "application_fee_amount": null,
            "arrival_date": self.created + ARRIVES_AFTER,
            "automatic": self.extent == Extent::Everything,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "description": "STRIPE PAYOUT",
            "destination": DESTINATION,
            "failure_balance_transaction": self.failure_balance_transaction,
            "failure_code": failed.then_some("account_closed"),
            "failure_message": failed.then_some("The bank account has been closed"),
            "livemode": false,
            "metadata": self.metadata,
            "method": "standard",
            "original_payout": null,
            "payout_method": null,
            "reconciliation_status": match self.extent {
                Extent::Everything => "completed",
                Extent::Amount => "not_applicable",
            },
            "reversed_by": null,
            "source_type": "card",
            "statement_descriptor": null,
            "status": self.status,
            "trace_id": { "status": "pending", "value": null },
            "type": "bank_account",
        })
    }
}

/// Sends money to the bank and gives the id of the payout.
pub(crate) fn make(state: &mut State, new: &NewPayout) -> Result<String, PayoutError> {
    let account = new.account.as_deref();
    if account.is_some_and(|id| state.accounts.get(id).is_none()) {
        return Err(PayoutError::NoSuchAccount);
    }
    let funds = balance::of(state, account).remove(&new.currency).unwrap_or_default().total();
    let amount = new.amount.unwrap_or(funds);
    if amount < 1 || amount > funds {
        return Err(PayoutError::Insufficient(funds));
    }
    let id = state.ids.next("po_");
    let posting = Posting {
        account,
        description: Some("STRIPE PAYOUT"),
        ..Posting::new(Movement::Payout, &id, -amount, &new.currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let extent = match new.amount {
        None => Extent::Everything,
        Some(_) => Extent::Amount,
    };
    if extent == Extent::Everything {
        balance_transaction::settle(state, account, &new.currency, &id);
    }
    state.payouts.insert(Payout {
        id: id.clone(),
        created: state.now(),
        account: new.account.clone(),
        amount,
        currency: new.currency.clone(),
        status: PayoutStatus::Pending,
        extent,
        balance_transaction,
        failure_balance_transaction: None,
        metadata: Metadata::new(),
    });
    announce(state, &id, EventKind::PayoutCreated);
    Ok(id)
}

/// Lets a payout take a status, and does nothing if it has it already.
pub(crate) fn set_status(
    state: &mut State,
    id: &str,
    status: PayoutStatus,
) -> Result<(), PayoutError> {
    use PayoutStatus::{Canceled, Failed, InTransit, Paid, Pending};
    let payout = state.payouts.get_mut(id).ok_or(PayoutError::NoSuchPayout)?;
    let kind = match (payout.status, status) {
        (now, wanted) if now == wanted => return Ok(()),
        (Pending, InTransit) => EventKind::PayoutUpdated,
        (Pending | InTransit, Paid) => EventKind::PayoutPaid,
        (Pending | InTransit | Paid, Failed) => EventKind::PayoutFailed,
        (Pending, Canceled) => EventKind::PayoutCanceled,
        (now @ (Pending | InTransit | Paid | Failed | Canceled), _) => {
            return Err(PayoutError::CannotBecome(now));
        }
    };
    payout.status = status;
    match status {
        Failed => bring_back(state, id, Movement::PayoutFailure),
        Canceled => bring_back(state, id, Movement::PayoutCancel),
        Pending | InTransit | Paid => {}
    }
    announce(state, id, kind);
    Ok(())
}

/// Puts the money of a payout back into the balance.
fn bring_back(state: &mut State, id: &str, movement: Movement) {
    let Some(payout) = state.payouts.get(id) else {
        return;
    };
    let (account, currency) = (payout.account.clone(), payout.currency.clone());
    let posting = Posting {
        account: account.as_deref(),
        ..Posting::new(movement, id, payout.amount, &currency)
    };
    let returned = balance_transaction::post(state, &posting);
    if let Some(payout) = state.payouts.get_mut(id) {
        payout.failure_balance_transaction = Some(returned);
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let payout = state.payouts.find(id, call.account());
    payout
        .map(|payout| payout.render(state))
        .ok_or_else(|| ApiError::no_such(Payout::NOUN, id, "payout"))
}

/// Filters: `status`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let wanted = call.form.text("status").map(Value::from);
    list::respond(state, call, &state.payouts, |payout| {
        wanted.as_ref().is_none_or(|wanted| *wanted == json!(payout.status))
    })
}

fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(payout) = state.payouts.get(id) else {
        return;
    };
    let (object, account) = (payout.render(state), payout.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}
