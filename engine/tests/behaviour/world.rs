//! A small world for the engine: a database, an engine over it, and a Stripe that answers from memory.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use engine::{Engine, Letter, Perform, Slots, Task, Trouble, wake::NoWakeups};
use entities::{Database, checkout, database::PoolSize, history, outbox, run};
use migration::testing::TestDatabase;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflows::{
    Timestamp,
    checkout::{Checkout, Event, Order, Request},
    effect::{Answer, Effect, Queue},
    id::{CheckoutId, HandleId, PageId, RefundId, RunId, VisitorId},
    ledger::Sale,
    message::Message,
    money::{Currency, part_of},
    stripe::{Charge, Outcome, Payment, Refund, RefundStatus, Session, Transfer, TransferReversal},
    workflow::Workflow,
};

pub struct World {
    pub engine: Engine,
    pub stripe: Arc<FakeStripe>,
    pub handle: HandleId,
    pub page: PageId,
    pub url: String,
    _database: TestDatabase,
}

impl World {
    pub async fn sqlite() -> Self {
        Self::over(TestDatabase::sqlite().await).await
    }

    pub async fn postgres() -> Option<Self> {
        Some(Self::over(TestDatabase::postgres().await?).await)
    }

    async fn over(test: TestDatabase) -> Self {
        let url = test.url().to_owned();
        let engine = engine(&url).await;
        Self {
            engine,
            stripe: Arc::default(),
            handle: HandleId(Uuid::now_v7()),
            page: PageId(Uuid::now_v7()),
            url,
            _database: test,
        }
    }

    /// Another process over the same database, with the same clock offset as a new one has: none.
    pub async fn another_process(&self) -> Engine {
        engine(&self.url).await
    }

    /// A visitor asks to buy the page.
    pub async fn request(&self) -> CheckoutId {
        self.request_of(VisitorId(Uuid::now_v7())).await
    }

    pub async fn request_of(&self, visitor: VisitorId) -> CheckoutId {
        let id = CheckoutId(Uuid::now_v7());
        let now = self.engine.clock().local_millis();
        let row = checkout::Checkout {
            id: id.0,
            handle_id: self.handle.0,
            page_id: self.page.0,
            page_version: 1,
            visitor_id: visitor.0,
            campaign: None,
            amount: 1_000,
            currency: "USD".to_owned(),
            fee: 50,
            account: "acct_1".to_owned(),
            status: "OPEN".to_owned(),
            session_id: None,
            url: None,
            payment_intent: None,
            reason: None,
            expires_at: now + 12 * Timestamp::HOUR,
            created_at: now,
            updated_at: now,
        };
        let transaction = self.engine.database().begin().await.unwrap();
        checkout::insert(&transaction, &row).await.unwrap();
        let message = Message::Checkout(id, Event::Request(Box::new(self.terms(id, visitor, now))));
        let letter = Letter {
            source: "test",
            source_id: id.to_string(),
            message,
            handle: Some(self.handle),
        };
        let sent = self.engine.send(&transaction, letter).await.unwrap();
        transaction.commit().await.unwrap();
        self.engine.wake(sent.wake_up);
        id
    }

    fn terms(&self, id: CheckoutId, visitor: VisitorId, now: i64) -> Request {
        let sale = Sale {
            checkout: id,
            handle: self.handle,
            page: self.page,
            campaign: None,
            account: "acct_1".to_owned(),
            amount: 1_000,
            fee: 50,
            currency: Currency::USD,
        };
        Request {
            order: Order { sale, visitor, early_fee: None, interests: Vec::new() },
            title: "A page".to_owned(),
            email: "v@example.test".to_owned(),
            success_url: "https://x.test/ok".to_owned(),
            cancel_url: "https://x.test/no".to_owned(),
            expires_at: Timestamp::from_millis(now + 12 * Timestamp::HOUR),
        }
    }

    /// A checkout that waits for its buyer.
    pub async fn awaiting_payment(&self) -> CheckoutId {
        let id = self.request().await;
        self.settle_down().await;
        assert_eq!(self.state(id).await, "AwaitingPayment");
        id
    }

    /// The buyer pays: what Stripe would report.
    pub async fn pay(&self, id: CheckoutId, event: &str) {
        self.send(id, event, Event::SessionReported(paid(id))).await;
    }

    pub async fn send(&self, id: CheckoutId, source_id: &str, event: Event) {
        let letter = Letter {
            source: "stripe",
            source_id: source_id.to_owned(),
            message: Message::Checkout(id, event),
            handle: None,
        };
        let sent = self.engine.send(self.engine.database().write(), letter).await.unwrap();
        self.engine.wake(sent.wake_up);
    }

    /// Drains and performs until nothing is due.
    pub async fn settle_down(&self) {
        settle_down(&self.engine, &*self.stripe).await;
    }

    pub async fn perform(&self, queue: Queue) -> usize {
        perform(&self.engine, queue, &*self.stripe).await
    }

    pub async fn run(&self, id: CheckoutId) -> run::Run {
        self.engine.find_run(Checkout::NAME, id.0).await.unwrap().expect("the run")
    }

    pub async fn state(&self, id: CheckoutId) -> String {
        self.run(id).await.state_name
    }

    pub async fn history(&self, id: CheckoutId) -> Vec<history::History> {
        let run = RunId::of(Checkout::NAME, id.0);
        history::of_run(self.engine.database().read(), run.0, 0, 1_000).await.unwrap()
    }

    /// The names of what happened, with the refused in brackets.
    pub async fn timeline(&self, id: CheckoutId) -> Vec<String> {
        let lines = self.history(id).await;
        lines
            .into_iter()
            .map(|line| match line.refused {
                None => line.event_name,
                Some(_) => format!("({})", line.event_name),
            })
            .collect()
    }

