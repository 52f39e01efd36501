//! What happens when somebody pays a checkout session, at once or after days.
//!
//! ```text
//! outcome            session          intent                   events, in this order
//! paid               complete/paid    succeeded                payment_intent.created
//!                                                              charge.succeeded
//!                                                              payment_intent.succeeded
//!                                                              checkout.session.completed
//!                                                              transfer.created
//!                                                              application_fee.created
//!                                                              charge.updated
//! declined           open             requires_payment_method  payment_intent.created
//!                                                              charge.failed
//!                                                              payment_intent.payment_failed
//! delayed            complete/unpaid  processing               payment_intent.created
//!                                                              payment_intent.processing
//!                                                              checkout.session.completed
//! delayed_succeeds   complete/paid    succeeded                as paid, without created, and with
//!                                     checkout.session.async_payment_succeeded
//! delayed_fails      complete/unpaid  requires_payment_method  as declined, without created, then
//!                                     checkout.session.async_payment_failed
//! ```
//!
//! As at Stripe since asynchronous capture became the default, `charge.succeeded` comes before the
//! balance transaction, the transfer and the fee are known, and `charge.updated` brings them
//! (<https://docs.stripe.com/payments/payment-intents/asynchronous-capture>). Here a charge is only
//! made when its outcome is known, so a processing intent has none.

use crate::application_fee::{self, NewFee};
use crate::balance_transaction::{self, Movement, Posting};
use crate::charge::{self, Charge, Decline};
use crate::checkout_session::{self, CheckoutSession, PaymentStatus, SessionMode, SessionStatus};
use crate::clock::DAY;
use crate::event::EventKind;
use crate::form::Metadata;
use crate::money;
use crate::payment_intent::{self, IntentStatus, Method, PaymentIntent};
use crate::state::{Deadline, State};
use crate::subscription_checkout;
use crate::table::Record;
use crate::transfer::{self, NewTransfer, Origin};

/// A delayed payment on its way succeeds by itself after so long, as bank debits do.
const DELAYED_FOR: i64 = 5 * DAY;

/// What the buyer, or the bank, does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Paid,
    Declined,
    /// Paid with a method that takes days.
    Delayed,
    DelayedSucceeds,
    DelayedFails,
    Expired,
}

/// Why it cannot be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PayError {
    NoSuchSession,
    NotOpen,
    NotOnItsWay,
    /// A subscription is paid at once, and as agreed.
    NotForSubscriptions,
}

/// What is paid other than what the session says: something that must never happen, to test with.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<String>,
    /// The address that the buyer types.
    pub(crate) email: Option<String>,
}

impl Overrides {
    fn change_the_amount(&self) -> bool {
        self.amount.is_some() || self.currency.is_some()
    }
}

/// Lets the buyer or the bank do something with a session.
pub(crate) fn play(
    state: &mut State,
    session_id: &str,
    outcome: Outcome,
    overrides: Overrides,
) -> Result<(), PayError> {
    let session = state.checkout_sessions.get_mut(session_id).ok_or(PayError::NoSuchSession)?;
    let is_subscription = session.mode == SessionMode::Subscription;
    let on_its_way = session.status == SessionStatus::Complete
        && session.payment_status == PaymentStatus::Unpaid;
    match outcome {
        Outcome::DelayedSucceeds | Outcome::DelayedFails => {
            if !on_its_way || !is_processing(state, session_id) {
                return Err(PayError::NotOnItsWay);
            }
        }
        _ if session.status != SessionStatus::Open => return Err(PayError::NotOpen),
        Outcome::Delayed if is_subscription => return Err(PayError::NotForSubscriptions),
        _ if is_subscription && overrides.change_the_amount() => {
            return Err(PayError::NotForSubscriptions);
        }
        _ => {
            session.amount = overrides.amount.unwrap_or(session.amount);
            if let Some(currency) = overrides.currency {
                session.currency = currency;
            }
            session.buyer_email = overrides.email.or(session.buyer_email.take());
        }
    }
    match outcome {
        Outcome::Paid if is_subscription => subscription_checkout::pay(state, session_id),
        Outcome::Paid => pay(state, session_id),
        Outcome::Declined => decline(state, session_id),
        Outcome::Delayed => delay(state, session_id),
        Outcome::DelayedSucceeds => settle(state, session_id),
        Outcome::DelayedFails => bounce(state, session_id),
        Outcome::Expired => checkout_session::expire_if_open(state, session_id),
    }
    Ok(())
}

/// Lets a delayed payment succeed that was neither decided before nor failed.
pub(crate) fn settle_if_on_its_way(state: &mut State, session_id: &str) {
    if is_processing(state, session_id) {
        settle(state, session_id);
    }
}

fn is_processing(state: &State, session_id: &str) -> bool {
    let session = state.checkout_sessions.get(session_id);
    session
        .and_then(|session| state.payment_intents.get(session.payment_intent.as_deref()?))
        .is_some_and(|intent| intent.status == IntentStatus::Processing)
}

