//! A Stripe, a post office and an outside that answer from memory.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;
use engine::{Perform, Task, Trouble};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use workflows::{
    Timestamp,
    effect::{Answer, Effect, Failure, LinkRequest, Mail, OnboardingUrls, PlanSessionRequest},
    group_buy::News,
    id::{MagicLinkId, VisitorId},
    money::{Currency, part_of},
    stripe::{
        Account, Billing, CapabilityStatus, Charge, Outcome, Refund, RefundStatus, Requirements,
        Session, Transfer, TransferReversal,
    },
};

/// What it answers, and what it was asked.
#[derive(Default)]
pub struct Stripe {
    /// The next calls are refused with this code.
    pub refusing: Mutex<Option<&'static str>>,
    /// Accounts cannot be read for now, and why.
    pub unwell: Mutex<Option<&'static str>>,
    /// Accounts that were through the form.
    pub connected: Mutex<bool>,
    /// What the accounts still lack.
    pub due: Mutex<Vec<String>>,
    /// Accounts that let nobody in any more.
    pub gone: Mutex<Vec<String>>,
    /// What is said of every account instead.
    pub said: Mutex<Option<Account>>,
    /// Where the links lead back to.
    pub urls: Mutex<Vec<OnboardingUrls>>,
    /// Whose the links are.
    pub requests: Mutex<Vec<LinkRequest>>,
    /// Links that were mailed.
    pub mailed: Mutex<Vec<MagicLinkId>>,
    /// Who was mailed what became of a group buy.
    pub told: Mutex<Vec<(VisitorId, News)>>,
    /// What handles pay for.
    pub billing: Mutex<Billing>,
    /// It knows none of the customers: it is asked with the key of another account.
    pub knows_nobody: Mutex<bool>,
    /// Pages that lead here afterwards are refused.
    pub refusing_pages_to: Mutex<Option<&'static str>>,
    /// Where each page to subscribe on leads afterwards, by its address.
    pub pages: Mutex<HashMap<String, String>>,
    /// Pages to subscribe on that were closed: their addresses.
    pub closed: Mutex<Vec<String>>,
    /// How many accounts, links and sessions were made.
    pub made: Mutex<Vec<&'static str>>,
    /// What came back of payments, by payment intent.
    pub charges: Mutex<HashMap<String, Charge>>,
}

impl Stripe {
    /// The charge of a payment of 10 dollars with a fee of 50 cents, after a change.
    pub fn charge(&self, intent: &str, change: impl FnOnce(&mut Charge)) -> Charge {
        let mut charges = self.charges.lock().unwrap();
        let charge = charges.entry(intent.to_owned()).or_insert_with(|| Charge {
            id: format!("ch_{intent}"),
            currency: Currency::USD,
            refunds: Vec::new(),
            disputes: Vec::new(),
            transfer: Some(Transfer {
                id: format!("tr_{intent}"),
                amount: 1_000,
                currency: Currency::USD,
                cause: None,
                reversals: Vec::new(),
            }),
            again: Vec::new(),
            fee_returned: 0,
        });
        change(charge);
        charge.clone()
    }

    /// Takes a part of the transfer and of the fee back.
    pub fn reverse(charge: &mut Charge, amount: i64, cause: &str) {
        if let Some(transfer) = &mut charge.transfer {
            let id = format!("trr_{}", transfer.reversals.len());
            let cause = Some(cause.to_owned());
            transfer.reversals.push(TransferReversal { id, amount, cause });
            let back = transfer.reversals.iter().map(|one| one.amount).sum();
            charge.fee_returned = part_of(50, back, transfer.amount);
        }
    }

    pub fn made(&self, what: &str) -> usize {
        self.made.lock().unwrap().iter().filter(|made| **made == what).count()
    }

