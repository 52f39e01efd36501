//! Putting right what is missing here: the object is read from Stripe as it is now, and put into the inbox as if
//! Stripe had just said so. The machine that knows it does the rest, as it would have.
//!
//! This needs no event that Stripe still lists, and it is harmless to do twice: what is posted has a key.

use engine::{By, EngineError, Remedy, ingest::Webhook, stripe_event};
use entities::{
    operator_case::OperatorCase,
    verdict::{self, Verdict},
};
use sea_orm::DbErr;
use serde_json::{Value, json};
use stripe::StripeError;
use uuid::Uuid;
use workflows::stripe_event::{Endpoint, Envelope};

use super::{Reconciler, differences::Difference, reading::said};
use crate::{balance_transactions, stripe::Scope};

/// What came of applying a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The run that knows the object hears of it; the case closes when the ledger has the posting.
    PutIn,
    /// Nothing here can do it: why, and what a person can.
    ForAPerson(String),
}

/// What stands in the way.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Person(String),
}

impl From<DbErr> for Obstacle {
    fn from(error: DbErr) -> Self {
        Self::Engine(error.into())
    }
}

impl From<serde_json::Error> for Obstacle {
    fn from(error: serde_json::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl Reconciler {
    /// Puts a case right, as far as that can be done from here.
    pub async fn apply(&self, case: &OperatorCase, by: &By) -> Result<Repair, EngineError> {
        match self.remedy(case).await {
            Ok(remedy) => {
                self.engine.apply_case(case.id, remedy, by).await?;
                Ok(Repair::PutIn)
            }
            Err(Obstacle::Person(why)) => Ok(Repair::ForAPerson(why)),
            Err(Obstacle::Stripe(error)) => Ok(Repair::ForAPerson(said(&error))),
            Err(Obstacle::Engine(error)) => Err(error),
        }
    }

    async fn remedy(&self, case: &OperatorCase) -> Result<Remedy, Obstacle> {
        if case.status != "OPEN" {
            return Err(Obstacle::Person("the case is closed".to_owned()));
        }
        if Difference::of(&case.kind) != Some(Difference::MissingHere) {
            return Err(Obstacle::Person(format!("this is for a person: {}", case.detail)));
        }
        let verdict = verdict::find(self.engine.database().read(), &case.key).await?;
        let Some(verdict) = verdict else {
            return Err(Obstacle::Person("no verdict is kept for it any more".to_owned()));
        };
        match case.key.split_once(':').map(|(name, _)| name) {
            Some("fee") => self.fee(case, &verdict).await,
            _ => self.event(case, &verdict).await,
        }
    }

    async fn fee(&self, case: &OperatorCase, verdict: &Verdict) -> Result<Remedy, Obstacle> {
        let transaction = self.stripe.balance_transaction(&verdict.balance_transaction).await?;
        let Some(mut letter) = balance_transactions::letter(&transaction) else {
            let why = "the charge does not say which purchase it is of".to_owned();
            return Err(Obstacle::Person(why));
        };
        letter.source_id = fresh(case);
        Ok(Remedy::Message(letter.row()?))
    }

    async fn event(&self, case: &OperatorCase, verdict: &Verdict) -> Result<Remedy, Obstacle> {
        let (kind, object) = self.object(case, verdict).await?;
        let mut event = json!({
            "id": fresh(case), "object": "event", "type": kind, "livemode": self.stripe.livemode(),
            "data": { "object": object },
        });
        let endpoint = match verdict.account.as_str() {
            "" => Endpoint::Platform,
            account => {
                event["account"] = account.into();
                Endpoint::Connect
            }
        };
        let envelope: Envelope = serde_json::from_value(event.clone())?;
        let message = stripe_event::message(endpoint, self.stripe.livemode(), envelope)?;
        if stripe_event::is_for_nobody(&message) {
            return Err(Obstacle::Person(message.last_error.unwrap_or_default()));
        }
        Ok(Remedy::Event(Webhook { message, body: event.to_string().into_bytes() }))
    }

    /// What is to be heard, and the object as Stripe has it now.
    async fn object(
        &self,
        case: &OperatorCase,
        verdict: &Verdict,
    ) -> Result<(String, Value), Obstacle> {
        let scope = match verdict.account.as_str() {
            "" => Scope::Platform,
            account => Scope::Account(account.to_owned()),
        };
        let id = &verdict.stripe_object;
        let look_up = async |path: String| self.stripe.look_up(&scope, &path, None).await;
        match case.key.split_once(':').map(|(name, _)| name) {
            Some("paid") => Ok(("checkout.session.completed".to_owned(), self.session(id).await?)),
            Some("refund" | "refund_failed") => {
                Ok(("refund.updated".to_owned(), look_up(format!("/refunds/{id}")).await?))
            }
            Some("dispute_withdrawn" | "dispute_reinstated") => {
                let dispute = look_up(format!("/disputes/{id}")).await?;
                Ok(("charge.dispute.updated".to_owned(), dispute))
            }
            Some(name @ ("transfer" | "reversal")) => {
                let kind =
                    if name == "transfer" { "transfer.created" } else { "transfer.reversed" };
                Ok((kind.to_owned(), look_up(format!("/transfers/{id}")).await?))
            }
            Some("payout" | "payout_failed") => {
                let payout = look_up(format!("/payouts/{id}")).await?;
                let kind = match payout["status"].as_str() {
                    Some("paid") => "payout.paid",
                    Some("failed") => "payout.failed",
                    Some("canceled") => "payout.canceled",
                    _ => "payout.updated",
                };
                Ok((kind.to_owned(), payout))
            }
            _ => Err(Obstacle::Person(format!("this is for a person: {}", case.detail))),
        }
    }

    /// The session that a payment was made in.
    async fn session(&self, intent: &str) -> Result<Value, Obstacle> {
        let query = Some(format!("payment_intent={intent}&limit=1"));
        let path = "/checkout/sessions";
        let mut found = self.stripe.look_up(&Scope::Platform, path, query).await?;
        match found["data"].get_mut(0) {
            Some(session) => Ok(session.take()),
            None => Err(Obstacle::Person(format!("{intent} was not paid in a Checkout Session"))),
        }
    }
}

/// A new id each time: what was heard under another has not helped.
fn fresh(case: &OperatorCase) -> String {
    format!("reconcile:{}:{}", case.id.simple(), Uuid::now_v7().simple())
}
