//! Calls to Stripe: one attempt each, with the caller's idempotency key. Retries belong to the outbox.

mod account;
mod billing;
mod charge;
mod checkout_session;
mod failure;
mod raw;
mod refund;
mod transfer;

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use engine::{Perform, Task, Trouble};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret, SecretString};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError};
use stripe_core::balance_transaction::{ListBalanceTransaction, RetrieveBalanceTransaction};
use stripe_shared::BalanceTransaction;
use stripe_types::{List, RangeBoundsTs, RangeQueryTs};
use url::Url;
use workflows::{
    effect::{Answer, Effect, Failure},
    keyed_hash::Keys,
    plan::Plans,
};

pub use raw::{Created, Page, Scope, Wanted};

/// How long one call may take, usually: within the deadline for performing an effect.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Performs calls to Stripe.
pub struct StripePerformer {
    client: Client,
    limiter: DefaultDirectRateLimiter,
    keys: Keys,
    plans: Plans,
    livemode: bool,
}

/// How Stripe is reached.
pub struct StripeConfig {
    /// `sk_…`
    pub secret_key: SecretString,
    /// Stripe's own address, or the simulator's.
    pub api_base: Option<Url>,
    /// Calls a second at most, by this process. <https://docs.stripe.com/rate-limits>
    pub calls_a_second: NonZeroU32,
    /// How long one call may take: [`TIMEOUT`], where there is no reason for another.
    pub timeout: Duration,
    /// From which the proofs in refresh addresses are computed.
    pub keys: Keys,
}

impl StripePerformer {
    /// A client that is ready to call.
    pub fn new(config: &StripeConfig) -> Result<Self, StripeError> {
        let mut builder =
            ClientBuilder::new(config.secret_key.expose_secret()).timeout(config.timeout);
        if let Some(base) = &config.api_base {
            builder = builder.url(base.as_str());
        }
        let client =
            builder.app_info("sluice", Some(env!("CARGO_PKG_VERSION").into()), None).build()?;
        let limiter = RateLimiter::direct(Quota::per_second(config.calls_a_second));
        let key = config.secret_key.expose_secret();
        Ok(Self {
            client,
            limiter,
            keys: config.keys.clone(),
            plans: Plans::default(),
            livemode: key.starts_with("sk_live_") || key.starts_with("rk_live_"),
        })
    }

    /// With the plans whose prices handles subscribe to.
    pub fn with_plans(self, plans: Plans) -> Self {
        Self { plans, ..self }
    }

    /// Whether real money is meant, as the key says.
    pub fn livemode(&self) -> bool {
        self.livemode
    }

    /// A page of the balance transactions of a kind created at or after a moment (seconds), the newest
    /// first, with their charges.
    pub async fn list_balance_transactions(
        &self,
        kind: &str,
        created_from: i64,
        after: Option<String>,
        limit: i64,
    ) -> Result<List<BalanceTransaction>, StripeError> {
        let mut request = ListBalanceTransaction::new()
            .type_(kind)
            .created(since(created_from))
            .expand(vec!["data.source".to_owned()])
            .limit(limit);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        request.send(self.ready().await).await
    }

    /// A balance transaction, with its charge.
    pub async fn balance_transaction(&self, id: &str) -> Result<BalanceTransaction, StripeError> {
        RetrieveBalanceTransaction::new(id)
            .expand(vec!["source".to_owned()])
            .send(self.ready().await)
            .await
    }

    /// The client, once a call is within the rate limit.
    async fn ready(&self) -> &Client {
        self.limiter.until_ready().await;
        &self.client
    }
}

