//! Making, listing and revoking personal access tokens. Only whoever signed in may: a token makes no tokens.

use entities::{
    access_token::{self, AccessToken},
    member,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
};
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{Timestamp, id::AccessTokenId};

use crate::{
    access_token::{fresh, hash, scopes, words},
    answer::{Answer, Created, Done, Shown},
    audit_log::Author,
    auth::Caller,
    body::{Given, Issues},
    codes::Code,
    config::App,
    idempotency::{Begun, Ticket, Writer},
    list,
    moment::{self, maybe_moment, moment},
    permission::Permission,
    problem::{Problem, Refused, refusals},
    slug::check_line,
    tag::Tag,
};

/// How long a token is good unless said otherwise, and at most, in milliseconds.
const LIFETIME: (i64, i64) = (90 * Timestamp::DAY, 366 * Timestamp::DAY);
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// How many handles a token may be limited to.
const MOST_HANDLES: usize = 20;

/// A wish for a token.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct NewToken {
    /// What its owner calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// What it may do: never more than its owner's role on a handle permits.
    #[oai(validator(min_items = 1))]
    pub scopes: Vec<Permission>,
    /// Until when it is good: 366 days from now at most, and 90 days unless given.
    #[serde(default, deserialize_with = "moment::read")]
    pub expires_at: Option<OffsetDateTime>,
    /// The only handles it may touch, 20 at most. Without it, all of its owner's.
    #[oai(validator(min_items = 1, max_items = 20))]
    pub handles: Option<Vec<String>>,
}

/// A personal access token.
#[derive(Clone, Debug, Object)]
#[oai(rename = "AccessToken", rename_all = "camelCase")]
pub struct TokenView {
    /// `tok_…`
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Permission>,
    /// The only handles it may touch; `null`: all of its owner's.
    pub handles: Option<Vec<String>>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Until when it is good.
    pub expires_at: OffsetDateTime,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<OffsetDateTime>,
}

impl TokenView {
    fn of(token: &AccessToken) -> Self {
        Self {
            id: AccessTokenId(token.id).to_string(),
            name: token.name.clone(),
            scopes: scopes(token),
            handles: token.handles.as_deref().map(words),
            created_at: moment(token.created_at),
            expires_at: moment(token.expires_at),
            last_used_at: maybe_moment(token.last_used_at),
        }
    }
}

/// A token that was made.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct MadeToken {
    /// The token itself, `slc_…`: shown here and never again, also not when the request is repeated with its
    /// key. Then it is `null`: revoke it and make another.
    pub token: Option<String>,
    /// What is known of it.
    #[oai(flatten)]
    pub about: TokenView,
}

/// Somebody's tokens.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct TokenList {
    /// The newest first; also those that have expired.
    pub data: Vec<TokenView>,
    /// For `cursor`, while there are more.
    pub next_cursor: Option<String>,
}

refusals!(MakeToken: Unauthorized, TokenInvalid, TokenExpired, Forbidden, TooLarge, UnsupportedMediaType,
    IdempotencyMismatch, IdempotencyInProgress);
refusals!(ReadTokens: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownToken);
refusals!(RevokeToken: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownToken,
    IdempotencyMismatch, IdempotencyInProgress);

/// Personal access tokens.
pub struct Tokens;

