//! A Stripe of our own, and what creators, buyers and banks do there.

use std::{num::NonZeroU32, time::Duration};

use engine::Task;
use serde_json::{Value, json};
use simulator::{Endpoint, Endpoints, Faults, Running, Simulator, SimulatorConfig};
use url::Url;
use uuid::Uuid;
use workers::stripe::{StripeConfig, StripePerformer};
use workflows::{
    Timestamp,
    effect::Effect,
    id::{EffectId, RunId},
};

use crate::patience::{LONG, until};

const KEY: &str = "sk_test_workers";
/// For all calls but those that are to take too long.
const PATIENT: Duration = Duration::from_secs(20);

pub struct Sim {
    pub running: Running,
    http: reqwest::Client,
}

impl Sim {
    pub async fn start() -> Self {
        let running = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, http }
    }

    /// What production uses to call Stripe, calling this one.
    pub fn performer(&self) -> StripePerformer {
        self.performer_with_timeout(PATIENT)
    }

    pub fn performer_with_timeout(&self, timeout: Duration) -> StripePerformer {
        performer_at(&self.running.url(), timeout)
    }

    pub fn faults(&self, faults: Faults) {
        self.running.set_faults(faults).unwrap();
    }

    pub fn no_faults(&self) {
        self.faults(Faults::default());
    }

    /// An object, or a list, of Stripe's API. Faults are for others: it is asked for until it comes.
    pub async fn get(&self, path: &str) -> Value {
        let address = format!("{}{path}", self.running.url());
        until(path, LONG, async || {
            let response = self.http.get(&address).bearer_auth(KEY).send().await.ok()?;
            response.error_for_status().ok()?.json().await.ok()
        })
        .await
    }

    /// All objects of a list, the oldest first.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=100{after}")).await;
            all.extend(page["data"].as_array().unwrap().clone());
            if page["has_more"] != json!(true) {
                all.reverse();
                return all;
            }
            after = format!("&starting_after={}", text(&all.last().unwrap()["id"]));
        }
    }

    pub async fn count(&self, path: &str) -> usize {
        self.list(path).await.len()
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        answer(self.http.post(format!("{}/_sim/{path}", self.running.url())).json(&body)).await
    }

    /// A connected account that can take money.
    pub async fn account(&self) -> String {
        let form = "type=express&country=US&capabilities[transfers][requested]=true\
                    &capabilities[card_payments][requested]=true";
        let request = self
            .http
            .post(format!("{}/v1/accounts", self.running.url()))
            .bearer_auth(KEY)
            .body(form);
        let account = text(&answer(request).await["id"]);
        self.complete(&account).await;
        account
    }

    /// Somebody calls Stripe who is not Sluice: by hand in the dashboard, say.
    pub async fn by_hand(&self, path: &str, form: &str) -> Value {
        let address = format!("{}{path}", self.running.url());
        answer(self.http.post(address).bearer_auth(KEY).body(form.to_owned())).await
    }

    /// The creator fills in the whole onboarding form.
    pub async fn complete(&self, account: &str) {
        self.control(&format!("accounts/{account}"), json!({ "complete": true })).await;
    }

    /// The buyer, or the bank, does something: `paid`, `delayed`, `delayed_fails` …
    pub async fn pay(&self, session: &str, outcome: &str) -> Value {
        let path = format!("checkout/sessions/{session}/pay");
        self.control(&path, json!({ "outcome": outcome })).await
    }

    /// Opens a page of Stripe's, and says where it sends on to, if it does.
    pub async fn visit(&self, url: &str) -> Option<String> {
        let stays = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(stays).build().unwrap();
        let response = http.get(url).send().await.unwrap();
        let to = response.headers().get("location")?;
        Some(to.to_str().unwrap().to_owned())
    }

    pub async fn advance(&self, seconds: i64) {
        self.control("clock", json!({ "advance_seconds": seconds })).await;
    }

    /// Webhooks about the platform go there from now on.
    pub fn tells(&self, url: &Url) {
        let endpoint = Endpoint { url: url.to_string(), secret: "whsec_workers".to_owned() };
        self.running.set_endpoints(Endpoints { platform: Some(endpoint), connect: None });
    }

    pub async fn summary(&self) -> Value {
        answer(self.http.get(format!("{}/_sim/summary", self.running.url()))).await
    }
}

pub fn performer_at(address: &str, timeout: Duration) -> StripePerformer {
    StripePerformer::new(&StripeConfig {
        secret_key: KEY.into(),
        api_base: Some(format!("{address}/").parse().unwrap()),
        calls_a_second: NonZeroU32::new(10_000).unwrap(),
        timeout,
        keys: crate::world::keys(),
    })
    .unwrap()
}

/// An effect as it comes out of the outbox.
pub fn task(effect: Effect) -> Task {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Task {
        id: EffectId(Uuid::now_v7()),
        run: RunId(Uuid::now_v7()),
        effect,
        key_generation: 0,
        asked_at: Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap()),
    }
}

/// Reads an account.
pub fn read(account: &str) -> Effect {
    Effect::RetrieveAccount { account: account.to_owned(), begun_at: Timestamp::default() }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status}: {body}");
    body
}
