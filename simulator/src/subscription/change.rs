//! What somebody asks of a subscription: a beginning, other items, an end.

use serde_json::Value;

use super::items::{self, Item};
use super::{
    Cancellation, Reason, Subscription, SubscriptionStatus, Trial, announce, end, existing,
    retrieve,
};
use crate::api::Call;
use crate::billing::{self, Prorate};
use crate::card::Bank;
use crate::clock::DAY;
use crate::customer;
use crate::error::ApiError;
use crate::event::EventKind;
use crate::form::{Form, Metadata};
use crate::money;
use crate::state::{Deadline, State};

/// The first invoice must be paid within so long
/// (<https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>).
const INCOMPLETE_FOR: i64 = 23 * 3600;

/// A subscription to be made.
#[derive(Debug, Default)]
pub(crate) struct NewSubscription {
    pub(crate) account: Option<String>,
    pub(crate) customer: String,
    pub(crate) items: Vec<Item>,
    pub(crate) currency: String,
    pub(crate) metadata: Metadata,
    pub(crate) description: Option<String>,
    /// When the trial ends, in seconds since 1970. None: there is none.
    pub(crate) trial_end: Option<i64>,
}

/// What to do about the first invoice (`payment_behavior`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstPayment {
    /// `allow_incomplete`: the subscription is incomplete if it fails.
    Tried,
    /// `default_incomplete`: the subscription is incomplete until somebody pays the invoice.
    LeftToOthers,
    /// `error_if_incomplete`: there is no subscription if it fails.
    Demanded,
}

/// What happens at the end of the period (`cancel_at_period_end`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Ends,
    GoesOn,
}

impl Renewal {
    fn read(form: &Form) -> Result<Option<Self>, ApiError> {
        let cancel = form.flag("cancel_at_period_end")?;
        Ok(cancel.map(|cancel| if cancel { Self::Ends } else { Self::GoesOn }))
    }
}

impl FirstPayment {
    fn read(form: &Form) -> Result<Self, ApiError> {
        match form.text("payment_behavior") {
            None | Some("allow_incomplete") => Ok(Self::Tried),
            Some("default_incomplete") => Ok(Self::LeftToOthers),
            Some("error_if_incomplete") => Ok(Self::Demanded),
            Some(other) => {
                let message = format!("Invalid payment_behavior for the simulator: {other}");
                Err(ApiError::invalid("payment_behavior", message))
            }
        }
    }
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let customer = form.required("customer")?;
    customer::require(state, call.account(), customer)?;
    let first_payment = FirstPayment::read(form)?;
    let renewal = Renewal::read(form)?;
    let new = NewSubscription {
        account: call.account.clone(),
        customer: customer.to_owned(),
        metadata: form.metadata("metadata")?,
        description: form.owned("description"),
        trial_end: trial_end(state, form)?,
        items: items::read(state, call, &[])?,
        currency: String::new(),
    };
    let new = NewSubscription { currency: currency_of(state, &new.items), ..new };
    check_amount(state, &new)?;
    if new.trial_end.is_none() {
        check_card(state, &new, first_payment)?;
    }
    let id = make(state, new);
    if let Some(renewal) = renewal {
        set_renewal(state, &id, renewal);
    }
    match first_payment {
        FirstPayment::LeftToOthers => billing::begin_unpaid(state, &id),
        _ => billing::begin(state, &id),
    }
    retrieve(state, call, &id)
}

fn currency_of(state: &State, items: &[Item]) -> String {
    let price = items.first().and_then(|item| state.prices.get(&item.price));
    price.map(|price| price.currency.clone()).unwrap_or_default()
}

/// `trial_period_days`, or `trial_end` as an instant.
fn trial_end(state: &State, form: &Form) -> Result<Option<i64>, ApiError> {
    if let Some(days) = form.positive("trial_period_days")? {
        return Ok(Some(state.now() + days * DAY));
    }
    match form.integer("trial_end")? {
        Some(end) if end <= state.now() => {
            let message = "Invalid timestamp: must be an integer Unix timestamp in the future.";
            Err(ApiError::invalid("trial_end", message))
        }
        other => Ok(other),
    }
}

/// One period must be chargeable, or free.
fn check_amount(state: &State, new: &NewSubscription) -> Result<(), ApiError> {
    match items::total(state, &new.items) {
        0 => Ok(()),
        amount => money::check_charge(amount, &new.currency, "items"),
    }
}

/// Refuses what cannot begin without a card, or with this one.
fn check_card(state: &State, new: &NewSubscription, first: FirstPayment) -> Result<(), ApiError> {
    if items::total(state, &new.items) == 0 || first == FirstPayment::LeftToOthers {
        return Ok(());
    }
    let bank = state.customers.get(&new.customer).and_then(customer::Customer::bank);
    match bank {
        None => Err(ApiError::no_card()),
        Some(Bank::Declines) if first == FirstPayment::Demanded => Err(ApiError::card_declined()),
        Some(_) => Ok(()),
    }
}

