//! What is bought in a session: prices that are there, or prices described on the spot.

use serde::{Deserialize, Serialize};

use super::SessionMode;
use crate::api::Call;
use crate::error::ApiError;
use crate::money;
use crate::price::{self, Price};
use crate::product;
use crate::state::State;
use crate::table::Record;

/// What is bought.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LineItem {
    pub(crate) name: String,
    /// In minor units.
    pub(crate) unit_amount: i64,
    pub(crate) quantity: i64,
    /// None: it was described on the spot, for this payment only.
    #[serde(default)]
    pub(crate) price: Option<String>,
}

/// The items and their common currency.
pub(super) fn line_items(
    state: &mut State,
    call: &Call,
    mode: SessionMode,
) -> Result<(Vec<LineItem>, String), ApiError> {
    let mut items = Vec::new();
    let mut common: Option<String> = None;
    let mut common_period = None;
    while call.form.has_inside(&format!("line_items[{}]", items.len())) {
        let under = format!("line_items[{}]", items.len());
        let price = read_price(state, call, &under)?;
        check_mode(&price, mode, &under)?;
        if common.get_or_insert_with(|| price.currency.clone()) != &price.currency {
            let message = "All prices on a Checkout Session must be in the same currency.";
            return Err(ApiError::invalid(&format!("{under}[price_data][currency]"), message));
        }
        if *common_period.get_or_insert(price.recurring) != price.recurring {
            let message = "The simulator bills all items of a subscription together: they need \
                           the same recurring interval.";
            return Err(ApiError::invalid("line_items", message));
        }
        let quantity = call.form.positive(&format!("{under}[quantity]"))?.unwrap_or(1);
        items.push(item(state, call, &under, price, quantity)?);
    }
    match common {
        Some(currency) => Ok((items, currency)),
        None => Err(ApiError::missing("line_items")),
    }
}

fn read_price(state: &mut State, call: &Call, under: &str) -> Result<Price, ApiError> {
    let param = format!("{under}[price]");
    let Some(id) = call.form.text(&param) else {
        return price::inline(state, call, &format!("{under}[price_data]"), "");
    };
    let price = price::existing(state, call, id, &param)?;
    if price.active {
        return Ok(price.clone());
    }
    let message = "The price specified is inactive. This field only accepts active prices.";
    Err(ApiError::invalid(&param, message))
}

fn check_mode(price: &Price, mode: SessionMode, under: &str) -> Result<(), ApiError> {
    let message = match (mode, price.recurring) {
        (SessionMode::Payment, None) | (SessionMode::Subscription, Some(_)) => return Ok(()),
        (SessionMode::Payment, Some(_)) => {
            "You specified `payment` mode but passed a recurring price. Either switch to \
             `subscription` mode or use only one-time prices."
        }
        (SessionMode::Subscription, None) => {
            "You must provide at least one recurring price in `subscription` mode when using \
             prices. (The simulator has no one-time prices beside them.)"
        }
    };
    Err(ApiError::invalid(&format!("{under}[price]"), message))
}

/// The item; what is described on the spot and recurs becomes a product and a price.
fn item(
    state: &mut State,
    call: &Call,
    under: &str,
    mut price: Price,
    quantity: i64,
) -> Result<LineItem, ApiError> {
    let item = |name: String, price: &Price, id: Option<String>| LineItem {
        name,
        unit_amount: price.unit_amount,
        quantity,
        price: id,
    };
    if !price.product.is_empty() {
        let name = name_of(state, &price.product);
        return Ok(item(name, &price, Some(price.id().to_owned())));
    }
    let param = format!("{under}[price_data][product]");
    let product = match call.form.text(&param) {
        Some(id) => {
            price::existing_product(state, call, id, &param)?;
            id.to_owned()
        }
        None => {
            let name = call.form.required(&format!("{under}[price_data][product_data][name]"))?;
            if price.recurring.is_none() {
                return Ok(item(name.to_owned(), &price, None));
            }
            let product = product::of_name(state, call.account(), name);
            let id = product.id().to_owned();
            state.products.insert(product);
            id
        }
    };
    price.product.clone_from(&product);
    let item = item(name_of(state, &product), &price, Some(price.id().to_owned()));
    price::add(state, price);
    Ok(item)
}

fn name_of(state: &State, product: &str) -> String {
    state.products.get(product).map(|product| product.name.clone()).unwrap_or_default()
}

pub(super) fn total(items: &[LineItem]) -> Result<i64, ApiError> {
    let sum = items
        .iter()
        .try_fold(0_i64, |sum, item| sum.checked_add(item.unit_amount.checked_mul(item.quantity)?));
    sum.ok_or_else(|| ApiError::invalid("line_items", "The total amount is too large."))
}

/// What is to be paid at once must be chargeable; a subscription may be free.
pub(super) fn check_amount(amount: i64, currency: &str, mode: SessionMode) -> Result<(), ApiError> {
    match (mode, amount) {
        (SessionMode::Subscription, 0) => Ok(()),
        _ => money::check_charge(amount, currency, "line_items"),
    }
}
