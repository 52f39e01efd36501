//! Disputes (<https://docs.stripe.com/api/disputes>): the bank of a buyer takes the money of a
//! charge back, and gives it back again if the dispute is won.
//!
//! ```text
//! what happens   status              money of the account of the charge   events, in this order
//! opened         needs_response      −amount −fee                         charge.dispute.created
//!                                                                         charge.dispute.funds_withdrawn
//! evidence sent  under_review                                             charge.dispute.updated
//! won            won                 +amount +fee                         charge.dispute.funds_reinstated
//!                                                                         charge.dispute.closed
//! lost           lost                                                     charge.dispute.closed
//! ```
//!
//! For a destination charge it is the platform's balance that is debited, and the transfer stays as
//! it is (<https://docs.stripe.com/connect/disputes>). Unlike at Stripe there is one fee, and it
//! comes back with a dispute that is won.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::balance_transaction::{self, Movement, Posting};
use crate::charge::Charge;
use crate::clock::DAY;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::money;
use crate::payment_intent::Method;
use crate::state::State;
use crate::table::Record;

/// What the processor keeps of a dispute, in whole units of any currency: 15.00 USD, 15 JPY.
const FEE_UNITS: i64 = 15;

/// Evidence can be sent for so long.
const EVIDENCE_FOR: i64 = 9 * DAY;

/// What the holder of a card can give as a reason
/// (<https://docs.stripe.com/disputes/categories>).
const REASONS: [&str; 15] = [
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
];

/// A buyer's quarrel with a charge.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    id: String,
    created: i64,
    account: Option<String>,
    charge: String,
    payment_intent: String,
    method: Method,
    /// In minor units of the currency; it may be more than the charge.
    pub(crate) amount: i64,
    /// What the processor keeps unless the dispute is won.
    pub(crate) fee: i64,
    pub(crate) currency: String,
    reason: String,
    pub(crate) status: DisputeStatus,
    metadata: Metadata,
    /// The withdrawal, and the reinstatement if there was one.
    balance_transactions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeStatus {
    pub(crate) fn is_open(self) -> bool {
        match self {
            Self::NeedsResponse | Self::UnderReview => true,
            Self::Won | Self::Lost => false,
        }
    }
}

/// How a dispute ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Won,
    Lost,
}

/// Why it cannot be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DisputeError {
    NoSuchDispute,
    /// The charge failed, or nothing of it is left to dispute.
    NothingToDispute,
    /// Another dispute of the charge is open.
    Disputed,
    UnknownReason,
    Closed(DisputeStatus),
}

impl Record for Dispute {
    const NOUN: &'static str = "dispute";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, state: &State) -> Value {
        let movements: Vec<Value> =
            self.balance_transactions.iter().filter_map(|id| state.render(id)).collect();
        let due_by = self.created + EVIDENCE_FOR;
        let submitted = self.status == DisputeStatus::UnderReview;
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": movements,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": no_evidence(),
            "evidence_details": {
                "due_by": due_by,
                "enhanced_eligibility": {},
                "has_evidence": submitted,
                "past_due": state.now() > due_by,
                "submission_count": i32::from(submitted),
            },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method_details": method_details(self.method),
            "reason": self.reason,
            "status": self.status,
        })
    }
}

/// Whether a dispute that is open, or was lost, has taken back money of a charge.
pub(crate) fn took_it_back(state: &State, charge: &Charge) -> bool {
    let mut disputes = charge.disputes.iter().filter_map(|id| state.disputes.get(id));
    disputes.any(|dispute| dispute.status != DisputeStatus::Won)
}

/// Opens a dispute of a charge, of this amount or of what is not refunded, and gives its id.
pub(crate) fn open(
    state: &mut State,
    charge_id: &str,
    amount: Option<i64>,
    reason: &str,
) -> Result<String, DisputeError> {
    if !REASONS.contains(&reason) {
        return Err(DisputeError::UnknownReason);
    }
    let charge = state.charges.get(charge_id).filter(|charge| charge.succeeded());
    let charge = charge.ok_or(DisputeError::NothingToDispute)?.clone();
    let mut disputes = charge.disputes.iter().filter_map(|id| state.disputes.get(id));
    if disputes.any(|dispute| dispute.status.is_open()) {
        return Err(DisputeError::Disputed);
    }
    let amount = amount.unwrap_or(charge.amount - charge.amount_refunded);
    if amount < 1 {
        return Err(DisputeError::NothingToDispute);
    }
    let id = state.ids.next("du_");
    let fee = money::whole_units(FEE_UNITS, &charge.currency);
    let description = format!("Chargeback withdrawal for {charge_id}");
    let posting = Posting {
        account: charge.account.as_deref(),
        fee,
        description: Some(&description),
        ..Posting::new(Movement::Dispute, &id, -amount, &charge.currency)
    };
    let withdrawal = balance_transaction::post(state, &posting);
    state.disputes.insert(Dispute {
        id: id.clone(),
        created: state.now(),
        account: charge.account,
        charge: charge_id.to_owned(),
        payment_intent: charge.payment_intent,
        method: charge.method,
        amount,
        fee,
        currency: charge.currency,
        reason: reason.to_owned(),
        status: DisputeStatus::NeedsResponse,
        metadata: Metadata::new(),
        balance_transactions: vec![withdrawal],
    });
    if let Some(charge) = state.charges.get_mut(charge_id) {
        charge.disputes.push(id.clone());
    }
    announce(state, &id, EventKind::ChargeDisputeCreated);
    announce(state, &id, EventKind::ChargeDisputeFundsWithdrawn);
    Ok(id)
}

