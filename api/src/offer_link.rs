//! Links of offers to the group buys that open them.

use entities::{
    handle::Handle,
    offer::{self, Offer},
    page,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use workflows::{id::OfferId, plan::Feature};

use crate::{
    answer::{Answer, Done},
    audit_log::Author,
    auth::Caller,
    body::Given,
    codes::Code,
    config::App,
    group_buy::{hold, of_handle as group_buy_of_handle},
    group_buy_publish::over_since,
    group_buy_status::GroupBuyStatus,
    handle::permitted,
    idempotency::{Begun, Ticket, Write, Writer},
    offer::{GateKind, OfferView, of_handle, shown},
    page::PageMode,
    permission::Permission,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A link of an offer to the group buy that opens it.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct OfferLink {
    /// A group buy of the same handle.
    pub group_buy_slug: String,
    /// How it opens the offer.
    pub gate: GateKind,
    /// Whether only those may buy who are interested when they ask to buy, and still when their payment is settled: else
    /// it is given back.
    #[oai(default)]
    #[serde(default)]
    pub require_active_interest: bool,
}

refusals!(LinkOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownOffer,
    UnknownGroupBuy, FeatureLocked, GroupBuyOver, NotForSale, OfferLinked, DailyLimit, TooLarge, UnsupportedMediaType,
    IdempotencyMismatch, IdempotencyInProgress);
refusals!(UnlinkOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownOffer,
    DailyLimit, IdempotencyMismatch, IdempotencyInProgress);

/// Links of offers.
pub struct OfferLinks;

#[OpenApi(tag = "Tag::GroupBuys")]
impl OfferLinks {
    /// Link an offer to a group buy
    ///
    /// From then on its page is sold only once the group buy has reached its target. A page of several linked offers waits
    /// for all of them. Purchases that were begun before are settled on their frozen terms.
    #[oai(
        path = "/v2/handles/:handle/offers/:offerId/group-buy",
        method = "put",
        operation_id = "linkOffer"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn link(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// `offer_…`
        #[oai(name = "offerId")]
        offer_id: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<OfferLink>,
    ) -> Result<Done<OfferView>, Refused<LinkOffer>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysWrite).await?;
        let db = app.engine.database().read();
        let row = of_handle(db, &handle, &offer_id.0).await?;
        let group_buy = group_buy_of_handle(db, &handle, &body.group_buy_slug).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let arguments = [handle.name.as_str(), &offer_id.0];
        let ticket = Ticket::new(writer, key.0, "linkOffer", &arguments, &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        expect_feature(app, &write.transaction, handle.id, Feature::GroupBuys).await?;
        match hold(app, &write.transaction, &group_buy).await? {
            GroupBuyStatus::Draft | GroupBuyStatus::Collecting | GroupBuyStatus::Activated => {}
            over @ (GroupBuyStatus::Lapsed | GroupBuyStatus::Cancelled) => {
                return Err(over_since(over).into());
            }
        }
        expect_for_sale(&write.transaction, &row).await?;
        let linked = Offer {
            group_buy_id: Some(group_buy.id),
            require_active_interest: body.require_active_interest,
            ..row
        };
        let author = Author::of(request, &caller.0);
        let change = Change { app, handle: &handle, author, action: "offer.link" };
        Ok(change.save(write, linked).await?.into())
    }

    /// Unlink an offer from its group buy
    ///
    /// From then on the offer keeps nobody from buying its page. An offer that is not linked stays as it is.
    #[oai(
        path = "/v2/handles/:handle/offers/:offerId/group-buy",
        method = "delete",
        operation_id = "unlinkOffer"
    )]
    async fn unlink(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// `offer_…`
        #[oai(name = "offerId")]
        offer_id: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
    ) -> Result<Done<OfferView>, Refused<UnlinkOffer>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysWrite).await?;
        let row = of_handle(app.engine.database().read(), &handle, &offer_id.0).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let arguments = [handle.name.as_str(), &offer_id.0];
        let ticket = Ticket::new(writer, key.0, "unlinkOffer", &arguments, &String::new())?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let unlinked = Offer { group_buy_id: None, require_active_interest: false, ..row };
        let author = Author::of(request, &caller.0);
        let change = Change { app, handle: &handle, author, action: "offer.unlink" };
        Ok(change.save(write, unlinked).await?.into())
    }
}

/// What everybody may read has nothing to be opened.
async fn expect_for_sale(db: &impl ConnectionTrait, offer: &Offer) -> Result<(), Problem> {
    let page = page::find_any_handle(db, offer.page_id).await?;
    match page.is_some_and(|page| PageMode::of(&page) == PageMode::Public) {
        false => Ok(()),
        true => Err(Problem::new(Code::NotForSale, "the offer's page is open to everybody")),
    }
}

/// A change of an offer, and who makes it.
struct Change<'a> {
    app: &'a App,
    handle: &'a Handle,
    author: Author,
    action: &'static str,
}

impl Change<'_> {
    /// Saves an offer with its link, if it is another one than before.
    async fn save(self, write: Write, offer: Offer) -> Result<Answer<OfferView>, Problem> {
        let Self { app, handle, author, action } = self;
        let db = &write.transaction;
        let known = offer::find(db, handle.id, offer.id).await?;
        if known.as_ref() != Some(&offer) {
            let changed = Offer { updated_at: app.now(), ..offer.clone() };
            if !offer::link(db, &changed).await? {
                let detail = "another offer of the page is linked to this group buy";
                return Err(Problem::new(Code::OfferLinked, detail));
            }
            author.note(app, &write, action, Some(handle), OfferId(offer.id).to_string()).await?;
        }
        let saved = offer::find(db, handle.id, offer.id).await?;
        let saved = saved.ok_or_else(|| Problem::internal("an offer is gone"))?;
        let view = shown(db, handle, &saved).await?;
        write.finish(app, Answer::done(view), Default::default()).await
    }
}
