//! The balance of the platform, or of a connected account (<https://docs.stripe.com/api/balance>):
//! the sum of its balance transactions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::account;
use crate::api::Call;
use crate::error::ApiError;
use crate::state::State;
use crate::table::Record;

/// What an account has of one currency, in minor units. Either part can be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Funds {
    pub(crate) available: i64,
    /// Available later.
    pub(crate) pending: i64,
}

impl Funds {
    pub(crate) fn total(self) -> i64 {
        self.available + self.pending
    }
}

/// What an account has, by currency. Currencies in which nothing ever moved are not there.
pub(crate) fn of(state: &State, account: Option<&str>) -> BTreeMap<String, Funds> {
    let now = state.now();
    let mut balance: BTreeMap<String, Funds> = BTreeMap::new();
    for transaction in state.balance_transactions.iter().filter(|one| one.account() == account) {
        let funds = balance.entry(transaction.currency.clone()).or_default();
        if transaction.available_on() <= now {
            funds.available += transaction.net();
        } else {
            funds.pending += transaction.net();
        }
    }
    balance
}

pub(crate) fn retrieve(state: &State, call: &Call) -> Result<Value, ApiError> {
    let mut balance = of(state, call.account());
    if balance.is_empty() {
        let currency = account::default_currency(state, call.account());
        balance.insert(currency.to_owned(), Funds::default());
    }
    let part = |amount_of: fn(&Funds) -> i64| -> Vec<Value> {
        let amounts = balance.iter().map(|(currency, funds)| (currency, amount_of(funds)));
        amounts
            .map(|(currency, amount)| {
                json!({
                    "amount": amount,
                    "currency": currency,
                    "source_types": { "card": amount },
                })
            })
            .collect()
    };
    // A platform's, for negative balances of its accounts. The simulator holds nothing.
    let reserved: Option<Vec<Value>> = call.account().is_none().then(|| {
        balance.keys().map(|currency| json!({ "amount": 0, "currency": currency })).collect()
    });
    Ok(json!({
        "object": "balance",
        "available": part(|funds| funds.available),
        "connect_reserved": reserved,
        "livemode": false,
        "pending": part(|funds| funds.pending),
    }))
}
