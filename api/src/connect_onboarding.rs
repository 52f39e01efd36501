//! Onboarding: how a creator comes to be able to take payments.

use engine::{Letter, Sent};
use entities::{
    connect_account::{self, ConnectAccount},
    handle::Handle,
    run::Run,
};
use poem::Request;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
};
use serde::Deserialize;
use time::OffsetDateTime;
use workflows::{
    connect_onboarding::{ConnectOnboarding, Event, Onboard},
    effect::{LinkRequest, OnboardingUrls},
    id::{HandleId, OnboardingLinkId, RunId},
    message::Message,
    record::ConnectStatus,
    workflow::Workflow,
};

use crate::{
    answer::{Answer, DoneOrAccepted, Replayed},
    audit_log::Author,
    auth::Caller,
    blocker::status_of,
    body::{Issues, MaybeGiven},
    codes::Code,
    config::App,
    connect_return,
    connect_status::ConnectState,
    handle::permitted,
    heard::{Heard, until_heard},
    idempotency::{Begun, Ticket, Write, Writer},
    moment::{maybe_moment, moment},
    origin::destination,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A wish to be onboarded.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct OnboardingWish {
    /// Where the creator goes after the form: on this origin or on the allow-list. Stripe sends the creator
    /// here first, and the account is read again. A page of ours, unless given.
    pub return_url: Option<String>,
    /// Where Stripe sends the creator when the link was used or has expired. Unless given, the creator is sent
    /// on to a fresh link.
    pub refresh_url: Option<String>,
    /// ISO 3166 two-letter country of the account, when it is made.
    pub country: Option<String>,
}

/// A single-use link to Stripe's form.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct Onboarding {
    /// Where the creator goes. A secret, single use, good for a few minutes; `null` while it is being made.
    pub url: Option<String>,
    /// Until when the link is good.
    pub expires_at: Option<OffsetDateTime>,
    /// Stripe's id of the account: `acct_…`
    pub account_id: Option<String>,
    /// Where the account stands.
    pub status: ConnectState,
    /// The run that makes the link: `run_…`
    pub run_id: String,
}

refusals!(StartOnboarding: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    ConnectRejected, Superseded, StripeRefused, DailyLimit, TooLarge, UnsupportedMediaType, IdempotencyMismatch,
    IdempotencyInProgress);

/// Onboarding of creators.
pub struct OnboardingRoutes;

#[OpenApi(tag = "Tag::Connect")]
impl OnboardingRoutes {
    /// Start or continue the onboarding
    ///
    /// Makes the connected account if there is none, and a fresh link to Stripe's form. A handle has one
    /// account, however often this is asked for, and one link: the newest wish's. Earlier ones that still wait
    /// for theirs are told so (`superseded`).
    ///
    /// A link that is not there within ten seconds is answered with 202: ask again with the same
    /// `Idempotency-Key` to get it.
    #[oai(
        path = "/v2/handles/:handle/connect/onboarding",
        method = "post",
        operation_id = "startOnboarding"
    )]
    async fn start(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: MaybeGiven<OnboardingWish>,
    ) -> Result<DoneOrAccepted<Onboarding>, Refused<StartOnboarding>> {
        let (app, MaybeGiven(body)) = (App::of(request)?, body);
        let handle = permitted(app, &caller.0, &handle.0, Permission::ConnectWrite).await?;
        let urls = urls(app, &handle, &body)?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "startOnboarding", &[&handle.name], &body)?;
        let write = match ticket.begin_on(app, &handle).await? {
            Begun::Answered(answer) => return Ok(with_link(app, &handle, answer).await?.into()),
            Begun::Write(write) => write,
        };
        let author = Author::of(request, &caller.0);
        author.note(app, &write, "connect.onboard", Some(&handle), &handle.name).await?;
        let request = LinkRequest {
            id: OnboardingLinkId(write.subject),
            subject: caller.0.subject.clone(),
            proven_at: None,
        };
        let wish = Onboard { handle: HandleId(handle.id), country: body.country, request, urls };
        Ok(carry_out(app, &handle, write, wish).await?.into())
    }
}

fn urls(app: &App, handle: &Handle, wish: &OnboardingWish) -> Result<OnboardingUrls, Problem> {
    let mut issues = Issues::new();
    let mut url = |field, given: &Option<String>| {
        given.as_ref().and_then(|given| issues.take(field, destination(app, given)))
    };
    let return_to = url("returnUrl", &wish.return_url);
    let refresh_url = url("refreshUrl", &wish.refresh_url);
    let is_code = |country: &String| {
        country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase())
    };
    if !wish.country.as_ref().is_none_or(is_code) {
        issues.blame("country", "must be an ISO 3166 code of two upper-case letters, such as DE");
    }
    issues.settle()?;
    let ours = connect_return::urls(app, handle, return_to.as_ref());
    let refresh_url = refresh_url.map_or(ours.refresh_url, String::from);
    Ok(OnboardingUrls { refresh_url, ..ours })
}