/// Makes a subscription that is incomplete or on trial, and gives its id. Its first invoice is made by
/// [`billing::begin`].
pub(crate) fn make(state: &mut State, new: NewSubscription) -> String {
    let now = state.now();
    let trial = new.trial_end.map(|end| Trial { start: now, end });
    let subscription = Subscription {
        id: state.ids.next("sub_"),
        created: now,
        account: new.account,
        customer: new.customer,
        status: match trial {
            Some(_) => SubscriptionStatus::Trialing,
            None => SubscriptionStatus::Incomplete,
        },
        items: new.items,
        currency: new.currency,
        metadata: new.metadata,
        description: new.description,
        anchor: trial.map_or(now, |trial| trial.end),
        period_start: now,
        period_end: now,
        trial,
        cancel_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        cancellation: Cancellation::default(),
        latest_invoice: None,
        pending: Vec::new(),
    };
    let id = subscription.id.clone();
    if let Some(customer) = state.customers.get_mut(&subscription.customer) {
        customer.currency.get_or_insert_with(|| subscription.currency.clone());
    }
    state.subscriptions.insert(subscription);
    retime(state, &id);
    state.set_deadline(now + INCOMPLETE_FOR, Deadline::ExpireIncomplete(id.clone()));
    announce(state, &id, EventKind::CustomerSubscriptionCreated);
    id
}

/// Finds out when the period that begins at `period_start` ends, and sets the alarm.
pub(crate) fn retime(state: &mut State, id: &str) {
    let Some(subscription) = state.subscriptions.get(id) else {
        return;
    };
    let end = match subscription.trial {
        Some(trial) if subscription.period_start < trial.end => trial.end,
        _ => subscription.period(state).end_after(subscription.anchor, subscription.period_start),
    };
    if let Some(subscription) = state.subscriptions.get_mut(id) {
        subscription.period_end = end;
        state.set_deadline(end, Deadline::EndPeriod(id.to_owned()));
    }
}

/// Other items, metadata, whether it ends with its period.
pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let form = &call.form;
    let known = existing(state, call, id)?.clone();
    if known.has_ended() {
        let message = "A canceled subscription can only update its cancellation_details and \
                       metadata.";
        return Err(ApiError::invalid("", message));
    }
    let renewal = Renewal::read(form)?;
    let prorate = Prorate::read(form)?;
    let mut metadata = known.metadata.clone();
    form.merge_metadata("metadata", &mut metadata)?;
    let cancellation = cancellation(form, known.cancellation.clone());
    let items =
        if form.has_inside("items") { other_items(state, call, &known)? } else { known.items };
    if let Some(subscription) = state.subscriptions.get_mut(id) {
        subscription.metadata = metadata;
        subscription.cancellation = cancellation;
        if form.is_given("description") {
            subscription.description = form.owned("description");
        }
    }
    if let Some(renewal) = renewal {
        set_renewal(state, id, renewal);
    }
    // Also says that it was updated.
    billing::change_items(state, id, items, prorate);
    retrieve(state, call, id)
}

fn other_items(
    state: &mut State,
    call: &Call,
    known: &Subscription,
) -> Result<Vec<Item>, ApiError> {
    if known.status == SubscriptionStatus::Incomplete {
        let message = "This subscription is incomplete: pay its first invoice, or cancel it.";
        return Err(ApiError::refused(message));
    }
    let items = items::read(state, call, &known.items)?;
    if currency_of(state, &items) != known.currency {
        let message = "The currency of a subscription cannot be changed.";
        return Err(ApiError::invalid("items", message));
    }
    Ok(items)
}

/// Lets it end with its period, or go on after all.
pub(crate) fn set_renewal(state: &mut State, id: &str, renewal: Renewal) {
    let (now, cancel) = (state.now(), renewal == Renewal::Ends);
    let Some(subscription) = state.subscriptions.get_mut(id) else {
        return;
    };
    subscription.cancel_at_period_end = cancel;
    subscription.canceled_at = cancel.then_some(now);
    subscription.cancellation.reason = cancel.then_some(Reason::Requested);
}

pub(crate) fn cancel(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let known = existing(state, call, id)?;
    if known.has_ended() {
        return Err(ApiError::no_such("subscription", id, "id"));
    }
    let cancellation = cancellation(&call.form, known.cancellation.clone());
    if let Some(subscription) = state.subscriptions.get_mut(id) {
        subscription.cancellation = cancellation;
    }
    end(state, id, Reason::Requested);
    retrieve(state, call, id)
}

fn cancellation(form: &Form, known: Cancellation) -> Cancellation {
    Cancellation {
        reason: known.reason,
        comment: form.owned("cancellation_details[comment]").or(known.comment),
        feedback: form.owned("cancellation_details[feedback]").or(known.feedback),
    }
}
