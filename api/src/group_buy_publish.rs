//! Publishing a group buy, and calling it off: decided under its row's lock, in the transaction of the request; its
//! run hears of it.

use engine::{Letter, WakeUp};
use entities::{
    group_buy::{self, GroupBuy},
    handle::Handle,
};
use poem::Request;
use poem_openapi::{
    OpenApi,
    param::{Header, Path},
};
use sea_orm::ConnectionTrait;
use workflows::{
    Timestamp,
    group_buy::{Event, Refusal},
    id::{GroupBuyId, HandleId},
    message::Message,
    plan::Feature,
};

use crate::{
    answer::{Answer, Done},
    audit_log::Author,
    auth::Caller,
    codes::Code,
    config::App,
    group_buy::{GroupBuyView, hold, of_handle},
    group_buy_preview,
    group_buy_status::GroupBuyStatus,
    handle::permitted,
    idempotency::{Begun, Ticket, Write, Writer},
    permission::Permission,
    plan::expect_feature,
    principal::Principal,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

refusals!(PublishGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownGroupBuy,
    FeatureLocked, GroupBuyNotReady, GroupBuyOver, DailyLimit, IdempotencyMismatch, IdempotencyInProgress);
refusals!(CancelGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownGroupBuy,
    GroupBuyOver, DailyLimit, IdempotencyMismatch, IdempotencyInProgress);

/// What is to become of a group buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Publish,
    Cancel,
}

/// Publishing of group buys.
pub struct GroupBuyPublishing;

#[OpenApi(tag = "Tag::GroupBuys")]
impl GroupBuyPublishing {
    /// Publish a group buy
    ///
    /// From then on it is listed publicly, and takes interest until it is activated, and on, up to its deadline. What
    /// would happen, and what is missing, `…/preview` says before. Publishing what is published changes nothing.
    #[oai(
        path = "/v2/handles/:handle/group-buys/:groupBuySlug/publish",
        method = "post",
        operation_id = "publishGroupBuy"
    )]
    async fn publish(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
    ) -> Result<Done<GroupBuyView>, Refused<PublishGroupBuy>> {
        let made = Made { request, caller: &caller.0, handle: &handle.0, slug: &slug.0 };
        Ok(made.carry_out(Wish::Publish, key.0).await?.into())
    }

    /// Call a group buy off
    ///
    /// Everybody who is interested is told by mail. What was activated, or has lapsed, is over: take the pages that it
    /// opened off sale instead. Calling off what was called off changes nothing.
    #[oai(
        path = "/v2/handles/:handle/group-buys/:groupBuySlug/cancel",
        method = "post",
        operation_id = "cancelGroupBuy"
    )]
    async fn cancel(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
    ) -> Result<Done<GroupBuyView>, Refused<CancelGroupBuy>> {
        let made = Made { request, caller: &caller.0, handle: &handle.0, slug: &slug.0 };
        Ok(made.carry_out(Wish::Cancel, key.0).await?.into())
    }
}

/// Who wants something done, and to which group buy.
struct Made<'a> {
    request: &'a Request,
    caller: &'a Principal,
    handle: &'a str,
    slug: &'a str,
}

impl Made<'_> {
    async fn carry_out(
        &self,
        wish: Wish,
        key: Option<String>,
    ) -> Result<Answer<GroupBuyView>, Problem> {
        let app = App::of(self.request)?;
        let handle = permitted(app, self.caller, self.handle, Permission::GroupBuysWrite).await?;
        let row = of_handle(app.engine.database().read(), &handle, self.slug).await?;
        let operation = match wish {
            Wish::Publish => "publishGroupBuy",
            Wish::Cancel => "cancelGroupBuy",
        };
        let writer = Writer::Subject(&self.caller.subject);
        let arguments = [handle.name.as_str(), self.slug];
        let ticket = Ticket::new(writer, key, operation, &arguments, &String::new())?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::Write(write) => write,
        };
        let wake_up = match wish {
            Wish::Publish => self.publish(app, &write, &handle, &row).await?,
            Wish::Cancel => self.cancel(app, &write, &handle, &row).await?,
        };
        let row = of_handle(&write.transaction, &handle, self.slug).await?;
        let view = GroupBuyView::whole(app, &write.transaction, &handle.name, &row).await?;
        write.finish(app, Answer::done(view), wake_up).await
    }

    async fn publish(
        &self,
        app: &App,
        write: &Write,
        handle: &Handle,
        row: &GroupBuy,
    ) -> Result<WakeUp, Problem> {
        let db = &write.transaction;
        match hold(app, db, row).await? {
            GroupBuyStatus::Draft => {}
            GroupBuyStatus::Collecting | GroupBuyStatus::Activated => {
                return Ok(WakeUp::default());
            }
            over => return Err(over_since(over)),
        }
        expect_feature(app, db, handle.id, Feature::GroupBuys).await?;
        // As it is now that nobody else changes it.
        let row = &of_handle(db, handle, self.slug).await?;
        group_buy_preview::expect_publishable(row, app.now())?;
        group_buy::publish(db, row.id, app.now()).await?;
        self.note(app, write, handle, "group_buy.publish").await?;
        let deadline = row.deadline_at.map(Timestamp::from_millis);
        send(app, db, row, "publish", Event::Publish { deadline }).await
    }

    async fn cancel(
        &self,
        app: &App,
        write: &Write,
        handle: &Handle,
        row: &GroupBuy,
    ) -> Result<WakeUp, Problem> {
        let db = &write.transaction;
        match hold(app, db, row).await? {
            GroupBuyStatus::Draft | GroupBuyStatus::Collecting => {}
            GroupBuyStatus::Cancelled => return Ok(WakeUp::default()),
            over => return Err(over_since(over)),
        }
        let id = GroupBuyId(row.id);
        let ended = engine::group_buy::end(&app.engine, db, id, Refusal::Cancelled).await?;
        let (outcome, through) = ended.ok_or_else(|| Problem::internal(format!("{id} is gone")))?;
        self.note(app, write, handle, "group_buy.cancel").await?;
        send(app, db, row, "cancel", Event::Ended { outcome, through }).await
    }

    async fn note(
        &self,
        app: &App,
        write: &Write,
        handle: &Handle,
        action: &str,
    ) -> Result<(), Problem> {
        Author::of(self.request, self.caller)
            .note(app, write, action, Some(handle), self.slug)
            .await
    }
}

/// Published once, ended once: the names of these messages say so.
async fn send(
    app: &App,
    db: &impl ConnectionTrait,
    row: &GroupBuy,
    what: &str,
    event: Event,
) -> Result<WakeUp, Problem> {
    let group_buy = GroupBuyId(row.id);
    let letter = Letter {
        source: "api",
        source_id: format!("group_buy:{group_buy}:{what}"),
        message: Message::GroupBuy(group_buy, event),
        handle: Some(HandleId(row.handle_id)),
    };
    Ok(app.engine.send(db, letter).await?.wake_up)
}

/// The refusal of what comes too late.
pub fn over_since(status: GroupBuyStatus) -> Problem {
    let status = status.name();
    Problem::new(Code::GroupBuyOver, format!("the group buy is {status}, and stays so"))
}