fn pay(state: &mut State, session_id: &str) {
    let Some(intent) = begin(state, session_id, Method::Card) else {
        return;
    };
    complete(state, session_id, PaymentStatus::Paid);
    collect(state, session_id, &intent, EventKind::CheckoutSessionCompleted);
}

fn decline(state: &mut State, session_id: &str) {
    // The card that a trial begins with is refused without an attempt to charge it.
    let is_free = |session: &CheckoutSession| session.amount == 0;
    if state.checkout_sessions.get(session_id).is_some_and(is_free) {
        return;
    }
    if let Some(intent) = begin(state, session_id, Method::Card) {
        fail(state, &intent, Decline::of_card());
    }
}

fn delay(state: &mut State, session_id: &str) {
    let Some(intent_id) = begin(state, session_id, Method::SepaDebit) else {
        return;
    };
    if let Some(intent) = state.payment_intents.get_mut(&intent_id) {
        intent.status = IntentStatus::Processing;
    }
    complete(state, session_id, PaymentStatus::Unpaid);
    let due = state.now() + DELAYED_FOR;
    state.set_deadline(due, Deadline::Settle(session_id.to_owned()));
    payment_intent::announce(state, &intent_id, EventKind::PaymentIntentProcessing);
    checkout_session::announce(state, session_id, EventKind::CheckoutSessionCompleted);
}

fn settle(state: &mut State, session_id: &str) {
    if let Some(intent) = intent_of(state, session_id) {
        complete(state, session_id, PaymentStatus::Paid);
        let kind = EventKind::CheckoutSessionAsyncPaymentSucceeded;
        collect(state, session_id, &intent, kind);
    }
}

fn bounce(state: &mut State, session_id: &str) {
    if let Some(intent) = intent_of(state, session_id) {
        fail(state, &intent, Decline::of_delayed());
        let kind = EventKind::CheckoutSessionAsyncPaymentFailed;
        checkout_session::announce(state, session_id, kind);
    }
}

fn intent_of(state: &State, session_id: &str) -> Option<String> {
    state.checkout_sessions.get(session_id)?.payment_intent.clone()
}

/// Marks a session as completed.
pub(crate) fn complete(state: &mut State, session_id: &str, payment_status: PaymentStatus) {
    if let Some(session) = state.checkout_sessions.get_mut(session_id) {
        session.status = SessionStatus::Complete;
        session.payment_status = payment_status;
    }
}

/// The payment intent of the session, made at the first attempt to pay and brought up to date at
/// later ones.
fn begin(state: &mut State, session_id: &str, method: Method) -> Option<String> {
    let session = state.checkout_sessions.get(session_id)?;
    if let Some(id) = session.payment_intent.clone() {
        let (amount, currency) = (session.amount, session.currency.clone());
        let intent = state.payment_intents.get_mut(&id)?;
        intent.amount = amount;
        intent.currency = currency;
        intent.method = method;
        return Some(id);
    }
    let intent = new_intent(session, state.now(), method);
    let id = state.ids.next("pi_");
    state.payment_intents.insert(PaymentIntent { id: id.clone(), ..intent });
    state.checkout_sessions.get_mut(session_id)?.payment_intent = Some(id.clone());
    payment_intent::announce(state, &id, EventKind::PaymentIntentCreated);
    Some(id)
}

fn new_intent(session: &CheckoutSession, created: i64, method: Method) -> PaymentIntent {
    PaymentIntent {
        id: String::new(),
        created,
        account: session.account().map(str::to_owned),
        amount: session.amount,
        currency: session.currency.clone(),
        status: IntentStatus::RequiresPaymentMethod,
        method,
        customer: session.customer.clone(),
        data: session.intent.clone(),
        session: Some(session.id().to_owned()),
        invoice: None,
        charges: Vec::new(),
        last_decline: None,
        canceled_at: None,
    }
}

/// Charges the buyer and passes the money on.
fn collect(state: &mut State, session_id: &str, intent_id: &str, kind: EventKind) {
    let charge = succeed(state, intent_id);
    checkout_session::announce(state, session_id, kind);
    if let Some(charge) = charge {
        pass_on(state, &charge);
    }
}

/// Charges whoever pays an intent, and gives the charge, which is yet to be [passed on](pass_on).
pub(crate) fn succeed(state: &mut State, intent_id: &str) -> Option<String> {
    let charge = attempt(state, intent_id, None)?;
    if let Some(intent) = state.payment_intents.get_mut(intent_id) {
        intent.status = IntentStatus::Succeeded;
        intent.last_decline = None;
    }
    charge::announce(state, &charge, EventKind::ChargeSucceeded);
    payment_intent::announce(state, intent_id, EventKind::PaymentIntentSucceeded);
    Some(charge)
}

