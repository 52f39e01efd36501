//! Invoice payments (<https://docs.stripe.com/api/invoice-payment>): how an invoice and its payment
//! intent belong together.

use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::invoice::{Invoice, InvoiceStatus};
use crate::list::{self, Rest};
use crate::state::State;
use crate::table::Record;

/// The payment of an invoice, once somebody tried to collect it.
pub(crate) fn of_invoice(state: &State, invoice: &Invoice) -> Option<Value> {
    let intent = state.payment_intents.get(invoice.payment_intent.as_deref()?)?;
    let status = match invoice.status {
        InvoiceStatus::Paid => "paid",
        InvoiceStatus::Void => "canceled",
        _ => "open",
    };
    let paid = (invoice.status == InvoiceStatus::Paid).then_some(invoice.amount_paid);
    Some(json!({
        "id": invoice.id().replacen("in_", "inpay_", 1),
        "object": "invoice_payment",
        "amount_paid": paid,
        "amount_requested": invoice.amount_due(),
        "created": intent.created,
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": true,
        "livemode": false,
        "payment": { "payment_intent": intent.id, "type": "payment_intent" },
        "status": status,
        "status_transitions": { "canceled_at": invoice.voided_at, "paid_at": invoice.paid_at },
    }))
}

/// Filters: `invoice` (which Stripe does not demand, but the simulator does) or
/// `payment[payment_intent]`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let intent = form.text("payment[payment_intent]");
    let id = match intent.and_then(|intent| state.payment_intents.get(intent)) {
        Some(intent) => intent.invoice.as_deref(),
        None => form.text("invoice"),
    };
    if id.is_none() && intent.is_none() {
        return Err(ApiError::missing("invoice"));
    }
    let invoice = id.and_then(|id| state.invoices.find(id, call.account()));
    let payments = invoice.and_then(|invoice| of_invoice(state, invoice)).into_iter().collect();
    Ok(list::list(payments, Rest::Nothing, "/v1/invoice_payments"))
}
