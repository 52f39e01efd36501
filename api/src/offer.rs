//! Offers: what is sold of a page. The group buys that open them are linked in `offer_link`.

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
use workflows::id::OfferId;

use crate::{
    answer::{Answer, Created, Shown},
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    handle::permitted,
    idempotency::{Begun, Ticket, Writer},
    list,
    moment::moment,
    page::of_handle as page_of_handle,
    permission::Permission,
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
}

/// An offer of a handle, for its people.
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: &Handle,
    id: &str,
) -> Result<Offer, Problem> {
    let unknown = || Problem::new(Code::UnknownOffer, "the handle has no offer of this id");
    let OfferId(id) = id.parse().map_err(|_| unknown())?;
    offer::find(db, handle.id, id).await?.ok_or_else(unknown)
}

/// An offer with the names of what it offers, and of what opens it.
pub async fn shown(
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
