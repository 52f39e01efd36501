//! Products (<https://docs.stripe.com/api/products>): what a price is the price of.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::price;
use crate::state::State;
use crate::table::Record;

/// Something that can be bought.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    id: String,
    created: i64,
    updated: i64,
    account: Option<String>,
    pub(crate) name: String,
    active: bool,
    description: Option<String>,
    default_price: Option<String>,
    images: Vec<String>,
    url: Option<String>,
    unit_label: Option<String>,
    statement_descriptor: Option<String>,
    metadata: Metadata,
}

impl Record for Product {
    const NOUN: &'static str = "product";

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
        json!({
            "id": self.id,
            "object": "product",
            "active": self.active,
            "created": self.created,
            "default_price": self.default_price,
            "description": self.description,
            "images": self.images,
            "livemode": false,
            "marketing_features": [],
            "metadata": self.metadata,
            "name": self.name,
            "package_dimensions": null,
            "shippable": null,
            "statement_descriptor": self.statement_descriptor,
            "tax_code": null,
            "type": "service",
            "unit_label": self.unit_label,
            "updated": self.updated,
            "url": self.url,
        })
    }
}

/// With `default_price_data` also the product's first price.
pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let product = Product {
        name: form.required("name")?.to_owned(),
        active: form.flag("active")?.unwrap_or(true),
        url: form.url("url")?,
        metadata: form.metadata("metadata")?,
        description: form.owned("description"),
        images: form.list("images").into_iter().map(str::to_owned).collect(),
        unit_label: form.owned("unit_label"),
        statement_descriptor: form.owned("statement_descriptor"),
        ..of_name(state, call.account(), "")
    };
    let price = if form.has_inside("default_price_data") {
        Some(price::inline(state, call, "default_price_data", &product.id)?)
    } else {
        None
    };
    let id = product.id.clone();
    let product = Product { default_price: price.as_ref().map(|p| p.id().to_owned()), ..product };
    let object = product.render(state);
    state.products.insert(product);
    event::emit(state, EventKind::ProductCreated, call.account(), &object);
    if let Some(mut price) = price {
        price.active = true;
        price::add(state, price);
    }
    retrieve(state, call, &id)
}

/// A product that was only ever named, with a price given inline. It is not put into the table.
pub(crate) fn of_name(state: &mut State, account: Option<&str>, name: &str) -> Product {
    Product {
        id: state.ids.next("prod_"),
        created: state.now(),
        updated: state.now(),
        account: account.map(str::to_owned),
        name: name.to_owned(),
        active: false,
        description: None,
        default_price: None,
        images: Vec::new(),
        url: None,
        unit_label: None,
        statement_descriptor: None,
        metadata: Metadata::new(),
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let product = state.products.find(id, call.account());
    product
        .map(|product| product.render(state))
        .ok_or_else(|| ApiError::no_such(Product::NOUN, id, "id"))
}

pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let form = &call.form;
    retrieve(state, call, id)?;
    let default_price = form.owned("default_price");
    if let Some(price) = &default_price {
        price::existing(state, call, price, "default_price")?;
    }
    let (active, now) = (form.flag("active")?, state.now());
    if let Some(product) = state.products.get_mut(id) {
        form.merge_metadata("metadata", &mut product.metadata)?;
        product.active = active.unwrap_or(product.active);
        product.default_price = default_price.or(product.default_price.take());
        product.description = form.owned("description").or(product.description.take());
        if let Some(name) = form.owned("name") {
            product.name = name;
        }
        product.updated = now;
    }
    let object = retrieve(state, call, id)?;
    event::emit(state, EventKind::ProductUpdated, call.account(), &object);
    Ok(object)
}

/// Filters: `active`, `ids`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let (active, ids) = (call.form.flag("active")?, call.form.list("ids"));
    list::respond(state, call, &state.products, |product| {
        active.is_none_or(|active| product.active == active)
            && (ids.is_empty() || ids.contains(&product.id.as_str()))
    })
}

/// A product with prices can only be archived.
pub(crate) fn delete(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let object = retrieve(state, call, id)?;
    if state.prices.iter().any(|price| price.product == id) {
        let message = "This product cannot be deleted because it has one or more user-created \
                       prices.";
        return Err(ApiError::refused(message));
    }
    state.products.remove(id);
    event::emit(state, EventKind::ProductDeleted, call.account(), &object);
    Ok(json!({ "id": id, "object": "product", "deleted": true }))
}
