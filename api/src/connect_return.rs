//! Where Stripe sends creators back to: after the form, and when a link was used or has expired.

use engine::{Letter, Sent};
use entities::{connect_account, handle::Handle, member};
use poem::Request;
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Html,
};
use url::{Url, form_urlencoded::byte_serialize};
use uuid::Uuid;
use workflows::{
    Timestamp,
    connect_onboarding::{Event, Onboard},
    effect::{LinkRequest, OnboardingUrls},
    id::{HandleId, OnboardingLinkId},
    message::Message,
    record::ConnectStatus,
    refresh_token,
};

use crate::{
    audit_log::Author,
    blocker::status_of,
    codes::Code,
    config::App,
    connect_onboarding::link,
    handle::named,
    html,
    origin::destination,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// What a creator who comes back from Stripe gets to see.
#[derive(ApiResponse)]
enum ComeBack {
    /// A page for people.
    #[oai(status = 200)]
    Page(Html<String>),
    /// On to where the creator is wanted.
    #[oai(status = 303)]
    GoOn(
        /// The address that was agreed when the link was asked for, or a fresh link.
        #[oai(header = "Location")]
        String,
    ),
}

impl ComeBack {
    fn page(title: &str, text: &str) -> Result<Self, Problem> {
        Ok(Self::Page(Html(html::message(title, text)?)))
    }
}

refusals!(ComeBackFromStripe: UnknownHandle);

/// Where Stripe sends creators back to.
pub struct ComeBacks;

#[OpenApi(tag = "Tag::Connect")]
impl ComeBacks {
    /// Where Stripe sends creators after the form
    ///
    /// For whoever was given a link in the last 24 hours, as `token` proves, and still may ask for one, the
    /// account is read again, once a minute at most. Then the creator goes on to where the onboarding was asked
    /// to lead, or sees a page.
    #[oai(
        path = "/v2/handles/:handle/connect/return",
        method = "get",
        operation_id = "returnFromStripe"
    )]
    async fn returned(
        &self,
        request: &Request,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The proof, as it stood in the address that Stripe was given.
        token: Query<Option<String>>,
        /// Where to go on to: on this origin or on the allow-list.
        to: Query<Option<String>>,
    ) -> Result<ComeBack, Refused<ComeBackFromStripe>> {
        let app = App::of(request)?;
        let to = wanted(app, to.0)?;
        let handle = named(app.engine.database().read(), &handle.0).await?;
        if proof(app, &handle, token.0.as_deref()).await?.is_some() {
            look_again(app, &handle).await?;
        }
        if let Some(to) = to {
            return Ok(ComeBack::GoOn(to.into()));
        }
        let text = "Stripe has what you gave. You can close this page: as soon as Stripe has checked it, \
                    you can sell.";
        Ok(ComeBack::page("Thank you", text)?)
    }

    /// Where Stripe sends creators whose link is no longer good
    ///
    /// Whoever was given a link in the last 24 hours, as `token` proves, and still may ask for one, is sent on to
    /// a fresh one. The 24 hours count from when they asked for the first one themselves. Others see a page that
    /// says how to go on, and so does whose account was disconnected.
    #[oai(
        path = "/v2/handles/:handle/connect/refresh",
        method = "get",
        operation_id = "refreshFromStripe"
    )]
    async fn refreshed(
        &self,
        request: &Request,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// The proof, as it stood in the address that Stripe was given.
        token: Query<Option<String>>,
        /// Where the creator goes after the form: on this origin or on the allow-list.
        to: Query<Option<String>>,
    ) -> Result<ComeBack, Refused<ComeBackFromStripe>> {
        let app = App::of(request)?;
        let to = wanted(app, to.0)?;
        let handle = named(app.engine.database().read(), &handle.0).await?;
        let Some(proof) = proof(app, &handle, token.0.as_deref()).await? else {
            let text = "The link was used or has expired. You can close this page and start the onboarding \
                        again: it goes on where it ended.";
            return Ok(ComeBack::page("This link is used up", text)?);
        };
        Ok(fresh_link(app, request, &handle, proof, to.as_ref()).await?)
    }
}