/// Sends evidence to the bank, unless it was sent before.
pub(crate) fn review(state: &mut State, id: &str) -> Result<(), DisputeError> {
    let dispute = state.disputes.get_mut(id).ok_or(DisputeError::NoSuchDispute)?;
    match dispute.status {
        DisputeStatus::UnderReview => Ok(()),
        closed @ (DisputeStatus::Won | DisputeStatus::Lost) => Err(DisputeError::Closed(closed)),
        DisputeStatus::NeedsResponse => {
            dispute.status = DisputeStatus::UnderReview;
            announce(state, id, EventKind::ChargeDisputeUpdated);
            Ok(())
        }
    }
}

/// Ends a dispute.
pub(crate) fn end(state: &mut State, id: &str, verdict: Verdict) -> Result<(), DisputeError> {
    let dispute = state.disputes.get_mut(id).ok_or(DisputeError::NoSuchDispute)?;
    if !dispute.status.is_open() {
        return Err(DisputeError::Closed(dispute.status));
    }
    match verdict {
        Verdict::Lost => dispute.status = DisputeStatus::Lost,
        Verdict::Won => {
            dispute.status = DisputeStatus::Won;
            reinstate(state, id);
            announce(state, id, EventKind::ChargeDisputeFundsReinstated);
        }
    }
    announce(state, id, EventKind::ChargeDisputeClosed);
    Ok(())
}

/// Puts the money and the fee back into the balance.
fn reinstate(state: &mut State, id: &str) {
    let Some(dispute) = state.disputes.get(id) else {
        return;
    };
    let (account, currency) = (dispute.account.clone(), dispute.currency.clone());
    let description = format!("Chargeback reversal for {}", dispute.charge);
    let posting = Posting {
        account: account.as_deref(),
        fee: -dispute.fee,
        description: Some(&description),
        ..Posting::new(Movement::DisputeReversal, id, dispute.amount, &currency)
    };
    let reinstatement = balance_transaction::post(state, &posting);
    if let Some(dispute) = state.disputes.get_mut(id) {
        dispute.balance_transactions.push(reinstatement);
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let dispute = state.disputes.find(id, call.account());
    dispute
        .map(|dispute| dispute.render(state))
        .ok_or_else(|| ApiError::no_such(Dispute::NOUN, id, "dispute"))
}

/// Changes metadata. Evidence is sent through the control interface.
pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    if let Some(dispute) = state.disputes.get_mut(id) {
        call.form.merge_metadata("metadata", &mut dispute.metadata)?;
    }
    announce(state, id, EventKind::ChargeDisputeUpdated);
    retrieve(state, call, id)
}

/// Accepts a dispute as lost.
pub(crate) fn close(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    retrieve(state, call, id)?;
    end(state, id, Verdict::Lost)
        .map_err(|_| ApiError::refused("This dispute is already closed."))?;
    retrieve(state, call, id)
}

/// Filters: `charge`, `payment_intent`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.disputes, |dispute| {
        list::matches(&call.form, "charge", Some(&dispute.charge))
            && list::matches(&call.form, "payment_intent", Some(&dispute.payment_intent))
    })
}

fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(dispute) = state.disputes.get(id) else {
        return;
    };
    let (object, account) = (dispute.render(state), dispute.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

fn method_details(method: Method) -> Value {
    match method {
        Method::Card => json!({
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        }),
        Method::SepaDebit => Value::Null,
    }
}

fn no_evidence() -> Value {
    json!({
        "access_activity_log": null,
        "billing_address": null,
        "cancellation_policy": null,
        "cancellation_policy_disclosure": null,
        "cancellation_rebuttal": null,
        "customer_communication": null,
        "customer_email_address": null,
        "customer_name": null,
        "customer_purchase_ip": null,
        "customer_signature": null,
        "duplicate_charge_documentation": null,
        "duplicate_charge_explanation": null,
        "duplicate_charge_id": null,
        "enhanced_evidence": {},
        "product_description": null,
        "receipt": null,
        "refund_policy": null,
        "refund_policy_disclosure": null,
        "refund_refusal_explanation": null,
        "service_date": null,
        "service_documentation": null,
        "shipping_address": null,
        "shipping_carrier": null,
        "shipping_date": null,
        "shipping_documentation": null,
        "shipping_tracking_number": null,
        "uncategorized_file": null,
        "uncategorized_text": null,
    })
}