/// Tries in vain to charge whoever pays an intent.
pub(crate) fn fail(state: &mut State, intent_id: &str, decline: Decline) {
    let Some(charge) = attempt(state, intent_id, Some(decline.clone())) else {
        return;
    };
    if let Some(intent) = state.payment_intents.get_mut(intent_id) {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.last_decline = Some(decline);
    }
    charge::announce(state, &charge, EventKind::ChargeFailed);
    payment_intent::announce(state, intent_id, EventKind::PaymentIntentPaymentFailed);
}

/// Makes a charge, successful or not.
fn attempt(state: &mut State, intent_id: &str, decline: Option<Decline>) -> Option<String> {
    let id = state.ids.next("ch_");
    let intent = state.payment_intents.get(intent_id)?;
    let session = intent.session.as_deref().and_then(|id| state.checkout_sessions.get(id));
    let customer = intent.customer.as_deref().and_then(|id| state.customers.get(id));
    let data = &intent.data;
    let charge = Charge {
        id: id.clone(),
        created: state.now(),
        account: intent.account.clone(),
        amount: intent.amount,
        currency: intent.currency.clone(),
        method: intent.method,
        payment_intent: intent.id.clone(),
        customer: intent.customer.clone(),
        email: session
            .and_then(|session| session.email())
            .or(customer.and_then(|customer| customer.email.as_deref()))
            .map(str::to_owned),
        description: data.description.clone(),
        metadata: data.metadata.clone(),
        decline,
        balance_transaction: None,
        destination: data.destination.clone(),
        transfer_amount: data.transfer_amount,
        transfer: None,
        transfer_group: data.transfer_group.clone(),
        on_behalf_of: data.on_behalf_of.clone(),
        application_fee_amount: data.application_fee_amount,
        application_fee: None,
        amount_refunded: 0,
        refunds: Vec::new(),
        refunded_from_transfer: 0,
        refunded_from_fee: 0,
        disputes: Vec::new(),
    };
    state.charges.insert(charge);
    state.payment_intents.get_mut(intent_id)?.charges.push(id.clone());
    Some(id)
}

/// The balance transaction, the transfer and the fee of a successful charge.
///
/// With an application fee the whole amount goes to the connected account and the fee comes back
/// from there (<https://docs.stripe.com/connect/destination-charges#collect-fees>).
pub(crate) fn pass_on(state: &mut State, charge_id: &str) {
    let Some(charge) = state.charges.get(charge_id).cloned() else {
        return;
    };
    let posting = Posting {
        account: charge.account.as_deref(),
        fee: money::processor_fee(charge.amount),
        application_fee: charge.account.as_ref().map_or(0, |_| fee_amount(&charge)),
        description: charge.description.as_deref(),
        ..Posting::new(Movement::Charge, charge_id, charge.amount, &charge.currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    if let Some(charge) = state.charges.get_mut(charge_id) {
        charge.balance_transaction = Some(balance_transaction);
    }
    let payment = state.ids.next("py_");
    let transfer = transfer_of(state, &charge, &payment);
    let application_fee = fee_of(state, &charge, &payment);
    if let Some(charge) = state.charges.get_mut(charge_id) {
        charge.transfer = transfer;
        charge.application_fee = application_fee;
    }
    charge::announce(state, charge_id, EventKind::ChargeUpdated);
}

/// Transfers the money of a charge to its destination, where it appears as this payment.
fn transfer_of(state: &mut State, charge: &Charge, payment: &str) -> Option<String> {
    let new = NewTransfer {
        amount: charge.transfer_amount.unwrap_or(charge.amount).min(charge.amount),
        currency: &charge.currency,
        destination: charge.destination.as_deref()?,
        destination_payment: payment,
        application_fee: fee_amount(charge),
        source_transaction: Some(&charge.id),
        transfer_group: charge.transfer_group.as_deref(),
        description: None,
        metadata: Metadata::new(),
        origin: Origin::Charge,
    };
    Some(transfer::make(state, new))
}

fn fee_amount(charge: &Charge) -> i64 {
    charge.application_fee_amount.unwrap_or(0).min(charge.amount)
}

/// Takes the fee from where the money went, or for a direct charge from where it is.
fn fee_of(state: &mut State, charge: &Charge, payment: &str) -> Option<String> {
    let amount = fee_amount(charge);
    if amount == 0 {
        return None;
    }
    let (from, source, originating_transaction) = match (&charge.destination, &charge.account) {
        (Some(destination), _) => (destination, payment, Some(charge.id.as_str())),
        (None, Some(account)) => (account, charge.id.as_str(), None),
        (None, None) => return None,
    };
    let new = NewFee {
        from,
        amount,
        currency: &charge.currency,
        charge: source,
        originating_transaction,
        available_on: charge::available_on(state, &charge.id),
    };
    Some(application_fee::take(state, &new))
}
