//! Members: who may act on a handle, and as what.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use entities::{
    handle::Handle,
    member::{self, Member},
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::{
    answer::{Answer, CreatedOrDone, Done, Shown},
    audit_log::Author,
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    handle::{permitted, role},
    idempotency::{Begun, Ticket, Writer},
    list,
    moment::moment,
    permission::{Permission, Role},
    plan::expect_room,
    principal::{Principal, check_subject},
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// Somebody to let in.
#[derive(Debug, Object, Deserialize)]
pub struct NewMember {
    /// The `sub` of their tokens.
    #[oai(validator(min_length = 1, max_length = 255))]
    pub subject: String,
    /// As what.
    pub role: Role,
}

/// Somebody who may act on a handle.
#[derive(Debug, Object)]
#[oai(rename = "Member", rename_all = "camelCase")]
pub struct MemberView {
    /// The `sub` of their tokens.
    pub subject: String,
    /// As what.
    pub role: Role,
    /// The `sub` of who let them in.
    pub added_by: String,
    /// When they were let in.
    pub created_at: OffsetDateTime,
}

impl MemberView {
    fn of(member: &Member) -> Result<Self, Problem> {
        let role = Role::of(&member.role);
        Ok(Self {
            subject: member.subject.clone(),
            role: role.ok_or_else(|| Problem::internal(format!("the role {}", member.role)))?,
            added_by: member.added_by.clone(),
            created_at: moment(member.created_at),
        })
    }
}

/// Members of a handle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct MemberList {
    /// By subject.
    pub data: Vec<MemberView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(SetMember: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, LastOwner,
    FeatureLocked, TooLarge, UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(ReadMembers: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);
refusals!(RemoveMember: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, UnknownMember,
    LastOwner, IdempotencyMismatch, IdempotencyInProgress);

/// Members of handles.
pub struct Members;

#[OpenApi(tag = "Tag::Access")]
impl Members {
    /// Let somebody in
    ///
    /// Or give somebody who is in another role. Whoever owns a handle may make others owners, too; the last
    /// owner stays one.
    #[oai(path = "/v2/handles/:handle/members", method = "post", operation_id = "setMember")]
    async fn set(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewMember>,
    ) -> Result<CreatedOrDone<MemberView>, Refused<SetMember>> {
        let (app, Given(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::MembersWrite).await?;
        let mut issues = Issues::new();
        issues.take("subject", check_subject(&body.subject));
        issues.settle()?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "setMember", &[&handle.name], &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let db = &write.transaction;
        lock(db, &handle, &caller.0).await?;
        let before = member::find(db, handle.id, &body.subject).await?;
        let role = body.role.name();
        if let Some(before) = &before
            && role != Role::Owner.name()
        {
            expect_another_owner(db, &handle, before).await?;
        }
        if before.is_none() {
            expect_room(app, db, handle.id).await?;
        }
        let added = Member {
            handle_id: handle.id,
            subject: body.subject,
            role: role.to_owned(),
            added_by: caller.0.subject.clone(),
            created_at: app.now(),
        };
        // Who let them in, and when, stays.
        let now = match &before {
            Some(before) => Member { role: role.to_owned(), ..before.clone() },
            None => added,
        };
        if before.as_ref() != Some(&now) {
            member::set(db, &now).await?;
            let action = if before.is_none() { "member.add" } else { "member.change" };
            let target = format!("{} as {role}", now.subject);
            let author = Author::of(request, &caller.0);
            author.note(app, &write, action, Some(&handle), target).await?;
        }
        let view = MemberView::of(&now)?;
        let answer = match before {
            None => Answer::created(format!("/v2/handles/{}/members", handle.name), view),
            Some(_) => Answer::done(view),
        };
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }

    /// List the members of a handle
    #[oai(path = "/v2/handles/:handle/members", method = "get", operation_id = "listMembers")]
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
    ) -> Result<Shown<MemberList>, Refused<ReadMembers>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::MembersRead).await?;
        let (limit, after) = (list::limit(limit.0)?, after(cursor.0.as_deref())?);
        let db = app.engine.database().read();
        let members = member::list(db, handle.id, &after, limit + 1).await?;
        let (members, next_cursor) =
            list::cut(members, limit, |member| BASE64_URL_SAFE_NO_PAD.encode(&member.subject));
        let data = members.iter().map(MemberView::of).collect::<Result<_, _>>()?;
        Ok(Shown::of(MemberList { data, next_cursor }))
    }

    /// Take somebody out
    ///
    /// From then on their tokens, and the access tokens they made, open nothing of the handle. The last owner
    /// stays.
    #[oai(
        path = "/v2/handles/:handle/members/:subject",
        method = "delete",
        operation_id = "removeMember"
    )]
    async fn remove(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The `sub` of their tokens, percent-encoded.
        subject: Path<String>,
        /// Repeating a write with the same key gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
    ) -> Result<Done<MemberView>, Refused<RemoveMember>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::MembersWrite).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let arguments = [handle.name.as_str(), &subject.0];
        let ticket = Ticket::new(writer, key.0, "removeMember", &arguments, &String::new())?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let db = &write.transaction;
        lock(db, &handle, &caller.0).await?;
        let member = member::find(db, handle.id, &subject.0).await?.ok_or_else(|| {
            Problem::new(Code::UnknownMember, "the handle has no member of this subject")
        })?;
        expect_another_owner(db, &handle, &member).await?;
        member::delete(db, handle.id, &member.subject).await?;
        let author = Author::of(request, &caller.0);
        author.note(app, &write, "member.remove", Some(&handle), &member.subject).await?;
        let answer = Answer::done(MemberView::of(&member)?);
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }
}

/// Has others wait who change the members, and goes on only if the caller still may: somebody else may have
/// taken them out while this waited.
async fn lock(
    db: &impl ConnectionTrait,
    handle: &Handle,
    caller: &Principal,
) -> Result<(), Problem> {
    member::lock(db, handle.id).await?;
    match role(db, handle.id, caller).await? {
        Some(role) if Permission::MembersWrite.roles().contains(&role) => Ok(()),
        _ => Err(Problem::new(Code::Forbidden, format!("{} is another's handle", handle.name))),
    }
}

/// Goes on only if the handle has an owner without this member.
async fn expect_another_owner(
    db: &impl ConnectionTrait,
    handle: &Handle,
    member: &Member,
) -> Result<(), Problem> {
    let owner = Role::Owner.name();
    if member.role != owner || member::count_in_role(db, handle.id, owner).await? > 1 {
        return Ok(());
    }
    let detail = format!("{} is the last owner of {}", member.subject, handle.name);
    Err(Problem::new(Code::LastOwner, detail))
}

/// After which subject.
fn after(cursor: Option<&str>) -> Result<String, Problem> {
    let Some(cursor) = cursor else { return Ok(String::new()) };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| list::no_cursor())?;
    let subject = String::from_utf8(bytes).map_err(|_| list::no_cursor())?;
    check_subject(&subject).map_err(|_| list::no_cursor())?;
    Ok(subject)
}
