//! Everything the simulator knows, and what happens by itself as its clock moves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::{self, Account};
use crate::account_link::AccountLink;
use crate::application_fee::{ApplicationFee, FeeRefund};
use crate::balance_transaction::BalanceTransaction;
use crate::billing;
use crate::charge::Charge;
use crate::checkout_session::{self, CheckoutSession};
use crate::clock::Clock;
use crate::customer::Customer;
use crate::destination_payment::{DestinationPayment, PaymentRefund};
use crate::dispute::Dispute;
use crate::early_fraud_warning::EarlyFraudWarning;
use crate::event::{self, Event};
use crate::faults::Luck;
use crate::id::IdSource;
use crate::idempotency::IdempotencyKeys;
use crate::invoice::Invoice;
use crate::payment;
use crate::payment_intent::PaymentIntent;
use crate::payout::Payout;
use crate::portal_session::PortalSession;
use crate::price::Price;
use crate::product::Product;
use crate::refund::Refund;
use crate::subscription::Subscription;
use crate::table::{Record, Table};
use crate::transfer::{Transfer, TransferReversal};
use crate::webhook::Delivery;
use crate::webhook_endpoint::WebhookEndpoint;

/// All objects, and what is to be done with them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) ids: IdSource,
    /// Apart, so that requests that only read do not change the ids of objects.
    pub(crate) request_ids: IdSource,
    pub(crate) accounts: Table<Account>,
    pub(crate) account_links: BTreeMap<String, AccountLink>,
    pub(crate) application_fees: Table<ApplicationFee>,
    pub(crate) fee_refunds: Table<FeeRefund>,
    pub(crate) balance_transactions: Table<BalanceTransaction>,
    pub(crate) charges: Table<Charge>,
    pub(crate) checkout_sessions: Table<CheckoutSession>,
    pub(crate) customers: Table<Customer>,
    pub(crate) events: Table<Event>,
    pub(crate) payment_intents: Table<PaymentIntent>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) transfers: Table<Transfer>,
    pub(crate) transfer_reversals: Table<TransferReversal>,
    pub(crate) webhook_endpoints: Table<WebhookEndpoint>,
    #[serde(default)]
    pub(crate) products: Table<Product>,
    #[serde(default)]
    pub(crate) prices: Table<Price>,
    #[serde(default)]
    pub(crate) subscriptions: Table<Subscription>,
    #[serde(default)]
    pub(crate) invoices: Table<Invoice>,
    #[serde(default)]
    pub(crate) destination_payments: Table<DestinationPayment>,
    #[serde(default)]
    pub(crate) payment_refunds: Table<PaymentRefund>,
    #[serde(default)]
    pub(crate) disputes: Table<Dispute>,
    #[serde(default)]
    pub(crate) early_fraud_warnings: Table<EarlyFraudWarning>,
    #[serde(default)]
    pub(crate) payouts: Table<Payout>,
    #[serde(default)]
    pub(crate) portal_sessions: BTreeMap<String, PortalSession>,
    pub(crate) idempotency_keys: IdempotencyKeys,
    /// Webhooks that are not acknowledged yet, by number.
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    deliveries_given: u64,
    deadlines: BTreeSet<(i64, Deadline)>,
    /// Deliveries that nobody takes care of yet.
    #[serde(skip)]
    pub(crate) undispatched: Vec<u64>,
    #[serde(skip)]
    pub(crate) luck: Luck,
    /// The beginning of the links that are given out.
    #[serde(skip)]
    pub(crate) public_url: String,
    /// The API request that is being worked on.
    #[serde(skip)]
    pub(crate) cause: Option<Cause>,
}

/// What will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Deadline {
    /// The session with this id expires, if it is still open.
    Expire(String),
    /// What is due of the account with this id is overdue, if it is still due.
    Require(String),
    /// The delayed payment of the session with this id succeeds, if it is still on its way.
    Settle(String),
    /// The period of the subscription with this id ends, unless it was changed or has ended.
    EndPeriod(String),
    /// The invoice with this id is collected once more, if it is still open.
    CollectInvoice(String),
    /// The subscription with this id expires, if its first invoice was never paid.
    ExpireIncomplete(String),
}

