//! The sessions of a visitor: where they are signed in, and how they sign out there.

use entities::visitor_session::{self, Seen};
use poem::Request;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
};
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::id::SessionId;

use crate::{
    answer::Shown,
    codes::Code,
    config::App,
    list,
    moment::moment,
    origin::SameOrigin,
    problem::{Problem, Refused, refusals},
    tag::Tag,
    visitor::{LoggedOut, Visitor, no_cookie},
};

/// A signed-in browser.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SessionView {
    /// `sess_…`
    pub session_id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// When it was last used, to within five minutes.
    pub last_seen_at: OffsetDateTime,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

impl SessionView {
    fn of(seen: &Seen, current: Uuid) -> Self {
        Self {
            session_id: SessionId(seen.id).to_string(),
            current: seen.id == current,
            created_at: moment(seen.created_at),
            last_seen_at: moment(seen.last_seen_at),
            expires_at: moment(seen.expires_at),
        }
    }
}

/// Sessions of a visitor.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct SessionList {
    /// The newest first.
    pub data: Vec<SessionView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

/// The answer to the end of a session.
#[derive(ApiResponse)]
enum Ended {
    /// The session has ended.
    #[oai(status = 204)]
    NoContent(
        /// Takes the cookie back, if the session was the one that asked.
        #[oai(header = "Set-Cookie")]
        Option<String>,
    ),
}

refusals!(ListSessions: NotSignedIn);
refusals!(EndSession: NotSignedIn, OriginMismatch, UnknownSession);
refusals!(LogOutEverywhere: NotSignedIn, OriginMismatch);

/// Sessions of a visitor.
pub struct VisitorSessions;

#[OpenApi(tag = "Tag::Visitors")]
impl VisitorSessions {
    /// Where the visitor is signed in
    #[oai(path = "/v2/visitor/sessions", method = "get", operation_id = "listVisitorSessions")]
    async fn list(
        &self,
        request: &Request,
        visitor: Visitor,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<SessionList>, Refused<ListSessions>> {
        let app = App::of(request)?;
        let limit = list::limit(limit.0)?;
        let before = match cursor.0.as_deref().map(str::parse::<SessionId>) {
            None => Uuid::max(),
            Some(Ok(SessionId(id))) => id,
            Some(Err(_)) => return Err(list::no_cursor().into()),
        };
        let (db, Visitor(visitor)) = (app.engine.database().read(), visitor);
        let sessions =
            visitor_session::list_of_visitor(db, visitor.visitor_id, before, app.now(), limit + 1)
                .await?;
        let (sessions, next_cursor) =
            list::cut(sessions, limit, |session| SessionId(session.id).to_string());
        Ok(Shown::of(SessionList {
            next_cursor,
            data: sessions.iter().map(|seen| SessionView::of(seen, visitor.id)).collect(),
        }))
    }

    /// End a session
    ///
    /// Whoever has its cookie is not signed in any more.
    #[oai(
        path = "/v2/visitor/sessions/:sessionId",
        method = "delete",
        operation_id = "endVisitorSession"
    )]
    async fn end(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: Visitor,
        /// `sess_…`
        #[oai(name = "sessionId")]
        session_id: Path<String>,
    ) -> Result<Ended, Refused<EndSession>> {
        let (app, Visitor(visitor)) = (App::of(request)?, visitor);
        let unknown = || Problem::new(Code::UnknownSession, "the visitor has no such session");
        let SessionId(id) = session_id.0.parse().map_err(|_| unknown())?;
        let db = app.engine.database().write();
        if !visitor_session::delete_of_visitor(db, visitor.visitor_id, id).await? {
            return Err(unknown().into());
        }
        Ok(Ended::NoContent((id == visitor.id).then(|| no_cookie(app))))
    }

    /// Sign out everywhere
    ///
    /// Ends every session of the visitor, this one included, and takes the cookie back.
    #[oai(
        path = "/v2/visitor/auth/logout-everywhere",
        method = "post",
        operation_id = "signVisitorOutEverywhere"
    )]
    async fn log_out_everywhere(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: Visitor,
    ) -> Result<LoggedOut, Refused<LogOutEverywhere>> {
        let (app, Visitor(visitor)) = (App::of(request)?, visitor);
        let db = app.engine.database().write();
        visitor_session::delete_all_of_visitor(db, visitor.visitor_id).await?;
        Ok(LoggedOut::NoContent(no_cookie(app)))
    }
}
