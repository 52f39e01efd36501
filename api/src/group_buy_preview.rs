//! What would happen to a group buy: whom it would mail, what it would open, and what is missing.

use entities::{
    connect_account,
    group_buy::GroupBuy,
    handle::Handle,
    offer::{self, Opening},
};
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use sea_orm::ConnectionTrait;
use workflows::{id::OfferId, plan::Feature};

use crate::{
    answer::Shown,
    auth::Caller,
    blocker,
    codes::Code,
    config::App,
    group_buy::of_handle,
    group_buy_status::GroupBuyStatus,
    handle::permitted,
    permission::Permission,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// The largest target that is sensible: beyond it, it is taken for a slip.
const SENSIBLE_TARGET: i64 = 1_000_000;

/// What would happen to a group buy.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct GroupBuyPreview {
    /// How it stands.
    pub status: GroupBuyStatus,
    /// Whether it can be published as it is: it is a draft, and nothing that is missing blocks it.
    pub publishable: bool,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How much is missing yet.
    pub missing_quantity: i64,
    /// Who would be mailed.
    pub mails: PreviewMails,
    /// What it would open, in the order it was offered.
    pub opens: Vec<OpeningView>,
    /// What is missing.
    pub missing: Vec<MissingView>,
}

/// Who would be mailed when the group buy is activated, lapses or is called off: everybody who is interested then, once.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PreviewMails {
    /// How many visitors are interested now: so many mails there would be. None, once it has ended.
    pub visitors: i64,
    /// How much they want together.
    pub quantity: i64,
}

/// What a group buy opens.
#[derive(Clone, Debug, Object)]
#[oai(rename = "GroupBuyOffer", rename_all = "camelCase")]
pub struct OpeningView {
    /// `offer_…`
    pub offer_id: String,
    /// As people read it.
    pub title: String,
    /// Its page, as it stands in addresses.
    pub page_slug: String,
    /// Whether the page is published.
    pub published: bool,
    /// What it costs, in minor units; 0 for what costs nothing.
    pub price_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether only those who are interested may buy.
    pub require_active_interest: bool,
}

impl OpeningView {
    /// As the API shows it.
    pub fn of(opening: &Opening) -> Self {
        Self {
            offer_id: OfferId(opening.offer_id).to_string(),
            title: opening.title.clone(),
            page_slug: opening.page_slug.clone(),
            published: is_published(opening),
            price_cents: opening.price,
            currency: opening.currency.clone(),
            require_active_interest: opening.require_active_interest,
        }
    }
}

fn is_published(opening: &Opening) -> bool {
    opening.page_status == "PUBLISHED"
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename = "GroupBuyMissing", rename_all = "camelCase")]
pub struct MissingView {
    /// What.
    pub code: MissingCode,
    /// What is missing, and what to do about it.
    pub message: String,
    /// What cannot be done without it.
    pub blocks: Blocked,
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "GroupBuyMissingCode", rename_all = "snake_case")]
pub enum MissingCode {
    /// The target is beyond what is sensible.
    TargetTooLarge,
    /// The deadline has passed.
    DeadlinePassed,
    /// The handle's plan has no group buys.
    FeatureLocked,
    /// Nothing is opened.
    NoOffer,
    /// A page is not published.
    PageNotPublished,
    /// A page is open to everybody, and has nothing to be opened.
    PageIsPublic,
    /// A page waits for another group buy, too.
    OtherGateClosed,
    /// The creator cannot take payments yet.
    ConnectNotReady,
    /// One visitor may want as much as opens it.
    OneVisitorMayOpenIt,
}

/// What cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Blocked {
    /// The group buy is not published.
    Publishing,
    /// It may be published and activated, but this would not be sold.
    Sales,
    /// Nothing is: it is worth a look.
    Nothing,
}

fn missing(blocks: Blocked, code: MissingCode, message: impl Into<String>) -> MissingView {
    MissingView { code, message: message.into(), blocks }
}

refusals!(PreviewGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownGroupBuy);

/// Previews of group buys.
pub struct GroupBuyPreviews;

