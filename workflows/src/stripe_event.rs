//! What an event of Stripe's means, and to which run: read from the few fields that matter.
//!
//! An event about an object that Sluice made carries the run in the object's metadata, so that it can be
//! routed even before the call that made the object has returned. Metadata is believed on the platform's
//! own objects only; a connected account's events are routed by the account.

mod payout;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::{
    checkout, connect_onboarding,
    id::{CheckoutId, HandleId},
    message::Message,
    money::Currency,
    plan_subscription,
    stripe::{Outcome, Payment, Refund, RefundStatus, Session, TRANSFER_GROUP},
};

/// Metadata key that holds the checkout's id on sessions, payment intents, charges and refunds.
pub const CHECKOUT: &str = "sluice_checkout";
/// Metadata key that holds the refund's id on refunds that were asked for here.
pub const REFUND: &str = "sluice_refund";
/// Metadata key that holds the handle's id on connected accounts, and on what the handle pays the platform.
pub const HANDLE: &str = "sluice_handle";
/// Metadata key that holds the id of the effect that made an object, by which a lost answer is found again.
pub const EFFECT: &str = "sluice_effect";

/// The envelope of an event. <https://docs.stripe.com/api/events/object>
#[derive(Clone, Debug, Deserialize)]
pub struct Envelope {
    /// `evt_…`: an event is delivered more than once under the same id.
    pub id: String,
    /// `checkout.session.completed` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether real money is meant.
    #[serde(default)]
    pub livemode: bool,
    /// The connected account that the event is about, on the connect endpoint.
    #[serde(default)]
    pub account: Option<String>,
    /// What changed.
    pub data: Data,
}

/// `event.data`
#[derive(Clone, Debug, Deserialize)]
pub struct Data {
    /// The object as it was when the event was made.
    pub object: Object,
}

/// The fields of any object that matter here; those that an object does not have are absent.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Object {
    /// `cs_…`, `re_…`, `acct_…`; some objects have none.
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    metadata: Option<Metadata>,
    #[serde(default)]
    payment_status: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    payment_intent: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    transfer_group: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    source_transaction: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    customer: Option<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    mode: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    amount_total: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    amount: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    currency: Option<String>,
    #[serde(default)]
    status: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    failure_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pending_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    arrival_date: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    failure_message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    failure_code: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "lenient")]
    sluice_checkout: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    sluice_refund: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    sluice_handle: Option<String>,
}

/// A field of another type than ours is another field of that name, on an object that nobody listens to; where
/// somebody does, it is missing.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    field: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(field)?;
    Ok(serde_json::from_value(value).ok())
}

/// An id, or the object itself where it was expanded.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(String),
    Object { id: String },
}

impl Reference {
    fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

/// What is to be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It goes to this run.
    For(Message),
    /// It goes to the run that knows this Stripe object; `Unrouted` says what the run is to hear.
    About(String, Unrouted),
    /// No machine listens to this kind of event.
    Nothing,
    /// The event has not the fields that its type promises.
    Malformed(String),
}

/// An event whose run is not known from the event itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrouted {
    /// For a checkout.
    Checkout(checkout::Event),
    /// For an onboarding.
    ConnectOnboarding(connect_onboarding::Event),
    /// For the plan of a handle.
    PlanSubscription(plan_subscription::Event),
}

impl Unrouted {
    /// The event as the inbox keeps it.
    pub fn event_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Checkout(event) => serde_json::to_string(event),
            Self::ConnectOnboarding(event) => serde_json::to_string(event),
            Self::PlanSubscription(event) => serde_json::to_string(event),
        }
    }
}

/// Which of the two endpoints an event came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The platform's own objects.
    Platform,
    /// Connected accounts.
    Connect,
}

/// Reads an event.
pub fn meaning(endpoint: Endpoint, envelope: &Envelope) -> Meaning {
    match (endpoint, &envelope.account) {
        (Endpoint::Platform, None) => platform(envelope),
        // A connected account's event that came in by the wrong endpoint is still not the platform's own.
        (Endpoint::Connect, _) | (Endpoint::Platform, Some(_)) => connect(envelope),
    }
}

fn platform(envelope: &Envelope) -> Meaning {
    let object = &envelope.data.object;
    let outcome = match envelope.kind.as_str() {
        kind if is_about_a_plan(kind, object) => return plan(object),
        kind if payout::is_about_one(kind) => return payout::of_platform(object),
        "checkout.session.completed" if object.payment_status == Some("unpaid".into()) => {
            Outcome::Unpaid
        }
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            match payment(object) {
                Ok(payment) => Outcome::Paid(payment),
                Err(missing) => return Meaning::Malformed(missing),
            }
        }
        "checkout.session.async_payment_failed" => Outcome::PaymentFailed,
        "checkout.session.expired" => Outcome::Expired,
        "refund.created" | "refund.updated" | "refund.failed" => return refund(object),
        // Whatever became of the dispute, it leads to reading the payment.
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.dispute.closed" => {
            return about_payment(object, |_| checkout::Event::ReturnsChanged);
        }
        "transfer.created" | "transfer.reversed" => return transfer(&envelope.kind, object),
        "radar.early_fraud_warning.created" => {
            return about_payment(object, |warning| checkout::Event::FraudWarning { warning });
        }
        _ => return Meaning::Nothing,
    };
    let Some(id) = object.id.clone() else {
        return Meaning::Malformed("data.object.id is missing".to_owned());
    };
    routed(object, id.clone(), checkout::Event::SessionReported(Session { id, outcome }))
}