    fn account(&self, id: &str) -> Account {
        if let Some(said) = &*self.said.lock().unwrap() {
            return Account { id: id.to_owned(), ..said.clone() };
        }
        let connected = *self.connected.lock().unwrap();
        let transfers = match connected {
            true => CapabilityStatus::Active,
            false => CapabilityStatus::Inactive,
        };
        Account {
            id: id.to_owned(),
            charges_enabled: connected,
            payouts_enabled: connected,
            details_submitted: connected,
            transfers_active: connected,
            capabilities: [("transfers".to_owned(), transfers)].into(),
            requirements: Requirements {
                currently_due: self.due.lock().unwrap().clone(),
                ..Requirements::default()
            },
        }
    }

    fn expect_access(&self, account: &str) -> Result<(), Trouble> {
        match self.gone.lock().unwrap().iter().any(|gone| gone == account) {
            true => {
                let failure = Failure {
                    code: "account_invalid".to_owned(),
                    message: "the access may have been revoked".to_owned(),
                };
                Err(Trouble::Permanent(failure))
            }
            false => Ok(()),
        }
    }

    fn expect_customer(&self, customer: &str) -> Result<(), Trouble> {
        match *self.knows_nobody.lock().unwrap() {
            true => {
                let code = "resource_missing".to_owned();
                let message = format!("No such customer: '{customer}'");
                Err(Trouble::Permanent(Failure { code, message }))
            }
            false => Ok(()),
        }
    }

    fn open_page(&self, request: &PlanSessionRequest) -> Result<String, Trouble> {
        self.expect_customer(&request.customer)?;
        let to = *self.refusing_pages_to.lock().unwrap();
        if to.is_some_and(|to| request.success_url.ends_with(to)) {
            let (code, message) = ("api_error".to_owned(), "no page for you".to_owned());
            return Err(Trouble::Permanent(Failure { code, message }));
        }
        let n = self.make("plan session")?;
        let url = format!("https://checkout.stripe.test/{}/{n}", request.price);
        self.pages.lock().unwrap().insert(url.clone(), request.success_url.clone());
        Ok(url)
    }

    fn make(&self, what: &'static str) -> Result<usize, Trouble> {
        if let Some(code) = *self.refusing.lock().unwrap() {
            let message = format!("refused: {code}");
            return Err(Trouble::Permanent(Failure { code: code.to_owned(), message }));
        }
        let mut made = self.made.lock().unwrap();
        made.push(what);
        Ok(made.len())
    }
}

