//! Visitors: the session behind the cookie `_10x_visitor`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use entities::visitor_session::{self, SignedIn};
use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    registry::{MetaSecurityScheme, Registry},
};
use rand::TryRngCore;
use time::OffsetDateTime;
use workflows::{
    Timestamp,
    id::{SessionId, VisitorId},
};

use crate::{
    answer::Shown,
    codes::Code,
    config::App,
    moment::moment,
    origin::{SameOrigin, is_plain_localhost},
    problem::{Problem, Refused, refusals},
    tag::Tag,
    throttle::{client_of, count_caller},
};

/// The name of the cookie.
pub const COOKIE: &str = "_10x_visitor";
/// How long a session lasts, in milliseconds.
pub const LIFETIME: i64 = 30 * Timestamp::DAY;
/// How exactly it is known when a session was last seen, in milliseconds: one write at most in so long.
const SEEN_WITHIN: i64 = 5 * Timestamp::MINUTE;
/// What the hash of a session's token is for.
const PURPOSE: &str = "visitor_session";
/// Longer than any token of ours: not even hashed.
const LONGEST_TOKEN: usize = 128;

/// 256 random bits, as the cookie carries them. Stored nowhere but with the visitor.
pub struct Token(String);

impl Token {
    /// A fresh one.
    pub fn new() -> Result<Self, Problem> {
        let mut bytes = [0_u8; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(Problem::internal)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What is stored in its place.
    pub fn hash(&self, app: &App) -> String {
        app.config.keys.hash(PURPOSE, &self.0)
    }

    /// The `Set-Cookie` that gives it to the visitor.
    pub fn cookie(&self, app: &App) -> String {
        cookie(app, &self.0, LIFETIME / Timestamp::SECOND)
    }
}

/// The `Set-Cookie` that takes the token back.
pub fn no_cookie(app: &App) -> String {
    cookie(app, "", 0)
}

fn cookie(app: &App, value: &str, seconds: i64) -> String {
    let secure = if is_plain_localhost(&app.config.public_url) { "" } else { "; Secure" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The token in the cookie, if it can be one. Of two cookies of the name, one may have been set by another site
/// of the same domain, and nobody can tell which: then nobody is signed in.
fn token_of(request: &Request) -> Option<&str> {
    let headers = request.headers().get_all(header::COOKIE).into_iter();
    let mut ours = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    match (ours.next(), ours.next()) {
        (Some((_, token)), None) if (1..=LONGEST_TOKEN).contains(&token.len()) => Some(token),
        _ => None,
    }
}

/// The session of a request, if its cookie opens one, under any key of the rotation.
async fn session_of(request: &Request) -> Result<Option<SignedIn>, Problem> {
    let app = App::of(request)?;
    let Some(token) = token_of(request) else { return Ok(None) };
    let (db, now) = (app.engine.database().read(), app.now());
    for hash in app.config.keys.hashes(PURPOSE, token) {
        if let Some(session) = visitor_session::find_by_token_hash(db, &hash, now).await? {
            see(app, &session, now).await;
            return Ok(Some(session));
        }
    }
    Ok(None)
}

/// Takes down now and then that the session is in use. A request does not fail for it.
async fn see(app: &App, session: &SignedIn, now: i64) {
    let long_ago = now - SEEN_WITHIN;
    if session.last_seen_at > long_ago {
        return;
    }
    let db = app.engine.database().write();
    if let Err(error) = visitor_session::touch(db, session.id, now, long_ago).await {
        tracing::warn!(%error, "when a session was last seen was not taken down");
    }
}

const SCHEME: &str = "VisitorCookie";

fn register_scheme(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some(
            "The visitor's session: set by the sign-in, 30 days, HttpOnly, SameSite=Lax.",
        ),
        name: Some(COOKIE),
        key_in: Some("cookie"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme(SCHEME, scheme);
}

/// The visitor of an operation, who must be signed in.
pub struct Visitor(pub SignedIn);

impl<'a> ApiExtractor<'a> for Visitor {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_scheme(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let session = session_of(request).await?;
        let signed_in = session.ok_or_else(|| {
            Problem::new(Code::NotSignedIn, "the cookie is missing, or its session has ended")
        })?;
        count_caller(request, &caller_of(&signed_in)).await?;
        Ok(Self(signed_in))
    }
}

/// A visitor, as throttles know them: however many browsers they use.
fn caller_of(session: &SignedIn) -> String {
    format!("visitor:{}", session.visitor_id)
}

/// The visitor of an operation, signed in or not.
pub struct MaybeVisitor(pub Option<SignedIn>);

impl<'a> ApiExtractor<'a> for MaybeVisitor {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_scheme(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    fn has_security_fallback() -> bool {
        true
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let session = session_of(request).await?;
        let caller = match &session {
            Some(session) => caller_of(session),
            None => client_of(App::of(request)?, request),
        };
        count_caller(request, &caller).await?;
        Ok(Self(session))
    }
}

/// A visitor's session.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Session {
    /// This session: `sess_…`.
    pub session_id: String,
    /// Who is signed in: `vis_…`.
    pub visitor_id: String,
    /// The address they signed in with, lower case.
    pub email: String,
    /// When the session ends by itself.
    pub expires_at: OffsetDateTime,
}

impl Session {
    /// As the API shows it.
    pub fn of(session: &SignedIn) -> Self {
        Self {
            session_id: SessionId(session.id).to_string(),
            visitor_id: VisitorId(session.visitor_id).to_string(),
            email: session.email.clone(),
            expires_at: moment(session.expires_at),
        }
    }
}

refusals!(GetSession: NotSignedIn);
refusals!(LogOut: OriginMismatch);

/// The answer to a logout.
#[derive(ApiResponse)]
pub enum LoggedOut {
    /// The visitor is not signed in any more.
    #[oai(status = 204)]
    NoContent(
        /// Takes the cookie back.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// Sessions of visitors.
pub struct Visitors;

#[OpenApi(tag = "Tag::Visitors")]
impl Visitors {
    /// Who is signed in
    #[oai(path = "/v2/visitor/session", method = "get", operation_id = "getVisitorSession")]
    async fn session(&self, visitor: Visitor) -> Result<Shown<Session>, Refused<GetSession>> {
        Ok(Shown::of(Session::of(&visitor.0)))
    }

    /// Sign out
    ///
    /// Ends the session and takes the cookie back. Without a session there is nothing to end, and the answer
    /// is the same.
    #[oai(path = "/v2/visitor/auth/logout", method = "post", operation_id = "signVisitorOut")]
    async fn log_out(
        &self,
        request: &Request,
        _origin: SameOrigin,
        visitor: MaybeVisitor,
    ) -> Result<LoggedOut, Refused<LogOut>> {
        let app = App::of(request)?;
        if let Some(session) = visitor.0 {
            let db = app.engine.database().write();
            visitor_session::delete_of_visitor(db, session.visitor_id, session.id).await?;
        }
        Ok(LoggedOut::NoContent(no_cookie(app)))
    }
}
