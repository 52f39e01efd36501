//! A small house: a database, an engine, wake-ups in memory, a Stripe, and directories for mail and markers.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use engine::{Awaited, Engine, Letter, Slots};
use entities::{
    Database, checkout,
    database::PoolSize,
    handle, inbox, outbox, page, rollup_queue,
    statement::{Number, query_one},
    visitor,
};
use migration::testing::TestDatabase;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workers::{
    Identity, Pace, Performers, Workers,
    mail::{MailConfig, MailPerformer, Transport},
    marker::{MarkerPerformer, MarkerTarget},
    reconcile::Reconciler,
    wakeups::{Bells, memory::MemoryWakeups},
};
use workflows::{
    Timestamp,
    checkout::{Checkout, Event, Order, Request},
    id::{CheckoutId, HandleId, PageId, RunId, VisitorId},
    keyed_hash::Keys,
    ledger::Sale,
    message::Message,
    money::Currency,
    stripe_event::{Endpoint, Envelope, Meaning, meaning},
    workflow::Workflow,
};

use crate::{
    patience::{LONG, until_so},
    sim::{Sim, text},
};

pub const PRICE: i64 = 1_000;
pub const FEE: i64 = 50;

pub struct World {
    pub engine: Engine,
    pub bells: Bells,
    pub sim: Sim,
    pub handle: HandleId,
    pub page: PageId,
    /// The creator's connected account.
    pub account: String,
    directory: tempfile::TempDir,
    url: String,
    stop: CancellationToken,
    _database: TestDatabase,
}

impl World {
    pub async fn sqlite() -> Self {
        Self::over(TestDatabase::sqlite().await).await
    }

    pub async fn postgres() -> Option<Self> {
        Some(Self::over(TestDatabase::postgres().await?).await)
    }

    pub async fn over(test: TestDatabase) -> Self {
        let url = test.url().to_owned();
        Self::at(test, url).await
    }

    /// Over a database that is reached by another way than its own address.
    pub async fn at(test: TestDatabase, url: String) -> Self {
        let (bells, stop, wakeups) =
            (Bells::default(), CancellationToken::new(), MemoryWakeups::new());
        tokio::spawn(wakeups.clone().run(bells.clone(), stop.clone()));
        let database = Database::open(&url, PoolSize(6)).await.unwrap();
        let node = format!("test-{}", Uuid::now_v7());
        let engine = Engine::new(database, Arc::new(wakeups), node);
        let sim = Sim::start().await;
        let world = Self {
            account: sim.account().await,
            handle: HandleId(Uuid::now_v7()),
            page: PageId(Uuid::now_v7()),
            directory: tempfile::tempdir().unwrap(),
            engine,
            bells,
            sim,
            url,
            stop,
            _database: test,
        };
        world.open_shop().await;
        world
    }

    async fn open_shop(&self) {
        let now = self.engine.clock().local_millis();
        let creator = handle::Handle {
            id: self.handle.0,
            name: "ada".to_owned(),
            display_name: "Ada".to_owned(),
            owner: "user_1".to_owned(),
            created_at: now,
        };
        assert!(handle::insert(self.engine.database().write(), &creator).await.unwrap());
        self.add_page(self.page, "a-page").await;
    }

    pub async fn add_page(&self, id: PageId, slug: &str) {
        let now = self.engine.clock().local_millis();
        let row = page::Page {
            id: id.0,
            handle_id: self.handle.0,
            slug: slug.to_owned(),
            title: "How to count cents".to_owned(),
            body: "…".to_owned(),
            mode: "PAID".to_owned(),
            price: PRICE,
            currency: "USD".to_owned(),
            status: "PUBLISHED".to_owned(),
            version: 1,
            published_at: Some(now),
            marker_version: None,
            marker_status: None,
            created_at: now,
            updated_at: now,
        };
        assert!(page::insert(self.engine.database().write(), &row).await.unwrap());
    }

    /// Another process over the same database. Its wake-ups reach nobody.
    pub async fn another_process(&self) -> Engine {
        let database = Database::open(&self.url, PoolSize(4)).await.unwrap();
        let nobody = Arc::new(engine::wake::NoWakeups);
        Engine::new(database, nobody, format!("test-{}", Uuid::now_v7()))
    }

    pub fn mail_directory(&self) -> PathBuf {
        self.directory.path().join("mail")
    }

