//! Events (<https://docs.stripe.com/api/events>): what happened, with a snapshot of the object.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::API_VERSION;
use crate::api::Call;
use crate::clock::DAY;
use crate::error::ApiError;
use crate::list;
use crate::state::State;
use crate::table::Record;

/// Events can be listed for so long, as at Stripe.
const RETENTION: i64 = 30 * DAY;

/// More events than this are not kept; the oldest go first.
const MAXIMUM_EVENTS: usize = 100_000;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    AccountApplicationAuthorized,
    AccountApplicationDeauthorized,
    AccountUpdated,
    ApplicationFeeCreated,
    ApplicationFeeRefunded,
    CapabilityUpdated,
    ChargeDisputeClosed,
    ChargeDisputeCreated,
    ChargeDisputeFundsReinstated,
    ChargeDisputeFundsWithdrawn,
    ChargeDisputeUpdated,
    ChargeFailed,
    ChargeRefundUpdated,
    ChargeRefunded,
    ChargeSucceeded,
    ChargeUpdated,
    CheckoutSessionAsyncPaymentFailed,
    CheckoutSessionAsyncPaymentSucceeded,
    CheckoutSessionCompleted,
    CheckoutSessionExpired,
    CustomerCreated,
    CustomerDeleted,
    CustomerSubscriptionCreated,
    CustomerSubscriptionDeleted,
    CustomerSubscriptionUpdated,
    CustomerUpdated,
    InvoiceCreated,
    InvoiceFinalized,
    InvoiceMarkedUncollectible,
    InvoicePaid,
    InvoicePaymentFailed,
    InvoicePaymentSucceeded,
    InvoiceVoided,
    PaymentIntentCanceled,
    PaymentIntentCreated,
    PaymentIntentPaymentFailed,
    PaymentIntentProcessing,
    PaymentIntentSucceeded,
    PayoutCanceled,
    PayoutCreated,
    PayoutFailed,
    PayoutPaid,
    PayoutUpdated,
    PriceCreated,
    PriceUpdated,
    ProductCreated,
    ProductDeleted,
    ProductUpdated,
    RadarEarlyFraudWarningCreated,
    RefundCreated,
    RefundFailed,
    RefundUpdated,
    TransferCreated,
    TransferReversed,
    TransferUpdated,
}

impl EventKind {
    /// The `type` of the event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccountApplicationAuthorized => "account.application.authorized",
            Self::AccountApplicationDeauthorized => "account.application.deauthorized",
            Self::AccountUpdated => "account.updated",
            Self::ApplicationFeeCreated => "application_fee.created",
            Self::ApplicationFeeRefunded => "application_fee.refunded",
            Self::CapabilityUpdated => "capability.updated",
            Self::ChargeDisputeClosed => "charge.dispute.closed",
            Self::ChargeDisputeCreated => "charge.dispute.created",
            Self::ChargeDisputeFundsReinstated => "charge.dispute.funds_reinstated",
            Self::ChargeDisputeFundsWithdrawn => "charge.dispute.funds_withdrawn",
            Self::ChargeDisputeUpdated => "charge.dispute.updated",
            Self::ChargeRefundUpdated => "charge.refund.updated",
            Self::ChargeFailed => "charge.failed",
            Self::ChargeRefunded => "charge.refunded",
            Self::ChargeSucceeded => "charge.succeeded",
            Self::ChargeUpdated => "charge.updated",
            Self::CheckoutSessionAsyncPaymentFailed => "checkout.session.async_payment_failed",
            Self::CheckoutSessionAsyncPaymentSucceeded => {
                "checkout.session.async_payment_succeeded"
            }
            Self::CheckoutSessionCompleted => "checkout.session.completed",
            Self::CheckoutSessionExpired => "checkout.session.expired",
            Self::CustomerCreated => "customer.created",
            Self::CustomerDeleted => "customer.deleted",
            Self::CustomerSubscriptionCreated => "customer.subscription.created",
            Self::CustomerSubscriptionDeleted => "customer.subscription.deleted",
            Self::CustomerSubscriptionUpdated => "customer.subscription.updated",
            Self::CustomerUpdated => "customer.updated",
            Self::InvoiceCreated => "invoice.created",
            Self::InvoiceFinalized => "invoice.finalized",
            Self::InvoiceMarkedUncollectible => "invoice.marked_uncollectible",
            Self::InvoicePaid => "invoice.paid",
            Self::InvoicePaymentFailed => "invoice.payment_failed",
            Self::InvoicePaymentSucceeded => "invoice.payment_succeeded",
            Self::InvoiceVoided => "invoice.voided",
            Self::PaymentIntentCanceled => "payment_intent.canceled",
            Self::PaymentIntentCreated => "payment_intent.created",
            Self::PaymentIntentPaymentFailed => "payment_intent.payment_failed",
            Self::PaymentIntentProcessing => "payment_intent.processing",
            Self::PaymentIntentSucceeded => "payment_intent.succeeded",
            Self::PayoutCanceled => "payout.canceled",
            Self::PayoutCreated => "payout.created",
            Self::PayoutFailed => "payout.failed",
            Self::PayoutPaid => "payout.paid",
            Self::PayoutUpdated => "payout.updated",
            Self::PriceCreated => "price.created",
            Self::PriceUpdated => "price.updated",
            Self::ProductCreated => "product.created",
            Self::ProductDeleted => "product.deleted",
            Self::ProductUpdated => "product.updated",
            Self::RadarEarlyFraudWarningCreated => "radar.early_fraud_warning.created",
            Self::RefundCreated => "refund.created",
            Self::RefundFailed => "refund.failed",
            Self::RefundUpdated => "refund.updated",
            Self::TransferCreated => "transfer.created",
            Self::TransferReversed => "transfer.reversed",
            Self::TransferUpdated => "transfer.updated",
        }
    }
}