/// Subscriptions, their invoices, and the sessions that they begin with are the handles' own plans.
fn is_about_a_plan(kind: &str, object: &Object) -> bool {
    kind.starts_with("customer.subscription.")
        || matches!(kind, "invoice.paid" | "invoice.payment_failed" | "invoice.voided")
        || (kind.starts_with("checkout.session.") && object.mode.as_deref() == Some("subscription"))
}

/// Whatever happened, it leads to reading the customer's subscriptions.
fn plan(object: &Object) -> Meaning {
    let changed = plan_subscription::Event::Changed;
    let handle = object.metadata.as_ref().and_then(|metadata| metadata.sluice_handle.as_deref());
    match (handle.and_then(|handle| handle.parse::<HandleId>().ok()), &object.customer) {
        (Some(handle), _) => Meaning::For(Message::PlanSubscription(handle, changed)),
        (None, Some(customer)) => {
            Meaning::About(customer.id().to_owned(), Unrouted::PlanSubscription(changed))
        }
        // Whoever pays for a plan is a customer: this is somebody else's business.
        (None, None) => Meaning::Nothing,
    }
}

fn connect(envelope: &Envelope) -> Meaning {
    let event: fn(&str) -> connect_onboarding::Event = match envelope.kind.as_str() {
        "account.updated"
        | "account.application.authorized"
        | "account.external_account.created"
        | "account.external_account.updated"
        | "account.external_account.deleted"
        | "capability.updated"
        | "person.updated" => |_| connect_onboarding::Event::AccountChanged,
        "account.application.deauthorized" => {
            |account| connect_onboarding::Event::Deauthorized { account: account.to_owned() }
        }
        kind if payout::is_about_one(kind) => return payout::of_account(envelope),
        _ => return Meaning::Nothing,
    };
    match &envelope.account {
        Some(account) => {
            Meaning::About(account.clone(), Unrouted::ConnectOnboarding(event(account)))
        }
        None => Meaning::Malformed("account is missing".to_owned()),
    }
}

/// To the checkout that the metadata names, or else to the run that knows an object.
fn routed(object: &Object, known_by: String, event: checkout::Event) -> Meaning {
    let checkout =
        object.metadata.as_ref().and_then(|metadata| metadata.sluice_checkout.as_deref());
    match checkout.and_then(|checkout| checkout.parse::<CheckoutId>().ok()) {
        Some(checkout) => Meaning::For(Message::Checkout(checkout, event)),
        None => Meaning::About(known_by, Unrouted::Checkout(event)),
    }
}

/// A session that needed no payment has no intent; Sluice never makes one.
fn payment(object: &Object) -> Result<Payment, String> {
    // What cannot be read is not taken for paid.
    if object.payment_status.as_ref().is_some_and(|status| !status.is_string()) {
        return Err("data.object.payment_status is no text".to_owned());
    }
    let intent = object
        .payment_intent
        .as_ref()
        .ok_or("data.object.payment_intent is missing")?
        .id()
        .to_owned();
    let amount = object.amount_total.ok_or("data.object.amount_total is missing")?;
    let currency = object.currency.as_deref().ok_or("data.object.currency is missing")?;
    let currency = Currency::parse(currency).map_err(|unknown| unknown.to_string())?;
    Ok(Payment { intent, amount, currency })
}

/// To the purchase that knows the payment. One without an intent is not ours: Sluice pays by intents only.
fn about_payment(object: &Object, event: impl Fn(String) -> checkout::Event) -> Meaning {
    let (Some(id), Some(intent)) = (&object.id, &object.payment_intent) else {
        return Meaning::Nothing;
    };
    Meaning::About(intent.id().to_owned(), Unrouted::Checkout(event(id.clone())))
}

/// What moves a creator's part by itself leads to reading the payment, of which the transfer group says which it is.
/// What a charge passes on by itself is no news.
fn transfer(kind: &str, object: &Object) -> Meaning {
    let Some(id) = &object.id else { return Meaning::Nothing };
    let group = object.transfer_group.as_deref();
    let intent = group.and_then(|group| group.strip_prefix(TRANSFER_GROUP));
    let known_by = match (kind, intent, &object.source_transaction) {
        ("transfer.created", _, Some(_)) | ("transfer.created", None, _) => {
            return Meaning::Nothing;
        }
        (_, Some(intent), _) => intent.to_owned(),
        (_, None, _) => id.clone(),
    };
    routed(object, known_by, checkout::Event::ReturnsChanged)
}

/// A refund made by hand in Stripe's dashboard carries no metadata: the payment leads to the run.
fn refund(object: &Object) -> Meaning {
    // Sluice pays by payment intents only: another charge's refund is not ours.
    let Some(payment_intent) = object.payment_intent.as_ref().map(|intent| intent.id().to_owned())
    else {
        return Meaning::Nothing;
    };
    let status = match object.status.as_ref().and_then(serde_json::Value::as_str) {
        Some("succeeded") => RefundStatus::Succeeded,
        Some("failed") => RefundStatus::Failed,
        Some("canceled") => RefundStatus::Canceled,
        Some("pending" | "requires_action") => RefundStatus::Pending,
        _ => return Meaning::Malformed("data.object.status is not that of a refund".to_owned()),
    };
    let (Some(id), Some(amount)) = (object.id.clone(), object.amount) else {
        return Meaning::Malformed("data.object.id or amount is missing".to_owned());
    };
    let known_by = payment_intent.clone();
    let asked = object.metadata.as_ref().and_then(|metadata| metadata.sluice_refund.as_deref());
    let refund = Refund {
        id,
        payment_intent,
        amount,
        status,
        asked: asked.and_then(|asked| asked.parse().ok()),
        reason: object.failure_reason.clone().or_else(|| object.pending_reason.clone()),
    };
    routed(object, known_by, checkout::Event::RefundReported(refund))
}