#[async_trait]
impl Perform for StripePerformer {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        match &task.effect {
            Effect::CreateAccount { handle, country } => {
                self.create_account(task, *handle, country.as_deref()).await
            }
            Effect::CreateAccountLink { account, request, urls } => {
                self.create_account_link(task, account, request, urls).await
            }
            Effect::CreateLoginLink { account, .. } => self.create_login_link(account).await,
            Effect::RetrieveAccount { account, .. } => self.retrieve_account(account).await,
            Effect::CreateCheckoutSession(request) => self.create_session(task, request).await,
            Effect::RetrieveCheckoutSession { session } => self.retrieve_session(session).await,
            Effect::ExpireCheckoutSession { session } => self.expire_session(session).await,
            Effect::CreateRefund { payment_intent, amount, fee, transfer, asked, checkout } => {
                let wanted = refund::Wanted {
                    payment_intent,
                    amount: *amount,
                    fee: *fee,
                    transfer: *transfer,
                    asked: *asked,
                    checkout: *checkout,
                };
                self.create_refund(task, wanted).await
            }
            Effect::RetrieveRefund { refund } => self.retrieve_refund(refund).await,
            Effect::RetrieveCharge { payment_intent, .. } => {
                self.retrieve_charge(payment_intent).await
            }
            Effect::ReverseTransfer { transfer, amount, fee, cause } => {
                let wanted = transfer::Reversed { transfer, amount: *amount, fee: *fee, cause };
                self.reverse_transfer(task, wanted).await
            }
            Effect::CreateTransfer { account, amount, cause, checkout, group } => {
                let wanted = transfer::PassedOn {
                    account,
                    amount: *amount,
                    cause,
                    checkout: *checkout,
                    group,
                };
                self.create_transfer(task, wanted).await
            }
            Effect::CreateCustomer { handle, name } => {
                self.create_customer(task, *handle, name).await
            }
            Effect::CreatePlanSession(request) => self.create_plan_session(task, request).await,
            Effect::ExpirePlanSession { session } => self.expire_plan_session(session).await,
            Effect::CreatePortalSession { customer, return_url, .. } => {
                self.create_portal_session(customer, return_url).await
            }
            Effect::RetrieveBilling { customer, .. } => self.retrieve_billing(customer).await,
            other @ (Effect::SendMail(_)
            | Effect::SyncMarker { .. }
            | Effect::RollUp { .. }
            | Effect::CloseCheckouts { .. }
            | Effect::EndGroupBuy { .. }
            | Effect::ListInterested { .. }
            | Effect::SealActivation { .. }) => Err(not_ours(other)),
        }
    }

    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        match &task.effect {
            Effect::CreateAccount { .. } => self.find_account(task).await,
            Effect::CreateCheckoutSession(_) => self.find_session(task).await,
            Effect::CreateCustomer { .. } => self.find_customer(task).await,
            Effect::CreatePlanSession(request) => {
                self.find_plan_session(task, &request.customer).await
            }
            Effect::CreateRefund { payment_intent, .. } => {
                self.find_refund(task, payment_intent).await
            }
            Effect::ReverseTransfer { transfer, .. } => self.find_reversal(task, transfer).await,
            Effect::CreateTransfer { group, .. } => self.find_transfer(task, group).await,
            // These read, or may be done again: whatever an earlier try did makes no difference.
            _ => self.perform(task).await.map(Some),
        }
    }
}

/// Clocks differ a little: a search for what was just made begins a little earlier.
const CLOCK_TOLERANCE: i64 = 300;

fn since(secs: i64) -> RangeQueryTs {
    RangeQueryTs::Bounds(RangeBoundsTs { gt: None, gte: Some(secs), lt: None, lte: None })
}

/// From when on what a task made can have been made.
fn made_since(task: &Task) -> RangeQueryTs {
    since(task.asked_at.secs() - CLOCK_TOLERANCE)
}

/// The same key for every try of a task.
fn keyed(task: &Task) -> Result<RequestStrategy, Trouble> {
    match IdempotencyKey::new(task.idempotency_key()) {
        Ok(key) => Ok(RequestStrategy::Idempotent(key)),
        Err(error) => Err(Trouble::Permanent(Failure {
            code: "invalid_idempotency_key".to_owned(),
            message: error.to_string(),
        })),
    }
}

fn not_ours(effect: &Effect) -> Trouble {
    let kind: &'static str = effect.into();
    Trouble::Permanent(Failure {
        code: "not_for_stripe".to_owned(),
        message: format!("{kind} is no call to Stripe"),
    })
}
