//! Magic links: how a visitor signs in. A GET consumes nothing; the button on its page does.

use std::time::Duration;

use engine::{Awaited, Letter};
use entities::{
    handle::Handle,
    magic_link::{self, MagicLink},
    run::Run,
};
use poem::{Request, http::StatusCode};
use poem_openapi::Object;
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;
use workflows::{
    Timestamp,
    id::{MagicLinkId, RunId, SessionId, VisitorId},
    magic_link::{CODE_TRIES, Event, LIFETIME, MagicLink as Machine, State},
    message::Message,
    record::VisitorSession,
    workflow::Workflow,
};

use crate::{
    answer::Answer,
    body::Issues,
    codes::Code,
    config::App,
    handle::named,
    idempotency::{Begun, Ticket, Writer},
    moment::moment,
    origin::{destination, origin},
    problem::Problem,
    slug::check_email,
    throttle::client_of,
    visitor::{self, Token},
};

/// How long it takes to refuse a code. The same for an address that nobody asked a link for: the time that
/// an answer takes must not tell one from the other.
const REFUSAL: Duration = Duration::from_millis(250);
/// What the hash of a client's address is for, among idempotency keys.
const CLIENT: &str = "idempotency_client";

/// A wish to sign in.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct LinkWish {
    /// Where the link is sent.
    #[oai(validator(max_length = 254))]
    pub email: String,
    /// On which handle's page it is asked for.
    pub handle: Option<String>,
    /// Where the visitor goes afterwards: a path, or an address on this origin.
    pub return_to: Option<String>,
}

/// A link on its way.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct LinkSent {
    /// Until when the link and its code are good.
    pub expires_at: OffsetDateTime,
}

/// What signs a visitor in: a token, or an address and the code of its newest mail.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// The token of the link.
    pub token: Option<String>,
    /// The address, with `code`.
    pub email: Option<String>,
    /// The eight digits of the newest mail; spaces and hyphens make no difference.
    pub code: Option<String>,
}

/// A signed-in visitor, with the cookie to give them.
pub struct SignIn {
    /// The session.
    pub session: entities::visitor_session::SignedIn,
    /// The `Set-Cookie`.
    pub cookie: String,
    /// Where the visitor wanted to go: a path of ours.
    pub return_to: Option<String>,
}

/// Sends a link. The answer is the same for every address, and so is what happens.
pub async fn send(
    app: &App,
    request: &Request,
    key: Option<String>,
    wish: &LinkWish,
) -> Result<Answer<LinkSent>, Problem> {
    let (email, return_to) = check(app, wish)?;
    let handle = match &wish.handle {
        Some(name) => Some(named(app.engine.database().read(), name).await?),
        None => None,
    };
    let client = app.config.keys.hash(CLIENT, &client_of(app, request));
    let ticket = Ticket::new(Writer::Client(client), key, "requestMagicLink", &[], wish)?;
    let write = match ticket.begin(app).await? {
        Begun::Answered(answer) => return Ok(answer),
        Begun::Write(write) => write,
    };
    // A repetition sends no mail, and so is not counted.
    app.throttles.count_mail(&email).await?;
    let row = link_row(write.subject, app.now(), email, handle.as_ref(), return_to);
    let link = MagicLinkId(row.id);
    magic_link::insert(&write.transaction, &row).await?;
    let letter = letter(link, format!("sign-in:{link}"), Event::Request { link });
    let sent = app.engine.send(&write.transaction, letter).await?;
    // There is nothing to look at: the visitor looks into their mail.
    let body = LinkSent { expires_at: moment(row.expires_at) };
    let answer = Answer { status: StatusCode::ACCEPTED, ..Answer::done(body) };
    write.finish(app, answer, sent.wake_up).await
}

fn check(app: &App, wish: &LinkWish) -> Result<(String, Option<String>), Problem> {
    let mut issues = Issues::new();
    let email = issues.take("email", check_email(&wish.email));
    let path = wish.return_to.as_deref().and_then(|to| issues.take("returnTo", path_of(app, to)));
    issues.settle()?;
    Ok((email.unwrap_or_default(), path))
}

/// Only the path is kept: the visitor never leaves this origin.
fn path_of(app: &App, to: &str) -> Result<String, &'static str> {
    let url = destination(app, to)?;
    if origin(&url) != origin(&app.config.public_url) {
        return Err("must be on this origin");
    }
    Ok(url[url::Position::BeforePath..].to_owned())
}

fn link_row(
    id: Uuid,
    now: i64,
    email: String,
    handle: Option<&Handle>,
    return_to: Option<String>,
) -> MagicLink {
    MagicLink {
        id,
        email,
        handle_id: handle.map(|handle| handle.id),
        return_to,
        created_at: now,
        expires_at: now + LIFETIME,
    }
}

