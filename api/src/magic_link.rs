//! Magic links: how a visitor signs in. A GET consumes nothing; the button on its page does.

use engine::{Awaited, Letter};
use entities::{
    handle::Handle,
    magic_link::{self, MagicLink},
    run::Run,
};
use poem::Request;
use poem_openapi::Object;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;
use workflows::{
    Timestamp,
    id::{MagicLinkId, RunId, SessionId, VisitorId},
    magic_link::{Event, LIFETIME, MagicLink as Machine, State},
    message::Message,
    record::VisitorSession,
    workflow::Workflow,
};

use crate::{
    body::Issues,
    codes::Code,
    config::App,
    handle::named,
    moment::moment,
    origin::{destination, origin},
    problem::Problem,
    slug::check_email,
    visitor::{self, Token},
};

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
    /// The six digits of the newest mail.
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
pub async fn send(app: &App, request: &Request, wish: &LinkWish) -> Result<LinkSent, Problem> {
    let (email, return_to) = check(app, wish)?;
    let handle = match &wish.handle {
        Some(name) => Some(named(app.engine.database().read(), name).await?),
        None => None,
    };
    app.throttles.count_client(request)?;
    app.throttles.count_address(&email)?;
    let row = link_row(app.now(), email, handle.as_ref(), return_to);
    let link = MagicLinkId(row.id);
    let transaction = app.engine.database().begin().await?;
    magic_link::insert(&transaction, &row).await?;
    let letter = letter(link, format!("sign-in:{link}"), Event::Request { link });
    let sent = app.engine.send(&transaction, letter).await?;
    transaction.commit().await?;
    app.engine.wake(sent.wake_up);
    Ok(LinkSent { expires_at: moment(row.expires_at) })
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
    now: i64,
    email: String,
    handle: Option<&Handle>,
    return_to: Option<String>,
) -> MagicLink {
    MagicLink {
        id: Uuid::now_v7(),
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
    Problem::new(Code::LinkExpired, "the link's 15 minutes or five codes are over")
}

/// Signs a visitor in.
pub async fn sign_in(app: &App, request: &Request, proof: &Proof) -> Result<SignIn, Problem> {
    match (&proof.token, &proof.email, &proof.code) {
        (Some(token), None, None) => {
            let link = look_up(app, token).await?;
            consume(app, link).await
        }
        (None, Some(email), Some(code)) => {
            app.throttles.count_client(request)?;
            let email = check_email(email).map_err(|error| Problem::field("email", error))?;
            let link = with_code(app, &email, code).await?;
            consume(app, link).await
        }
        _ => Err(Problem::field("token", "either token, or email and code, is needed")),
    }
}

/// The newest link of an address, if the code is its. A wrong code counts against the link.
async fn with_code(app: &App, email: &str, code: &str) -> Result<MagicLink, Problem> {
    let wrong = || Problem::new(Code::CodeWrong, "this is not the code of the newest mail");
    let db = app.engine.database();
    let newest = magic_link::newest_of_email(db.read(), email, app.now()).await?;
    let row = newest.ok_or_else(wrong)?;
    let link = MagicLinkId(row.id);
    if app.config.keys.is_magic_link_code(link, code) {
        return Ok(row);
    }
    let letter = letter(link, format!("wrong-code:{}", Uuid::now_v7().simple()), Event::WrongCode);
    let sent = app.engine.send(db.write(), letter).await?;
    app.engine.wake(sent.wake_up);
    Err(wrong())
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