#[async_trait]
impl Perform for Stripe {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        Ok(match &task.effect {
            Effect::CreateAccount { .. } => {
                let n = self.make("account")?;
                Answer::AccountCreated { account: format!("acct_{n}{}", task.id.0.simple()) }
            }
            Effect::CreateAccountLink { account, request, urls } => {
                self.expect_access(account)?;
                self.requests.lock().unwrap().push(request.clone());
                self.urls.lock().unwrap().push(urls.clone());
                let n = self.make("link")?;
                Answer::AccountLinkCreated {
                    url: format!("https://connect.stripe.test/setup/{n}"),
                    expires_at: task.asked_at.plus(5 * Timestamp::MINUTE),
                }
            }
            Effect::RetrieveAccount { account, .. } => {
                if let Some(message) = *self.unwell.lock().unwrap() {
                    let message = message.to_owned();
                    return Err(Trouble::Transient { retry_after: None, message });
                }
                self.expect_access(account)?;
                Answer::AccountRetrieved(self.account(account))
            }
            Effect::CreateLoginLink { account, .. } => {
                self.expect_access(account)?;
                let n = self.make("login link")?;
                Answer::LoginLinkCreated { url: format!("https://connect.stripe.test/express/{n}") }
            }
            Effect::CreateCheckoutSession(request) => {
                self.make("session")?;
                Answer::SessionCreated {
                    session: format!("cs_{}", request.checkout),
                    url: format!("https://checkout.stripe.test/{}", request.checkout),
                }
            }
            Effect::RetrieveCheckoutSession { session } => {
                Answer::SessionRetrieved(Session { id: session.clone(), outcome: Outcome::Open })
            }
            Effect::ExpireCheckoutSession { session } => {
                Answer::SessionRetrieved(Session { id: session.clone(), outcome: Outcome::Expired })
            }
            Effect::CreateRefund { payment_intent, amount, asked, .. } => {
                self.make("refund")?;
                let charge = self.charge(payment_intent, |charge| {
                    let id = format!("re_{payment_intent}_{}", charge.refunds.len());
                    charge.refunds.push(Refund {
                        id: id.clone(),
                        payment_intent: payment_intent.clone(),
                        amount: *amount,
                        status: RefundStatus::Succeeded,
                        asked: *asked,
                        reason: None,
                    });
                    Self::reverse(charge, *amount, &id);
                });
                Answer::RefundCreated(charge.refunds.last().unwrap().clone())
            }
            Effect::RetrieveCharge { payment_intent, .. } => {
                Answer::ChargeRetrieved(Box::new(self.charge(payment_intent, |_| {})))
            }
            Effect::ReverseTransfer { transfer, amount, cause, .. } => {
                self.make("reversal")?;
                let intent = transfer.trim_start_matches("tr_");
                self.charge(intent, |charge| Self::reverse(charge, *amount, cause));
                Answer::TransferReversed { reversal: "trr_1".to_owned() }
            }
            Effect::CreateTransfer { amount, cause, group, .. } => {
                let transfer = format!("tr_again_{}", self.make("transfer")?);
                self.charge(group.trim_start_matches("group_"), |charge| {
                    charge.again.push(Transfer {
                        id: transfer.clone(),
                        amount: amount.minor,
                        currency: amount.currency,
                        cause: Some(cause.clone()),
                        reversals: Vec::new(),
                    });
                });
                Answer::TransferCreated { transfer }
            }
            Effect::SendMail(mail) => {
                match mail {
                    Mail::MagicLink(link) => self.mailed.lock().unwrap().push(*link),
                    Mail::GroupBuy { visitor, news, .. } => {
                        self.told.lock().unwrap().push((*visitor, *news));
                    }
                    _ => {}
                }
                Answer::MailSent
            }
            Effect::SyncMarker { .. } => Answer::MarkerSynced,
            Effect::CreateCustomer { .. } => {
                self.make("customer")?;
                Answer::CustomerCreated { customer: format!("cus_{}", task.id.0.simple()) }
            }
            Effect::CreatePlanSession(request) => {
                let url = self.open_page(request)?;
                Answer::PlanSessionCreated { session: format!("cs_{url}"), url }
            }
            Effect::ExpirePlanSession { session } => {
                self.closed.lock().unwrap().push(session.trim_start_matches("cs_").to_owned());
                Answer::PlanSessionClosed
            }
            Effect::CreatePortalSession { customer, .. } => {
                self.expect_customer(customer)?;
                let n = self.make("portal")?;
                Answer::PortalSessionCreated {
                    url: format!("https://billing.stripe.test/session/{n}"),
                    // Stripe tells the time in seconds.
                    expires_at: Timestamp::from_secs(task.asked_at.secs() + 300),
                }
            }
            Effect::RetrieveBilling { customer, .. } => {
                self.expect_customer(customer)?;
                Answer::BillingRetrieved(self.billing.lock().unwrap().clone())
            }
            other => panic!("not in this world: {other:?}"),
        })
    }

    async fn find(&self, _: &Task) -> Result<Option<Answer>, Trouble> {
        Ok(None)
    }
}

/// The header that Stripe sends with a body.
pub fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// An event of the platform.
pub fn event(id: &str, kind: &str, object: Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-09-30.endive", "type": kind,
        "livemode": false, "created": 1, "data": {"object": object}
    })
}

/// The session of a checkout, paid as agreed.
pub fn paid(id: &str, checkout: &str, amount: i64) -> Value {
    let session = json!({
        "id": format!("cs_{checkout}"), "object": "checkout.session", "status": "complete",
        "payment_status": "paid", "payment_intent": format!("pi_{checkout}"),
        "amount_total": amount, "currency": "usd", "metadata": {"sluice_checkout": checkout}
    });
    event(id, "checkout.session.completed", session)
}
