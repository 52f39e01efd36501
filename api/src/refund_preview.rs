//! What a refund would come to: looked at before anybody decides, and bound to by a token.

use poem::Request;
use poem_openapi::{Object, OpenApi, param::Path};
use time::OffsetDateTime;
use workflows::{
    Timestamp,
    checkout::{self, Checkout as Machine},
    id::CheckoutId,
};

use crate::{
    answer::Shown,
    auth::Caller,
    body::Given,
    checkout::CheckoutState,
    config::App,
    handle::permitted,
    moment::moment,
    page::of_handle,
    permission::Permission,
    preview_token::{LIFETIME, Previewed},
    problem::{Refused, refusals},
    public_page::{AccessReason, reason_of},
    refund::{RefundWish, asked, currency, rejected},
    tag::Tag,
};

/// What a refund would come to, in minor units.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct RefundPreview {
    /// Of which purchase: `co_…`
    pub checkout_id: String,
    /// ISO 4217.
    pub currency: String,
    /// What the buyer gets.
    pub amount_cents: i64,
    /// What could be given back at most.
    pub refundable_cents: i64,
    /// What of the platform's fee goes back to the creator. Computed: Stripe may round by one.
    pub fee_returned_cents: i64,
    /// What of the transfer comes back from the creator's account.
    pub transfer_reversed_cents: i64,
    /// What the creator has less afterwards: the transfer that comes back, without the fee.
    pub creator_pays_cents: i64,
    /// What the creator's balance is afterwards, all sales in this currency together; below zero, the creator
    /// owes it.
    pub balance_after_cents: i64,
    /// How far the purchase is afterwards.
    pub status_after: CheckoutState,
    /// Whether the buyer may read the page afterwards.
    pub entitled_after: bool,
    /// Why, or why not.
    pub access_after: AccessReason,
    /// For `previewToken`: then exactly this is done, or nothing.
    pub preview_token: String,
    /// Until when the token is good.
    pub expires_at: OffsetDateTime,
}

refusals!(PreviewRefund: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage,
    UnknownCheckout, NotPaid, DisputeOpen, RefundExceedsRefundable, PreviewStale, TooLarge,
    UnsupportedMediaType);

/// Refunds, before they are made.
pub struct RefundPreviews;

#[OpenApi(tag = "Tag::Returns")]
impl RefundPreviews {
    /// See what a refund would come to
    ///
    /// Changes nothing.
    #[oai(
        path = "/v2/handles/:handle/pages/:pageSlug/refund/preview",
        method = "post",
        operation_id = "previewRefund"
    )]
    async fn preview(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        body: Given<RefundWish>,
    ) -> Result<Shown<RefundPreview>, Refused<PreviewRefund>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::RefundsWrite).await?;
        let page = of_handle(app, &handle, &page_slug.0).await?;
        let db = app.engine.database().read();
        let (row, asked) = asked(app, db, &handle, &page, &body).await?;
        let agreed = currency(&row)?;
        let state = app.engine.state::<Machine>(row.id).await?;
        let seen = state.ok_or(workflows::refund::Rejection::NotPaid);
        let seen = seen.and_then(|state| checkout::preview(&state, asked.amount, asked.access));
        let seen = seen.map_err(|why| rejected(why, agreed))?;
        let until = Timestamp::from_millis(app.now()).plus(LIFETIME);
        let previewed = Previewed {
            amount: seen.amount.minor,
            refundable: seen.refundable,
            access: asked.access,
            until,
        };
        let pays = seen.transfer_reversed - seen.fee_returned;
        let currency = seen.amount.currency.to_string();
        let balance = entities::ledger::balance_of_creator(db, handle.id, &currency).await?;
        Ok(Shown::of(RefundPreview {
            checkout_id: CheckoutId(row.id).to_string(),
            amount_cents: seen.amount.minor,
            refundable_cents: seen.refundable,
            fee_returned_cents: seen.fee_returned,
            transfer_reversed_cents: seen.transfer_reversed,
            creator_pays_cents: pays,
            balance_after_cents: balance - pays,
            status_after: CheckoutState::of_status(Some(seen.status)),
            entitled_after: seen.access.is_some_and(|grounds| grounds.is_access()),
            access_after: reason_of(seen.access),
            preview_token: previewed.token(&app.config.keys, CheckoutId(row.id)),
            expires_at: moment(until.millis()),
            currency,
        }))
    }
}
