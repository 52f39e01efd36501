//! Checkout sessions (<https://docs.stripe.com/api/checkout/sessions>): open until they are paid or
//! expire. What happens when one is paid is in `payment`, and for a subscription in
//! `subscription_checkout`.

mod items;
mod mode;
mod params;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::customer;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::payment_intent;
use crate::state::{Deadline, State};
use crate::table::Record;

pub(crate) use items::LineItem;
pub(crate) use mode::{SessionMode, SubscriptionData};

/// A page on which somebody can pay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CheckoutSession {
    id: String,
    created: i64,
    account: Option<String>,
    #[serde(default)]
    pub(crate) mode: SessionMode,
    pub(crate) status: SessionStatus,
    pub(crate) payment_status: PaymentStatus,
    /// In minor units of the currency.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    expires_at: i64,
    pub(crate) success_url: Option<String>,
    pub(crate) cancel_url: Option<String>,
    client_reference_id: Option<String>,
    pub(crate) customer: Option<String>,
    pub(crate) customer_email: Option<String>,
    /// The e-mail address that the buyer gave on the page.
    pub(crate) buyer_email: Option<String>,
    locale: Option<String>,
    metadata: Metadata,
    payment_method_types: Vec<String>,
    pub(crate) line_items: Vec<LineItem>,
    /// None until somebody tries to pay, as at Stripe since API version 2022-08-01.
    pub(crate) payment_intent: Option<String>,
    /// What the payment intent will be made from.
    pub(crate) intent: IntentData,
    /// What the subscription will be made from.
    #[serde(default)]
    pub(crate) subscription_data: SubscriptionData,
    #[serde(default)]
    pub(crate) subscription: Option<String>,
    #[serde(default)]
    pub(crate) invoice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionStatus {
    Open,
    Complete,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PaymentStatus {
    Unpaid,
    Paid,
    /// A trial begins, or it is free.
    NoPaymentRequired,
}

/// `payment_intent_data`: what a payment intent and its charge take over from the session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct IntentData {
    pub(crate) metadata: Metadata,
    pub(crate) description: Option<String>,
    /// The platform's cut, in minor units.
    pub(crate) application_fee_amount: Option<i64>,
    /// The connected account that the money is passed on to.
    pub(crate) destination: Option<String>,
    /// How much is passed on. None: all of it.
    pub(crate) transfer_amount: Option<i64>,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) transfer_group: Option<String>,
    pub(crate) receipt_email: Option<String>,
}

impl Record for CheckoutSession {
    const NOUN: &'static str = "checkout.session";

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
        let open = self.status == SessionStatus::Open;
        let url = open.then(|| format!("{}/c/pay/{}", state.public_url, self.id));
        let is_payment = self.mode == SessionMode::Payment;
        let created_customer = (is_payment && self.customer.is_none()).then_some("if_required");
        json!({
            "id": self.id,
            "object": "checkout.session",
            "adaptive_pricing": { "enabled": false },
            "after_expiration": null,
            "allow_promotion_codes": null,
            "amount_subtotal": self.amount,
            "amount_total": self.amount,
            "automatic_tax": {
                "enabled": false,
                "liability": null,
                "provider": null,
                "status": null,
            },
            "billing_address_collection": null,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "client_secret": null,
            "collected_information": null,
            "consent": null,
            "consent_collection": null,
            "created": self.created,
            "currency": self.currency,
            "currency_conversion": null,
            "custom_fields": [],
            "custom_text": {
                "after_submit": null,
                "shipping_address": null,
                "submit": null,
                "terms_of_service_acceptance": null,
            },
            "customer": self.customer,
            "customer_account": null,
            "customer_creation": created_customer,
            "customer_details": self.customer_details(),
            "customer_email": self.customer_email,
            "discounts": [],
            "expires_at": self.expires_at,
            "integration_identifier": null,
            "invoice": self.invoice,
            "invoice_creation": is_payment.then(no_invoice),
            "livemode": false,
            "locale": self.locale,
            "managed_payments": { "enabled": false },
            "metadata": self.metadata,
            "mode": self.mode,
            "origin_context": null,
            "payment_intent": self.payment_intent.as_ref().filter(|_| is_payment),
            "payment_link": null,
            "payment_method_collection": if is_payment { "if_required" } else { "always" },
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": self.payment_method_types,
            "payment_status": self.payment_status,
            "permissions": null,
            "phone_number_collection": { "enabled": false },
            "recovered_from": null,
            "saved_payment_method_options": null,
            "setup_intent": null,
            "shipping_address_collection": null,
            "shipping_cost": null,
            "shipping_options": [],
            "status": self.status,
            "submit_type": null,
            "subscription": self.subscription,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": null,
            "url": url,
            "wallet_options": null,
        })
    }
}

