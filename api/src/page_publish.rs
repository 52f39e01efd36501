//! Publishing: a page goes on sale, or no longer. Decided by the page's version, in the transaction of the
//! request; a run tells the outside.

use engine::{Letter, WakeUp};
use entities::{
    connect_account,
    handle::Handle,
    page::{self, Page},
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use workflows::{
    effect::Marker,
    id::{HandleId, PageId},
    message::Message,
    page_publish::{Event, Wanted},
    plan::Feature,
};

use crate::{
    answer::{Answer, Done},
    audit_log::Author,
    auth::Caller,
    blocker,
    body::MaybeGiven,
    codes::Code,
    config::App,
    handle::permitted,
    idempotency::{Begun, Ticket, Writer},
    page::{MarkerStatus, PageMode, PageStatus, PageView, of_handle},
    page_terms,
    permission::Permission,
    plan::{expect_feature, plan_of},
    principal::Principal,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A wish to publish or unpublish.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct PublishWish {
    /// The version that is meant, unless `If-Match` says it. Without one, the newest.
    pub version: Option<i32>,
}

/// A saved page, and what to wake after the commit.
pub struct Saved {
    /// The page as it is now.
    pub page: Page,
    /// For [`engine::Engine::wake`].
    pub wake_up: WakeUp,
}

/// A change is refused if the page is not the one that the caller saw.
pub fn expect_version(page: &Page, seen: i32) -> Result<(), Problem> {
    match page.version == seen {
        true => Ok(()),
        false => Err(conflict(seen)),
    }
}

fn conflict(seen: i32) -> Problem {
    Problem::new(Code::VersionConflict, format!("version {seen} is not the newest any more"))
}

/// Saves a changed page over the version that was seen, and has the outside told if it is, or was, on sale.
pub async fn save(app: &App, db: &impl ConnectionTrait, page: Page) -> Result<Saved, Problem> {
    if PageStatus::of(&page) == PageStatus::Published {
        check_sellable(app, db, &page).await?;
    }
    let mut page = Page { updated_at: app.now(), ..page };
    if !page::save(db, &page).await? {
        return Err(conflict(page.version));
    }
    page.version += 1;
    let marker = match PageStatus::of(&page) {
        PageStatus::Draft => return Ok(Saved { page, wake_up: WakeUp::default() }),
        PageStatus::Published => Marker::Published,
        PageStatus::Unpublished => Marker::Unpublished,
    };
    let id = PageId(page.id);
    let wanted = Wanted { page: id, version: page.version, marker };
    let letter = Letter {
        source: "api",
        source_id: format!("publish:{id}:{}", page.version),
        message: Message::PagePublish(id, Event::Sync(wanted)),
        handle: Some(HandleId(page.handle_id)),
    };
    let sent = app.engine.send(db, letter).await?;
    Ok(Saved { page, wake_up: sent.wake_up })
}

/// A page on sale needs a price that leaves something, and a creator who can take payments.
async fn check_sellable(app: &App, db: &impl ConnectionTrait, page: &Page) -> Result<(), Problem> {
    if PageMode::of(page) != PageMode::Paid {
        return Ok(());
    }
    let plan = plan_of(app, db, page.handle_id).await?;
    page_terms::check_price(page, app.config.plans.of(plan).platform_fee)?;
    let account = connect_account::of_handle(db, page.handle_id).await?;
    blocker::expect_connected(account.as_ref())?;
    Ok(())
}

refusals!(PublishPage: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownPage,
    FeatureLocked, VersionConflict, ConnectNotReady, PriceTooLow, PageNotPublished, DailyLimit, TooLarge,
    UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);

/// Publishing of pages.
pub struct Publishing;

#[OpenApi(tag = "Tag::Pages")]
impl Publishing {
    /// Publish a page
    ///
    /// A `PAID` page needs a plan that has paid pages, a connected account that is `CONNECTED`, and a price
    /// that leaves the creator something. Of two that publish the same version, one wins. Publishing a published page changes
    /// nothing, unless the outside could not be told the last time.
    #[oai(
        path = "/v2/handles/:handle/pages/:pageSlug/publish",
        method = "post",
        operation_id = "publishPage"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn publish(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        /// The version that is meant. Without one, the newest.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: MaybeGiven<PublishWish>,
    ) -> Result<Done<PageView>, Refused<PublishPage>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesWrite).await?;
        let seen = page_terms::seen(if_match.0.as_deref(), body.0.version)?;
        let wish = Wish { handle, slug: page_slug.0, seen, to: PageStatus::Published };
        Ok(wish.carry_out(app, request, &caller.0, key.0).await?.into())
    }

    /// Take a page off sale
    ///
    /// Purchases that were begun before are settled on their frozen terms, and those who have access keep it.
    #[oai(
        path = "/v2/handles/:handle/pages/:pageSlug/unpublish",
        method = "post",
        operation_id = "unpublishPage"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn unpublish(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
        /// The version that is meant. Without one, the newest.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: MaybeGiven<PublishWish>,
    ) -> Result<Done<PageView>, Refused<PublishPage>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::PagesWrite).await?;
        let seen = page_terms::seen(if_match.0.as_deref(), body.0.version)?;
        let wish = Wish { handle, slug: page_slug.0, seen, to: PageStatus::Unpublished };
        Ok(wish.carry_out(app, request, &caller.0, key.0).await?.into())
    }
}

