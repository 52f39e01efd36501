//! Prices (<https://docs.stripe.com/api/prices>): so much of a currency, once or every period.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::{Form, Metadata};
use crate::list;
use crate::money;
use crate::period::{Interval, Period};
use crate::product;
use crate::state::State;
use crate::table::Record;

/// What a product costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Price {
    id: String,
    created: i64,
    account: Option<String>,
    pub(crate) active: bool,
    pub(crate) currency: String,
    /// In minor units of the currency.
    pub(crate) unit_amount: i64,
    pub(crate) product: String,
    /// How often it is billed. None: once.
    pub(crate) recurring: Option<Period>,
    lookup_key: Option<String>,
    nickname: Option<String>,
    tax_behavior: Option<String>,
    metadata: Metadata,
}

impl Record for Price {
    const NOUN: &'static str = "price";

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
        let recurring = self.recurring.map(|period| {
            json!({
                "interval": period.interval,
                "interval_count": period.count,
                "meter": null,
                "trial_period_days": null,
                "usage_type": "licensed",
            })
        });
        json!({
            "id": self.id,
            "object": "price",
            "active": self.active,
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": self.lookup_key,
            "metadata": self.metadata,
            "nickname": self.nickname,
            "product": self.product,
            "recurring": recurring,
            "tax_behavior": self.tax_behavior.as_deref().unwrap_or("unspecified"),
            "tiers_mode": null,
            "transform_quantity": null,
            "type": if self.recurring.is_some() { "recurring" } else { "one_time" },
            "unit_amount": self.unit_amount,
            "unit_amount_decimal": self.unit_amount.to_string(),
        })
    }
}

impl Price {
    /// The price as the `plan` that a subscription item still shows beside it.
    pub(crate) fn render_plan(&self) -> Value {
        let period = self.recurring.unwrap_or(Period { interval: Interval::Month, count: 1 });
        json!({
            "id": self.id,
            "object": "plan",
            "active": self.active,
            "amount": self.unit_amount,
            "amount_decimal": self.unit_amount.to_string(),
            "billing_scheme": "per_unit",
            "created": self.created,
            "currency": self.currency,
            "interval": period.interval,
            "interval_count": period.count,
            "livemode": false,
            "metadata": self.metadata,
            "meter": null,
            "nickname": self.nickname,
            "product": self.product,
            "tiers_mode": null,
            "transform_usage": null,
            "trial_period_days": null,
            "usage_type": "licensed",
        })
    }
}

/// A price of a product that is there (`product`) or made with it (`product_data`).
pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let (product, name) = (form.owned("product"), form.owned("product_data[name]"));
    let lookup_key = form.owned("lookup_key");
    let taken = |price: &Price| lookup_key.is_some() && price.lookup_key == lookup_key;
    if state.prices.iter().any(taken) {
        let message = "A price already uses that lookup key.";
        return Err(ApiError::invalid("lookup_key", message));
    }
    let price = read(state, call, "", product.as_deref().unwrap_or_default())?;
    let price = Price {
        active: form.flag("active")?.unwrap_or(true),
        metadata: form.metadata("metadata")?,
        lookup_key,
        nickname: form.owned("nickname"),
        ..price
    };
    let price = match (product, name) {
        (Some(id), _) => {
            existing_product(state, call, &id, "product")?;
            price
        }
        (None, Some(name)) => {
            let product = product::of_name(state, call.account(), &name);
            let id = product.id().to_owned();
            state.products.insert(product);
            Price { product: id, ..price }
        }
        (None, None) => return Err(ApiError::missing("product")),
    };
    let id = price.id.clone();
    add(state, price);
    retrieve(state, call, &id)
}

/// The price that a form describes under a name such as `line_items[0][price_data`; not in the
/// table yet. Archived from the start, as at Stripe: nobody else is to use it.
pub(crate) fn inline(
    state: &mut State,
    call: &Call,
    under: &str,
    product: &str,
) -> Result<Price, ApiError> {
    read(state, call, under, product)
}

