//! A small world: a database, an engine with a worker, the application, and a Stripe in memory.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use api::{ApiConfig, JwtConfig, KeySource, Readiness, SignInLimits, ThrottleConfig};
use async_trait::async_trait;
use engine::{Engine, Slots, Wakeups, Work, ingest::Ingest};
use entities::{
    Database,
    database::PoolSize,
    statement::{Number, execute, query_one},
};
use migration::testing::TestDatabase;
use poem::{EndpointExt, Response, endpoint::BoxEndpoint};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workflows::{
    effect::Queue,
    keyed_hash::Keys,
    money::BasisPoints,
    plan::{Plan, Plans},
};

use crate::{
    client::{Call, Seen},
    stripe::{self, Stripe},
};

pub const SECRET: &str = "whsec_platform";
pub const CONNECT_SECRET: &str = "whsec_connect";
pub const JWT_SECRET: &str = "a secret for tests";

pub struct World {
    pub engine: Engine,
    pub stripe: Arc<Stripe>,
    pub app: BoxEndpoint<'static, Response>,
    worker: Worker,
    bell: Arc<Notify>,
    database: TestDatabase,
}

/// How a world differs from the usual one.
pub struct Setup {
    pub fee: u16,
    pub plans: Option<&'static str>,
    pub answer_within: Duration,
    pub limits: SignInLimits,
    pub throttles: ThrottleConfig,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    pub jwks: Option<Arc<dyn KeySource>>,
    pub ready: Result<(), String>,
    pub public_url: &'static str,
    pub metrics_token: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        let many = std::num::NonZeroU32::new(10_000).unwrap();
        Self {
            fee: 500,
            plans: None,
            answer_within: Duration::from_secs(20),
            limits: SignInLimits { per_address: many, per_client: many },
            throttles: ThrottleConfig { reads: many, writes: many, ..Default::default() },
            issuer: None,
            audience: None,
            jwks: None,
            ready: Ok(()),
            public_url: "http://localhost:8080",
            metrics_token: Some("metrics token"),
        }
    }
}

struct Bell(Arc<Notify>);

impl Wakeups for Bell {
    fn wake(&self, _: Work) {
        self.0.notify_one();
    }
}

/// Works off what is due whenever it is woken. Whoever holds the turn knows that nobody else works.
struct Worker {
    task: JoinHandle<()>,
    turn: Arc<Mutex<()>>,
}

impl Worker {
    fn start(engine: Engine, stripe: Arc<Stripe>, bell: Arc<Notify>) -> Self {
        let turn = Arc::new(Mutex::new(()));
        let ours = turn.clone();
        let task = tokio::spawn(async move {
            loop {
                bell.notified().await;
                let _turn = ours.lock().await;
                // The database may have been closed on purpose.
                let _outage = work_off(&engine, &stripe).await;
            }
        });
        Self { task, turn }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work_off(engine: &Engine, stripe: &Stripe) -> Result<(), engine::EngineError> {
    let slots = Slots(NonZeroUsize::new(4).unwrap());
    loop {
        let mut done = engine.drain().await?;
        for queue in [Queue::Stripe, Queue::Mail, Queue::Marker, Queue::News] {
            done += engine.perform_due(queue, stripe, slots, &CancellationToken::new()).await?;
        }
        done += engine.perform_local().await?;
        if done == 0 {
            return Ok(());
        }
    }
}

struct Ready(Result<(), String>);

#[async_trait]
impl Readiness for Ready {
    async fn migrations_current(&self) -> Result<(), String> {
        self.0.clone()
    }
}

impl World {
    pub async fn sqlite() -> Self {
        Self::over(TestDatabase::sqlite().await, Setup::default()).await
    }

    pub async fn postgres() -> Option<Self> {
        Some(Self::over(TestDatabase::postgres().await?, Setup::default()).await)
    }

    /// A world that differs, on SQLite.
    pub async fn with(setup: Setup) -> Self {
        Self::over(TestDatabase::sqlite().await, setup).await
    }

    /// A world that differs, on PostgreSQL.
    pub async fn postgres_with(setup: Setup) -> Option<Self> {
        Some(Self::over(TestDatabase::postgres().await?, setup).await)
    }

    async fn over(database: TestDatabase, setup: Setup) -> Self {
        let bell = Arc::new(Notify::new());
        let pools = Database::open(database.url(), PoolSize(6)).await.unwrap();
        let node = format!("test-{}", Uuid::now_v7());
        let engine = Engine::new(pools, Arc::new(Bell(bell.clone())), node);
        let stripe = Arc::new(Stripe::default());
        let ingest = Ingest::start(engine.clone());
        let app = api::app(engine.clone(), ingest, config(setup)).boxed();
        let worker = Worker::start(engine.clone(), stripe.clone(), bell.clone());
        Self { engine, stripe, app, worker, bell, database }
    }

    /// Another API process over the same database: it shares nothing else with the first.
    pub async fn another_api(&self, setup: Setup) -> BoxEndpoint<'static, Response> {
        let pools = Database::open(self.database.url(), PoolSize(6)).await.unwrap();
        let node = format!("test-{}", Uuid::now_v7());
        let engine = Engine::new(pools, Arc::new(Bell(self.bell.clone())), node);
        let ingest = Ingest::start(engine.clone());
        api::app(engine, ingest, config(setup)).boxed()
    }

    /// Nobody works any more: whatever is sent from now on stays where it is.
    pub async fn stop_working(&self) {
        self.settle().await;
        self.worker.task.abort();
    }

    /// Nobody works until what is returned is dropped.
    pub async fn hold(&self) -> OwnedMutexGuard<()> {
        self.worker.turn.clone().lock_owned().await
    }

    /// Waits until so many messages wait for somebody to work.
    pub async fn until_waiting(&self, messages: i64) {
        let sql = "SELECT count(*) AS number FROM inbox WHERE status = 'PENDING'";
        let waiting = async {
            while self.number(sql).await != messages {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("so many messages");
    }

    /// Everything that is due is done.
    pub async fn settle(&self) {
        let _turn = self.worker.turn.lock().await;
        work_off(&self.engine, &self.stripe).await.unwrap();
    }

    pub fn call(&self, method: &str, path: impl Into<String>) -> Call<'_> {
        Call::new(&self.app, method, path)
    }

    pub fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call("GET", path)
    }

    pub fn post(&self, path: impl Into<String>) -> Call<'_> {
        self.call("POST", path)
    }

