//! Customers (<https://docs.stripe.com/api/customers>), as little as a checkout needs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::Metadata;
use crate::list;
use crate::state::State;
use crate::table::Record;

/// Someone who pays.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    id: String,
    created: i64,
    account: Option<String>,
    pub(crate) email: Option<String>,
    name: Option<String>,
    description: Option<String>,
    metadata: Metadata,
}

impl Record for Customer {
    const NOUN: &'static str = "customer";

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
            "object": "customer",
            "address": null,
            "balance": 0,
            "created": self.created,
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": null,
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": null,
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": 1,
            "phone": null,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let customer = Customer {
        metadata: form.metadata("metadata")?,
        id: state.ids.next("cus_"),
        created: state.now(),
        account: call.account.clone(),
        email: form.owned("email"),
        name: form.owned("name"),
        description: form.owned("description"),
    };
    let object = customer.render(state);
    state.customers.insert(customer);
    event::emit(state, EventKind::CustomerCreated, call.account(), &object);
    Ok(object)
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let customer = state.customers.find(id, call.account());
    customer
        .map(|customer| customer.render(state))
        .ok_or_else(|| ApiError::no_such(Customer::NOUN, id, "id"))
}

pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.customers, |customer| {
        list::matches(&call.form, "email", customer.email.as_deref())
    })
}