/// The API request that an event came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            clock: Clock::default(),
            ids: IdSource::new(seed),
            request_ids: IdSource::new(!seed),
            accounts: Table::default(),
            account_links: BTreeMap::new(),
            application_fees: Table::default(),
            fee_refunds: Table::default(),
            balance_transactions: Table::default(),
            charges: Table::default(),
            checkout_sessions: Table::default(),
            customers: Table::default(),
            events: Table::default(),
            payment_intents: Table::default(),
            refunds: Table::default(),
            transfers: Table::default(),
            transfer_reversals: Table::default(),
            webhook_endpoints: Table::default(),
            products: Table::default(),
            prices: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            destination_payments: Table::default(),
            payment_refunds: Table::default(),
            disputes: Table::default(),
            early_fraud_warnings: Table::default(),
            payouts: Table::default(),
            portal_sessions: BTreeMap::new(),
            idempotency_keys: IdempotencyKeys::default(),
            deliveries: BTreeMap::new(),
            deliveries_given: 0,
            deadlines: BTreeSet::new(),
            undispatched: Vec::new(),
            luck: Luck::default(),
            public_url: String::new(),
            cause: None,
        }
    }

    /// Seconds since 1970 on the simulator's clock; stands still during one piece of work.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    pub(crate) fn set_deadline(&mut self, instant: i64, deadline: Deadline) {
        self.deadlines.insert((instant, deadline));
    }

    /// Catches up with the clock: lets happen what is due, each thing at its own time; forgets what
    /// is old.
    pub(crate) fn catch_up(&mut self) {
        while let Some((instant, _)) = self.deadlines.first()
            && *instant <= self.clock.target()
            && let Some((instant, deadline)) = self.deadlines.pop_first()
        {
            self.clock.come_to(instant);
            match deadline {
                Deadline::Expire(id) => checkout_session::expire_if_open(self, &id),
                Deadline::Require(id) => account::past_deadline(self, &id),
                Deadline::Settle(id) => payment::settle_if_on_its_way(self, &id),
                Deadline::EndPeriod(id) => billing::end_period(self, &id),
                Deadline::CollectInvoice(id) => billing::collect_again(self, &id),
                Deadline::ExpireIncomplete(id) => billing::expire_if_incomplete(self, &id),
            }
        }
        self.clock.refresh();
        event::forget_old(self);
        let now = self.now();
        self.idempotency_keys.forget_old(now);
    }

    /// Queues an event for the endpoints that want it, as luck would have it.
    pub(crate) fn queue_webhooks(&mut self, event_id: &str) {
        let Some(event) = self.events.get(event_id) else {
            return;
        };
        let endpoints: Vec<String> = self
            .webhook_endpoints
            .iter()
            .filter(|endpoint| endpoint.wants(&event.kind, event.account()))
            .map(|endpoint| endpoint.id().to_owned())
            .collect();
        for endpoint in endpoints {
            let luck = self.luck.of_webhook();
            for _ in 0..luck.copies {
                self.deliveries_given += 1;
                let delivery = Delivery {
                    event: event_id.to_owned(),
                    endpoint: endpoint.clone(),
                    delay_ms: luck.delay_ms,
                    behind_the_next: luck.behind_the_next,
                };
                self.deliveries.insert(self.deliveries_given, delivery);
                self.undispatched.push(self.deliveries_given);
            }
            if let Some(event) = self.events.get_mut(event_id) {
                event.pending_webhooks += luck.copies;
            }
        }
    }

    /// Takes a delivery off the list: it was acknowledged, or has nowhere to go any more.
    pub(crate) fn finish_delivery(&mut self, number: u64) {
        if let Some(delivery) = self.deliveries.remove(&number)
            && let Some(event) = self.events.get_mut(&delivery.event)
        {
            event.pending_webhooks = event.pending_webhooks.saturating_sub(1);
        }
    }

    /// The object with this id, whatever its kind, as the API shows it.
    pub(crate) fn render(&self, id: &str) -> Option<Value> {
        let (prefix, _) = id.split_once('_')?;
        match prefix {
            "acct" => self.rendered(&self.accounts, id),
            "ch" => self.rendered(&self.charges, id),
            "cs" => self.rendered(&self.checkout_sessions, id),
            "cus" => self.rendered(&self.customers, id),
            "du" => self.rendered(&self.disputes, id),
            "evt" => self.rendered(&self.events, id),
            "fee" => self.rendered(&self.application_fees, id),
            "fr" => self.rendered(&self.fee_refunds, id),
            "in" => self.rendered(&self.invoices, id),
            "issfr" => self.rendered(&self.early_fraud_warnings, id),
            "pi" => self.rendered(&self.payment_intents, id),
            "po" => self.rendered(&self.payouts, id),
            "price" => self.rendered(&self.prices, id),
            "prod" => self.rendered(&self.products, id),
            "py" => self.rendered(&self.destination_payments, id),
            "pyr" => self.rendered(&self.payment_refunds, id),
            "re" => self.rendered(&self.refunds, id),
            "sub" => self.rendered(&self.subscriptions, id),
            "tr" => self.rendered(&self.transfers, id),
            "trr" => self.rendered(&self.transfer_reversals, id),
            "txn" => self.rendered(&self.balance_transactions, id),
            _ => None,
        }
    }

    fn rendered<T: Record>(&self, table: &Table<T>, id: &str) -> Option<Value> {
        table.get(id).map(|row| row.render(self))
    }
}
