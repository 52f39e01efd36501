//! Where Stripe sends creators back to: after the form, and when a link was used or has expired.

use engine::{Letter, Sent};
use entities::{connect_account, handle::Handle};
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
    effect::OnboardingUrls,
    id::HandleId,
    message::Message,
    refresh_token,
};

use crate::{
    codes::Code,
    config::App,
    connect_onboarding::link,
    handle::named,
    html,
    origin::destination,
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
    /// The account is read again, once a minute at most; then the creator goes on to where the onboarding was
    /// asked to lead, or sees a page.
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
        /// Where to go on to: on this origin or on the allow-list.
        to: Query<Option<String>>,
    ) -> Result<ComeBack, Refused<ComeBackFromStripe>> {
        let app = App::of(request)?;
        let to = wanted(app, to.0)?;
        look_again(app, &handle.0).await?;
        if let Some(to) = to {
            return Ok(ComeBack::GoOn(to.into()));
        }
        let text = "Stripe has what you gave. You can close this page: as soon as Stripe has checked it, \
                    you can sell.";
        Ok(ComeBack::page("Thank you", text)?)
    }

    /// Where Stripe sends creators whose link is no longer good
    ///
    /// Whoever was given a link in the last 24 hours, as `token` proves, is sent on to a fresh one. Others see
    /// a page that says how to go on.
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
        let (id, now) = (HandleId(handle.id), Timestamp::from_millis(app.now()));
        let token = token.0.unwrap_or_default();
        if !refresh_token::is_good(&app.config.keys, id, &token, now) {
            let text = "The link was used or has expired. You can close this page and start the onboarding \
                        again: it goes on where it ended.";
            return Ok(ComeBack::page("This link is used up", text)?);
        }
        Ok(fresh_link(app, &handle, to.as_ref()).await?)
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
    OnboardingUrls { return_url: ours("return", &[]), refresh_url: ours("refresh", &[&token]) }
}

fn wanted(app: &App, to: Option<String>) -> Result<Option<Url>, Problem> {
    let checked = to.map(|to| destination(app, &to)).transpose();
    checked.map_err(|why| Problem::field("to", why))
}

/// Every visit mints a link of its own: the one before is used up, or the creator would not be here.
async fn fresh_link(app: &App, handle: &Handle, to: Option<&Url>) -> Result<ComeBack, Problem> {
    let (id, source_id) = (HandleId(handle.id), format!("refresh:{}", Uuid::now_v7().simple()));
    let wish = Onboard { handle: id, country: None, urls: urls(app, handle, to) };
    let letter = Letter {
        source: "api",
        source_id: source_id.clone(),
        message: Message::ConnectOnboarding(id, Event::Onboard(Box::new(wish))),
        handle: Some(id),
    };
    let Sent { run, wake_up } = app.engine.send(app.engine.database().write(), letter).await?;
    app.engine.wake(wake_up);
    let (title, text) = match link(app, handle, run, &source_id).await {
        Ok(answer) => match answer.body.url {
            Some(url) => return Ok(ComeBack::GoOn(url)),
            None => ("One moment", "Stripe takes its time. Open this page again in a minute."),
        },
        Err(problem) if problem.code == Code::ConnectRejected => {
            ("No onboarding", "Stripe has rejected the account for good. Its support can say why.")
        }
        Err(problem) if problem.code == Code::StripeRefused => {
            ("No onboarding", "Stripe makes no link right now. Start the onboarding again later.")
        }
        Err(problem) => return Err(problem),
    };
    ComeBack::page(title, text)
}

/// Anybody can open the return page: so the account is read once a minute at most, and only if there is one.
async fn look_again(app: &App, handle: &str) -> Result<(), Problem> {
    let handle = named(app.engine.database().read(), handle).await?;
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
