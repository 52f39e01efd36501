//! Pages as the public sees them, and who has access.

use entities::{
    checkout, entitlement,
    handle::Handle,
    page::{self, Page},
    visitor_session::SignedIn,
};
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use workflows::{id::CheckoutId, record::GrantKind as Grounds};

use crate::{
    answer::Shown,
    codes::Code,
    config::App,
    gate::{self, PageGate},
    handle::named,
    moment::moment,
    page::{PageMode, PageStatus},
    problem::{Problem, Refused, refusals},
    tag::Tag,
    visitor::MaybeVisitor,
};

/// A published page.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PublicPage {
    /// Whose.
    pub handle: String,
    /// As people read the handle.
    pub display_name: String,
    /// As it stands in addresses.
    pub slug: String,
    /// As people read it.
    pub title: String,
    /// What it takes to read the page.
    pub mode: PageMode,
    /// Minor units; 0 for pages that cost nothing.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether this visitor may read it.
    pub entitled: bool,
    /// What is behind the entitlement; `null` without one.
    pub body: Option<String>,
    /// When it was last published.
    pub published_at: Option<OffsetDateTime>,
    /// The group buys that it waits for, if any: it is sold once all of them are `ACTIVATED`.
    pub group_buys: Vec<PageGate>,
}

/// A visitor's access to a page.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Access {
    /// Whether this visitor may read the page.
    pub entitled: bool,
    /// On what grounds, now or before; `null` if there were never any.
    pub grant_type: Option<GrantType>,
    /// Why, or why not.
    pub reason: AccessReason,
    /// Since when.
    pub since: Option<OffsetDateTime>,
    /// The purchase behind it: `co_…`
    pub checkout_id: Option<String>,
}

/// On what grounds a visitor has, or had, access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantType {
    /// Paid for.
    Paid,
    /// Free for those who sign in, or a price of zero.
    Free,
    /// Paid for, and given back: no access.
    Refunded,
    /// Paid for, and taken away with a partial refund: no access.
    Revoked,
    /// Paid for, and disputed by the buyer's bank: no access until that has decided.
    Disputed,
    /// Paid for, and taken back by the buyer's bank: no access.
    ChargedBack,
}

/// Why a visitor has access, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessReason {
    /// The page is open to everybody.
    Public,
    /// The visitor bought it.
    Paid,
    /// The visitor signed in and took it.
    Free,
    /// The visitor is not signed in.
    NotSignedIn,
    /// The visitor has not bought or taken it.
    NotPurchased,
    /// The bank is still sending the money.
    PaymentProcessing,
    /// A person looks at the payment.
    PaymentInReview,
    /// The money was given back.
    Refunded,
    /// The access was taken away with a partial refund.
    Revoked,
    /// The visitor's bank disputes the payment, and has not decided yet.
    Disputed,
    /// The visitor's bank has taken the money back.
    ChargedBack,
}

/// Why there is access on certain grounds, or none.
pub fn reason_of(grounds: Option<Grounds>) -> AccessReason {
    match grounds {
        Some(Grounds::Paid) => AccessReason::Paid,
        Some(Grounds::Free) => AccessReason::Free,
        Some(Grounds::Refunded) => AccessReason::Refunded,
        Some(Grounds::Revoked) => AccessReason::Revoked,
        Some(Grounds::Disputed) => AccessReason::Disputed,
        Some(Grounds::ChargedBack) => AccessReason::ChargedBack,
        None => AccessReason::NotPurchased,
    }
}

fn grant_type(grounds: Grounds) -> GrantType {
    match grounds {
        Grounds::Paid => GrantType::Paid,
        Grounds::Free => GrantType::Free,
        Grounds::Refunded => GrantType::Refunded,
        Grounds::Revoked => GrantType::Revoked,
        Grounds::Disputed => GrantType::Disputed,
        Grounds::ChargedBack => GrantType::ChargedBack,
    }
}

/// A handle and its page, for everybody.
pub async fn find(
    db: &impl ConnectionTrait,
    handle: &str,
    slug: &str,
) -> Result<(Handle, Page), Problem> {
    let handle = named(db, handle).await?;
    let page = page::find(db, handle.id, slug).await?;
    Ok((handle, page.ok_or_else(unknown)?))
}

fn unknown() -> Problem {
    Problem::new(Code::UnknownPage, "there is no published page of this slug")
}