    /// How many rows there are in tables that requests write to.
    pub async fn rows(&self) -> i64 {
        let tables = [
            "handle",
            "page",
            "checkout",
            "magic_link",
            "inbox",
            "idempotency",
            "visitor",
            "visitor_session",
            "webhook_body",
            "run",
            "connect_account",
            "plan_subscription",
            "daily_write",
            "member",
            "access_token",
            "audit_log",
            "group_buy",
            "group_buy_activation",
            "interest",
            "offer",
        ];
        let counts: Vec<_> =
            tables.iter().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
        self.number(&format!("SELECT CAST({} AS BIGINT) AS number", counts.join(" + "))).await
    }

    pub async fn execute(&self, sql: &str) {
        execute(self.engine.database().write(), sql, vec![]).await.unwrap();
    }

    pub async fn number(&self, sql: &str) -> i64 {
        let found: Option<Number> =
            query_one(self.engine.database().write(), sql, vec![]).await.unwrap();
        found.unwrap().number
    }

    /// Sends an event of Stripe's, properly signed.
    pub async fn webhook(&self, event: &Value) -> Seen {
        self.signed("/v2/public/stripe/webhook", SECRET, event).await
    }

    pub async fn signed(&self, path: &str, secret: &str, event: &Value) -> Seen {
        let body = event.to_string();
        let now = self.engine.clock().local_millis() / 1_000;
        let signature = stripe::signature(secret, now, &body);
        self.post(path)
            .header("stripe-signature", signature)
            .raw("application/json; charset=utf-8", body)
            .send()
            .await
    }

    /// A handle of alice's, on a plan that has everything but the highest limits.
    pub async fn handle(&self, name: &str) {
        self.free_handle(name).await;
        self.set_plan(name, "PRO").await;
    }

    /// A handle of alice's, on the plan that everybody has.
    pub async fn free_handle(&self, name: &str) {
        let body = json!({"handle": name, "displayName": "Alice"});
        self.post("/v2/handles").bearer(token("alice")).json(body).send().await.expect(201);
    }

    /// Sets a plan by hand.
    pub async fn set_plan(&self, handle: &str, plan: &str) {
        let body = json!({"handle": handle, "plan": plan, "reason": "for a test"});
        let seen = self.post("/v2/billing/manual-plan").bearer(admin_token()).json(body).send();
        let seen = seen.await;
        assert!(matches!(seen.status, 200 | 202), "{}", seen.text);
        self.settle().await;
    }

    /// A handle's billing, as alice sees it.
    pub async fn summary(&self, handle: &str) -> Value {
        let path = format!("/v2/billing/summary?handle={handle}");
        self.get(path).bearer(token("alice")).send().await.expect(200)
    }

    /// Lets somebody in to a handle of alice's.
    pub async fn member(&self, handle: &str, subject: &str, role: &str) {
        let body = json!({"subject": subject, "role": role});
        let path = format!("/v2/handles/{handle}/members");
        self.post(path).bearer(token("alice")).json(body).send().await.expect(201);
    }