async fn carry_out(
    app: &App,
    handle: &Handle,
    write: Write,
    wish: Onboard,
) -> Result<Answer<Onboarding>, Problem> {
    let (id, request) = (HandleId(handle.id), wish.request.id);
    let source_id = format!("onboard:{}", write.subject.simple());
    let letter = Letter {
        source: "api",
        source_id: source_id.clone(),
        message: Message::ConnectOnboarding(id, Event::Onboard(Box::new(wish))),
        handle: Some(id),
    };
    // Taken up again, the message is a duplicate: it was sent with the row of the key.
    let Sent { run, wake_up } = app.engine.send(&write.transaction, letter).await?;
    let pending = write.commit(app, wake_up).await?;
    match link(app, handle, run, &source_id, request).await {
        Ok(answer) => {
            // The link is a secret: it is not kept among the answers, and looked up again for a repetition.
            let body = Onboarding { url: None, ..answer.body.clone() };
            pending.answer_if_done(app, &Answer { body, ..answer.clone() }).await?;
            Ok(answer)
        }
        Err(problem) => {
            pending.give_up(app, &problem).await?;
            Err(problem)
        }
    }
}

/// Waits until the message was heard and the wish's link is there, or will not be.
pub async fn link(
    app: &App,
    handle: &Handle,
    run: RunId,
    source_id: &str,
    request: OnboardingLinkId,
) -> Result<Answer<Onboarding>, Problem> {
    let heard = until_heard(app, run, source_id, is_at_rest).await?;
    let account = account(app, handle).await?;
    match heard {
        Heard::Yes => judge(app, run, request, account),
        // What link there may be is another wish's.
        Heard::NotYet => {
            let body = Onboarding {
                url: None,
                expires_at: None,
                ..onboarding(app, run, account.as_ref())
            };
            Ok(Answer::accepted(format!("/v2/runs/{run}"), body))
        }
    }
}

/// Whether nothing is being made.
fn is_at_rest(run: &Run) -> bool {
    !matches!(run.state_name.as_str(), "" | "CreatingAccount" | "CreatingLink" | "Reconnecting")
}

async fn account(app: &App, handle: &Handle) -> Result<Option<ConnectAccount>, Problem> {
    Ok(connect_account::of_handle(app.engine.database().read(), handle.id).await?)
}

fn judge(
    app: &App,
    run: RunId,
    request: OnboardingLinkId,
    account: Option<ConnectAccount>,
) -> Result<Answer<Onboarding>, Problem> {
    if status_of(account.as_ref()) == ConnectStatus::Rejected {
        return Err(Problem::new(
            Code::ConnectRejected,
            "Stripe has rejected the account for good",
        ));
    }
    if account.as_ref().and_then(|account| account.request_id) != Some(request.0) {
        let detail = "the handle's newest request for a link is another one";
        return Err(Problem::new(Code::Superseded, detail));
    }
    let body = onboarding(app, run, account.as_ref());
    if body.url.is_some() {
        return Ok(Answer::done(body));
    }
    let failure = account.and_then(|account| account.failure);
    Err(Problem::new(Code::StripeRefused, failure.unwrap_or_else(|| "no link was made".to_owned())))
}

fn onboarding(app: &App, run: RunId, account: Option<&ConnectAccount>) -> Onboarding {
    let status = ConnectState::of(status_of(account));
    let now = app.now();
    let good = account.filter(|account| account.link_expires_at.is_some_and(|until| until > now));
    Onboarding {
        url: good.and_then(|account| account.link_url.clone()),
        expires_at: maybe_moment(good.and_then(|account| account.link_expires_at)),
        account_id: account.and_then(|account| account.account_id.clone()),
        status,
        run_id: run.to_string(),
    }
}

/// The stored answer with its link, as long as that very link is good.
async fn with_link(
    app: &App,
    handle: &Handle,
    mut answer: Answer<Onboarding>,
) -> Result<Answer<Onboarding>, Problem> {
    debug_assert_eq!(answer.replayed, Replayed::Yes);
    let account = account(app, handle).await?;
    let until = account.as_ref().and_then(|account| account.link_expires_at);
    if until.map(moment) == answer.body.expires_at && until.is_some_and(|until| until > app.now()) {
        answer.body.url = account.and_then(|account| account.link_url);
    }
    Ok(answer)
}

/// The run that onboards a handle.
pub fn run_of(handle: &Handle) -> RunId {
    RunId::of(ConnectOnboarding::NAME, handle.id)
}