/// Our own addresses for Stripe. Both lead on to where the creator is wanted afterwards.
pub fn urls(app: &App, handle: &Handle, return_to: Option<&Url>) -> OnboardingUrls {
    let to = return_to
        .map(|to| format!("to={}", byte_serialize(to.as_str().as_bytes()).collect::<String>()));
    let ours = |page: &str, query: &[&str]| {
        let query: Vec<_> = query.iter().copied().chain(to.as_deref()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        app.url(&format!("/v2/handles/{}/connect/{page}{mark}{}", handle.name, query.join("&")))
    };
    let token = format!("token={}", refresh_token::PLACEHOLDER);
    OnboardingUrls {
        return_url: ours("return", &[&token]),
        refresh_url: ours("refresh", &[&token]),
    }
}

fn wanted(app: &App, to: Option<String>) -> Result<Option<Url>, Problem> {
    let checked = to.map(|to| destination(app, &to)).transpose();
    checked.map_err(|why| Problem::field("to", why))
}

/// Whose link somebody comes back from, and when it was asked for.
struct Proof {
    subject: String,
    at: Timestamp,
}

/// Looks for whoever the link was made for among those who may still ask for one: nobody else comes back.
async fn proof(app: &App, handle: &Handle, token: Option<&str>) -> Result<Option<Proof>, Problem> {
    let Some(token) = token else { return Ok(None) };
    let (id, now) = (HandleId(handle.id), Timestamp::from_millis(app.now()));
    for role in Permission::ConnectWrite.roles() {
        let db = app.engine.database().read();
        for subject in member::subjects_in_role(db, handle.id, role.name()).await? {
            let keys = &app.config.keys;
            if let Some(at) = refresh_token::proven_at(keys, id, &subject, token, now) {
                return Ok(Some(Proof { subject, at }));
            }
        }
    }
    Ok(None)
}

/// Every visit mints a link of its own: the one before is used up, or the creator would not be here. Only an
/// account that is there is led on to: to begin anew, the creator signs in.
async fn fresh_link(
    app: &App,
    request: &Request,
    handle: &Handle,
    proof: Proof,
    to: Option<&Url>,
) -> Result<ComeBack, Problem> {
    let account = connect_account::of_handle(app.engine.database().read(), handle.id).await?;
    if status_of(account.as_ref()) == ConnectStatus::Disconnected {
        return ComeBack::page(
            "No onboarding",
            "The account was disconnected. Start the onboarding again.",
        );
    }
    let author = Author::by_proof(request, &proof.subject);
    let (id, wish) = (HandleId(handle.id), OnboardingLinkId(Uuid::now_v7()));
    let asked = LinkRequest { id: wish, subject: proof.subject, proven_at: Some(proof.at) };
    let urls = urls(app, handle, to);
    let onboard = Onboard { handle: id, country: None, request: asked, urls };
    let source_id = format!("refresh:{}", wish.0.simple());
    let letter = Letter {
        source: "api",
        source_id: source_id.clone(),
        message: Message::ConnectOnboarding(id, Event::Onboard(Box::new(onboard))),
        handle: Some(id),
    };
    let transaction = app.engine.database().begin().await?;
    author.note_in(app, &transaction, "connect.refresh", Some(handle), &handle.name).await?;
    let Sent { run, wake_up } = app.engine.send(&transaction, letter).await?;
    transaction.commit().await?;
    app.engine.wake(wake_up);
    match link(app, handle, run, &source_id, wish).await {
        Ok(answer) => match answer.body.url {
            Some(url) => Ok(ComeBack::GoOn(url)),
            None => ComeBack::page(
                "One moment",
                "Stripe takes its time. Open this page again in a minute.",
            ),
        },
        Err(problem) => no_link(problem),
    }
}

fn no_link(problem: Problem) -> Result<ComeBack, Problem> {
    let (title, text) = match problem.code {
        Code::ConnectRejected => {
            ("No onboarding", "Stripe has rejected the account for good. Its support can say why.")
        }
        Code::StripeRefused => {
            ("No onboarding", "Stripe makes no link right now. Start the onboarding again later.")
        }
        Code::Superseded => (
            "This link is used up",
            "Another one was asked for meanwhile. You can close this page.",
        ),
        _ => return Err(problem),
    };
    ComeBack::page(title, text)
}

/// Whoever had a link may open the return page as often as they like: the account is read once a minute at
/// most, and only if there is one.
async fn look_again(app: &App, handle: &Handle) -> Result<(), Problem> {
    let account = connect_account::of_handle(app.engine.database().read(), handle.id).await?;
    if account.is_none_or(|account| account.account_id.is_none()) {
        return Ok(());
    }
    let (id, minute) = (HandleId(handle.id), app.now() / Timestamp::MINUTE);
    let letter = Letter {
        source: "api",
        source_id: format!("return:{id}:{minute}"),
        message: Message::ConnectOnboarding(id, Event::AccountChanged),
        handle: Some(id),
    };
    let sent = app.engine.send(app.engine.database().write(), letter).await?;
    app.engine.wake(sent.wake_up);
    Ok(())
}
