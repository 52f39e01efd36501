//! Group buys as the public sees them: what is collected for, how far it is, and how it came about.

use bytes::Bytes;
use engine::group_buy::ActivationList;
use entities::{group_buy, interest, offer};
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use uuid::Uuid;
use workflows::id::GroupBuyId;

use crate::{
    answer::Shown,
    config::App,
    gate,
    group_buy::{GroupBuyFacts, find_published},
    group_buy_preview::OpeningView,
    handle::named,
    interest::InterestView,
    list,
    problem::{Refused, refusals},
    tag::Tag,
    visitor::MaybeVisitor,
};

/// A published group buy.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PublicGroupBuy {
    /// What everybody sees.
    #[oai(flatten)]
    pub facts: GroupBuyFacts,
    /// What it opens, or has opened: those of which the page is published. Lists leave it out.
    pub offers: Option<Vec<OpeningView>>,
    /// What the signed-in visitor wants, if anything. Lists leave it out.
    pub interest: Option<InterestView>,
}

/// Published group buys of a handle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PublicGroupBuyList {
    /// The one that was made last first.
    pub data: Vec<PublicGroupBuy>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(ListPublicGroupBuys: UnknownHandle);
refusals!(ReadPublicGroupBuy: UnknownGroupBuy);
refusals!(ReadActivation: UnknownGroupBuy, ThresholdNotReached);

/// Group buys as the public sees them.
pub struct PublicGroupBuys;

#[OpenApi(tag = "Tag::Public")]
impl PublicGroupBuys {
    /// List the published group buys of a handle
    ///
    /// Also those that have ended.
    #[oai(
        path = "/v2/public/group-buys/:handle",
        method = "get",
        operation_id = "listPublicGroupBuys"
    )]
    async fn list(
        &self,
        request: &Request,
        _visitor: MaybeVisitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<PublicGroupBuyList>, Refused<ListPublicGroupBuys>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let before = match cursor.0.as_deref().map(str::parse::<GroupBuyId>) {
            None => Uuid::max(),
            Some(Ok(GroupBuyId(id))) => id,
            Some(Err(_)) => return Err(list::no_cursor().into()),
        };
        let db = app.engine.database().read();
        let handle = named(db, &handle.0).await?;
        let rows = group_buy::list_published(db, handle.id, before, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| GroupBuyId(row.id).to_string());
        let facts = rows.iter().map(|row| GroupBuyFacts::of(&handle.name, row));
        let listed = |facts| PublicGroupBuy { facts, offers: None, interest: None };
        let data = facts.map(listed).collect();
        Ok(Shown::of(PublicGroupBuyList { data, next_cursor }))
    }

    /// Read a published group buy
    ///
    /// How far it is, what it opens, and what the signed-in visitor wants of it.
    #[oai(
        path = "/v2/public/group-buys/:handle/:groupBuySlug",
        method = "get",
        operation_id = "readPublicGroupBuy"
    )]
    async fn read(
        &self,
        request: &Request,
        visitor: MaybeVisitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
    ) -> Result<Shown<PublicGroupBuy>, Refused<ReadPublicGroupBuy>> {
        let app = App::of(request)?;
        let db = app.engine.database().read();
        let row = find_published(db, &handle.0, &slug.0).await?;
        let openings = offer::openings(db, row.id).await?;
        let shown = openings.iter().map(OpeningView::of).filter(|opening| opening.published);
        let interest = match &visitor.0 {
            Some(visitor) => interest::find(db, row.id, visitor.visitor_id).await?,
            None => None,
        };
        Ok(Shown::of(PublicGroupBuy {
            facts: GroupBuyFacts::whole(app, db, &handle.0, &row).await?,
            offers: Some(shown.collect()),
            interest: interest.as_ref().map(InterestView::of),
        }))
    }

    /// Verify an activation
    ///
    /// The ordered list of the interests that reached the target, as CSV. Its SHA-256 is the one in the group buy's
    /// `activation`: `curl …/activation | sha256sum`. The first line names the group buy with its figures, the second the
    /// columns `position`, `quantity` and `participant`. Visitors know themselves by the `participant` of their own
    /// interest; nobody finds anybody else.
    #[oai(
        path = "/v2/public/group-buys/:handle/:groupBuySlug/activation",
        method = "get",
        operation_id = "readGroupBuyActivation"
    )]
    async fn activation(
        &self,
        request: &Request,
        _visitor: MaybeVisitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
    ) -> Result<ActivationText, Refused<ReadActivation>> {
        let app = App::of(request)?;
        let db = app.engine.database().read();
        let row = find_published(db, &handle.0, &slug.0).await?;
        match ActivationList::of(db, GroupBuyId(row.id)).await? {
            Some(list) => Ok(ActivationText::of(app.clone(), list)),
            None => Err(gate::not_reached(&gate::standing(app, &handle.0, &row)).into()),
        }
    }
}

/// The list of an activation's interests, sent as it is read: it may be long.
pub struct ActivationText(Body);

const CSV: &str = "text/csv";

impl ActivationText {
    fn of(app: App, list: ActivationList) -> Self {
        let parts = futures::stream::try_unfold((app, list), |(app, mut list)| async move {
            let text = list.next(app.engine.database().read()).await;
            let text = text.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(text.map(|text| (Bytes::from(text), (app, list))))
        });
        Self(Body::from_bytes_stream(parts))
    }
}

impl IntoResponse for ActivationText {
    fn into_response(self) -> Response {
        Response::builder().content_type("text/csv; charset=utf-8").body(self.0)
    }
}

impl ApiResponse for ActivationText {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: CSV, schema: String::schema_ref() }];
        let answer = MetaResponse {
            description: "The list.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![answer] }
    }

    fn register(_: &mut Registry) {}
}
