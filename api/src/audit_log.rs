//! The audit log: who did what, and when. Actions write their entries themselves, in their own transaction.

use entities::{
    audit_log::{self, AuditEntry},
    handle::Handle,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::id::{AuditEntryId, HandleId};

use crate::{
    answer::Shown,
    auth::Caller,
    config::App,
    envelope::RequestId,
    handle::permitted,
    idempotency::{Start, Write},
    list,
    moment::moment,
    permission::Permission,
    principal::Principal,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// Who acts, and in which request.
pub struct Author {
    actor: String,
    reason: Option<String>,
    request_id: Option<String>,
}

impl Author {
    /// The caller of a request.
    pub fn of(request: &Request, caller: &Principal) -> Self {
        let request_id = request.data::<RequestId>().map(|id| id.0.clone());
        Self { actor: caller.actor(), reason: None, request_id }
    }

    /// Somebody who proves who they are by an address that they were given.
    pub fn by_proof(request: &Request, subject: &str) -> Self {
        let request_id = request.data::<RequestId>().map(|id| id.0.clone());
        Self { actor: format!("{subject} by a used link"), reason: None, request_id }
    }

    /// With a reason, where one is asked for.
    pub fn because(self, reason: String) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// Notes an action (`noun.verb`) in its own transaction: once, even if the write is taken up again.
    pub async fn note(
        &self,
        app: &App,
        write: &Write,
        action: &str,
        handle: Option<&Handle>,
        target: impl Into<String>,
    ) -> Result<(), Problem> {
        match write.start {
            Start::First => self.note_in(app, &write.transaction, action, handle, target).await,
            Start::TakenUp => Ok(()),
        }
    }

    /// The same for what has no idempotency key.
    pub async fn note_in(
        &self,
        app: &App,
        db: &impl ConnectionTrait,
        action: &str,
        handle: Option<&Handle>,
        target: impl Into<String>,
    ) -> Result<(), Problem> {
        let entry = AuditEntry {
            id: Uuid::now_v7(),
            actor: self.actor.clone(),
            action: action.to_owned(),
            handle_id: handle.map(|handle| handle.id),
            target: target.into(),
            reason: self.reason.clone(),
            request_id: self.request_id.clone(),
            at: app.now(),
        };
        Ok(audit_log::append(db, &entry).await?)
    }
}

/// An action of a person's.
#[derive(Debug, Object)]
#[oai(rename = "AuditEntry", rename_all = "camelCase")]
pub struct AuditView {
    /// `aud_…`
    pub id: String,
    /// Who: a token's `sub` (`… by tok_…` if by an access token, `… by a used link` if by coming back from
    /// Stripe with one), or `operator:…` at the command line.
    pub actor: String,
    /// What, as `noun.verb`: `member.add`, `token.revoke`, `page.publish`.
    pub action: String,
    /// Which handle it was done to, if a handle: `hndl_…`
    pub handle_id: Option<String>,
    /// What it was done to: an id or a name.
    pub target: String,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// The `x-request-id` of the request that did it.
    pub request_id: Option<String>,
    /// When.
    pub at: OffsetDateTime,
}

impl AuditView {
    fn of(entry: &AuditEntry) -> Self {
        Self {
            id: AuditEntryId(entry.id).to_string(),
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            handle_id: entry.handle_id.map(|id| HandleId(id).to_string()),
            target: entry.target.clone(),
            reason: entry.reason.clone(),
            request_id: entry.request_id.clone(),
            at: moment(entry.at),
        }
    }
}

/// Actions.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct AuditList {
    /// The newest first.
    pub data: Vec<AuditView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

impl AuditList {
    fn of(entries: Vec<AuditEntry>, limit: u64) -> Self {
        let (entries, next_cursor) =
            list::cut(entries, limit, |entry| AuditEntryId(entry.id).to_string());
        Self { data: entries.iter().map(AuditView::of).collect(), next_cursor }
    }
}

/// From before which entry.
fn before(cursor: Option<&str>) -> Result<Uuid, Problem> {
    match cursor {
        None => Ok(Uuid::max()),
        Some(cursor) => cursor.parse().map(|AuditEntryId(id)| id).map_err(|_| list::no_cursor()),
    }
}

refusals!(ReadAuditLog: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// The audit log.
pub struct AuditLog;

#[OpenApi(tag = "Tag::Access")]
impl AuditLog {
    /// What was done to a handle
    ///
    /// Members let in and taken out, onboarding begun, links to Stripe opened, pages published, and what operators did to its runs.
    #[oai(path = "/v2/handles/:handle/audit-log", method = "get", operation_id = "listAuditLog")]
    async fn of_handle(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<AuditList>, Refused<ReadAuditLog>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::AuditRead).await?;
        let (limit, before) = (list::limit(limit.0)?, before(cursor.0.as_deref())?);
        let db = app.engine.database().read();
        let entries = audit_log::list(db, handle.id, before, limit + 1).await?;
        Ok(Shown::of(AuditList::of(entries, limit)))
    }

    /// What was done anywhere
    ///
    /// For platform operators: everything that was done to handles, tokens, runs and queues.
    #[oai(path = "/v2/operator/audit-log", method = "get", operation_id = "listOperatorAuditLog")]
    async fn of_platform(
        &self,
        request: &Request,
        caller: Caller,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<AuditList>, Refused<ReadAuditLog>> {
        let app = App::of(request)?;
        caller.0.expect_operator()?;
        let (limit, before) = (list::limit(limit.0)?, before(cursor.0.as_deref())?);
        let db = app.engine.database().read();
        let entries = audit_log::list_any_handle(db, before, limit + 1).await?;
        Ok(Shown::of(AuditList::of(entries, limit)))
    }
}
