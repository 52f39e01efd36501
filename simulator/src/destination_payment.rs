//! A transfer as the connected account sees it: a payment that came in, shown as a charge with an
//! id `py_…`, and what was taken back of it, shown as a refund with an id `pyr_…`
//! (<https://docs.stripe.com/connect/destination-charges>). Both live in the connected account and
//! move its balance.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::balance_transaction::{self, Movement, Posting};
use crate::charge::Charge;
use crate::form::Metadata;
use crate::payment_intent::Method;
use crate::state::State;
use crate::table::Record;

/// Money that a transfer brought into a connected account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DestinationPayment {
    id: String,
    created: i64,
    /// The connected account.
    account: String,
    /// In minor units of the currency.
    amount: i64,
    currency: String,
    transfer: String,
    transfer_group: Option<String>,
    balance_transaction: String,
    /// The platform's cut, taken from here.
    pub(crate) application_fee: Option<String>,
    application_fee_amount: i64,
    amount_refunded: i64,
    /// The latest last.
    refunds: Vec<String>,
}

/// A payment to be received.
#[derive(Debug)]
pub(crate) struct NewPayment<'a> {
    pub(crate) id: &'a str,
    pub(crate) account: &'a str,
    pub(crate) amount: i64,
    pub(crate) application_fee: i64,
    pub(crate) currency: &'a str,
    pub(crate) transfer: &'a str,
    pub(crate) transfer_group: Option<&'a str>,
    /// Seconds since 1970. None: at once.
    pub(crate) available_on: Option<i64>,
}

impl DestinationPayment {
    /// The charge as which the API shows it.
    fn as_charge(&self) -> Charge {
        Charge {
            id: self.id.clone(),
            created: self.created,
            account: Some(self.account.clone()),
            amount: self.amount,
            currency: self.currency.clone(),
            method: Method::Card,
            payment_intent: String::new(),
            customer: None,
            email: None,
            description: None,
            metadata: Metadata::new(),
            decline: None,
            balance_transaction: Some(self.balance_transaction.clone()),
            destination: None,
            transfer_amount: None,
            transfer: None,
            transfer_group: self.transfer_group.clone(),
            on_behalf_of: None,
            application_fee_amount: Some(self.application_fee_amount).filter(|fee| *fee > 0),
            application_fee: self.application_fee.clone(),
            amount_refunded: self.amount_refunded,
            refunds: self.refunds.clone(),
            refunded_from_transfer: 0,
            refunded_from_fee: 0,
            disputes: Vec::new(),
        }
    }
}

impl Record for DestinationPayment {
    const NOUN: &'static str = "charge";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        Some(&self.account)
    }

    fn render(&self, state: &State) -> Value {
        let mut charge = self.as_charge().render(state);
        charge["payment_intent"] = Value::Null;
        charge["payment_method"] = Value::Null;
        charge["payment_method_details"] =
            json!({ "stripe_account": {}, "type": "stripe_account" });
        charge["source_transfer"] = self.transfer.as_str().into();
        charge
    }
}

/// What was taken back of a payment in a connected account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaymentRefund {
    id: String,
    created: i64,
    account: String,
    payment: String,
    /// In minor units of the currency.
    amount: i64,
    currency: String,
    balance_transaction: String,
    transfer_reversal: String,
}

impl Record for PaymentRefund {
    const NOUN: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn account(&self) -> Option<&str> {
        Some(&self.account)
    }

    fn render(&self, _: &State) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.payment,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": null,
            "metadata": {},
            "payment_intent": null,
            "payment_method": null,
            "reason": null,
            "receipt_number": null,
            "source_transfer_reversal": self.transfer_reversal,
            "status": "succeeded",
            "transfer_reversal": null,
        })
    }
}

/// Lets a payment come in.
pub(crate) fn receive(state: &mut State, new: &NewPayment<'_>) {
    let posting = Posting {
        account: Some(new.account),
        application_fee: new.application_fee,
        available_on: new.available_on,
        ..Posting::new(Movement::Payment, new.id, new.amount, new.currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    state.destination_payments.insert(DestinationPayment {
        id: new.id.to_owned(),
        created: state.now(),
        account: new.account.to_owned(),
        amount: new.amount,
        currency: new.currency.to_owned(),
        transfer: new.transfer.to_owned(),
        transfer_group: new.transfer_group.map(str::to_owned),
        balance_transaction,
        application_fee: None,
        application_fee_amount: new.application_fee,
        amount_refunded: 0,
        refunds: Vec::new(),
    });
}

/// Takes back a part of a payment, for this reversal of its transfer, and gives the id of the
/// refund. None: the payment is from before the simulator knew of payments in connected accounts.
pub(crate) fn take_back(
    state: &mut State,
    payment_id: &str,
    reversal: &str,
    amount: i64,
) -> Option<String> {
    let payment = state.destination_payments.get(payment_id)?;
    let (account, currency) = (payment.account.clone(), payment.currency.clone());
    let id = state.ids.next("pyr_");
    let posting = Posting {
        account: Some(&account),
        ..Posting::new(Movement::PaymentRefund, &id, -amount, &currency)
    };
    let balance_transaction = balance_transaction::post(state, &posting);
    let payment = state.destination_payments.get_mut(payment_id)?;
    payment.amount_refunded += amount;
    payment.refunds.push(id.clone());
    state.payment_refunds.insert(PaymentRefund {
        id: id.clone(),
        created: state.now(),
        account,
        payment: payment_id.to_owned(),
        amount,
        currency,
        balance_transaction,
        transfer_reversal: reversal.to_owned(),
    });
    Some(id)
}