/// The same, for a page that is on sale.
pub async fn find_published(
    db: &impl ConnectionTrait,
    handle: &str,
    slug: &str,
) -> Result<(Handle, Page), Problem> {
    let (handle, page) = find(db, handle, slug).await?;
    match PageStatus::of(&page) {
        PageStatus::Published => Ok((handle, page)),
        PageStatus::Draft | PageStatus::Unpublished => Err(unknown()),
    }
}

/// A visitor's access to a page.
pub async fn access(app: &App, page: &Page, visitor: Option<&SignedIn>) -> Result<Access, Problem> {
    let none = |reason| Access {
        entitled: false,
        grant_type: None,
        reason,
        since: None,
        checkout_id: None,
    };
    let open =
        PageMode::of(page) == PageMode::Public && PageStatus::of(page) == PageStatus::Published;
    if open {
        return Ok(Access { entitled: true, ..none(AccessReason::Public) });
    }
    let Some(visitor) = visitor else { return Ok(none(AccessReason::NotSignedIn)) };
    let db = app.engine.database().read();
    if let Some(grant) = entitlement::find(db, page.id, visitor.visitor_id).await? {
        // Grounds of a newer release are none here: they open nothing.
        let grounds = grant.kind.parse::<Grounds>().ok();
        return Ok(Access {
            entitled: grounds.is_some_and(Grounds::is_access),
            grant_type: grounds.map(grant_type),
            reason: reason_of(grounds),
            since: Some(moment(grant.since)),
            checkout_id: Some(CheckoutId(grant.checkout_id).to_string()),
        });
    }
    let earlier = checkout::of_visitor_and_page(db, visitor.visitor_id, page.id).await?;
    let telling = [
        ("PROCESSING", AccessReason::PaymentProcessing, None),
        ("IN_REVIEW", AccessReason::PaymentInReview, None),
        ("REFUNDED", AccessReason::Refunded, Some(GrantType::Refunded)),
    ];
    for (status, reason, grant_type) in telling {
        if let Some(checkout) = earlier.iter().find(|checkout| checkout.status == status) {
            let checkout_id = Some(CheckoutId(checkout.id).to_string());
            return Ok(Access { grant_type, checkout_id, ..none(reason) });
        }
    }
    Ok(none(AccessReason::NotPurchased))
}

refusals!(ReadPublicPage: UnknownHandle, UnknownPage);

/// Pages as the public sees them.
pub struct PublicPages;

#[OpenApi(tag = "Tag::Public")]
impl PublicPages {
    /// Read a published page
    ///
    /// With its body for those who have access.
    #[oai(
        path = "/v2/public/pages/:handle/:pageSlug",
        method = "get",
        operation_id = "readPublicPage"
    )]
    async fn read(
        &self,
        request: &Request,
        visitor: MaybeVisitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
    ) -> Result<Shown<PublicPage>, Refused<ReadPublicPage>> {
        let app = App::of(request)?;
        let (handle, page) = find(app.engine.database().read(), &handle.0, &page_slug.0).await?;
        let access = access(app, &page, visitor.0.as_ref()).await?;
        expect_shown(&page, &access)?;
        let db = app.engine.database().read();
        Ok(Shown::of(PublicPage {
            group_buys: gate::of_page(app, db, &handle.name, &page).await?,
            mode: PageMode::of(&page),
            handle: handle.name,
            display_name: handle.display_name,
            slug: page.slug,
            title: page.title,
            price_cents: page.price,
            currency: page.currency,
            entitled: access.entitled,
            body: access.entitled.then_some(page.body),
            published_at: page.published_at.map(moment),
        }))
    }

    /// Whether the visitor has access to a page
    ///
    /// Also of a page that is no longer on sale, for those who have access to it.
    #[oai(
        path = "/v2/public/pages/:handle/:pageSlug/entitlement",
        method = "get",
        operation_id = "getEntitlement"
    )]
    async fn entitlement(
        &self,
        request: &Request,
        visitor: MaybeVisitor,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The page, as it stands in addresses.
        #[oai(name = "pageSlug")]
        page_slug: Path<String>,
    ) -> Result<Shown<Access>, Refused<ReadPublicPage>> {
        let app = App::of(request)?;
        let (_, page) = find(app.engine.database().read(), &handle.0, &page_slug.0).await?;
        let access = access(app, &page, visitor.0.as_ref()).await?;
        expect_shown(&page, &access)?;
        Ok(Shown::of(access))
    }
}

/// A page that is no longer on sale is there for those who bought it.
fn expect_shown(page: &Page, access: &Access) -> Result<(), Problem> {
    let shown = PageStatus::of(page) == PageStatus::Published || access.checkout_id.is_some();
    if shown { Ok(()) } else { Err(unknown()) }
}