    pub async fn effects(&self, id: CheckoutId) -> Vec<outbox::Outbox> {
        let run = RunId::of(Checkout::NAME, id.0);
        outbox::of_run(self.engine.database().read(), run.0).await.unwrap()
    }

    /// Every invariant holds, and nothing is left to do.
    pub async fn check(&self) {
        // A handle is rolled up every few seconds at most.
        self.engine.clock().advance(6_000);
        self.engine.sweep(&NoWakeups).await.unwrap();
        self.settle_down().await;
        assert_eq!(self.engine.check().await.unwrap(), []);
    }
}

pub async fn engine(url: &str) -> Engine {
    let database = Database::open(url, PoolSize(6)).await.unwrap();
    Engine::new(database, Arc::new(NoWakeups), format!("test-{}", Uuid::now_v7()))
}

pub async fn settle_down(engine: &Engine, performer: &dyn Perform) {
    loop {
        let mut done = engine.drain().await.unwrap();
        for queue in [Queue::Stripe, Queue::Mail, Queue::Marker, Queue::News] {
            done += perform(engine, queue, performer).await;
        }
        done += engine.perform_local().await.unwrap();
        if done == 0 {
            return;
        }
    }
}

pub async fn perform(engine: &Engine, queue: Queue, performer: &dyn Perform) -> usize {
    let slots = Slots(NonZeroUsize::new(4).unwrap());
    engine.perform_due(queue, performer, slots, &CancellationToken::new()).await.unwrap()
}

pub fn paid(id: CheckoutId) -> Session {
    let payment = Payment { intent: format!("pi_{id}"), amount: 1_000, currency: Currency::USD };
    Session { id: format!("cs_{id}"), outcome: Outcome::Paid(payment) }
}

/// Answers from memory, counts what it did, and does as it is told.
#[derive(Default)]
pub struct FakeStripe {
    pub troubles: Mutex<Vec<Trouble>>,
    pub calls: Mutex<Vec<String>>,
    /// What was really done, by idempotency key.
    pub objects: Mutex<HashMap<String, Answer>>,
    /// How often something was looked up.
    pub lookups: Mutex<usize>,
    pub hidden: Mutex<bool>,
    /// What came back of payments, by payment intent.
    pub charges: Mutex<HashMap<String, Charge>>,
}

impl FakeStripe {
    /// The charge of a payment of 1,000 with a fee of 50, of which nothing has come back.
    fn charge(&self, intent: &str, change: impl FnOnce(&mut Charge)) -> Charge {
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

    /// A refund, with its part of transfer and fee.
    pub fn refund(&self, intent: &str, amount: i64, asked: Option<RefundId>) -> Refund {
        let mut made = None;
        self.charge(intent, |charge| {
            let refund = Refund {
                id: format!("re_{intent}_{}", charge.refunds.len()),
                payment_intent: intent.to_owned(),
                amount,
                status: RefundStatus::Succeeded,
                asked,
                reason: None,
            };
            charge.refunds.push(refund.clone());
            if let Some(transfer) = &mut charge.transfer {
                transfer.reversals.push(TransferReversal {
                    id: format!("trr_{}", refund.id),
                    amount,
                    cause: Some(refund.id.clone()),
                });
                let back = transfer.reversals.iter().map(|one| one.amount).sum();
                charge.fee_returned = part_of(50, back, transfer.amount);
            }
            made = Some(refund);
        });
        made.unwrap()
    }

    pub fn next(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().push(trouble);
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub fn objects(&self) -> usize {
        self.objects.lock().unwrap().len()
    }

    fn answer(&self, task: &Task) -> Answer {
        match &task.effect {
            Effect::CreateCheckoutSession(request) => Answer::SessionCreated {
                session: format!("cs_{}", request.checkout),
                url: "https://pay.test".to_owned(),
            },
            Effect::ExpireCheckoutSession { session } => {
                Answer::SessionRetrieved(Session { id: session.clone(), outcome: Outcome::Expired })
            }
            Effect::RetrieveCheckoutSession { session } => {
                Answer::SessionRetrieved(Session { id: session.clone(), outcome: Outcome::Open })
            }
            Effect::CreateRefund { payment_intent, amount, asked, .. } => {
                Answer::RefundCreated(self.refund(payment_intent, *amount, *asked))
            }
            Effect::RetrieveCharge { payment_intent, .. } => {
                Answer::ChargeRetrieved(Box::new(self.charge(payment_intent, |_| {})))
            }
            Effect::SendMail(_) => Answer::MailSent,
            other => panic!("not in this world: {other:?}"),
        }
    }
}

#[async_trait]
impl Perform for FakeStripe {
    async fn perform(&self, task: &Task) -> Result<Answer, Trouble> {
        self.calls.lock().unwrap().push(task.idempotency_key());
        if let Some(trouble) = self.troubles.lock().unwrap().pop() {
            return Err(trouble);
        }
        let key = task.idempotency_key();
        let answer = {
            let mut objects = self.objects.lock().unwrap();
            objects.entry(key).or_insert_with(|| self.answer(task)).clone()
        };
        // The work is done, and the answer is on its way: a good moment to crash.
        tokio::task::yield_now().await;
        Ok(answer)
    }

    async fn find(&self, task: &Task) -> Result<Option<Answer>, Trouble> {
        *self.lookups.lock().unwrap() += 1;
        if *self.hidden.lock().unwrap() {
            return Ok(None);
        }
        let prefix = format!("{}:", task.id);
        let objects = self.objects.lock().unwrap();
        Ok(objects.iter().find(|(key, _)| key.starts_with(&prefix)).map(|(_, a)| a.clone()))
    }
}