    /// An access token of somebody's with these scopes.
    pub async fn access_token(&self, subject: &str, scopes: &[&str]) -> String {
        let body = json!({"name": "a program", "scopes": scopes});
        let made = self.post("/v2/tokens").bearer(token(subject)).json(body).send().await;
        made.expect(201)["token"].as_str().unwrap().to_owned()
    }

    /// A handle of alice's that can take payments.
    pub async fn seller(&self, name: &str) {
        self.handle(name).await;
        *self.stripe.connected.lock().unwrap() = true;
        let path = format!("/v2/handles/{name}/connect/onboarding");
        self.post(path).bearer(token("alice")).send().await.expect(200);
        self.settle().await;
    }

    /// A published page of a seller's, for 10 dollars.
    pub async fn page(&self, handle: &str, slug: &str) {
        let body = json!({
            "slug": slug, "title": "A page", "body": "the secret", "mode": "PAID", "priceCents": 1000
        });
        let pages = format!("/v2/handles/{handle}/pages");
        self.post(&pages).bearer(token("alice")).json(body).send().await.expect(201);
        let path = format!("{pages}/{slug}/publish");
        self.post(path).bearer(token("alice")).send().await.expect(200);
        self.settle().await;
    }

    /// The token of the newest link that was mailed.
    pub fn mailed_token(&self) -> String {
        let mailed = self.stripe.mailed.lock().unwrap();
        keys().magic_link_token(*mailed.last().expect("a mail"))
    }

    pub fn mailed_code(&self) -> String {
        let mailed = self.stripe.mailed.lock().unwrap();
        keys().magic_link_code(*mailed.last().expect("a mail"))
    }

    pub async fn ask_to_sign_in(&self, email: &str) -> Seen {
        let body = json!({"email": email});
        let seen = self.post("/v2/visitor/auth/magic-link").json(body).send().await;
        self.settle().await;
        seen
    }

    /// The cookie of a signed-in visitor.
    pub async fn visitor(&self, email: &str) -> String {
        self.ask_to_sign_in(email).await.expect(202);
        let proof = json!({"token": self.mailed_token()});
        let seen = self.post("/v2/visitor/auth/verify").json(proof).send().await;
        seen.expect(200);
        seen.cookie()
    }

    /// Asks to buy a page.
    pub async fn buy(&self, cookie: &str, handle: &str, slug: &str) -> Seen {
        let path = format!("/v2/public/pages/{handle}/{slug}/checkout");
        self.post(path).cookie(cookie).json(json!({})).send().await
    }
}

fn config(setup: Setup) -> ApiConfig {
    ApiConfig {
        public_url: setup.public_url.parse().unwrap(),
        // BUSINESS has no price: it is not for sale.
        plans: Plans::configured(BasisPoints::new(setup.fee), setup.plans)
            .unwrap()
            .priced(Plan::Pro, "price_pro"),
        livemode: false,
        keys: keys(),
        jwt: JwtConfig {
            issuer: setup.issuer,
            audience: setup.audience,
            jwks: setup.jwks,
            ..jwt()
        },
        webhook_secrets: vec![SECRET.into(), "whsec_rotated".into()],
        connect_webhook_secrets: vec![CONNECT_SECRET.into()],
        return_origins: vec!["https://alice.example".parse().unwrap()],
        metrics: Arc::new(|| "sluice_up 1\n".to_owned()),
        metrics_token: setup.metrics_token.map(Into::into),
        ready: Arc::new(Ready(setup.ready)),
        answer_within: setup.answer_within,
        sign_in_limits: setup.limits,
        throttles: setup.throttles,
    }
}

pub fn keys() -> Keys {
    Keys::parse("newest, older").unwrap()
}

pub fn jwt() -> JwtConfig {
    let secrets = vec![JWT_SECRET.into(), "an older secret".into()];
    JwtConfig { secrets, jwks: None, issuer: None, audience: None }
}

pub fn in_an_hour() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + 3_600
}

/// A bearer token.
pub fn token(subject: &str) -> String {
    api::mint_token(&jwt(), subject, &[], in_an_hour()).unwrap()
}

/// A bearer token of an administrator of the platform's.
pub fn admin_token() -> String {
    let roles = ["platform_admin".to_owned()];
    api::mint_token(&jwt(), "ada", &roles, in_an_hour()).unwrap()
}

/// A bearer token of somebody of the platform's.
pub fn operator_token() -> String {
    let roles = ["platform_operator".to_owned()];
    api::mint_token(&jwt(), "olga", &roles, in_an_hour()).unwrap()
}
