//! Balance transactions (<https://docs.stripe.com/api/balance_transactions>): every movement of an
//! account's balance, with what the processor keeps of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::APPLICATION;
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
    /// The platform's cut comes back to the connected account that it was taken from.
    ApplicationFeeReturned,
    Charge,
    /// The bank of a buyer took the money back, for now or for ever.
    Dispute,
    /// The bank of a buyer gave it back again.
    DisputeReversal,
    /// A transfer came in, seen from the connected account.
    Payment,
    /// A transfer was taken back, seen from the connected account.
    PaymentRefund,
    Payout,
    PayoutCancel,
    PayoutFailure,
    Refund,
    RefundFailure,
    Transfer,
    /// A transfer came back.
    TransferRefund,
}

impl Movement {
    /// The `type` (<https://docs.stripe.com/reports/balance-transaction-types>).
    fn kind(self) -> &'static str {
        match self {
            Self::ApplicationFee => "application_fee",
            Self::ApplicationFeeRefund => "application_fee_refund",
            Self::ApplicationFeeReturned | Self::Dispute | Self::DisputeReversal => "adjustment",
            Self::Charge => "charge",
            Self::Payment => "payment",
            Self::PaymentRefund => "payment_refund",
            Self::Payout => "payout",
            Self::PayoutCancel => "payout_cancel",
            Self::PayoutFailure => "payout_failure",
            Self::Refund => "refund",
            Self::RefundFailure => "refund_failure",
            Self::Transfer => "transfer",
            Self::TransferRefund => "transfer_refund",
        }
    }

    /// The `reporting_category` (<https://docs.stripe.com/reports/reporting-categories>).
    fn reporting_category(self) -> &'static str {
        match self {
            Self::ApplicationFee => "platform_earning",
            Self::ApplicationFeeRefund => "platform_earning_refund",
            Self::ApplicationFeeReturned => "fee",
            Self::Charge | Self::Payment => "charge",
            Self::Dispute => "dispute",
            Self::DisputeReversal => "dispute_reversal",
            Self::Payout => "payout",
            Self::PayoutCancel | Self::PayoutFailure => "payout_reversal",
            Self::Refund | Self::PaymentRefund => "refund",
            Self::RefundFailure => "refund_failure",
            Self::Transfer => "transfer",
            Self::TransferRefund => "transfer_reversal",
        }
    }

    /// What the processor's fee is for.
    fn fee_description(self) -> &'static str {
        match self {
            Self::Dispute | Self::DisputeReversal => "Dispute fee",
            Self::ApplicationFee
            | Self::ApplicationFeeRefund
            | Self::ApplicationFeeReturned
            | Self::Charge
            | Self::Payment
            | Self::PaymentRefund
            | Self::Payout
            | Self::PayoutCancel
            | Self::PayoutFailure
            | Self::Refund
            | Self::RefundFailure
            | Self::Transfer
            | Self::TransferRefund => "Stripe processing fees",
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
    /// What the platform keeps.
    #[serde(default)]
    application_fee: i64,
    pub(crate) currency: String,
    description: Option<String>,
    /// Seconds since 1970. None: at once, or what came from a buyer two days later.
    #[serde(default)]
    available_on: Option<i64>,
    /// The automatic payout that it is part of.
    #[serde(default)]
    payout: Option<String>,
}

/// A movement to be recorded.
#[derive(Debug, Clone)]
pub(crate) struct Posting<'a> {
    pub(crate) account: Option<&'a str>,
    pub(crate) movement: Movement,
    pub(crate) source: &'a str,
    pub(crate) amount: i64,
    pub(crate) fee: i64,
    pub(crate) application_fee: i64,
    pub(crate) currency: &'a str,
    pub(crate) description: Option<&'a str>,
    /// See [`BalanceTransaction::available_on`].
    pub(crate) available_on: Option<i64>,
}

