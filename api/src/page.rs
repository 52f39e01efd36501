//! Pages of a handle: what is read, and what is sold.

use entities::{
    handle::Handle,
    page::{self, Page},
};
use poem::Request;
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    id::{PageId, RunId},
    page_publish::PagePublish,
    plan::Feature,
    workflow::Workflow,
};

use crate::{
    answer::{Answer, Created, Done, Shown},
    auth::Caller,
    body::Given,
    codes::Code,
    config::App,
    handle::permitted,
    idempotency::{Begun, Ticket, Writer},
    list,
    moment::{maybe_moment, moment},
    page_publish,
    page_terms::{self, PageChange},
    permission::Permission,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// What it takes to read a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PageMode {
    /// A payment.
    Paid,
    /// Signing in.
    FreeWithLogin,
    /// Nothing.
    Public,
}

impl PageMode {
    /// As the database keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "PAID",
            Self::FreeWithLogin => "FREE_WITH_LOGIN",
            Self::Public => "PUBLIC",
        }
    }

    /// The mode of a stored page.
    pub fn of(page: &Page) -> Self {
        match page.mode.as_str() {
            "PAID" => Self::Paid,
            "PUBLIC" => Self::Public,
            _ => Self::FreeWithLogin,
        }
    }
}

/// Whether a page is on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PageStatus {
    /// Never published.
    Draft,
    /// On sale, or open.
    Published,
    /// No longer.
    Unpublished,
}

impl PageStatus {
    /// As the database keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Published => "PUBLISHED",
            Self::Unpublished => "UNPUBLISHED",
        }
    }

    /// The status of a stored page.
    pub fn of(page: &Page) -> Self {
        match page.status.as_str() {
            "PUBLISHED" => Self::Published,
            "UNPUBLISHED" => Self::Unpublished,
            _ => Self::Draft,
        }
    }
}

/// A new page.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct NewPage {
    /// As it stands in addresses, unique within the handle.
    #[oai(validator(pattern = "^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"))]
    pub slug: String,
    /// As people read it.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub title: String,
    /// What is behind the entitlement.
    pub body: Option<String>,
    /// What it takes to read the page.
    pub mode: PageMode,
    /// Only with `PAID`: the price in minor units of the currency.
    pub price_cents: Option<i64>,
    /// ISO 4217; `USD` unless given.
    pub currency: Option<String>,
}

/// A page, as its creator sees it.
#[derive(Debug, Object)]
#[oai(rename = "Page", rename_all = "camelCase")]
pub struct PageView {
    /// `page_…`
    pub id: String,
    /// Whose.
    pub handle: String,
    /// As it stands in addresses.
    pub slug: String,
    /// As people read it.
    pub title: String,
    /// What is behind the entitlement.
    pub body: String,
    /// What it takes to read the page.
    pub mode: PageMode,
    /// Minor units; 0 for pages that cost nothing.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether it is on sale.
    pub status: PageStatus,
    /// Raised by every change. A change names the version that it was made on.
    pub version: i32,
    /// When it was last published.
    pub published_at: Option<OffsetDateTime>,
    /// How far the outside knows; absent while the page was never published.
    pub marker_sync: Option<MarkerSync>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// How far the outside knows that a page is on sale, or no longer.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct MarkerSync {
    /// `SYNCING`, `SYNCED` or `FAILED`, as to the page's newest version.
    pub status: MarkerStatus,
    /// The run that tells it: `run_…`
    pub run_id: String,
}

/// How far a marker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MarkerStatus {
    /// On its way.
    Syncing,
    /// The outside knows.
    Synced,
    /// The outside refused it.
    Failed,
}

impl PageView {
    /// As the API shows it.
    pub fn of(handle: &str, page: &Page) -> Self {
        Self {
            id: PageId(page.id).to_string(),
            handle: handle.to_owned(),
            slug: page.slug.clone(),
            title: page.title.clone(),
            body: page.body.clone(),
            mode: PageMode::of(page),
            price_cents: page.price,
            currency: page.currency.clone(),
            status: PageStatus::of(page),
            version: page.version,
            published_at: maybe_moment(page.published_at),
            marker_sync: marker_sync(page),
            created_at: moment(page.created_at),
            updated_at: moment(page.updated_at),
        }
    }
}

fn marker_sync(page: &Page) -> Option<MarkerSync> {
    if PageStatus::of(page) == PageStatus::Draft {
        return None;
    }
    let newest = page.marker_version == Some(page.version);
    let status = match page.marker_status.as_deref() {
        Some("SYNCED") if newest => MarkerStatus::Synced,
        Some("FAILED") if newest => MarkerStatus::Failed,
        _ => MarkerStatus::Syncing,
    };
    let run_id = RunId::of(PagePublish::NAME, page.id).to_string();
    Some(MarkerSync { status, run_id })
}

