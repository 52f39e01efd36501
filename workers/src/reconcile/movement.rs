//! A movement of money at Stripe, and what must be in the ledger because of it.
//! <https://docs.stripe.com/reports/balance-transaction-types>

use entities::verdict;
use serde::Deserialize;
use serde_json::Value;
use workflows::{
    stripe::TRANSFER_GROUP,
    stripe_event::{CHECKOUT, EFFECT},
};

use super::{SETTLING, under_way::LOOK_AGAIN};

/// A balance transaction, with the object that moved the money.
/// <https://docs.stripe.com/api/balance_transactions/object>
#[derive(Clone, Debug, Deserialize)]
pub struct Movement {
    /// `txn_…`
    pub id: String,
    /// `charge`, `refund` and so on: an open set.
    #[serde(rename = "type")]
    pub kind: String,
    /// Minor units: what comes in is positive.
    pub amount: i64,
    /// Minor units that Stripe keeps of it.
    pub fee: i64,
    /// Minor units: the amount without the fee.
    pub net: i64,
    /// Of all three, in lower case.
    pub currency: String,
    /// What moved it.
    #[serde(default)]
    pub source: Value,
}

/// A posting that must be in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What is asked of the ledger.
    pub wanted: verdict::Wanted,
    /// Minor units on that side, if that can be said.
    pub amount: Option<i64>,
    /// `pi_…`, `re_…`: what a person looks up at Stripe.
    pub object: String,
    /// Whether it is Sluice's for certain, whatever the ledger knows.
    pub ownership: Ownership,
}

/// Whose a movement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Sluice's: it says so itself.
    Certain,
    /// Sluice's, if something of it is known here.
    IfKnown,
}

const STRIPE: &str = "stripe";
const CREATOR: &str = "creator";
const PROCESSOR_FEE: &str = "processor_fee";

