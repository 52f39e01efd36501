//! Creators with something to sell, and visitors to buy it.

use std::{sync::Arc, time::Duration};

use entities::{
    statement::Clock,
    visitor::{self, Visitor},
    visitor_session::{self, VisitorSession},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use workflows::{Timestamp, keyed_hash::Keys};

use crate::{
    client::{Caller, Client},
    installation::{Installation, SECRET},
};

/// Handle, slug, price in minor units, currency. Prices that round, and currencies of 0, 2 and 3 digits.
const OFFERS: &[(&str, &str, i64, &str)] = &[
    ("ada", "first-light", 1_200, "USD"),
    ("ada", "second-sight", 999, "EUR"),
    ("ben", "third-time", 1_505, "JPY"),
    ("ben", "fourth-wall", 333, "USD"),
    ("cleo", "fifth-season", 12_340, "KWD"),
    ("cleo", "sixth-sense", 570, "GBP"),
];

/// A page on sale.
#[derive(Clone, Debug)]
pub struct Page {
    /// `handle/slug`
    pub at: String,
    pub price: i64,
}

/// Everything that is on sale.
#[derive(Clone)]
pub struct Shop {
    pub pages: Arc<[Page]>,
    pub creators: Arc<[(&'static str, Caller)]>,
}

impl Shop {
    /// The creators onboard and publish.
    pub async fn open(installation: &Installation) -> Self {
        let client = installation.sluice();
        let mut creators: Vec<(&'static str, Caller)> = Vec::new();
        let mut pages = Vec::new();
        for (handle, slug, price, currency) in OFFERS {
            if creators.last().is_none_or(|(last, _)| last != handle) {
                let creator = installation.token(&format!("user_{handle}"));
                onboard(installation, &client, handle, &creator).await;
                creators.push((handle, creator));
            }
            let (_, creator) = creators.last().expect("a creator");
            let body = json!({
                "slug": slug, "title": format!("{handle} {slug}"), "body": "For buyers.",
                "mode": "PAID", "priceCents": price, "currency": currency,
            });
            let path = format!("/v2/handles/{handle}/pages");
            client.post(creator, &path, &format!("page-{slug}"), &body).await;
            let path = format!("{path}/{slug}/publish");
            client.post(creator, &path, &format!("publish-{slug}"), &json!({})).await;
            pages.push(Page { at: format!("{handle}/{slug}"), price: *price });
        }
        Self { pages: pages.into(), creators: creators.into() }
    }
}

/// A creator's handle, on a plan that has everything.
pub async fn handle(installation: &Installation, client: &Client, handle: &str, creator: &Caller) {
    let body = json!({ "handle": handle, "displayName": handle });
    client.post(creator, "/v2/handles", &format!("handle-{handle}"), &body).await;
    upgrade(installation, client, handle, creator).await;
}

async fn onboard(installation: &Installation, client: &Client, handle: &str, creator: &Caller) {
    self::handle(installation, client, handle, creator).await;
    let path = format!("/v2/handles/{handle}/connect/onboarding");
    let begun = client.post(creator, &path, &format!("onboard-{handle}"), &json!({})).await;
    let account = match begun.json["accountId"].as_str() {
        Some(account) => account.to_owned(),
        None => {
            let path = format!("/v2/handles/{handle}/connect/status");
            let made = |status: &Value| status["accountId"].is_string();
            let status = client.get_until(creator, &path, made).await;
            status["accountId"].as_str().expect("an account").to_owned()
        }
    };
    let path = format!("/_sim/accounts/{account}");
    installation.stripe_post(&path, &json!({ "complete": true })).await;
    let path = format!("/v2/handles/{handle}/connect/status");
    client.get_until(creator, &path, |status| status["status"] == "CONNECTED").await;
}

/// To a plan that has paid pages, by hand.
async fn upgrade(installation: &Installation, client: &Client, handle: &str, creator: &Caller) {
    let body = json!({ "handle": handle, "plan": "PRO", "reason": "to sell in a test" });
    let path = "/v2/billing/manual-plan";
    client.post(&installation.admin(), path, &format!("plan-{handle}"), &body).await;
    let path = format!("/v2/billing/summary?handle={handle}");
    client.get_until(creator, &path, |summary| summary["plan"] == "PRO").await;
}

/// Visitors with sessions, written straight into the database: the same as signing in, but quick.
pub async fn signed_in(installation: &Installation, count: usize) -> Vec<Caller> {
    let keys = Keys::parse(SECRET).expect("a secret");
    let now = Clock::default().local_millis();
    let transaction = installation.database.begin().await.expect("a transaction");
    let mut visitors = Vec::with_capacity(count);
    for n in 0..count {
        let email = format!("visitor-{n}@example.test");
        let row = Visitor { id: Uuid::now_v7(), email, created_at: now };
        let visitor_id = visitor::ensure(&transaction, &row).await.expect("a visitor");
        let token = Uuid::now_v7().simple().to_string();
        let session = VisitorSession {
            id: Uuid::now_v7(),
            visitor_id,
            token_hash: keys.hash("visitor_session", &token),
            created_at: now,
            expires_at: now + Timestamp::DAY,
        };
        visitor_session::insert(&transaction, &session).await.expect("a session");
        visitors.push(Caller::Visitor(format!("_10x_visitor={token}")));
    }
    transaction.commit().await.expect("a commit");
    visitors
}

/// A visitor who signs in by magic link.
pub async fn sign_in(installation: &Installation, email: &str) -> Caller {
    let client = installation.sluice();
    let body = json!({ "email": email });
    let path = "/v2/visitor/auth/magic-link";
    let asked = client.settle(&Caller::Anybody, Method::POST, path, None, Some(&body)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let deadline = Instant::now() + Duration::from_secs(90);
    let token = loop {
        if let Some(token) = mailed_token(installation, email) {
            break token;
        }
        assert!(Instant::now() < deadline, "the sign-in mail to {email} never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let body = json!({ "token": token });
    let path = "/v2/visitor/auth/verify";
    let verified = client.settle(&Caller::Anybody, Method::POST, path, None, Some(&body)).await;
    assert_eq!(verified.status, 200, "{verified:?}");
    Caller::Visitor(verified.cookie.expect("a cookie"))
}

fn mailed_token(installation: &Installation, email: &str) -> Option<String> {
    let to = format!("To: {email}");
    let mail = mails(installation).into_iter().find(|mail| mail.contains(&to))?;
    let (_, rest) = mail.split_once("verify?token=")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// All mails, as they can be read.
pub fn mails(installation: &Installation) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(installation.mails()) else { return Vec::new() };
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| std::fs::read_to_string(path).expect("a mail"))
        // Long lines may be wrapped for transport (RFC 2045): a line that ends in = goes on.
        .map(|mail| mail.replace("=\r\n", "").replace("=3D", "="))
        .collect()
}