/// What is wished, of which page, on which version.
struct Wish {
    handle: Handle,
    slug: String,
    seen: Option<i32>,
    to: PageStatus,
}

impl Wish {
    async fn carry_out(
        self,
        app: &App,
        request: &Request,
        caller: &Principal,
        key: Option<String>,
    ) -> Result<Answer<PageView>, Problem> {
        let name = self.handle.name.as_str();
        // Read before the transaction: of two requests that read the same version, one loses.
        let page = of_handle(app, &self.handle, &self.slug).await?;
        let named = self.seen.map(|seen| seen.to_string()).unwrap_or_default();
        let arguments = [name, &self.slug, &named, self.to.name()];
        let body = PublishWish { version: self.seen };
        let writer = Writer::Subject(&caller.subject);
        let ticket = Ticket::new(writer, key, "publishPage", &arguments, &body)?;
        let write = match ticket.begin_on(app, &self.handle).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::Write(write) => write,
        };
        if let Some(seen) = self.seen {
            expect_version(&page, seen)?;
        }
        if self.to == PageStatus::Published && PageMode::of(&page) == PageMode::Paid {
            expect_feature(app, &write.transaction, self.handle.id, Feature::PaidPages).await?;
        }
        let saved = match self.is_so(&page)? {
            true => Saved { page, wake_up: WakeUp::default() },
            false => {
                let author = Author::of(request, caller);
                author.note(app, &write, self.action(), Some(&self.handle), &page.slug).await?;
                save(app, &write.transaction, self.turn(page, app.now())).await?
            }
        };
        let answer = Answer::done(PageView::of(name, &saved.page));
        write.finish(app, answer, saved.wake_up).await
    }

    /// Whether there is nothing to do.
    fn is_so(&self, page: &Page) -> Result<bool, Problem> {
        if self.to == PageStatus::Unpublished && PageStatus::of(page) == PageStatus::Draft {
            return Err(Problem::new(Code::PageNotPublished, "the page is a draft"));
        }
        let view = PageView::of(&self.handle.name, page);
        let told = view.marker_sync.is_some_and(|sync| sync.status != MarkerStatus::Failed);
        Ok(PageStatus::of(page) == self.to && told)
    }

    fn action(&self) -> &'static str {
        match self.to {
            PageStatus::Published => "page.publish",
            PageStatus::Draft | PageStatus::Unpublished => "page.unpublish",
        }
    }

    fn turn(&self, page: Page, now: i64) -> Page {
        let published_at = match self.to {
            PageStatus::Published => Some(now),
            _ => page.published_at,
        };
        Page { status: self.to.name().to_owned(), published_at, ..page }
    }
}
