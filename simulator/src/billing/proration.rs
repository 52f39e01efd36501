//! Changes in the middle of a period (<https://docs.stripe.com/billing/subscriptions/prorations>): what
//! was paid for the rest of it comes back, and the rest at the new price is added.

use super::{Attempt, collect, lines_of_period, make_invoice};
use crate::error::ApiError;
use crate::event::EventKind;
use crate::form::Form;
use crate::invoice::{BillingReason, Line, LineKind};
use crate::money;
use crate::state::State;
use crate::subscription::{self, Item, Subscription, SubscriptionStatus};

/// What to do about the rest of the period (`proration_behavior`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prorate {
    Never,
    WithTheNextInvoice,
    AtOnce,
}

impl Prorate {
    pub(crate) fn read(form: &Form) -> Result<Self, ApiError> {
        match form.text("proration_behavior") {
            Some("none") => Ok(Self::Never),
            None | Some("create_prorations") => Ok(Self::WithTheNextInvoice),
            Some("always_invoice") => Ok(Self::AtOnce),
            Some(_) => {
                let message = "Invalid proration_behavior: must be one of always_invoice, \
                               create_prorations, or none";
                Err(ApiError::invalid("proration_behavior", message))
            }
        }
    }
}

/// Gives a subscription these items, and says that it was updated. Another interval begins a new
/// period, which is billed at once.
pub(crate) fn change_items(state: &mut State, id: &str, items: Vec<Item>, prorate: Prorate) {
    let Some(before) = state.subscriptions.get(id).cloned() else {
        return;
    };
    let old_period = before.period(state);
    if let Some(subscription) = state.subscriptions.get_mut(id) {
        subscription.items.clone_from(&items);
    }
    let is_paid_for = before.status != SubscriptionStatus::Trialing;
    let restarts = is_paid_for
        && state.subscriptions.get(id).is_some_and(|after| after.period(state) != old_period);
    if is_paid_for && prorate != Prorate::Never {
        let mut pending = credits(state, &before, &items);
        if !restarts {
            pending.extend(charges(state, &before, &items));
        }
        if let Some(subscription) = state.subscriptions.get_mut(id) {
            subscription.pending.extend(pending);
        }
    }
    if restarts {
        restart(state, id);
    }
    subscription::announce(state, id, EventKind::CustomerSubscriptionUpdated);
    let lines = if restarts { lines_of_period(state, id) } else { Vec::new() };
    let pending = state.subscriptions.get(id).is_some_and(|after| !after.pending.is_empty());
    if (restarts || prorate == Prorate::AtOnce && pending)
        && let Some(invoice) = make_invoice(state, id, BillingReason::Update, lines)
    {
        collect(state, &invoice, Attempt::Scheduled);
    }
}

/// Begins a new period now.
fn restart(state: &mut State, id: &str) {
    let now = state.now();
    if let Some(subscription) = state.subscriptions.get_mut(id) {
        subscription.anchor = now;
        subscription.period_start = now;
    }
    subscription::retime(state, id);
}

/// What was paid for the rest of the period, of the items that are not the same any more.
fn credits(state: &mut State, before: &Subscription, items: &[Item]) -> Vec<Line> {
    rest(state, before, &without(&before.items, items), LineKind::Unused)
}

/// What the rest of the period costs, of the items that were not the same before.
fn charges(state: &mut State, before: &Subscription, items: &[Item]) -> Vec<Line> {
    rest(state, before, &without(items, &before.items), LineKind::Remaining)
}

fn without(items: &[Item], same: &[Item]) -> Vec<Item> {
    let is_same = |item: &Item| {
        let alike = |other: &Item| (&item.price, item.quantity) == (&other.price, other.quantity);
        same.iter().any(|other| item.id == other.id && alike(other))
    };
    items.iter().filter(|item| !is_same(item)).cloned().collect()
}

fn rest(state: &mut State, before: &Subscription, items: &[Item], kind: LineKind) -> Vec<Line> {
    let span = (state.now(), before.period_end);
    let whole = (before.period_end - before.period_start).max(1);
    let left = (before.period_end - state.now()).clamp(0, whole);
    let sign = if kind == LineKind::Unused { -1 } else { 1 };
    items
        .iter()
        .map(|item| {
            let amount = sign * money::round_share(item.amount(state), left, whole);
            Line::new(state, item, amount, span, kind)
        })
        .collect()
}
