//! Group buys of a handle: a threshold of interest that opens what is sold. Interest in them is in `interest`,
//! what they open in `offer`.

use engine::Letter;
use entities::{
    group_buy::{self, GroupBuy},
    group_buy_activation::{self, Activation},
    handle::Handle,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    group_buy::{Event, GroupBuy as Machine},
    id::{GroupBuyId, HandleId, RunId},
    message::Message,
    plan::Feature,
    workflow::Workflow,
};

use crate::{
    answer::{Answer, Created, Done, Shown},
    auth::Caller,
    body::Given,
    codes::Code,
    config::App,
    group_buy_status::{GroupBuyStatus, fill_rate},
    group_buy_terms::{self, GroupBuyChange, NewGroupBuy},
    handle::permitted,
    idempotency::{Begun, Ticket, Writer},
    list,
    moment::{maybe_moment, moment},
    permission::Permission,
    plan::expect_feature,
    problem::{Problem, Refused, refusals},
    slug::{check_handle, check_slug},
    tag::Tag,
};

/// How and when a group buy was activated, so that anybody can verify it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "GroupBuyActivation", rename_all = "camelCase")]
pub struct ActivationView {
    /// When the target was reached.
    pub activated_at: OffsetDateTime,
    /// How much was needed.
    pub target_quantity: i64,
    /// How much was wanted at that moment.
    pub interest_quantity: i64,
    /// By how many visitors.
    pub interested_visitors: i64,
    /// SHA-256 of the list at `listUrl`, hexadecimal; `null` for the moment that hashing takes.
    pub sha256: Option<String>,
    /// The ordered list of the interests that reached the target.
    pub list_url: String,
}

impl ActivationView {
    /// As the API shows it.
    pub fn of(app: &App, handle: &str, slug: &str, activation: &Activation) -> Self {
        Self {
            activated_at: moment(activation.activated_at),
            target_quantity: activation.target_quantity,
            interest_quantity: activation.quantity,
            interested_visitors: activation.interest_count,
            sha256: activation.hash.clone(),
            list_url: app.url(&format!("/v2/public/group-buys/{handle}/{slug}/activation")),
        }
    }
}

/// A group buy, as everybody sees it.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct GroupBuyFacts {
    /// `gb_…`
    pub id: String,
    /// Whose.
    pub handle: String,
    /// As it stands in addresses.
    pub slug: String,
    /// As people read it.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// How it stands.
    pub status: GroupBuyStatus,
    /// How much interest opens it.
    pub target_quantity: i64,
    /// How many one visitor may want.
    pub max_quantity_per_visitor: i64,
    /// How much there is.
    pub interest_quantity: i64,
    /// How many visitors are interested.
    pub interested_visitors: i64,
    /// How much of the target is reached, rounded down to four decimals: 1 and more means reached.
    pub fill_rate: f64,
    /// From when on no interest is taken.
    pub deadline: Option<OffsetDateTime>,
    /// When it was published.
    pub published_at: Option<OffsetDateTime>,
    /// When it was activated, lapsed or was called off.
    pub ended_at: Option<OffsetDateTime>,
    /// How it was activated, if it was. Lists leave it out.
    pub activation: Option<ActivationView>,
}

impl GroupBuyFacts {
    /// As the API shows it, without its activation.
    pub fn of(handle: &str, row: &GroupBuy) -> Self {
        Self {
            id: GroupBuyId(row.id).to_string(),
            handle: handle.to_owned(),
            slug: row.slug.clone(),
            title: row.title.clone(),
            description: row.description.clone(),
            status: GroupBuyStatus::of(&row.status),
            target_quantity: row.target_quantity,
            max_quantity_per_visitor: row.visitor_limit,
            interest_quantity: row.interest_quantity,
            interested_visitors: row.interest_count,
            fill_rate: fill_rate(row.interest_quantity, row.target_quantity),
            deadline: maybe_moment(row.deadline_at),
            published_at: maybe_moment(row.published_at),
            ended_at: maybe_moment(row.ended_at),
            activation: None,
        }
    }

