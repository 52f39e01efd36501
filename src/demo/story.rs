//! The story: a creator connects Stripe, publishes a paid page, a visitor signs in by magic link, pays, the
//! webhook settles it, the entitlement opens the page, the earnings show it, and the money goes back; then a group buy fills,
//! and opens a page to those who are interested.

mod give_back;
mod group_buy;
mod sign_in;

use engine::Engine;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use workflows::plan::Plan;

use super::{
    client::{Caller, Client},
    narrator::Narrator,
};
use crate::{Fatal, settings::Settings, token};

const PRICE: i64 = 1_200;
const HANDLE: &str = "maria";
const PAGE: &str = "first-light";
const VISITOR: &str = "visitor@example.test";

struct Story<'a> {
    sluice: Client,
    stripe: Client,
    settings: &'a Settings,
    engine: &'a Engine,
    narrator: &'a mut Narrator,
    creator: Caller,
}

/// Tells the story, and fails if any figure is not what it must be.
pub async fn tell(
    settings: &Settings,
    engine: &Engine,
    narrator: &mut Narrator,
) -> Result<(), Fatal> {
    let token = token::mint(settings, "user_maria", &[], 3_600)?;
    let mut story = Story {
        sluice: Client::new(settings.public_url()?),
        stripe: Client::new(Url::parse(&format!("http://{}", settings.simulator_bind))?),
        settings,
        engine,
        narrator,
        creator: Caller::Creator(token.expose_secret().to_owned()),
    };
    story.connect().await?;
    story.upgrade().await?;
    story.publish().await?;
    let visitor = story.sign_in().await?;
    story.buy(&visitor).await?;
    story.earn().await?;
    story.give_back(&visitor).await?;
    story.drop(&visitor).await?;
    story.close().await
}