    pub fn marker_directory(&self) -> PathBuf {
        self.directory.path().join("markers")
    }

    pub fn mailer(&self, transport: Transport) -> MailPerformer {
        let config = MailConfig {
            from: "Sluice <mail@sluice.test>".parse().unwrap(),
            public_url: "https://sluice.test".parse().unwrap(),
            keys: keys(),
        };
        MailPerformer::new(self.engine.database().clone(), transport, config)
    }

    pub fn performers(&self) -> Performers {
        let database = self.engine.database().clone();
        let markers = MarkerTarget::Directory(self.marker_directory());
        Performers {
            stripe: Arc::new(self.sim.performer()),
            mail: Arc::new(self.mailer(Transport::Directory(self.mail_directory()))),
            marker: Arc::new(MarkerPerformer::new(database, markers)),
        }
    }

    /// Tests reconcile when they want to.
    pub fn start_workers(&self, performers: Performers) -> Workers {
        self.start_workers_at(performers, Duration::from_secs(1_000_000_000))
    }

    /// Workers that reconcile so often.
    pub fn start_workers_at(&self, performers: Performers, reconciling: Duration) -> Workers {
        let one = Slots(NonZeroUsize::MIN);
        let pace = Pace {
            marker: one,
            balance_transactions: Duration::from_millis(200),
            events: reconciling,
            movements: reconciling,
            ..Pace::default()
        };
        let identity = Identity { role: "worker", release: "test" };
        Workers::start(self.engine.clone(), self.bells.clone(), performers, pace, identity)
    }

    /// Somebody new asks to buy the page.
    pub async fn request(&self) -> CheckoutId {
        let visitor = self.visitor().await;
        self.request_of(visitor).await
    }

    pub async fn visitor(&self) -> VisitorId {
        let id = Uuid::now_v7();
        let email = format!("{}@example.test", id.simple());
        let row = visitor::Visitor { id, email, created_at: 0 };
        VisitorId(visitor::ensure(self.engine.database().write(), &row).await.unwrap())
    }

    pub async fn request_of(&self, visitor: VisitorId) -> CheckoutId {
        let id = CheckoutId(Uuid::now_v7());
        let request = self.terms(id, visitor);
        let transaction = self.engine.database().begin().await.unwrap();
        checkout::insert(&transaction, &self.row(id, visitor, &request)).await.unwrap();
        let letter = Letter {
            source: "test",
            source_id: id.to_string(),
            message: Message::Checkout(id, Event::Request(Box::new(request))),
            handle: Some(self.handle),
        };
        let sent = self.engine.send(&transaction, letter).await.unwrap();
        transaction.commit().await.unwrap();
        self.engine.wake(sent.wake_up);
        id
    }

    fn terms(&self, id: CheckoutId, visitor: VisitorId) -> Request {
        let sale = Sale {
            checkout: id,
            handle: self.handle,
            page: self.page,
            campaign: None,
            account: self.account.clone(),
            amount: PRICE,
            fee: FEE,
            currency: Currency::USD,
        };
        let now = Timestamp::from_millis(self.engine.clock().local_millis());
        Request {
            order: Order { sale, visitor, early_fee: None, interests: Vec::new() },
            title: "How to count cents".to_owned(),
            email: "visitor@example.test".to_owned(),
            success_url: "https://sluice.test/done".to_owned(),
            cancel_url: "https://sluice.test/back".to_owned(),
            expires_at: now.plus(12 * Timestamp::HOUR),
        }
    }

    fn row(&self, id: CheckoutId, visitor: VisitorId, request: &Request) -> checkout::Checkout {
        let now = self.engine.clock().local_millis();
        checkout::Checkout {
            id: id.0,
            handle_id: self.handle.0,
            page_id: self.page.0,
            page_version: 1,
            visitor_id: visitor.0,
            campaign: None,
            amount: PRICE,
            currency: "USD".to_owned(),
            fee: FEE,
            account: self.account.clone(),
            status: "OPEN".to_owned(),
            session_id: None,
            url: None,
            payment_intent: None,
            reason: None,
            expires_at: request.expires_at.millis(),
            created_at: now,
            updated_at: now,
        }
    }

    pub async fn checkout(&self, id: CheckoutId) -> checkout::Checkout {
        checkout::find_any_handle(self.engine.database().read(), id.0).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: CheckoutId) -> String {
        let run = self.engine.find_run(Checkout::NAME, id.0).await.unwrap();
        run.map_or_else(|| "nothing".to_owned(), |run| run.state_name)
    }