#[OpenApi(tag = "Tag::GroupBuys")]
impl GroupBuyPreviews {
    /// See what would happen to a group buy
    ///
    /// Who would be mailed, what would be opened, and what is missing. Changes nothing.
    #[oai(
        path = "/v2/handles/:handle/group-buys/:groupBuySlug/preview",
        method = "post",
        operation_id = "previewGroupBuy"
    )]
    async fn preview(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
    ) -> Result<Shown<GroupBuyPreview>, Refused<PreviewGroupBuy>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysRead).await?;
        let db = app.engine.database().read();
        let row = of_handle(db, &handle, &slug.0).await?;
        let openings = offer::openings(db, row.id).await?;
        let status = GroupBuyStatus::of(&row.status);
        let is_draft = status == GroupBuyStatus::Draft;
        let mut all = Vec::new();
        if is_draft {
            all.extend(of_draft(&row, app.now()));
            all.extend(of_plan(app, db, &handle).await?);
        }
        all.extend(of_openings(db, &handle, &openings).await?);
        let blocked = all.iter().any(|one| one.blocks == Blocked::Publishing);
        let to_tell = match status {
            GroupBuyStatus::Draft | GroupBuyStatus::Collecting => {
                PreviewMails { visitors: row.interest_count, quantity: row.interest_quantity }
            }
            GroupBuyStatus::Activated | GroupBuyStatus::Lapsed | GroupBuyStatus::Cancelled => {
                PreviewMails { visitors: 0, quantity: 0 }
            }
        };
        Ok(Shown::of(GroupBuyPreview {
            status,
            publishable: is_draft && !blocked,
            target_quantity: row.target_quantity,
            missing_quantity: (row.target_quantity - row.interest_quantity).max(0),
            mails: to_tell,
            opens: openings.iter().map(OpeningView::of).collect(),
            missing: all,
        }))
    }
}

/// Goes on only if nothing about the draft itself keeps it from being published.
pub fn expect_publishable(row: &GroupBuy, now: i64) -> Result<(), Problem> {
    let blocking = of_draft(row, now).into_iter().find(|one| one.blocks == Blocked::Publishing);
    match blocking {
        Some(first) => Err(Problem::new(Code::GroupBuyNotReady, first.message)),
        None => Ok(()),
    }
}

/// What is wrong with the draft itself.
fn of_draft(row: &GroupBuy, now: i64) -> Vec<MissingView> {
    let mut all = Vec::new();
    let (target, limit) = (row.target_quantity, row.visitor_limit);
    if target > SENSIBLE_TARGET {
        let message = format!(
            "a target of {target} is beyond what is sensible ({SENSIBLE_TARGET}): make it smaller"
        );
        all.push(missing(Blocked::Publishing, MissingCode::TargetTooLarge, message));
    }
    if row.deadline_at.is_some_and(|deadline| deadline <= now) {
        let message = "the deadline has passed: put it off, or take it away";
        all.push(missing(Blocked::Publishing, MissingCode::DeadlinePassed, message));
    }
    if target > 1 && limit >= target {
        let message = format!(
            "one visitor may want {limit}, and so open it alone: set maxQuantityPerVisitor"
        );
        all.push(missing(Blocked::Nothing, MissingCode::OneVisitorMayOpenIt, message));
    }
    all
}

async fn of_plan(
    app: &App,
    db: &impl ConnectionTrait,
    handle: &Handle,
) -> Result<Option<MissingView>, Problem> {
    match expect_feature(app, db, handle.id, Feature::GroupBuys).await {
        Ok(_) => Ok(None),
        Err(problem) if problem.code == Code::FeatureLocked => {
            Ok(Some(missing(Blocked::Publishing, MissingCode::FeatureLocked, problem.detail)))
        }
        Err(problem) => Err(problem),
    }
}

/// What keeps from being sold what is opened.
async fn of_openings(
    db: &impl ConnectionTrait,
    handle: &Handle,
    openings: &[Opening],
) -> Result<Vec<MissingView>, Problem> {
    if openings.is_empty() {
        let message =
            "nothing is opened by it: make an offer of a page, and link it to the group buy";
        return Ok(vec![missing(Blocked::Sales, MissingCode::NoOffer, message)]);
    }
    let mut all: Vec<_> = openings.iter().filter_map(of_opening).collect();
    if openings.iter().any(|opening| opening.page_mode == "PAID") {
        let account = connect_account::of_handle(db, handle.id).await?;
        match blocker::expect_connected(account.as_ref()) {
            Ok(_) => {}
            Err(problem) if problem.code == Code::ConnectNotReady => {
                all.push(missing(Blocked::Sales, MissingCode::ConnectNotReady, problem.detail));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(all)
}

fn of_opening(opening: &Opening) -> Option<MissingView> {
    let page = &opening.page_slug;
    let (code, message) = if opening.page_mode == "PUBLIC" {
        let message = format!("the page {page} is open to everybody, and has nothing to be opened");
        (MissingCode::PageIsPublic, message)
    } else if !is_published(opening) {
        let message = format!("the page {page} is not published: publish it");
        (MissingCode::PageNotPublished, message)
    } else if opening.other_gates > 0 {
        let message = format!("the page {page} waits for another group buy, too");
        (MissingCode::OtherGateClosed, message)
    } else {
        return None;
    };
    Some(missing(Blocked::Sales, code, message))
}
