//! Invoices (<https://docs.stripe.com/api/invoices>) of subscriptions. They are made and collected in
//! `billing`.

mod line;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::billing::{self, Attempt, Collected};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::invoice_payment;
use crate::list::{self, Rest};
use crate::state::State;
use crate::table::Record;

pub(crate) use line::{Line, LineKind};

/// What a customer is asked to pay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) account: Option<String>,
    pub(crate) number: Option<String>,
    pub(crate) customer: String,
    pub(crate) customer_email: Option<String>,
    pub(crate) customer_name: Option<String>,
    pub(crate) subscription: String,
    /// The subscription's, as it was when the invoice was made.
    pub(crate) subscription_metadata: Metadata,
    pub(crate) status: InvoiceStatus,
    pub(crate) reason: BillingReason,
    pub(crate) currency: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) period_start: i64,
    pub(crate) period_end: i64,
    /// What the customer had with us before, in minor units: less than zero is a credit.
    pub(crate) starting_balance: i64,
    pub(crate) amount_paid: i64,
    pub(crate) attempt_count: u32,
    /// How many of the attempts were made by schedule.
    pub(crate) retries: u32,
    pub(crate) next_payment_attempt: Option<i64>,
    pub(crate) payment_intent: Option<String>,
    pub(crate) finalized_at: Option<i64>,
    pub(crate) paid_at: Option<i64>,
    pub(crate) uncollectible_at: Option<i64>,
    pub(crate) voided_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoiceStatus {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

/// Why there is an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BillingReason {
    #[serde(rename = "subscription_create")]
    Create,
    #[serde(rename = "subscription_cycle")]
    Cycle,
    #[serde(rename = "subscription_update")]
    Update,
}

impl Invoice {
    /// All lines together, in minor units; less than zero if credits outweigh the rest.
    pub(crate) fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// What is to be paid after the customer's credit.
    pub(crate) fn amount_due(&self) -> i64 {
        (self.total() + self.starting_balance).max(0)
    }

    /// What is left of the customer's credit.
    pub(crate) fn ending_balance(&self) -> i64 {
        (self.total() + self.starting_balance).min(0)
    }

    fn render_lines(&self, state: &State) -> Value {
        let lines = self.lines.iter().map(|line| line.render(state, self)).collect();
        list::list(lines, Rest::Nothing, &format!("/v1/invoices/{}/lines", self.id))
    }

    fn render_payments(&self, state: &State) -> Value {
        let payments = invoice_payment::of_invoice(state, self).into_iter().collect();
        list::list(payments, Rest::Nothing, &format!("/v1/invoice_payments?invoice={}", self.id))
    }
}

impl Record for Invoice {
    const NOUN: &'static str = "invoice";

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
        let customer = state.customers.get(&self.customer);
        let open = self.status == InvoiceStatus::Open;
        let draft = self.status == InvoiceStatus::Draft;
        json!({
            "id": self.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": "Simulated platform",
            "account_tax_ids": null,
            "amount_due": self.amount_due(),
            "amount_overpaid": 0,
            "amount_paid": self.amount_paid,
            "amount_remaining": self.amount_due() - self.amount_paid,
            "amount_shipping": 0,
            "application": null,
            "attempt_count": self.attempt_count,
            "attempted": self.attempt_count > 0,
            "auto_advance": open && billing::is_collected(state, self),
            "automatic_tax": {
                "disabled_reason": null,
                "enabled": false,
                "liability": null,
                "provider": null,
                "status": null,
            },
            "automatically_finalizes_at": null,
            "billing_reason": self.reason,
            "collection_method": "charge_automatically",
            "created": self.created,
            "currency": self.currency,
            "custom_fields": null,
            "customer": self.customer,
            "customer_account": null,
            "customer_address": customer.map(|customer| customer.render_address()),
            "customer_email": self.customer_email,
            "customer_name": self.customer_name,
            "customer_phone": null,
            "customer_shipping": null,
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
            "default_payment_method": null,
            "default_source": null,
            "default_tax_rates": [],
            "description": null,
            "discounts": [],
            "due_date": null,
            "effective_at": self.finalized_at,
            "ending_balance": if draft { None } else { Some(self.ending_balance()) },
            "footer": null,
            "from_invoice": null,
            "hosted_invoice_url": null,
            "invoice_pdf": null,
            "issuer": { "type": "self" },
            "last_finalization_error": null,
            "latest_revision": null,
            "lines": self.render_lines(state),
            "livemode": false,
            "metadata": {},
            "next_payment_attempt": self.next_payment_attempt,
            "number": self.number,
            "on_behalf_of": null,
            "parent": {
                "quote_details": null,
                "subscription_details": {
                    "metadata": self.subscription_metadata,
                    "subscription": self.subscription,
                },
                "type": "subscription_details",
            },
            "payment_settings": {
                "default_mandate": null,
                "payment_method_options": null,
                "payment_method_types": null,
            },
            "payments": self.render_payments(state),
            "period_end": self.period_end,
            "period_start": self.period_start,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "receipt_number": null,
            "rendering": null,
            "shipping_cost": null,
            "shipping_details": null,
            "starting_balance": self.starting_balance,
            "statement_descriptor": null,
            "status": self.status,
            "status_transitions": {
                "finalized_at": self.finalized_at,
                "marked_uncollectible_at": self.uncollectible_at,
                "paid_at": self.paid_at,
                "voided_at": self.voided_at,
            },
            // Where it was before API version 2025-03-31; now it is in `parent`.
            "subscription": null,
            "subtotal": self.total(),
            "subtotal_excluding_tax": self.total(),
            "test_clock": null,
            "total": self.total(),
            "total_discount_amounts": [],
            "total_excluding_tax": self.total(),
            "total_pretax_credit_amounts": [],
            "total_taxes": [],
            "webhooks_delivered_at": self.finalized_at,
        })
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, call, id).map(|invoice| invoice.render(state))
}

