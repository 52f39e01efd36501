//! Balance transactions (<https://docs.stripe.com/api/balance_transactions>): every movement of an
//! account's balance, with what the processor keeps of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Call;
use crate::clock::DAY;
use crate::error::ApiError;
use crate::list;
use crate::state::State;
use crate::table::Record;

/// Money becomes available so long after it came in.
const AVAILABLE_AFTER: i64 = 2 * DAY;

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Movement {
    ApplicationFee,
    ApplicationFeeRefund,
    Charge,
    Refund,
    RefundFailure,
    Transfer,
    /// A transfer came back.
    TransferRefund,
}

impl Movement {
    /// The `reporting_category` (<https://docs.stripe.com/reports/reporting-categories>).
    fn reporting_category(self) -> &'static str {
        match self {
            Self::ApplicationFee => "platform_earning",
            Self::ApplicationFeeRefund => "platform_earning_refund",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::RefundFailure => "refund_failure",
            Self::Transfer => "transfer",
            Self::TransferRefund => "transfer_reversal",
        }
    }
}

/// One movement. Amounts are in minor units; what comes in is positive.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BalanceTransaction {
    id: String,
    created: i64,
    account: Option<String>,
    movement: Movement,
    /// The object that moved the money.
    source: String,
    amount: i64,
    /// What the processor keeps.
    pub(crate) fee: i64,
    pub(crate) currency: String,
    description: Option<String>,
}

/// A movement to be recorded.
#[derive(Debug)]
pub(crate) struct Posting<'a> {
    pub(crate) account: Option<&'a str>,
    pub(crate) movement: Movement,
    pub(crate) source: &'a str,
    pub(crate) amount: i64,
    pub(crate) fee: i64,
    pub(crate) currency: &'a str,
    pub(crate) description: Option<&'a str>,
}

impl BalanceTransaction {
    /// What the balance changes by.
    pub(crate) fn net(&self) -> i64 {
        self.amount - self.fee
    }

    fn available_on(&self) -> i64 {
        match self.movement {
            Movement::Charge => self.created + AVAILABLE_AFTER,
            _ => self.created,
        }
    }
}

impl Record for BalanceTransaction {
    const NOUN: &'static str = "balance transaction";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn render(&self, state: &State) -> Value {
        let fee_details = match self.fee {
            0 => json!([]),
            fee => json!([{
                "amount": fee,
                "application": null,
                "currency": self.currency,
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }]),
        };
        let available = state.now() >= self.available_on();
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.available_on(),
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fee_details,
            "net": self.net(),
            "reporting_category": self.movement.reporting_category(),
            "source": self.source,
            "status": if available { "available" } else { "pending" },
            "type": self.movement,
        })
    }
}

/// Records a movement and gives its id.
pub(crate) fn post(state: &mut State, posting: &Posting<'_>) -> String {
    let id = state.ids.next("txn_");
    let transaction = BalanceTransaction {
        id: id.clone(),
        created: state.now(),
        account: posting.account.map(str::to_owned),
        movement: posting.movement,
        source: posting.source.to_owned(),
        amount: posting.amount,
        fee: posting.fee,
        currency: posting.currency.to_owned(),
        description: posting.description.map(str::to_owned),
    };
    state.balance_transactions.insert(transaction);
    id
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let transaction = state.balance_transactions.find(id, call.account());
    transaction
        .map(|transaction| transaction.render(state))
        .ok_or_else(|| ApiError::no_such(BalanceTransaction::NOUN, id, "id"))
}

/// Filters: `type`, `source`, `currency`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let wanted = call.form.text("type").map(Value::from);
    let keep = |transaction: &BalanceTransaction| {
        wanted.as_ref().is_none_or(|wanted| *wanted == json!(transaction.movement))
            && list::matches(&call.form, "currency", Some(&transaction.currency))
    };
    let table = &state.balance_transactions;
    match call.form.text("source") {
        None => list::respond(state, call, table, keep),
        Some(source) => list::respond_among(state, call, table, movements_of(state, source), keep),
    }
}

/// The movements that an object caused; every object names its own.
fn movements_of(state: &State, source: &str) -> Vec<String> {
    let Some(object) = state.render(source) else {
        return Vec::new();
    };
    ["balance_transaction", "failure_balance_transaction"]
        .iter()
        .filter_map(|name| Some(object.get(*name)?.as_str()?.to_owned()))
        .collect()
}