/// A visitor's sign-in belongs to no creator: the run has no handle.
fn letter(link: MagicLinkId, source_id: String, event: Event) -> Letter {
    Letter { source: "api", source_id, message: Message::MagicLink(link, event), handle: None }
}

/// The link that a token opens, if it is genuine and still good. Consumes nothing.
pub async fn look_up(app: &App, token: &str) -> Result<MagicLink, Problem> {
    let link = app.config.keys.verify_magic_link_token(token).ok_or_else(|| {
        Problem::new(Code::LinkInvalid, "the token was not made here, or was cut short")
    })?;
    let row = magic_link::find(app.engine.database().read(), link.0).await?;
    let row = row.ok_or_else(expired)?;
    if let Some(run) = app.engine.find_run(Machine::NAME, link.0).await? {
        refuse_finished(&run)?;
    }
    match row.expires_at > app.now() {
        true => Ok(row),
        false => Err(expired()),
    }
}

/// A link that was used says so, whoever used it.
fn refuse_finished(run: &Run) -> Result<(), Problem> {
    match run.state_name.as_str() {
        "Consumed" => Err(used()),
        "Expired" => Err(expired()),
        _ => Ok(()),
    }
}

fn used() -> Problem {
    Problem::new(Code::LinkUsed, "the link has signed somebody in already")
}

fn expired() -> Problem {
    Problem::new(Code::LinkExpired, "the link's 15 minutes are over")
}

/// Signs a visitor in.
pub async fn sign_in(app: &App, proof: &Proof) -> Result<SignIn, Problem> {
    match (&proof.token, &proof.email, &proof.code) {
        (Some(token), None, None) => {
            let link = look_up(app, token).await?;
            consume(app, link).await
        }
        (None, Some(email), Some(code)) => {
            let email = check_email(email).map_err(|error| Problem::field("email", error))?;
            let link = with_code(app, &email, code).await?;
            consume(app, link).await
        }
        _ => Err(Problem::field("token", "either token, or email and code, is needed")),
    }
}

/// The newest link of an address, if the code is its. Every guess takes one of the link's tries before it is
/// looked at, so that guesses at the same moment are no way around the limit.
async fn with_code(app: &App, email: &str, code: &str) -> Result<MagicLink, Problem> {
    let refused_at = Instant::now() + REFUSAL;
    let db = app.engine.database().write();
    let link = magic_link::take_try(db, email, app.now(), CODE_TRIES).await?;
    let digits: String = code.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let is_its =
        |link: &MagicLink| app.config.keys.is_magic_link_code(MagicLinkId(link.id), &digits);
    if let Some(link) = link.filter(is_its) {
        return Ok(link);
    }
    tokio::time::sleep_until(refused_at).await;
    Err(Problem::new(Code::CodeWrong, "this is not the code of the newest mail, or no longer"))
}

/// Presents the link. Of many who do, the one whose session the run names has signed in.
async fn consume(app: &App, link: MagicLink) -> Result<SignIn, Problem> {
    let id = MagicLinkId(link.id);
    let token = Token::new()?;
    let session = VisitorSession {
        link: id,
        session: SessionId(Uuid::now_v7()),
        visitor: VisitorId(Uuid::now_v7()),
        token_hash: token.hash(app),
        expires_at: Timestamp::from_millis(app.now() + visitor::LIFETIME),
    };
    let ours = session.session;
    let event = Event::Consume(Box::new(session));
    let letter = letter(id, format!("consume:{ours}"), event);
    let sent = app.engine.send(app.engine.database().write(), letter).await?;
    app.engine.wake(sent.wake_up);
    expect_consumed(app, sent.run, ours).await?;
    let db = app.engine.database().read();
    let hash = token.hash(app);
    let found = entities::visitor_session::find_by_token_hash(db, &hash, app.now()).await?;
    let session = found.ok_or_else(|| Problem::internal("a consumed link left no session"))?;
    Ok(SignIn { session, cookie: token.cookie(app), return_to: link.return_to })
}

async fn expect_consumed(app: &App, run: RunId, ours: SessionId) -> Result<(), Problem> {
    let over = |run: &Run| !matches!(run.state_name.as_str(), "" | "Requested" | "Sent");
    let reached = app.engine.wait(run, app.config.answer_within, over).await?;
    let Awaited::Reached(run) = reached else {
        return Err(Problem::unavailable(
            "signing in takes longer than it should: try the link again",
        ));
    };
    match serde_json::from_str(&run.state)? {
        State::Consumed { session } if session == ours => Ok(()),
        State::Consumed { .. } => Err(used()),
        State::Requested { .. } | State::Sent { .. } | State::Expired => Err(expired()),
    }
}