impl Story<'_> {
    async fn connect(&mut self) -> Result<(), Fatal> {
        let body = json!({ "handle": HANDLE, "displayName": "Maria" });
        self.sluice.post(&self.creator, "/v2/handles", body, StatusCode::CREATED).await?;
        self.narrator.step("handle", "Maria takes the handle maria.", &json!({ "handle": HANDLE }));

        let path = format!("/v2/handles/{HANDLE}/connect/onboarding");
        let started = self.sluice.post(&self.creator, &path, json!({}), StatusCode::OK).await?.json;
        let account = text(&started, "accountId")?;
        self.narrator.step(
            "onboarding",
            &format!("She is sent to Stripe's form for account {account} (simulated)."),
            &started,
        );

        let completed = json!({ "complete": true });
        let path = format!("/_sim/accounts/{account}");
        self.stripe.post(&Caller::Anybody, &path, completed, StatusCode::OK).await?;
        let path = format!("/v2/handles/{HANDLE}/connect/status");
        let connected = |answer: &Value| answer["status"] == "CONNECTED";
        let status = self.sluice.get_until(&self.creator, &path, connected).await?;
        self.narrator.step(
            "connected",
            "She fills it in; a webhook comes, and she may sell.",
            &status,
        );
        Ok(())
    }

    /// From the free plan, which sells nothing, to one that does.
    async fn upgrade(&mut self) -> Result<(), Fatal> {
        let path = format!("/v2/handles/{HANDLE}/pages");
        let refused =
            self.sluice.post(&self.creator, &path, page(), StatusCode::FORBIDDEN).await?.json;
        expect("the problem's code", &refused["code"], &json!("feature_locked"))?;
        expect("the plan to upgrade to", &refused["upgrade"]["plan"], &json!("PRO"))?;
        self.narrator.step("locked", "Her plan is FREE, which sells no pages.", &refused);

        let wish = json!({ "handle": HANDLE, "plan": "PRO" });
        let path = "/v2/billing/checkout-session";
        let link = self.sluice.post(&self.creator, path, wish, StatusCode::OK).await?.json;
        let session = link["url"].as_str().and_then(|url| url.rsplit('/').next());
        let session = session.ok_or("there is no link to subscribe by")?;
        let pay = format!("/_sim/checkout/sessions/{session}/pay");
        let paid = json!({ "outcome": "paid" });
        self.stripe.post(&Caller::Anybody, &pay, paid, StatusCode::OK).await?;
        let path = format!("/v2/billing/summary?handle={HANDLE}");
        let is_paid = |summary: &Value| summary["plan"] == json!("PRO");
        let summary = self.sluice.get_until(&self.creator, &path, is_paid).await?;
        expect("why it counts", &summary["source"], &json!("STRIPE"))?;
        self.narrator.step(
            "upgraded",
            "She subscribes to PRO through Stripe (simulated).",
            &summary,
        );
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), Fatal> {
        let path = format!("/v2/handles/{HANDLE}/pages");
        self.sluice.post(&self.creator, &path, page(), StatusCode::CREATED).await?;
        let path = format!("{path}/{PAGE}/publish");
        let page = self.sluice.post(&self.creator, &path, json!({}), StatusCode::OK).await?.json;
        expect("the page's status", &page["status"], &json!("PUBLISHED"))?;
        self.narrator.step("published", "She publishes a page for 12.00 USD.", &page);
        Ok(())
    }

    async fn buy(&mut self, visitor: &Caller) -> Result<(), Fatal> {
        let page = format!("/v2/public/pages/{HANDLE}/{PAGE}");
        let before = self.sluice.get(visitor, &format!("{page}/entitlement")).await?;
        expect("access before paying", &before["entitled"], &json!(false))?;

        let body = json!({ "campaignId": "launch" });
        let path = format!("{page}/checkout");
        let checkout = self.sluice.post(visitor, &path, body, StatusCode::OK).await?.json;
        expect("the amount to pay", &checkout["amountCents"], &json!(PRICE))?;
        let session = text(&checkout, "sessionId")?;
        self.narrator.step("checkout", "The visitor wants to buy, and is sent to pay.", &checkout);

        let path = format!("/_sim/checkout/sessions/{session}/pay");
        let paid = json!({ "outcome": "paid", "email": "another-address@example.test" });
        self.stripe.post(&Caller::Anybody, &path, paid, StatusCode::OK).await?;
        let path = format!("/v2/public/checkouts/{}", text(&checkout, "checkoutId")?);
        let settled = |answer: &Value| answer["status"] == "SETTLED";
        let settled = self.sluice.get_until(visitor, &path, settled).await?;
        self.narrator.step("settled", "The visitor pays; the webhook settles it.", &settled);

        let access = self.sluice.get(visitor, &format!("{page}/entitlement")).await?;
        expect("access after paying", &access["entitled"], &json!(true))?;
        expect("the grounds", &access["grantType"], &json!("PAID"))?;
        let opened = self.sluice.get(visitor, &page).await?;
        expect("what buyers read", &opened["body"], &json!("What only buyers read."))?;
        self.narrator.step("entitled", "The page is open to the visitor.", &access);

        let path = format!("{page}/checkout");
        self.sluice.post(visitor, &path, json!({}), StatusCode::CONFLICT).await?;
        self.narrator.step("already_entitled", "Buying it twice is refused.", &json!({}));
        Ok(())
    }

    async fn earn(&mut self) -> Result<(), Fatal> {
        let path = format!("/v2/handles/{HANDLE}/earnings");
        let known = |earned: &Value| {
            earned["upToDate"] == json!(true)
                && earned["grossCents"] == json!(PRICE)
                && earned["processorFeeCents"].as_i64().unwrap_or(0) > 0
        };
        let earned = self.sluice.get_until(&self.creator, &path, known).await?;
        let fee = self.settings.plans()?.of(Plan::Pro).platform_fee.of(PRICE);
        let summary = self.stripe.get(&Caller::Anybody, "/_sim/summary").await?;
        let truth = &summary["platform"]["usd"];
        expect("gross", &earned["grossCents"], &truth["paid"])?;
        expect("the platform's fee", &earned["platformFeeCents"], &json!(fee))?;
        expect("the platform's fee at Stripe", &truth["application_fees"]["net"], &json!(fee))?;
        expect("the processor's fee", &earned["processorFeeCents"], &truth["processor_fees"])?;
        expect("net", &earned["netCents"], &json!(PRICE - fee))?;
        expect(
            "net at Stripe",
            &truth["transfers"]["gross"].as_i64().map(|gross| gross - fee).into(),
            &json!(PRICE - fee),
        )?;
        expect("pending", &earned["pendingSettlementCents"], &json!(PRICE - fee))?;
        self.narrator.step("earned", "The earnings show it to the cent, as Stripe does.", &earned);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Fatal> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        let findings = loop {
            let findings = self.engine.check().await?;
            if findings.is_empty() || tokio::time::Instant::now() > deadline {
                break findings;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        if let Some(finding) = findings.first() {
            return Err(format!("{:?} does not hold: {}", finding.invariant, finding.what).into());
        }
        self.narrator.step("checked", "Every invariant holds.", &json!({ "findings": 0 }));
        Ok(())
    }
}

fn page() -> Value {
    json!({
        "slug": PAGE, "title": "First light", "body": "What only buyers read.",
        "mode": "PAID", "priceCents": PRICE, "currency": "USD",
    })
}

fn expect(what: &str, is: &Value, must_be: &Value) -> Result<(), Fatal> {
    if is == must_be {
        Ok(())
    } else {
        Err(format!("{what} is {is}, and must be {must_be}").into())
    }
}

fn text(answer: &Value, field: &str) -> Result<String, Fatal> {
    answer[field]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("no {field} in {answer}").into())
}