/// Reads what all ways of describing a price have in common.
fn read(state: &mut State, call: &Call, under: &str, product: &str) -> Result<Price, ApiError> {
    let form = &call.form;
    let name = |field: &str| inside(under, field);
    let currency = money::currency(form.required(&name("currency"))?, &name("currency"))?;
    let param = name("unit_amount");
    let unit_amount = form.integer(&param)?.ok_or_else(|| ApiError::missing(&param))?;
    if unit_amount < 0 {
        let message = "This value must be greater than or equal to 0.";
        return Err(ApiError::invalid(&param, message).with_code("parameter_invalid_integer"));
    }
    money::check_last_digit(unit_amount, &currency, &param)?;
    Ok(Price {
        recurring: recurring(form, &name("recurring"))?,
        id: state.ids.next("price_"),
        created: state.now(),
        account: call.account.clone(),
        active: false,
        currency,
        unit_amount,
        product: product.to_owned(),
        lookup_key: None,
        nickname: None,
        tax_behavior: form.owned(&name("tax_behavior")),
        metadata: Metadata::new(),
    })
}

/// The full name of a field of what is described under a name; at the top there is none.
fn inside(under: &str, field: &str) -> String {
    if under.is_empty() { field.to_owned() } else { format!("{under}[{field}]") }
}

fn recurring(form: &Form, under: &str) -> Result<Option<Period>, ApiError> {
    if !form.has_inside(under) {
        return Ok(None);
    }
    let param = format!("{under}[interval]");
    let interval = Interval::named(form.required(&param)?).ok_or_else(|| {
        ApiError::invalid(&param, "Invalid interval: must be one of day, week, month, or year")
    })?;
    let param = format!("{under}[interval_count]");
    let count = form.positive(&param)?.unwrap_or(1);
    if count > interval.longest() {
        let message = "The maximum interval is three years.";
        return Err(ApiError::invalid(&param, message));
    }
    Ok(Some(Period { interval, count }))
}

/// Puts a price into the table.
pub(crate) fn add(state: &mut State, price: Price) {
    let (object, account) = (price.render(state), price.account.clone());
    state.prices.insert(price);
    event::emit(state, EventKind::PriceCreated, account.as_deref(), &object);
}

/// The price that a parameter names.
pub(crate) fn existing<'a>(
    state: &'a State,
    call: &Call,
    id: &str,
    param: &str,
) -> Result<&'a Price, ApiError> {
    let price = state.prices.find(id, call.account());
    price.ok_or_else(|| ApiError::no_such_reference(Price::NOUN, id, param))
}

/// Refuses a product that is not there.
pub(crate) fn existing_product(
    state: &State,
    call: &Call,
    id: &str,
    param: &str,
) -> Result<(), ApiError> {
    let product = state.products.find(id, call.account());
    product.map(|_| ()).ok_or_else(|| ApiError::no_such_reference("product", id, param))
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let price = state.prices.find(id, call.account());
    price
        .map(|price| price.render(state))
        .ok_or_else(|| ApiError::no_such(Price::NOUN, id, "price"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let form = &call.form;
    retrieve(state, call, id)?;
    let active = form.flag("active")?;
    if let Some(price) = state.prices.get_mut(id) {
        form.merge_metadata("metadata", &mut price.metadata)?;
        price.active = active.unwrap_or(price.active);
        price.nickname = form.owned("nickname").or(price.nickname.take());
        price.lookup_key = form.owned("lookup_key").or(price.lookup_key.take());
    }
    let object = retrieve(state, call, id)?;
    event::emit(state, EventKind::PriceUpdated, call.account(), &object);
    Ok(object)
}

/// Filters: `active`, `product`, `currency`, `type`, `lookup_keys`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let (active, keys) = (form.flag("active")?, form.list("lookup_keys"));
    list::respond(state, call, &state.prices, |price| {
        let kind = if price.recurring.is_some() { "recurring" } else { "one_time" };
        active.is_none_or(|active| price.active == active)
            && list::matches(form, "product", Some(&price.product))
            && list::matches(form, "currency", Some(&price.currency))
            && list::matches(form, "type", Some(kind))
            && (keys.is_empty()
                || price.lookup_key.as_deref().is_some_and(|key| keys.contains(&key)))
    })
}