    /// The same with its activation, if it was activated.
    pub async fn whole(
        app: &App,
        db: &impl ConnectionTrait,
        handle: &str,
        row: &GroupBuy,
    ) -> Result<Self, Problem> {
        let activation = match GroupBuyStatus::of(&row.status) {
            GroupBuyStatus::Activated => group_buy_activation::find(db, row.id).await?,
            _ => None,
        };
        let activation =
            activation.map(|activation| ActivationView::of(app, handle, &row.slug, &activation));
        Ok(Self { activation, ..Self::of(handle, row) })
    }
}

/// A group buy, as the handle's people see it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "GroupBuy", rename_all = "camelCase")]
pub struct GroupBuyView {
    /// What everybody sees, once it is published.
    #[oai(flatten)]
    pub facts: GroupBuyFacts,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// The run that waits for it to end, and tells those who are interested: `run_…`
    pub run_id: String,
}

impl GroupBuyView {
    fn of(handle: &str, row: &GroupBuy) -> Self {
        Self::with(GroupBuyFacts::of(handle, row), row)
    }

    /// The same with its activation, if it was activated.
    pub async fn whole(
        app: &App,
        db: &impl ConnectionTrait,
        handle: &str,
        row: &GroupBuy,
    ) -> Result<Self, Problem> {
        Ok(Self::with(GroupBuyFacts::whole(app, db, handle, row).await?, row))
    }

    fn with(facts: GroupBuyFacts, row: &GroupBuy) -> Self {
        let run_id = RunId::of(Machine::NAME, row.id).to_string();
        Self { facts, created_at: moment(row.created_at), run_id }
    }
}

/// Group buys of a handle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct GroupBuyList {
    /// In the order they were made.
    pub data: Vec<GroupBuyView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

/// A group buy of a handle, for its people.
pub async fn of_handle(
    db: &impl ConnectionTrait,
    handle: &Handle,
    slug: &str,
) -> Result<GroupBuy, Problem> {
    let unknown =
        || Problem::new(Code::UnknownGroupBuy, "the handle has no group buy of this slug");
    // What cannot be a slug is not looked up.
    check_slug(slug).map_err(|_| unknown())?;
    group_buy::find(db, handle.id, slug).await?.ok_or_else(unknown)
}

/// A published group buy by its address.
pub async fn find_published(
    db: &impl ConnectionTrait,
    handle: &str,
    slug: &str,
) -> Result<GroupBuy, Problem> {
    // What cannot be one is not looked up.
    let found = match check_handle(handle).and_then(|()| check_slug(slug)) {
        Ok(()) => group_buy::find_published(db, handle, slug).await?,
        Err(_) => None,
    };
    let detail = "there is no published group buy at this address";
    found.ok_or_else(|| Problem::new(Code::UnknownGroupBuy, detail))
}

refusals!(CreateGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, FeatureLocked, UnknownHandle,
    SlugTaken, DailyLimit, TooLarge, UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ChangeGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownGroupBuy,
    GroupBuyPublished, DailyLimit, TooLarge, UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ReadGroupBuy: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownGroupBuy);

/// Group buys of a handle.
pub struct GroupBuys;