/// Something that happened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    id: String,
    created: i64,
    account: Option<String>,
    pub(crate) kind: String,
    /// The object as it was, as JSON text: a parsed one takes several times the memory.
    snapshot: String,
    request_id: Option<String>,
    idempotency_key: Option<String>,
    /// Deliveries that are not acknowledged yet.
    pub(crate) pending_webhooks: usize,
}

impl Record for Event {
    const NOUN: &'static str = "event";

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
        let snapshot: Value = serde_json::from_str(&self.snapshot).unwrap_or_default();
        let mut event = json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": { "object": snapshot },
            "livemode": false,
            "pending_webhooks": self.pending_webhooks,
            "request": { "id": self.request_id, "idempotency_key": self.idempotency_key },
            "type": self.kind,
        });
        if let Some(account) = &self.account {
            event["account"] = account.as_str().into();
        }
        event
    }
}

/// Records that something happened to an object, and queues the webhooks for it.
pub(crate) fn emit(state: &mut State, kind: EventKind, account: Option<&str>, object: &Value) {
    let cause = state.cause.clone().unwrap_or_default();
    let event = Event {
        id: state.ids.next("evt_"),
        created: state.now(),
        account: account.map(str::to_owned),
        kind: kind.name().to_owned(),
        snapshot: object.to_string(),
        request_id: cause.request_id,
        idempotency_key: cause.idempotency_key,
        pending_webhooks: 0,
    };
    let id = event.id.clone();
    state.events.insert(event);
    state.queue_webhooks(&id);
}

/// Forgets the oldest events.
pub(crate) fn forget_old(state: &mut State) {
    let before = state.now() - RETENTION;
    state.events.trim(before, MAXIMUM_EVENTS);
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let event = state.events.find(id, call.account());
    event.map(|event| event.render(state)).ok_or_else(|| ApiError::no_such(Event::NOUN, id, "id"))
}

/// `type` may end in `.*`; `types` are up to twenty exact types.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let kind = call.form.text("type");
    let kinds = call.form.list("types");
    if kind.is_some() && !kinds.is_empty() {
        let message = "You may only specify one of these parameters: type, types.";
        return Err(ApiError::invalid("type", message));
    }
    list::respond(state, call, &state.events, |event| match kind {
        Some(pattern) => match pattern.strip_suffix('*') {
            Some(prefix) => event.kind.starts_with(prefix),
            None => event.kind == pattern,
        },
        None => kinds.is_empty() || kinds.contains(&event.kind.as_str()),
    })
}