/// Filters: `customer`, `subscription`, `status`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    list::respond(state, call, &state.invoices, |invoice| {
        list::matches(form, "customer", Some(&invoice.customer))
            && list::matches(form, "subscription", Some(&invoice.subscription))
            && list::matches(form, "status", json!(invoice.status).as_str())
    })
}

pub(crate) fn list_lines(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, call, id).map(|invoice| invoice.render_lines(state))
}

/// Tries to collect an open invoice now.
pub(crate) fn pay(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    match existing(state, call, id)?.status {
        InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
        InvoiceStatus::Paid => return Err(ApiError::refused("Invoice is already paid")),
        InvoiceStatus::Draft | InvoiceStatus::Void => {
            return Err(ApiError::refused("This invoice can no longer be paid."));
        }
    }
    match billing::collect(state, id, Attempt::Extra) {
        Collected::Paid => retrieve(state, call, id),
        Collected::Declined => Err(ApiError::card_declined()),
        Collected::NoCard => Err(ApiError::no_card()),
    }
}

pub(crate) fn void(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    give_up(state, call, id, InvoiceStatus::Void)
}

pub(crate) fn mark_uncollectible(
    state: &mut State,
    call: &Call,
    id: &str,
) -> Result<Value, ApiError> {
    give_up(state, call, id, InvoiceStatus::Uncollectible)
}

fn give_up(
    state: &mut State,
    call: &Call,
    id: &str,
    status: InvoiceStatus,
) -> Result<Value, ApiError> {
    let known = existing(state, call, id)?.status;
    if known != InvoiceStatus::Open && known != InvoiceStatus::Uncollectible || known == status {
        let message = "Only open invoices can be voided or marked uncollectible.";
        return Err(ApiError::refused(message));
    }
    close(state, id, status);
    retrieve(state, call, id)
}

/// Ends an invoice that is not paid, as void or uncollectible, and says so.
pub(crate) fn close(state: &mut State, id: &str, status: InvoiceStatus) {
    let now = state.now();
    let Some(invoice) = state.invoices.get_mut(id) else {
        return;
    };
    invoice.status = status;
    invoice.next_payment_attempt = None;
    let kind = match status {
        InvoiceStatus::Void => {
            invoice.voided_at = Some(now);
            let credit = invoice.starting_balance - invoice.ending_balance();
            if let Some(customer) = state.customers.get_mut(&invoice.customer) {
                customer.balance += credit;
            }
            EventKind::InvoiceVoided
        }
        _ => {
            invoice.uncollectible_at = Some(now);
            EventKind::InvoiceMarkedUncollectible
        }
    };
    announce(state, id, kind);
}

/// Emits an event about an invoice.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(invoice) = state.invoices.get(id) else {
        return;
    };
    let (object, account) = (invoice.render(state), invoice.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

fn existing<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Invoice, ApiError> {
    let invoice = state.invoices.find(id, call.account());
    invoice.ok_or_else(|| ApiError::no_such(Invoice::NOUN, id, "invoice"))
}
