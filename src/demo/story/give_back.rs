//! The end of the story: a part of the money goes back, then the rest of it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{HANDLE, PAGE, PRICE, Story, VISITOR, expect, text};
use crate::{Fatal, demo::client::Caller};

/// What goes back at first.
const PART: i64 = 300;

impl Story<'_> {
    /// The creator looks at what a refund would come to, makes it, and then gives the rest back.
    pub(super) async fn give_back(&mut self, visitor: &Caller) -> Result<(), Fatal> {
        let path = format!("/v2/handles/{HANDLE}/pages/{PAGE}/refund");
        let wish = json!({ "visitorEmail": VISITOR, "amountCents": PART });
        let preview = format!("{path}/preview");
        let seen = self.sluice.post(&self.creator, &preview, wish, StatusCode::OK).await?.json;
        expect("what the buyer would get", &seen["amountCents"], &json!(PART))?;
        expect("access after it", &seen["entitledAfter"], &json!(true))?;
        let told = "The buyer wants a part back. Maria looks at what that would come to.";
        self.narrator.step("previewed", told, &seen);

        let wish = json!({ "visitorEmail": VISITOR, "previewToken": seen["previewToken"] });
        let made = self.sluice.post(&self.creator, &path, wish, StatusCode::ACCEPTED).await?.json;
        let earned = self.earned_after(PART).await?;
        let truth = self.stripe.get(&Caller::Anybody, "/_sim/summary").await?;
        let truth = &truth["platform"]["usd"];
        expect("refunded at Stripe", &truth["refunded"], &json!(PART))?;
        expect("the fee kept", &earned["platformFeeCents"], &truth["application_fees"]["net"])?;
        expect("the creator's balance", &earned["balanceCents"], &seen["balanceAfterCents"])?;
        self.narrator.step("refunded", "She gives it back, exactly that; access stays.", &made);

        let wish = json!({ "visitorEmail": VISITOR });
        let rest = self.sluice.post(&self.creator, &path, wish, StatusCode::ACCEPTED).await?.json;
        expect("the rest", &rest["amountCents"], &json!(PRICE - PART))?;
        let earned = self.earned_after(PRICE).await?;
        expect("net after all", &earned["netCents"], &json!(0))?;
        let path = format!("/v2/public/checkouts/{}", text(&rest, "checkoutId")?);
        let refunded = |answer: &Value| answer["status"] == "REFUNDED";
        self.sluice.get_until(visitor, &path, refunded).await?;
        let page = format!("/v2/public/pages/{HANDLE}/{PAGE}/entitlement");
        let access = self.sluice.get(visitor, &page).await?;
        expect("access with the last cent back", &access["entitled"], &json!(false))?;
        let told = "With the last cent the access ends, and every account of the sale is at zero.";
        self.narrator.step("given_back", told, &access);
        Ok(())
    }

    async fn earned_after(&mut self, refunded: i64) -> Result<Value, Fatal> {
        let path = format!("/v2/handles/{HANDLE}/earnings");
        let known = |earned: &Value| {
            earned["upToDate"] == json!(true) && earned["refundedCents"] == json!(refunded)
        };
        self.sluice.get_until(&self.creator, &path, known).await
    }
}