impl CheckoutSession {
    /// The address that the buyer typed, or the one that the session was created with.
    pub(crate) fn email(&self) -> Option<&str> {
        self.buyer_email.as_deref().or(self.customer_email.as_deref())
    }

    fn customer_details(&self) -> Value {
        let Some(email) = self.email() else {
            return Value::Null;
        };
        json!({
            "address": null,
            "business_name": null,
            "email": email,
            "individual_name": null,
            "name": null,
            "phone": null,
            "tax_exempt": "none",
            "tax_ids": [],
        })
    }
}

/// The `invoice_creation` of a payment that nobody gets an invoice for.
fn no_invoice() -> Value {
    json!({
        "enabled": false,
        "invoice_data": {
            "account_tax_ids": null,
            "custom_fields": null,
            "description": null,
            "footer": null,
            "issuer": null,
            "metadata": {},
            "rendering_options": null,
        },
    })
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let mode = SessionMode::read(form)?;
    let success_url = form.url("success_url")?.ok_or_else(|| ApiError::missing("success_url"))?;
    let customer = form.text("customer");
    if let Some(id) = customer {
        customer::require(state, call.account(), id)?;
    }
    let (line_items, currency) = items::line_items(state, call, mode)?;
    let subscription_data = SubscriptionData::read(form)?;
    let total = items::total(&line_items)?;
    items::check_amount(total, &currency, mode)?;
    let amount = if subscription_data.has_trial() { 0 } else { total };
    let intent = params::intent_data(form, amount)?;
    params::check_fee_payer(call, &intent)?;
    params::check_accounts(state, &intent)?;
    let methods = form.list("payment_method_types");
    let methods = if methods.is_empty() { vec!["card"] } else { methods };
    let session = CheckoutSession {
        expires_at: params::expires_at(state, form)?,
        cancel_url: form.url("cancel_url")?,
        metadata: form.metadata("metadata")?,
        id: state.ids.next("cs_test_"),
        created: state.now(),
        account: call.account.clone(),
        mode,
        status: SessionStatus::Open,
        payment_status: PaymentStatus::Unpaid,
        amount,
        currency,
        success_url: Some(success_url),
        client_reference_id: form.owned("client_reference_id"),
        customer: customer.map(str::to_owned),
        customer_email: form.owned("customer_email"),
        buyer_email: None,
        locale: form.owned("locale"),
        payment_method_types: methods.into_iter().map(str::to_owned).collect(),
        line_items,
        payment_intent: None,
        intent,
        subscription_data,
        subscription: None,
        invoice: None,
    };
    state.set_deadline(session.expires_at, Deadline::Expire(session.id.clone()));
    let object = session.render(state);
    state.checkout_sessions.insert(session);
    Ok(object)
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, call, id).map(|session| session.render(state))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    existing(state, call, id)?;
    if let Some(session) = state.checkout_sessions.get_mut(id) {
        call.form.merge_metadata("metadata", &mut session.metadata)?;
    }
    retrieve(state, call, id)
}

/// Filters: `payment_intent`, `status`, `customer`, `subscription`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let table = &state.checkout_sessions;
    let keep = |session: &CheckoutSession| {
        let status = json!(session.status);
        list::matches(&call.form, "status", status.as_str())
            && list::matches(&call.form, "customer", session.customer.as_deref())
            && list::matches(&call.form, "subscription", session.subscription.as_deref())
    };
    match call.form.text("payment_intent") {
        None => list::respond(state, call, table, keep),
        Some(intent) => {
            let intent = state.payment_intents.get(intent);
            let session = intent.and_then(|intent| intent.session.as_deref());
            list::respond_among(state, call, table, session, keep)
        }
    }
}

pub(crate) fn expire(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let session = existing(state, call, id)?;
    if session.status != SessionStatus::Open {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
             Session has a status of `{}`.",
            json!(session.status).as_str().unwrap_or_default()
        );
        return Err(ApiError::refused(message));
    }
    expire_if_open(state, id);
    retrieve(state, call, id)
}

/// Expires a session, and cancels the payment intent of an attempt to pay it.
pub(crate) fn expire_if_open(state: &mut State, id: &str) {
    let Some(session) = state.checkout_sessions.get_mut(id) else {
        return;
    };
    if session.status != SessionStatus::Open {
        return;
    }
    session.status = SessionStatus::Expired;
    let intent = session.payment_intent.clone();
    if let Some(intent) = intent {
        payment_intent::cancel(state, &intent);
    }
    announce(state, id, EventKind::CheckoutSessionExpired);
}

/// Emits an event about a session.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(session) = state.checkout_sessions.get(id) else {
        return;
    };
    let (object, account) = (session.render(state), session.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}

fn existing<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a CheckoutSession, ApiError> {
    state
        .checkout_sessions
        .find(id, call.account())
        .ok_or_else(|| ApiError::no_such(CheckoutSession::NOUN, id, "session"))
}