impl Movement {
    /// What must be in the ledger. Nothing, for what the ledger counts as one with something else: that a
    /// creator's part is passed on, and that the fee comes back.
    pub fn expected(&self) -> Vec<Expected> {
        match self.kind.as_str() {
            "charge" | "payment" => self.charge(),
            "refund" | "payment_refund" => self.refund().into_iter().collect(),
            "refund_failure" | "payment_failure_refund" | "payment_refund_failure" => {
                self.refund_failure().into_iter().collect()
            }
            "adjustment" => self.dispute().into_iter().collect(),
            "transfer" => self.transfer().into_iter().collect(),
            "transfer_refund" => self.reversal().into_iter().collect(),
            "payout" => self.payout().into_iter().collect(),
            "payout_failure" | "payout_cancel" => self.payout_back().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn charge(&self) -> Vec<Expected> {
        let Some(intent) = self.reference("payment_intent") else { return Vec::new() };
        // A bank debit that came to nothing: Stripe moves it back.
        if self.source["status"] == "failed" {
            return Vec::new();
        }
        let paid = Expected {
            amount: Some(self.amount),
            ownership: self.ownership(),
            ..self.posting("paid", &intent).known_by(&intent)
        };
        let fee = Expected {
            amount: Some(self.fee),
            object: intent.clone(),
            ..self.posting("fee", &self.id).on(PROCESSOR_FEE).because_of("paid", &intent)
        };
        match self.fee {
            0 => vec![paid],
            _ => vec![paid, fee],
        }
    }

    fn refund(&self) -> Option<Expected> {
        let (refund, intent) = (self.id_of("refund")?, self.reference("payment_intent")?);
        let posting = self.posting("refund", &refund);
        // One that came to nothing before it was heard of here needs no postings.
        if matches!(self.source["status"].as_str(), Some("failed" | "canceled")) {
            return Some(Expected { amount: Some(self.amount), ..posting });
        }
        let posting = posting.known_by(&intent).because_of("paid", &intent);
        Some(Expected { amount: Some(self.amount), ownership: self.ownership(), ..posting })
    }

    fn refund_failure(&self) -> Option<Expected> {
        let refund = self.id_of("refund")?;
        let posting = self.posting("refund_failed", &refund).because_of("refund", &refund);
        Some(Expected { amount: Some(self.amount), ..posting })
    }

    /// Adjustments are made for other reasons, too.
    fn dispute(&self) -> Option<Expected> {
        let (dispute, intent) = (self.id_of("dispute")?, self.reference("payment_intent")?);
        let (name, sign) = match self.amount {
            ..0 => ("dispute_withdrawn", -1),
            0.. => ("dispute_reinstated", 1),
        };
        let posting = self.posting(name, &dispute).known_by(&intent).because_of("paid", &intent);
        Some(Expected { amount: Some(self.of_dispute(sign)), ..posting })
    }

    /// A dispute may be settled in parts, and is posted whole.
    fn of_dispute(&self, sign: i64) -> i64 {
        let parts = self.source["balance_transactions"].as_array();
        let parts = parts.into_iter().flatten().filter_map(|part| {
            let (amount, net) = (part["amount"].as_i64()?, part["net"].as_i64()?);
            (amount.signum() == sign).then_some(net)
        });
        parts.reduce(|sum, part| sum + part).unwrap_or(self.net)
    }

    /// Those of destination charges come from a charge by themselves; what Sluice passes on again says so.
    fn transfer(&self) -> Option<Expected> {
        let (transfer, account) = (self.id_of("transfer")?, self.reference("destination")?);
        let is_again = self.source["metadata"][EFFECT].is_string();
        if !self.source["source_transaction"].is_null() && !is_again {
            // By hand, if it is in the ledger; else with its charge.
            return Some(self.posting("transfer", &transfer).on(CREATOR));
        }
        let group = self.source["transfer_group"].as_str();
        let intent = group.and_then(|group| group.strip_prefix(TRANSFER_GROUP));
        let known_by = intent.unwrap_or(&account);
        let posting = self.posting("transfer", &transfer).on(CREATOR).known_by(known_by);
        Some(Expected { amount: Some(self.amount), ownership: self.ownership(), ..posting })
    }

    /// What a refund takes back is posted with the refund.
    fn reversal(&self) -> Option<Expected> {
        let (reversal, transfer) = (self.id_of("transfer_reversal")?, self.reference("transfer")?);
        if !self.source["source_refund"].is_null() {
            return None;
        }
        let posting = self.posting("reversal", &reversal).known_by(&transfer);
        Some(Expected { object: transfer, ..posting })
    }

    /// One that came to nothing before it was paid needs no posting.
    fn payout(&self) -> Option<Expected> {
        let payout = self.id_of("payout")?;
        let ownership = match self.source["status"].as_str() {
            Some("failed" | "canceled") => Ownership::IfKnown,
            _ => Ownership::Certain,
        };
        let posting = self.posting("payout", &payout);
        Some(Expected { amount: Some(self.amount), ownership, ..posting })
    }

    fn payout_back(&self) -> Option<Expected> {
        let payout = self.id_of("payout")?;
        let posting = self.posting("payout_failed", &payout).because_of("payout", &payout);
        Some(Expected { amount: Some(self.amount), ..posting })
    }

    /// When to look again, in seconds, if it is not yet said what comes of it: money leaves the balance before a
    /// payout has arrived, and before a refund has succeeded, and is posted after.
    pub fn under_way_until(&self, now: i64) -> Option<i64> {
        match (self.source["object"].as_str(), self.source["status"].as_str()) {
            (Some("payout"), Some("pending" | "in_transit")) => {
                Some(self.source["arrival_date"].as_i64().unwrap_or(now).max(now) + SETTLING)
            }
            (Some("refund"), Some("pending" | "requires_action"))
            // A bank debit is listed when it is submitted, and paid days later.
            | (Some("charge"), Some("pending")) => Some(now + LOOK_AGAIN),
            _ => None,
        }
    }

    fn posting(&self, name: &str, object: &str) -> Expected {
        Expected {
            wanted: verdict::Wanted {
                key: format!("{name}:{object}"),
                side: STRIPE,
                known_by: None,
                because_of: None,
            },
            amount: None,
            object: object.to_owned(),
            ownership: Ownership::IfKnown,
        }
    }

    fn ownership(&self) -> Ownership {
        let metadata = &self.source["metadata"];
        match metadata[CHECKOUT].is_string() {
            true => Ownership::Certain,
            false => Ownership::IfKnown,
        }
    }

    /// The source's own id, if it is of this kind.
    fn id_of(&self, object: &str) -> Option<String> {
        (self.source["object"] == object).then(|| self.source["id"].as_str())?.map(str::to_owned)
    }

    /// The id of what the source refers to.
    fn reference(&self, name: &str) -> Option<String> {
        let reference = &self.source[name];
        reference.as_str().or_else(|| reference["id"].as_str()).map(str::to_owned)
    }
}

impl Expected {
    fn on(mut self, side: &'static str) -> Self {
        self.wanted.side = side;
        self
    }

    fn known_by(mut self, object: &str) -> Self {
        self.wanted.known_by = Some(object.to_owned());
        self
    }

    fn because_of(mut self, name: &str, object: &str) -> Self {
        self.wanted.because_of = Some(format!("{name}:{object}"));
        self
    }
}