impl<'a> Posting<'a> {
    /// A movement of the platform's balance, without fees.
    pub(crate) fn new(movement: Movement, source: &'a str, amount: i64, currency: &'a str) -> Self {
        Self {
            account: None,
            movement,
            source,
            amount,
            fee: 0,
            application_fee: 0,
            currency,
            description: None,
            available_on: None,
        }
    }
}

impl BalanceTransaction {
    /// What the balance changes by.
    pub(crate) fn net(&self) -> i64 {
        self.amount - self.fee - self.application_fee
    }

    /// When the money can be paid out, in seconds since 1970.
    pub(crate) fn available_on(&self) -> i64 {
        let after = if self.movement == Movement::Charge { AVAILABLE_AFTER } else { 0 };
        self.available_on.unwrap_or(self.created + after)
    }

    fn fee_details(&self) -> Vec<Value> {
        let detail = |amount: i64, application: Option<&str>, description: &str, kind: &str| {
            (amount != 0).then(|| {
                json!({
                    "amount": amount,
                    "application": application,
                    "currency": self.currency,
                    "description": description,
                    "type": kind,
                })
            })
        };
        let kept_by_platform = "Simulated platform application fee";
        [
            detail(self.fee, None, self.movement.fee_description(), "stripe_fee"),
            detail(self.application_fee, Some(APPLICATION), kept_by_platform, "application_fee"),
        ]
        .into_iter()
        .flatten()
        .collect()
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
            "fee": self.fee + self.application_fee,
            "fee_details": self.fee_details(),
            "net": self.net(),
            "reporting_category": self.movement.reporting_category(),
            "source": self.source,
            "status": if available { "available" } else { "pending" },
            "type": self.movement.kind(),
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
        application_fee: posting.application_fee,
        currency: posting.currency.to_owned(),
        description: posting.description.map(str::to_owned),
        available_on: posting.available_on,
        payout: None,
    };
    state.balance_transactions.insert(transaction);
    id
}

/// Counts all movements that no automatic payout has paid out before to this one.
pub(crate) fn settle(state: &mut State, account: Option<&str>, currency: &str, payout: &str) {
    for transaction in state.balance_transactions.iter_mut() {
        let of_balance = transaction.account.as_deref() == account;
        if of_balance && transaction.currency == currency && transaction.payout.is_none() {
            transaction.payout = Some(payout.to_owned());
        }
    }
}

pub(crate) fn retrieve(state: &State, call: &Call, id: &str) -> Result<Value, ApiError> {
    let transaction = state.balance_transactions.find(id, call.account());
    transaction
        .map(|transaction| transaction.render(state))
        .ok_or_else(|| ApiError::no_such(BalanceTransaction::NOUN, id, "id"))
}

/// Filters: `type`, `source`, `payout` (an automatic one), `currency`, `created`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, ApiError> {
    let form = &call.form;
    let source = form.text("source");
    let keep = |transaction: &BalanceTransaction| {
        list::matches(form, "type", Some(transaction.movement.kind()))
            && list::matches(form, "currency", Some(&transaction.currency))
            && list::matches(form, "payout", transaction.payout.as_deref())
            && source.is_none_or(|source| transaction.source == source)
    };
    let table = &state.balance_transactions;
    match (source, call.account()) {
        // Nobody needs to look through all movements of the platform.
        (Some(source), None) => {
            list::respond_among(state, call, table, movements_of(state, source), keep)
        }
        (Some(_), Some(_)) | (None, _) => list::respond(state, call, table, keep),
    }
}

/// The movements of the platform's balance that an object caused; every object names its own.
fn movements_of(state: &State, source: &str) -> Vec<String> {
    let Some(object) = state.render(source) else {
        return Vec::new();
    };
    let single = ["balance_transaction", "failure_balance_transaction"]
        .into_iter()
        .filter_map(|name| object.get(name)?.as_str());
    let several = object["balance_transactions"].as_array().into_iter().flatten();
    single.chain(several.filter_map(|one| one["id"].as_str())).map(str::to_owned).collect()
}