#[OpenApi(tag = "Tag::Access")]
impl Tokens {
    /// Make an access token
    ///
    /// For a program that acts for the caller. The token is shown once. It carries no role of the platform's,
    /// and cannot make or revoke tokens.
    #[oai(path = "/v2/tokens", method = "post", operation_id = "makeToken")]
    async fn make(
        &self,
        request: &Request,
        caller: Caller,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<NewToken>,
    ) -> Result<Created<MadeToken>, Refused<MakeToken>> {
        let (app, Given(body)) = (App::of(request)?, body);
        caller.0.expect_signed_in()?;
        let subject = &caller.0.subject;
        let terms = check(app, subject, &body).await?;
        let ticket = Ticket::new(Writer::Subject(subject), key.0, "makeToken", &[], &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let token = fresh(write.subject)?;
        let row = AccessToken {
            id: write.subject,
            subject: subject.clone(),
            token_hash: hash(app, &token),
            ..terms
        };
        access_token::insert(&write.transaction, &row).await?;
        let about = TokenView::of(&row);
        let author = Author::of(request, &caller.0);
        author.note(app, &write, "token.make", None, &about.id).await?;
        // Kept for repetitions without the token itself: that is shown once, and stored nowhere.
        let location = format!("/v2/tokens/{}", about.id);
        let kept = Answer::created(location, MadeToken { token: None, about });
        let mut answer = write.finish(app, kept, Default::default()).await?;
        answer.body.token = Some(token);
        Ok(answer.into())
    }

    /// List the caller's access tokens
    #[oai(path = "/v2/tokens", method = "get", operation_id = "listTokens")]
    async fn list(
        &self,
        request: &Request,
        caller: Caller,
        /// How many, 1 to 100; 20 unless given.
        limit: Query<Option<u32>>,
        /// `nextCursor` of the list before.
        cursor: Query<Option<String>>,
    ) -> Result<Shown<TokenList>, Refused<ReadTokens>> {
        let app = App::of(request)?;
        caller.0.expect_signed_in()?;
        let limit = list::limit(limit.0)?;
        let before = match cursor.0.as_deref().map(str::parse::<AccessTokenId>) {
            None => Uuid::max(),
            Some(id) => id.map_err(|_| list::no_cursor())?.0,
        };
        let db = app.engine.database().read();
        let tokens = access_token::list(db, &caller.0.subject, before, limit + 1).await?;
        let (tokens, next_cursor) =
            list::cut(tokens, limit, |token| AccessTokenId(token.id).to_string());
        Ok(Shown::of(TokenList { data: tokens.iter().map(TokenView::of).collect(), next_cursor }))
    }

    /// Read about an access token
    #[oai(path = "/v2/tokens/:tokenId", method = "get", operation_id = "getToken")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// `tok_…`
        #[oai(name = "tokenId")]
        token_id: Path<String>,
    ) -> Result<Shown<TokenView>, Refused<ReadTokens>> {
        let app = App::of(request)?;
        caller.0.expect_signed_in()?;
        let id = token_id.0.parse::<AccessTokenId>().map_err(|_| unknown())?;
        let found = access_token::find(app.engine.database().read(), id.0).await?;
        let own = found.filter(|token| token.subject == caller.0.subject);
        Ok(Shown::of(TokenView::of(&own.ok_or_else(unknown)?)))
    }

    /// Revoke an access token
    ///
    /// It opens nothing from then on, and is forgotten.
    #[oai(path = "/v2/tokens/:tokenId", method = "delete", operation_id = "revokeToken")]
    async fn revoke(
        &self,
        request: &Request,
        caller: Caller,
        /// `tok_…`
        #[oai(name = "tokenId")]
        token_id: Path<String>,
        /// Repeating a write with the same key gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
    ) -> Result<Done<TokenView>, Refused<RevokeToken>> {
        let app = App::of(request)?;
        caller.0.expect_signed_in()?;
        let subject = &caller.0.subject;
        let id = token_id.0.parse::<AccessTokenId>().map_err(|_| unknown())?;
        let writer = Writer::Subject(subject);
        let ticket = Ticket::new(writer, key.0, "revokeToken", &[&id.to_string()], &String::new())?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let found = access_token::find(&write.transaction, id.0).await?.ok_or_else(unknown)?;
        if !access_token::delete(&write.transaction, subject, id.0).await? {
            return Err(unknown().into());
        }
        let author = Author::of(request, &caller.0);
        author.note(app, &write, "token.revoke", None, id.to_string()).await?;
        let answer = Answer::done(TokenView::of(&found));
        Ok(write.finish(app, answer, Default::default()).await?.into())
    }
}

fn unknown() -> Problem {
    Problem::new(Code::UnknownToken, "there is no such token, or it is another's")
}

/// What a wish comes to, but for the token's id, owner and hash.
async fn check(app: &App, subject: &str, wish: &NewToken) -> Result<AccessToken, Problem> {
    let (mut issues, now) = (Issues::new(), app.now());
    let name = issues.take("name", check_line(&wish.name, LONGEST_NAME));
    let mut scopes: Vec<_> = wish.scopes.iter().map(|scope| scope.name()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        issues.blame("scopes", "must have at least one");
    }
    let expires_at = wish.expires_at.map_or(now + LIFETIME.0, millis);
    if expires_at <= now || expires_at > now + LIFETIME.1 {
        issues.blame("expiresAt", "must be in the future, and within 366 days");
    }
    let handles = match wish.handles.as_deref() {
        Some(handles) if (1..=MOST_HANDLES).contains(&handles.len()) => {
            let db = app.engine.database().read();
            let own = member::handles_of_subject(db, subject, handles).await?;
            if let Some(strange) = handles.iter().find(|name| !own.contains(name)) {
                issues.blame("handles", format!("{strange} is no handle that you are a member of"));
            }
            Some(own.join(" "))
        }
        Some(_) => {
            issues.blame("handles", format!("must have 1 to {MOST_HANDLES}"));
            None
        }
        None => None,
    };
    issues.settle()?;
    Ok(AccessToken {
        id: Uuid::nil(),
        subject: String::new(),
        name: name.unwrap_or_default(),
        token_hash: String::new(),
        scopes: scopes.join(" "),
        handles,
        created_at: now,
        expires_at,
        last_used_at: None,
    })
}

fn millis(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
