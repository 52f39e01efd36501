//! Subscription items (<https://docs.stripe.com/api/subscription_items>): which prices, how often.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Subscription;
use crate::api::Call;
use crate::error::ApiError;
use crate::form::Metadata;
use crate::price;
use crate::state::State;
use crate::table::Record;

/// A price in a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// `si_…`.
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) price: String,
    pub(crate) quantity: i64,
    pub(crate) metadata: Metadata,
}

impl Item {
    /// Since API version 2025-03-31 the periods are here and no longer in the subscription.
    pub(super) fn render(&self, state: &State, subscription: &Subscription) -> Value {
        let price = state.prices.get(&self.price);
        json!({
            "id": self.id,
            "object": "subscription_item",
            "billing_thresholds": null,
            "created": self.created,
            "current_period_end": subscription.period_end,
            "current_period_start": subscription.period_start,
            "discounts": [],
            "metadata": self.metadata,
            "plan": price.map(price::Price::render_plan),
            "price": price.map(|price| price.render(state)),
            "quantity": self.quantity,
            "subscription": subscription.id,
            "tax_rates": [],
        })
    }

    /// What one period costs, in minor units.
    pub(crate) fn amount(&self, state: &State) -> i64 {
        let price = state.prices.get(&self.price);
        price.map_or(0, |price| price.unit_amount.saturating_mul(self.quantity))
    }
}

/// What one period costs, in minor units.
pub(crate) fn total(state: &State, items: &[Item]) -> i64 {
    items.iter().map(|item| item.amount(state)).sum()
}

/// The items that a form describes, starting from those that are there: one with an `id` is
/// changed, one without is added.
pub(super) fn read(
    state: &mut State,
    call: &Call,
    existing: &[Item],
) -> Result<Vec<Item>, ApiError> {
    let form = &call.form;
    let mut items = existing.to_vec();
    for number in 0.. {
        let under = format!("items[{number}]");
        if !form.has_inside(&under) {
            break;
        }
        let name = |field: &str| format!("{under}[{field}]");
        let id = form.text(&name("id"));
        let position = match id {
            None => None,
            Some(id) => Some(items.iter().position(|item| item.id == id).ok_or_else(|| {
                ApiError::no_such_reference("subscription item", id, &name("id"))
            })?),
        };
        if let (Some(position), Some(true)) = (position, form.flag(&name("deleted"))?) {
            items.remove(position);
            continue;
        }
        let price = read_price(state, call, &under)?;
        let quantity = form.positive(&name("quantity"))?;
        let metadata = form.metadata(&name("metadata"))?;
        match position.and_then(|position| items.get_mut(position)) {
            Some(item) => {
                item.price = price.unwrap_or_else(|| item.price.clone());
                item.quantity = quantity.unwrap_or(item.quantity);
                item.metadata.extend(metadata);
            }
            None => items.push(Item {
                price: price.ok_or_else(|| ApiError::missing(&name("price")))?,
                id: state.ids.next("si_"),
                created: state.now(),
                quantity: quantity.unwrap_or(1),
                metadata,
            }),
        }
    }
    check(state, &items)?;
    Ok(items)
}

/// The price of an item: one that is there, or one described on the spot.
fn read_price(state: &mut State, call: &Call, under: &str) -> Result<Option<String>, ApiError> {
    let param = format!("{under}[price]");
    if let Some(id) = call.form.text(&param) {
        let price = price::existing(state, call, id, &param)?;
        if !price.active {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(ApiError::invalid(&param, message));
        }
        return Ok(Some(id.to_owned()));
    }
    let data = format!("{under}[price_data]");
    if !call.form.has_inside(&data) {
        return Ok(None);
    }
    let product = format!("{data}[product]");
    let id = call.form.required(&product)?;
    price::existing_product(state, call, id, &product)?;
    let price = price::inline(state, call, &data, id)?;
    let id = price.id().to_owned();
    price::add(state, price);
    Ok(Some(id))
}

/// All items are billed together, so they are alike.
fn check(state: &State, items: &[Item]) -> Result<(), ApiError> {
    let mut prices = items.iter().filter_map(|item| state.prices.get(&item.price));
    let Some(first) = prices.next() else {
        return Err(ApiError::missing("items"));
    };
    if first.recurring.is_none() {
        let message = "The price specified is set to `type=one_time` but this field only accepts \
                       prices with `type=recurring`.";
        return Err(ApiError::invalid("items[0][price]", message));
    }
    if prices.any(|price| price.currency != first.currency || price.recurring != first.recurring) {
        let message = "The simulator bills all items of a subscription together: they need the \
                       same currency and the same recurring interval.";
        return Err(ApiError::invalid("items", message));
    }
    Ok(())
}

/// The same items, the first of them with another price.
pub(crate) fn replace_price(items: &[Item], price: &str) -> Vec<Item> {
    let mut items = items.to_vec();
    if let Some(first) = items.first_mut() {
        first.price = price.to_owned();
    }
    items
}
