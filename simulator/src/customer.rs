//! Customers (<https://docs.stripe.com/api/customers>): who pays, and with which card on file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::billing;
use crate::card::{self, Bank, Card};
use crate::error::ApiError;
use crate::event::{self, EventKind};
use crate::form::{Form, Metadata};
use crate::list;
use crate::state::State;
use crate::subscription;
use crate::table::Record;

/// The parts of an address.
const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

/// How many letters the numbers of a customer's invoices begin with.
const INVOICE_PREFIX: usize = 8;

/// Someone who pays.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    id: String,
    created: i64,
    account: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
    description: Option<String>,
    metadata: Metadata,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    address: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) card: Option<Card>,
    /// Whether the latest attempt to collect an invoice failed.
    #[serde(default)]
    pub(crate) delinquent: bool,
    /// The currency of the first subscription: all later ones have the same.
    #[serde(default)]
    pub(crate) currency: Option<String>,
    /// In minor units: less than zero is a credit towards later invoices.
    #[serde(default)]
    pub(crate) balance: i64,
    /// How many invoices have a number.
    #[serde(default)]
    numbered_invoices: u32,
    #[serde(default)]
    deleted: bool,
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
        if self.deleted {
            return json!({ "id": self.id, "object": "customer", "deleted": true });
        }
        json!({
            "id": self.id,
            "object": "customer",
            "address": self.render_address(),
            "balance": self.balance,
            "created": self.created,
            "currency": self.currency,
            "default_source": null,
            "delinquent": self.delinquent,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": self.invoice_prefix(),
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": self.card.as_ref().map(|card| &card.id),
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": self.numbered_invoices + 1,
            "phone": self.phone,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

impl Customer {
    fn new(state: &mut State, account: Option<&str>) -> Self {
        Self {
            id: state.ids.next("cus_"),
            created: state.now(),
            account: account.map(str::to_owned),
            email: None,
            name: None,
            description: None,
            metadata: Metadata::new(),
            phone: None,
            address: BTreeMap::new(),
            card: None,
            delinquent: false,
            currency: None,
            balance: 0,
            numbered_invoices: 0,
            deleted: false,
        }
    }

    /// What the bank says to a charge. None: there is no card.
    pub(crate) fn bank(&self) -> Option<Bank> {
        self.card.as_ref().map(|card| card.bank)
    }

    /// The number of the next invoice.
    pub(crate) fn number_invoice(&mut self) -> String {
        self.numbered_invoices += 1;
        format!("{}-{:04}", self.invoice_prefix(), self.numbered_invoices)
    }

    fn invoice_prefix(&self) -> String {
        let begin = self.id.len().saturating_sub(INVOICE_PREFIX);
        self.id[begin..].to_ascii_uppercase()
    }

    /// Null, or all parts of the address.
    pub(crate) fn render_address(&self) -> Value {
        if self.address.is_empty() {
            return Value::Null;
        }
        let parts = ADDRESS.iter().map(|part| (*part, self.address.get(*part)));
        json!(parts.collect::<BTreeMap<_, _>>())
    }

    /// Takes over what a form gives.
    fn fill(&mut self, form: &Form) -> Result<(), ApiError> {
        form.merge_metadata("metadata", &mut self.metadata)?;
        for (name, field) in [
            ("email", &mut self.email),
            ("name", &mut self.name),
            ("description", &mut self.description),
            ("phone", &mut self.phone),
        ] {
            if form.is_given(name) {
                *field = form.owned(name);
            }
        }
        for part in ADDRESS {
            if let Some(text) = form.owned(&format!("address[{part}]")) {
                self.address.insert(part.to_owned(), text);
            }
        }
        Ok(())
    }
}

/// The card that a form puts on file, by the names of Stripe's test cards.
fn given_card(form: &Form) -> Result<Option<Bank>, ApiError> {
    for param in ["payment_method", "invoice_settings[default_payment_method]", "source"] {
        if let Some(name) = form.text(param) {
            return card::bank_of_test_card(name, param).map(Some);
        }
    }
    Ok(None)
}

pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let bank = given_card(&call.form)?;
    let mut customer = Customer::new(state, call.account());
    customer.fill(&call.form)?;
    customer.card = bank.map(|bank| Card::new(state, bank));
    let object = customer.render(state);
    state.customers.insert(customer);
    event::emit(state, EventKind::CustomerCreated, call.account(), &object);
    Ok(object)
}

/// Makes the customer that somebody becomes by subscribing, and gives its id.
pub(crate) fn create_subscriber(
    state: &mut State,
    account: Option<&str>,
    email: Option<&str>,
) -> String {
    let customer = Customer { email: email.map(str::to_owned), ..Customer::new(state, account) };
    let (id, object) = (customer.id.clone(), customer.render(state));
    state.customers.insert(customer);
    event::emit(state, EventKind::CustomerCreated, account, &object);
    id
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let customer = state.customers.find(id, call.account());
    customer
        .map(|customer| customer.render(state))
        .ok_or_else(|| ApiError::no_such(Customer::NOUN, id, "id"))
}

/// A new card is also tried on what is open, as at Stripe.
pub(crate) fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    require(state, call.account(), id).map_err(|_| ApiError::no_such(Customer::NOUN, id, "id"))?;
    let bank = given_card(&call.form)?;
    if let Some(customer) = state.customers.get_mut(id) {
        customer.fill(&call.form)?;
    }
    if let Some(bank) = bank {
        put_card(state, id, Some(bank));
    }
    announce(state, id, EventKind::CustomerUpdated);
    if bank.is_some() {
        billing::collect_open(state, id);
    }
    retrieve(state, call, id)
}

/// Puts another card on file, or takes it off.
pub(crate) fn put_card(state: &mut State, id: &str, bank: Option<Bank>) {
    let card = bank.map(|bank| Card::new(state, bank));
    if let Some(customer) = state.customers.get_mut(id) {
        customer.card = card;
    }
}

/// Ends the customer's subscriptions at once, too.
pub(crate) fn delete(state: &mut State, call: &Call, id: &str) -> Result<Value, ApiError> {
    require(state, call.account(), id).map_err(|_| ApiError::no_such(Customer::NOUN, id, "id"))?;
    for subscription in subscription::of_customer(state, id) {
        subscription::end(state, &subscription, subscription::Reason::Requested);
    }
    announce(state, id, EventKind::CustomerDeleted);
    if let Some(customer) = state.customers.get_mut(id) {
        customer.deleted = true;
    }
    retrieve(state, call, id)
}

/// Filters: `email`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    list::respond(state, call, &state.customers, |customer| {
        !customer.deleted && list::matches(&call.form, "email", customer.email.as_deref())
    })
}

/// The customer that a parameter names, who must not be deleted.
pub(crate) fn require<'a>(
    state: &'a State,
    account: Option<&str>,
    id: &str,
) -> Result<&'a Customer, ApiError> {
    let customer = state.customers.find(id, account).filter(|customer| !customer.deleted);
    customer.ok_or_else(|| ApiError::no_such_reference(Customer::NOUN, id, "customer"))
}

/// Emits an event about a customer.
pub(crate) fn announce(state: &mut State, id: &str, kind: EventKind) {
    let Some(customer) = state.customers.get(id) else {
        return;
    };
    let (object, account) = (customer.render(state), customer.account.clone());
    event::emit(state, kind, account.as_deref(), &object);
}