#[OpenApi(tag = "Tag::GroupBuys")]
impl GroupBuys {
    /// Create a group buy
    ///
    /// It is a draft until it is published. It needs a plan that has group buys.
    #[oai(
        path = "/v2/handles/:handle/group-buys",
        method = "post",
        operation_id = "createGroupBuy"
    )]
    async fn create(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewGroupBuy>,
    ) -> Result<Created<GroupBuyView>, Refused<CreateGroupBuy>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysWrite).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "createGroupBuy", &[&handle.name], &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        // After the key: what was taken once is not judged again by a later time.
        let draft = group_buy_terms::draft(&body, app.now())?;
        expect_feature(app, &write.transaction, handle.id, Feature::GroupBuys).await?;
        let row = GroupBuy { id: write.subject, handle_id: handle.id, ..draft };
        if !group_buy::insert(&write.transaction, &row).await? {
            let detail = format!("{} has a group buy {}", handle.name, row.slug);
            return Err(Problem::new(Code::SlugTaken, detail).blaming("slug", "is taken").into());
        }
        let group_buy = GroupBuyId(row.id);
        let letter = Letter {
            source: "api",
            source_id: format!("group_buy:{group_buy}"),
            message: Message::GroupBuy(group_buy, Event::Create { group_buy }),
            handle: Some(HandleId(handle.id)),
        };
        let sent = app.engine.send(&write.transaction, letter).await?;
        let location = format!("/v2/handles/{}/group-buys/{}", handle.name, row.slug);
        let answer = Answer::created(location, GroupBuyView::of(&handle.name, &row));
        Ok(write.finish(app, answer, sent.wake_up).await?.into())
    }

    /// List the group buys of a handle
    #[oai(path = "/v2/handles/:handle/group-buys", method = "get", operation_id = "listGroupBuys")]
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
    ) -> Result<Shown<GroupBuyList>, Refused<ReadGroupBuy>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let after = match cursor.0.as_deref().map(str::parse::<GroupBuyId>) {
            None => Uuid::nil(),
            Some(Ok(GroupBuyId(id))) => id,
            Some(Err(_)) => return Err(list::no_cursor().into()),
        };
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysRead).await?;
        let db = app.engine.database().read();
        let rows = group_buy::list(db, handle.id, after, limit + 1).await?;
        let (rows, next_cursor) = list::cut(rows, limit, |row| GroupBuyId(row.id).to_string());
        let data = rows.iter().map(|row| GroupBuyView::of(&handle.name, row)).collect();
        Ok(Shown::of(GroupBuyList { data, next_cursor }))
    }

    /// Read a group buy
    #[oai(
        path = "/v2/handles/:handle/group-buys/:groupBuySlug",
        method = "get",
        operation_id = "getGroupBuy"
    )]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The group buy, as it stands in addresses.
        #[oai(name = "groupBuySlug")]
        slug: Path<String>,
    ) -> Result<Shown<GroupBuyView>, Refused<ReadGroupBuy>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysRead).await?;
        let db = app.engine.database().read();
        let row = of_handle(db, &handle, &slug.0).await?;
        Ok(Shown::of(GroupBuyView::whole(app, db, &handle.name, &row).await?))
    }

    /// Change a draft
    ///
    /// What is absent stays; a `deadline` of `null` takes it away. What was published stays as it is.
    #[oai(
        path = "/v2/handles/:handle/group-buys/:groupBuySlug",
        method = "patch",
        operation_id = "changeGroupBuy"
    )]
    #[allow(clippy::too_many_arguments, reason = "each is documented")]
    async fn change(
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
        body: Given<GroupBuyChange>,
    ) -> Result<Done<GroupBuyView>, Refused<ChangeGroupBuy>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::GroupBuysWrite).await?;
        let row = of_handle(app.engine.database().read(), &handle, &slug.0).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let arguments = [handle.name.as_str(), &slug.0];
        let ticket = Ticket::new(writer, key.0, "changeGroupBuy", &arguments, &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let db = &write.transaction;
        let held = hold(app, db, &row).await?;
        if held != GroupBuyStatus::Draft {
            let detail = format!("the group buy is {}", held.name());
            return Err(Problem::new(Code::GroupBuyPublished, detail).into());
        }
        // As it is now that nobody else changes it.
        let row = of_handle(db, &handle, &slug.0).await?;
        let changed = group_buy_terms::change(&row, &body, app.now())?;
        group_buy::change(db, &changed).await?;
        let answer = Answer::done(GroupBuyView::of(&handle.name, &changed));
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }
}

/// How a group buy stands, which does not change before the transaction ends.
pub async fn hold(
    app: &App,
    db: &impl ConnectionTrait,
    row: &GroupBuy,
) -> Result<GroupBuyStatus, Problem> {
    let held = group_buy::hold(db, app.engine.clock(), &[row.id]).await?;
    let held = held.first().ok_or_else(|| Problem::internal("a group buy is gone"))?;
    Ok(GroupBuyStatus::of(&held.status))
}