    /// Waits, as a handler of the API would, until a purchase gets to a state.
    pub async fn reaches(&self, id: CheckoutId, state: &str) {
        let run = RunId::of(Checkout::NAME, id.0);
        let awaited = self.engine.wait(run, LONG, |run| run.state_name == state).await.unwrap();
        if let Awaited::Elapsed(last) = awaited {
            panic!("{id} is not {state}, but {:?}", last.map(|run| run.state_name));
        }
    }

    /// Holds Stripe and this house against each other.
    pub fn reconciler(&self) -> Reconciler {
        self.reconciler_of(&self.engine)
    }

    /// The same, in another process.
    pub fn reconciler_of(&self, engine: &Engine) -> Reconciler {
        Reconciler::new(engine.clone(), Arc::new(self.sim.performer()), CancellationToken::new())
    }

    /// A number that is counted in the database.
    pub async fn counted(&self, sql: &str) -> i64 {
        let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS number");
        let found: Option<Number> =
            query_one(self.engine.database().read(), &sql, vec![]).await.unwrap();
        found.unwrap().number
    }

    /// A purchase whose buyer has the payment page, and the page's session.
    pub async fn open_page(&self) -> (CheckoutId, String) {
        let id = self.request().await;
        self.reaches(id, "AwaitingPayment").await;
        (id, self.checkout(id).await.session_id.unwrap())
    }

    pub async fn effects(&self, id: CheckoutId) -> Vec<outbox::Outbox> {
        let run = RunId::of(Checkout::NAME, id.0);
        outbox::of_run(self.engine.database().read(), run.0).await.unwrap()
    }

    /// Hands events of Stripe's over, in the order given, as the API does with a webhook.
    pub async fn deliver(&self, events: &[Value]) {
        for event in events {
            self.deliver_one(event).await;
        }
    }

    async fn deliver_one(&self, event: &Value) {
        let envelope: Envelope = serde_json::from_value(event.clone()).unwrap();
        let db = self.engine.database().write();
        match meaning(Endpoint::Platform, &envelope) {
            Meaning::For(message) => {
                let letter =
                    Letter { source: "stripe", source_id: envelope.id, message, handle: None };
                let sent = self.engine.send(db, letter).await.unwrap();
                self.engine.wake(sent.wake_up);
            }
            Meaning::About(object, unrouted) => {
                let row = inbox::NewInbox {
                    source: "stripe",
                    source_id: envelope.id,
                    run_id: None,
                    workflow: Checkout::NAME,
                    subject: None,
                    handle_id: None,
                    stripe_object: Some(object),
                    event: unrouted.event_json().unwrap(),
                    status: "PENDING",
                    last_error: None,
                };
                inbox::insert(db, self.engine.clock(), &[row]).await.unwrap();
                self.engine.wake(engine::WakeUp::of(engine::Work::Inbox));
            }
            Meaning::Nothing => {}
            Meaning::Malformed(why) => panic!("{why}: {event}"),
        }
    }

    /// What Stripe would tell the platform: about sessions, refunds and disputes, the oldest first.
    pub async fn events(&self) -> Vec<Value> {
        let mut events = self.sim.list("/v1/events").await;
        events.retain(|event| {
            let kind = text(&event["type"]);
            let heard = ["checkout.session.", "refund.", "charge.dispute."];
            heard.iter().any(|heard| kind.starts_with(heard))
        });
        events
    }

    /// Time passes, here and at Stripe.
    pub async fn pass(&self, seconds: i64) {
        self.engine.clock().advance(seconds * Timestamp::SECOND);
        self.sim.advance(seconds).await;
    }

    /// Names of files that are there, drafts included.
    pub fn mails(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.mail_directory()) else { return Vec::new() };
        let mut names: Vec<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until nothing is left to do, and every invariant holds.
    pub async fn comes_to_rest(&self) {
        // A handle is rolled up every five seconds at most.
        self.pass(6).await;
        until_so("nothing is left to do, and every invariant holds", LONG, async || {
            let db = self.engine.database().read();
            let left = rollup_queue::handles(db, Uuid::nil(), 1).await.unwrap();
            left.is_empty() && self.engine.check().await.unwrap().is_empty()
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn keys() -> Keys {
    Keys::parse("a key for tests").unwrap()
}
