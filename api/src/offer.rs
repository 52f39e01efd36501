//! Offers: what is sold of a page, and the group buy that opens it.

use std::collections::BTreeMap;

use entities::{
    group_buy,
    handle::Handle,
    offer::{self, Offer},
    page,
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{id::OfferId, plan::Feature};

use crate::{
    answer::{Answer, Created, Done, Shown},
    audit_log::Author,
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    group_buy::{hold, of_handle as group_buy_of_handle},
    group_buy_publish::over_since,
    group_buy_status::GroupBuyStatus,
    handle::permitted,
    idempotency::{Begun, Ticket, Write, Writer},
    list,
    moment::moment,
    page::{PageMode, of_handle as page_of_handle},
    permission::Permission,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    slug::{check_line, check_slug},
    tag::Tag,
};

/// The longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// A new offer.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct NewOffer {
    /// As people read it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: String,
    /// The page that it offers.
    pub page_slug: String,
}

/// How a group buy opens an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GateKind {
    /// By reaching its target. It stays open from then on.
    LaunchThreshold,
}

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

/// An offer.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Offer", rename_all = "camelCase")]
pub struct OfferView {
    /// `offer_…`
    pub id: String,
    /// Whose.
    pub handle: String,
    /// As people read it.
    pub title: String,
    /// The page that it offers.
    pub page_slug: String,
    /// The group buy that opens it, if one does.
    pub group_buy: Option<OfferGate>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// The group buy that opens an offer.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct OfferGate {
    /// As it stands in addresses.
    pub group_buy_slug: String,
    /// How it opens the offer.
    pub gate: GateKind,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
}

impl OfferView {
    fn of(handle: &str, row: &Offer, page_slug: &str, group_buy_slug: Option<&str>) -> Self {
        Self {
            id: OfferId(row.id).to_string(),
            handle: handle.to_owned(),
            title: row.title.clone(),
            page_slug: page_slug.to_owned(),
            group_buy: group_buy_slug.map(|slug| OfferGate {
                group_buy_slug: slug.to_owned(),
                gate: GateKind::LaunchThreshold,
                require_active_interest: row.require_active_interest,
            }),
            created_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
        }
    }
}

/// Offers of a handle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct OfferList {
    /// In the order they were made.
    pub data: Vec<OfferView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(CreateOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage,
    DailyLimit, TooLarge, UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ListOffers: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);
refusals!(ReadOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownOffer);
refusals!(LinkOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownOffer,
    UnknownGroupBuy, FeatureLocked, GroupBuyOver, NotForSale, OfferLinked, DailyLimit, TooLarge, UnsupportedMediaType,
    IdempotencyMismatch, IdempotencyInProgress);
refusals!(UnlinkOffer: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownOffer,
    DailyLimit, IdempotencyMismatch, IdempotencyInProgress);

/// Offers of a handle.
pub struct Offers;

#[OpenApi(tag = "Tag::GroupBuys")]
impl Offers {
    /// Create an offer
    ///
    /// It offers a page. As long as it is linked to no group buy, it keeps nobody from buying.
    #[oai(path = "/v2/handles/:handle/offers", method = "post", operation_id = "createOffer")]
    async fn create(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewOffer>,
    ) -> Result<Created<OfferView>, Refused<CreateOffer>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysWrite).await?;
        let mut issues = Issues::new();
        let title = issues.take("title", check_line(&body.title, LONGEST_TITLE));
        issues.take("pageSlug", check_slug(&body.page_slug));
        issues.settle()?;
        let page = page_of_handle(app, &handle, &body.page_slug).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "createOffer", &[&handle.name], &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let now = app.now();
        let row = Offer {
            id: write.subject,
            handle_id: handle.id,
            page_id: page.id,
            title: title.unwrap_or_default(),
            group_buy_id: None,
            require_active_interest: false,
            created_at: now,
            updated_at: now,
        };
        offer::insert(&write.transaction, &row).await?;
        let location = format!("/v2/handles/{}/offers/{}", handle.name, OfferId(row.id));
        let answer = Answer::created(location, OfferView::of(&handle.name, &row, &page.slug, None));
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }

    /// List the offers of a handle
    #[oai(path = "/v2/handles/:handle/offers", method = "get", operation_id = "listOffers")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<OfferList>, Refused<ListOffers>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let after = match cursor.0.as_deref().map(str::parse::<OfferId>) {
            None => Uuid::nil(),
            Some(Ok(OfferId(id))) => id,
            Some(Err(_)) => return Err(list::no_cursor().into()),
        };
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysRead).await?;
        let db = app.engine.database().read();
        let rows = offer::list(db, handle.id, after, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| OfferId(row.id).to_string());
        Ok(Shown::of(OfferList { data: views(db, &handle, &rows).await?, next_cursor }))
    }

    /// Read an offer
    #[oai(path = "/v2/handles/:handle/offers/:offerId", method = "get", operation_id = "getOffer")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// `offer_…`
        #[oai(name = "offerId")]
        offer_id: Path<String>,
    ) -> Result<Shown<OfferView>, Refused<ReadOffer>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysRead).await?;
        let db = app.engine.database().read();
        let row = of_handle(db, &handle, &offer_id.0).await?;
        Ok(Shown::of(shown(db, &handle, &row).await?))
    }

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

/// An offer of a handle, for its people.
async fn of_handle(db: &impl ConnectionTrait, handle: &Handle, id: &str) -> Result<Offer, Problem> {
    let unknown = || Problem::new(Code::UnknownOffer, "the handle has no offer of this id");
    let OfferId(id) = id.parse().map_err(|_| unknown())?;
    offer::find(db, handle.id, id).await?.ok_or_else(unknown)
}

/// An offer with the names of what it offers, and of what opens it.
async fn shown(
    db: &impl ConnectionTrait,
    handle: &Handle,
    row: &Offer,
) -> Result<OfferView, Problem> {
    let mut views = views(db, handle, std::slice::from_ref(row)).await?;
    views.pop().ok_or_else(|| Problem::internal("an offer has no page"))
}

/// Offers with the names of what they offer, and of what opens them.
async fn views(
    db: &impl ConnectionTrait,
    handle: &Handle,
    rows: &[Offer],
) -> Result<Vec<OfferView>, Problem> {
    let pages: Vec<_> = rows.iter().map(|row| row.page_id).collect();
    let group_buys: Vec<_> = rows.iter().filter_map(|row| row.group_buy_id).collect();
    let pages = page::slugs(db, handle.id, &pages).await?;
    let pages: BTreeMap<_, _> = pages.into_iter().map(|page| (page.id, page.slug)).collect();
    let group_buys = group_buy::slugs(db, handle.id, &group_buys).await?;
    let group_buys: BTreeMap<_, _> =
        group_buys.into_iter().map(|group_buy| (group_buy.id, group_buy.slug)).collect();
    let view = |row: &Offer| {
        let page = pages.get(&row.page_id).map_or("", String::as_str);
        let group_buy = row.group_buy_id.and_then(|id| group_buys.get(&id));
        OfferView::of(&handle.name, row, page, group_buy.map(String::as_str))
    };
    Ok(rows.iter().map(view).collect())
}