/// Pages of a handle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PageList {
    /// In the order they were made.
    pub data: Vec<PageView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

/// A page of a handle, for its people.
pub async fn of_handle(app: &App, handle: &Handle, slug: &str) -> Result<Page, Problem> {
    let found = page::find(app.engine.database().read(), handle.id, slug).await?;
    found.ok_or_else(|| Problem::new(Code::UnknownPage, "the handle has no page of this slug"))
}

refusals!(CreatePage: Unauthorized, TokenInvalid, TokenExpired, Forbidden, FeatureLocked, UnknownHandle,
    SlugTaken, DailyLimit, TooLarge, UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ReadPage: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage);
refusals!(ChangePage: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage,
    FeatureLocked, VersionConflict, ConnectNotReady, PriceTooLow, DailyLimit, TooLarge, UnsupportedMediaType,
    IdempotencyMismatch, IdempotencyInProgress);

/// Pages of a handle.
pub struct Pages;

#[OpenApi(tag = "Tag::Pages")]
impl Pages {
    /// Create a page
    ///
    /// It is a draft until it is published. A `PAID` page needs a plan that has paid pages.
    #[oai(path = "/v2/handles/:handle/pages", method = "post", operation_id = "createPage")]
    async fn create(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewPage>,
    ) -> Result<Created<PageView>, Refused<CreatePage>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesWrite).await?;
        let draft = page_terms::draft(&body)?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "createPage", &[&handle.name], &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        if body.mode == PageMode::Paid {
            expect_feature(app, &write.transaction, handle.id, Feature::PaidPages).await?;
        }
        let now = app.now();
        let page = Page {
            id: write.subject,
            handle_id: handle.id,
            created_at: now,
            updated_at: now,
            ..draft
        };
        if !page::insert(&write.transaction, &page).await? {
            let detail = format!("{} has a page {}", handle.name, page.slug);
            return Err(Problem::new(Code::SlugTaken, detail).blaming("slug", "is taken").into());
        }
        let location = format!("/v2/handles/{}/pages/{}", handle.name, page.slug);
        let answer = Answer::created(location, PageView::of(&handle.name, &page));
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }

    /// List the pages of a handle
    #[oai(path = "/v2/handles/:handle/pages", method = "get", operation_id = "listPages")]
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
    ) -> Result<Shown<PageList>, Refused<ReadPage>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let after = match cursor.0.as_deref().map(str::parse::<PageId>) {
            None => Uuid::nil(),
            Some(Ok(PageId(id))) => id,
            Some(Err(_)) => return Err(list::no_cursor().into()),
        };
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesRead).await?;
        let db = app.engine.database().read();
        let pages = page::list(db, handle.id, after, limit + 1).await?;
        let (pages, next_cursor) = list::cut(pages, limit, |page| PageId(page.id).to_string());
        Ok(Shown::of(PageList {
            next_cursor,
            data: pages.iter().map(|page| PageView::of(&handle.name, page)).collect(),
        }))
    }

    /// Read a page
    #[oai(path = "/v2/handles/:handle/pages/:pageSlug", method = "get", operation_id = "getPage")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
    ) -> Result<Shown<PageView>, Refused<ReadPage>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesRead).await?;
        let page = of_handle(app, &handle, &page_slug.0).await?;
        Ok(Shown::of(PageView::of(&handle.name, &page)))
    }

    /// Change a page
    ///
    /// Names the version that the change was made on, in `If-Match` or in `version`. What is absent stays.
    /// Purchases that were begun before keep the terms they began with. A published page must stay one that
    /// can be sold.
    #[oai(
        path = "/v2/handles/:handle/pages/:pageSlug",
        method = "patch",
        operation_id = "changePage"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn change(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        /// The version that the change was made on.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<PageChange>,
    ) -> Result<Done<PageView>, Refused<ChangePage>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesWrite).await?;
        let seen = page_terms::seen(if_match.0.as_deref(), body.version)?
            .ok_or_else(|| Problem::field("version", "is needed here or in If-Match"))?;
        let arguments = [handle.name.as_str(), &page_slug.0, &seen.to_string()];
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "changePage", &arguments, &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let found = page::find(&write.transaction, handle.id, &page_slug.0).await?;
        let page = found.ok_or_else(|| {
            Problem::new(Code::UnknownPage, "the handle has no page of this slug")
        })?;
        page_publish::expect_version(&page, seen)?;
        let changed = page_terms::change(&page, &body)?;
        if PageMode::of(&changed) == PageMode::Paid && PageMode::of(&page) != PageMode::Paid {
            expect_feature(app, &write.transaction, handle.id, Feature::PaidPages).await?;
        }
        let saved = page_publish::save(app, &write.transaction, changed).await?;
        let answer = Answer::done(PageView::of(&handle.name, &saved.page));
        Ok(write.finish(app, answer, saved.wake_up).await?.into())
    }
}
