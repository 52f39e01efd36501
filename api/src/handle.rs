//! Handles: what a creator is known by.

use entities::{
    handle::{self, Handle},
    member::{self, Member},
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::id::HandleId;

use crate::{
    answer::{Answer, Created, Shown},
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    idempotency::{Begun, Ticket, Writer},
    moment::moment,
    permission::{Permission, Role},
    principal::Principal,
    problem::{Problem, Refused, refusals},
    slug::{check_handle, check_line},
    tag::Tag,
};

/// The longest display name, in characters.
const LONGEST_NAME: usize = 100;

/// A new handle.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct NewHandle {
    /// As it stands in addresses: 3 to 40 lower-case letters, digits and hyphens.
    #[oai(validator(pattern = "^[a-z0-9](?:[a-z0-9-]{1,38}[a-z0-9])$"))]
    pub handle: String,
    /// As people read it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub display_name: String,
}

/// A creator's handle.
#[derive(Debug, Object)]
#[oai(rename = "Handle", rename_all = "camelCase")]
pub struct HandleView {
    /// `hndl_…`
    pub id: String,
    /// As it stands in addresses.
    pub handle: String,
    /// As people read it.
    pub display_name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl HandleView {
    fn of(handle: &Handle) -> Self {
        Self {
            id: HandleId(handle.id).to_string(),
            handle: handle.name.clone(),
            display_name: handle.display_name.clone(),
            created_at: moment(handle.created_at),
        }
    }
}

/// The only door to what belongs to a handle: its name, and a member whose role, and token, permit it.
pub async fn permitted(
    app: &App,
    caller: &Principal,
    name: &str,
    permission: Permission,
) -> Result<Handle, Problem> {
    let db = app.engine.database().read();
    let handle = named(db, name).await?;
    caller.expect_scope_on(permission, name)?;
    match role(db, handle.id, caller).await? {
        Some(role) if permission.roles().contains(&role) => Ok(handle),
        Some(role) => {
            let (role, permission) = (role.name(), permission.name());
            let detail = format!("{permission} is not for the role {role} on {name}");
            Err(Problem::new(Code::Forbidden, detail))
        }
        None => Err(Problem::new(Code::Forbidden, format!("{name} is another's handle"))),
    }
}

/// What somebody is on a handle, if anything.
pub async fn role(
    db: &impl ConnectionTrait,
    handle: Uuid,
    caller: &Principal,
) -> Result<Option<Role>, Problem> {
    let member = member::find(db, handle, &caller.subject).await?;
    Ok(member.and_then(|member| Role::of(&member.role)))
}

/// A handle by its name, for what everybody may see.
pub async fn named(db: &impl ConnectionTrait, name: &str) -> Result<Handle, Problem> {
    let unknown = || Problem::new(Code::UnknownHandle, "there is no handle of this name");
    // What cannot be a handle is not looked up.
    check_handle(name).map_err(|_| unknown())?;
    handle::find_by_name(db, name).await?.ok_or_else(unknown)
}

refusals!(CreateHandle: Unauthorized, TokenInvalid, TokenExpired, Forbidden, HandleTaken, TooLarge,
    UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);
refusals!(GetHandle: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Handles of creators.
pub struct Handles;

#[OpenApi(tag = "Tag::Handles")]
impl Handles {
    /// Create a handle
    ///
    /// The subject of the token owns it from then on.
    #[oai(path = "/v2/handles", method = "post", operation_id = "createHandle")]
    async fn create(
        &self,
        request: &Request,
        caller: Caller,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewHandle>,
    ) -> Result<Created<HandleView>, Refused<CreateHandle>> {
        let (app, Given(body)) = (App::of(request)?, body);
        caller.0.expect_scope_anywhere(Permission::HandlesWrite)?;
        let subject = &caller.0.subject;
        let display_name = check(&body)?;
        let ticket = Ticket::new(Writer::Subject(subject), key.0, "createHandle", &[], &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let handle = Handle {
            id: write.subject,
            name: body.handle,
            display_name,
            owner: subject.clone(),
            created_at: app.now(),
        };
        if !handle::insert(&write.transaction, &handle).await? {
            let detail = format!("{} is taken", handle.name);
            return Err(Problem::new(Code::HandleTaken, detail)
                .blaming("handle", "is taken")
                .into());
        }
        let owner = Member {
            handle_id: handle.id,
            subject: subject.clone(),
            role: Role::Owner.name().to_owned(),
            added_by: subject.clone(),
            created_at: handle.created_at,
        };
        member::set(&write.transaction, &owner).await?;
        let location = format!("/v2/handles/{}", handle.name);
        let answer = Answer::created(location, HandleView::of(&handle));
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }

    /// Read a handle
    #[oai(path = "/v2/handles/:handle", method = "get", operation_id = "getHandle")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
    ) -> Result<Shown<HandleView>, Refused<GetHandle>> {
        let handle =
            permitted(App::of(request)?, &caller.0, &handle.0, Permission::HandlesRead).await?;
        Ok(Shown::of(HandleView::of(&handle)))
    }
}

fn check(body: &NewHandle) -> Result<String, Problem> {
    let mut issues = Issues::new();
    issues.take("handle", check_handle(&body.handle));
    let name = issues.take("displayName", check_line(&body.display_name, LONGEST_NAME));
    issues.settle()?;
    Ok(name.unwrap_or_default())
}
