//! The reservation-fee drop: a story that everybody reads, a group buy that collects interest, and a page to reserve on
//! that opens once enough people want it, to those who said so.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use workflows::activation_list::Sealing;

use super::{HANDLE, Story, expect, text};
use crate::{Fatal, demo::client::Caller};

const STORY: &str = "how-it-is-made";
const RESERVATION: &str = "reservation";
const DROP: &str = "first-print";
const FEE: i64 = 500;
const TARGET: i64 = 3;
const SECOND: &str = "second@example.test";
const LATE: &str = "late@example.test";

impl Story<'_> {
    /// The whole drop, from the first line of the story to the last reservation.
    pub(super) async fn drop(&mut self, visitor: &Caller) -> Result<(), Fatal> {
        self.prepare_drop().await?;
        self.publish_drop(visitor).await?;
        let second = self.fill_drop(visitor).await?;
        self.reserve(visitor, &second).await?;
        self.verify_drop(&second).await
    }

    async fn prepare_drop(&mut self) -> Result<(), Fatal> {
        let pages = format!("/v2/handles/{HANDLE}/pages");
        let story = json!({
            "slug": STORY, "title": "How it is made", "body": "By hand, and only if enough want it.",
            "mode": "PUBLIC",
        });
        let reservation = json!({
            "slug": RESERVATION, "title": "Reserve a print", "body": "Your print is reserved.",
            "mode": "PAID", "priceCents": FEE, "currency": "USD",
        });
        for page in [story, reservation] {
            let publish = format!("{pages}/{}/publish", text(&page, "slug")?);
            self.sluice.post(&self.creator, &pages, page, StatusCode::CREATED).await?;
            self.sluice.post(&self.creator, &publish, json!({}), StatusCode::OK).await?;
        }
        let path = format!("/v2/handles/{HANDLE}/group-buys");
        let draft = json!({
            "slug": DROP, "title": "First print", "targetQuantity": TARGET,
            "maxQuantityPerVisitor": TARGET - 1,
        });
        let draft = self.sluice.post(&self.creator, &path, draft, StatusCode::CREATED).await?.json;
        let told = "Maria plans a print: a story for everybody, a page to reserve on, a group buy.";
        self.narrator.step("drop_planned", told, &draft);

        let offers = format!("/v2/handles/{HANDLE}/offers");
        let offer = json!({ "title": "A print, reserved", "pageSlug": RESERVATION });
        let offer = self.sluice.post(&self.creator, &offers, offer, StatusCode::CREATED).await?;
        let path = format!("{offers}/{}/group-buy", text(&offer.json, "id")?);
        let link = json!({
            "groupBuySlug": DROP, "gate": "LAUNCH_THRESHOLD", "requireActiveInterest": true,
        });
        let ok = StatusCode::OK;
        let linked = self.sluice.ask(&self.creator, Method::PUT, &path, Some(link), ok).await?.json;
        let told = "The reservation opens with the group buy, to those who are interested in it.";
        self.narrator.step("offer_linked", told, &linked);
        Ok(())
    }

    async fn publish_drop(&mut self, visitor: &Caller) -> Result<(), Fatal> {
        let path = format!("/v2/handles/{HANDLE}/group-buys/{DROP}");
        let preview = format!("{path}/preview");
        let seen = self.sluice.post(&self.creator, &preview, json!({}), StatusCode::OK).await?.json;
        expect("whether it can be published", &seen["publishable"], &json!(true))?;
        expect("what is missing", &seen["missing"], &json!([]))?;
        expect("what it opens", &seen["opens"][0]["pageSlug"], &json!(RESERVATION))?;
        let told = "She looks at what would happen, and whether anything is missing.";
        self.narrator.step("drop_previewed", told, &seen);

        let publish = format!("{path}/publish");
        let open = self.sluice.post(&self.creator, &publish, json!({}), StatusCode::OK).await?.json;
        expect("the group buy's status", &open["status"], &json!("COLLECTING"))?;
        self.narrator.step("drop_published", "She publishes it: everybody may say so now.", &open);

        let checkout = format!("/v2/public/pages/{HANDLE}/{RESERVATION}/checkout");
        let conflict = StatusCode::CONFLICT;
        let refused = self.sluice.post(visitor, &checkout, json!({}), conflict).await?.json;
        expect("the problem's code", &refused["code"], &json!("threshold_not_reached"))?;
        let missing = &refused["groupBuy"]["missingQuantity"];
        expect("how many are missing", missing, &json!(TARGET))?;
        self.narrator.step("not_yet", "Reserving is refused, and says how far it is.", &refused);
        Ok(())
    }

    /// Two visitors fill it, and are mailed. Returns the second one.
    async fn fill_drop(&mut self, visitor: &Caller) -> Result<Caller, Fatal> {
        let interest = format!("/v2/public/group-buys/{HANDLE}/{DROP}/interest");
        let one = json!({ "quantity": 1 });
        let counted = self.sluice.post(visitor, &interest, one, StatusCode::CREATED).await?.json;
        expect("how many are wanted", &counted["interestQuantity"], &json!(1))?;
        self.narrator.step("interested", "The visitor wants one of three.", &counted);

        let second = self.sign_in_quietly(SECOND).await?;
        let two = json!({ "quantity": TARGET - 1 });
        let reached = self.sluice.post(&second, &interest, two, StatusCode::CREATED).await?.json;
        expect("the group buy's status", &reached["status"], &json!("ACTIVATED"))?;
        self.narrator.step("activated", "Another wants two: the target is reached.", &reached);

        for email in [super::VISITOR, SECOND] {
            let mail = self.mail_to(email, "Subject: First print is open to you").await?;
            if !mail.contains(&format!("/v2/public/pages/{HANDLE}/{RESERVATION}")) {
                return Err("the mail does not lead to the page".into());
            }
        }
        let told = "Both are mailed the way to the page, once.";
        self.narrator.step("mailed", told, &json!({ "mails": 2 }));
        Ok(second)
    }

    async fn reserve(&mut self, visitor: &Caller, second: &Caller) -> Result<(), Fatal> {
        let checkout = format!("/v2/public/pages/{HANDLE}/{RESERVATION}/checkout");
        let late = self.sign_in_quietly(LATE).await?;
        let conflict = StatusCode::CONFLICT;
        let refused = self.sluice.post(&late, &checkout, json!({}), conflict).await?.json;
        expect("the problem's code", &refused["code"], &json!("interest_required"))?;
        self.narrator.step("interested_only", "Who said nothing may not reserve.", &refused);

        for buyer in [visitor, second] {
            let asked = self.sluice.post(buyer, &checkout, json!({}), StatusCode::OK).await?.json;
            let pay = format!("/_sim/checkout/sessions/{}/pay", text(&asked, "sessionId")?);
            let paid = json!({ "outcome": "paid" });
            self.stripe.post(&Caller::Anybody, &pay, paid, StatusCode::OK).await?;
            let path = format!("/v2/public/checkouts/{}", text(&asked, "checkoutId")?);
            let settled = |answer: &Value| answer["status"] == "SETTLED";
            self.sluice.get_until(buyer, &path, settled).await?;
        }
        let path = format!("/v2/handles/{HANDLE}/earnings");
        let of_page = |earned: &Value| {
            let pages = earned["pages"].as_array().cloned().unwrap_or_default();
            pages.into_iter().find(|page| page["pageSlug"] == json!(RESERVATION))
        };
        let known = |earned: &Value| {
            earned["upToDate"] == json!(true)
                && of_page(earned).is_some_and(|page| page["grossCents"] == json!(2 * FEE))
        };
        let earned = self.sluice.get_until(&self.creator, &path, known).await?;
        let told = "Both reserve; the earnings show two fees.";
        self.narrator.step("reserved", told, &of_page(&earned).unwrap_or_default());
        Ok(())
    }

    /// Somebody withdraws, and it stands; anybody can verify how it came about.
    async fn verify_drop(&mut self, second: &Caller) -> Result<(), Fatal> {
        let path = format!("/v2/public/group-buys/{HANDLE}/{DROP}");
        let interest = format!("{path}/interest");
        let ok = StatusCode::OK;
        self.sluice.ask(second, Method::DELETE, &interest, None, ok).await?;
        let sealed = |seen: &Value| seen["activation"]["sha256"].is_string();
        let seen = self.sluice.get_until(second, &path, sealed).await?;
        expect("its status after a withdrawal", &seen["status"], &json!("ACTIVATED"))?;
        expect("how many are wanted now", &seen["interestQuantity"], &json!(1))?;
        let entitlement = format!("/v2/public/pages/{HANDLE}/{RESERVATION}/entitlement");
        let access = self.sluice.get(second, &entitlement).await?;
        expect("access after a withdrawal", &access["entitled"], &json!(true))?;
        let list = self.sluice.get(&Caller::Anybody, &format!("{path}/activation")).await?;
        let mut sealing = Sealing::default();
        sealing.write(list.as_str().ok_or("the activation's list is no text")?);
        expect("the hash of its list", &json!(sealing.seal()), &seen["activation"]["sha256"])?;
        let told = "One withdraws: it stands, and its list of interests is verified.";
        self.narrator.step("verified", told, &seen["activation"]);
        Ok(())
    }
}
