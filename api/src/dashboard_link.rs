//! Links to Stripe's dashboard: minted when asked for, given to whoever asked, and kept nowhere.

use engine::{Awaited, Letter, Sent};
use entities::{connect_account, handle::Handle, inbox, login_link};
use poem::Request;
use poem_openapi::{Object, OpenApi, param::Path};
use tokio::time::Instant;
use uuid::Uuid;
use workflows::{
    connect_onboarding::Event,
    id::{HandleId, LoginLinkId, RunId},
    message::Message,
    record::ConnectStatus,
};

use crate::{
    answer::{Answer, DoneOrAccepted},
    audit_log::Author,
    auth::Caller,
    blocker,
    codes::Code,
    config::App,
    handle::permitted,
    permission::Permission,
    problem::{Problem, Refused, refusals},
    tag::Tag,
};

/// A link to Stripe's dashboard.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct DashboardLink {
    /// Where the creator goes. A secret, single use, good for a few minutes; `null` if it took too long.
    pub url: Option<String>,
    /// The run that has it made: `run_…`
    pub run_id: String,
}

refusals!(CreateDashboardLink: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle,
    ConnectNotReady, ConnectRejected, StripeRefused, TooLarge, UnsupportedMediaType);

/// Links to Stripe's dashboard.
pub struct DashboardLinks;

#[OpenApi(tag = "Tag::Connect")]
impl DashboardLinks {
    /// Open Stripe's dashboard
    ///
    /// Makes a single-use link to the Express dashboard, where the creator sees balance and payouts. Every
    /// request makes one of its own, and none is kept: there is no `Idempotency-Key` to repeat it by.
    #[oai(
        path = "/v2/handles/:handle/connect/dashboard-link",
        method = "post",
        operation_id = "createDashboardLink"
    )]
    async fn create(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
    ) -> Result<DoneOrAccepted<DashboardLink>, Refused<CreateDashboardLink>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::ConnectWrite).await?;
        expect_onboarded(app, &handle).await?;
        let id = HandleId(handle.id);
        let wish = Wish { handle: id, link: LoginLinkId(Uuid::now_v7()) };
        let letter = Letter {
            source: "api",
            source_id: wish.source_id(),
            message: Message::ConnectOnboarding(id, Event::OpenDashboard { request: wish.link }),
            handle: Some(id),
        };
        let transaction = app.engine.database().begin().await?;
        let author = Author::of(request, &caller.0);
        let target = wish.link.to_string();
        author.note_in(app, &transaction, "connect.dashboard", Some(&handle), target).await?;
        let Sent { run, wake_up } = app.engine.send(&transaction, letter).await?;
        transaction.commit().await?;
        app.engine.wake(wake_up);
        Ok(wish.fulfilled(app, run).await?.into())
    }
}

/// The dashboard is there for those who have been through the form.
async fn expect_onboarded(app: &App, handle: &Handle) -> Result<(), Problem> {
    let account = connect_account::of_handle(app.engine.database().read(), handle.id).await?;
    match blocker::status_of(account.as_ref()) {
        ConnectStatus::Connected
        | ConnectStatus::Restricted
        | ConnectStatus::PendingVerification => Ok(()),
        ConnectStatus::Rejected => {
            Err(Problem::new(Code::ConnectRejected, "Stripe has rejected the account for good"))
        }
        ConnectStatus::NotStarted | ConnectStatus::Onboarding | ConnectStatus::Disconnected => {
            Err(blocker::not_ready(blocker::blockers(account.as_ref())?))
        }
    }
}

struct Wish {
    handle: HandleId,
    link: LoginLinkId,
}

impl Wish {
    fn source_id(&self) -> String {
        format!("dashboard:{}", self.link)
    }

    /// Waits until the link is there, or will not be.
    async fn fulfilled(&self, app: &App, run: RunId) -> Result<Answer<DashboardLink>, Problem> {
        let deadline = Instant::now() + app.config.answer_within;
        let db = app.engine.database().write();
        let body = |url| DashboardLink { url, run_id: run.to_string() };
        let mut seen = -1;
        loop {
            if let Some(link) = login_link::take(db, self.handle.0, self.link.0).await? {
                let failure = link.failure.unwrap_or_else(|| "no link was made".to_owned());
                let url = link.url.ok_or_else(|| Problem::new(Code::StripeRefused, failure))?;
                return Ok(Answer::done(body(Some(url))));
            }
            self.expect_heard(app).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            match app.engine.wait(run, left, |run| run.version > seen).await? {
                Awaited::Reached(reached) => seen = reached.version,
                Awaited::Elapsed(_) => {
                    return Ok(Answer::accepted(format!("/v2/runs/{run}"), body(None)));
                }
            }
        }
    }

    /// The account may have gone since the row was read.
    async fn expect_heard(&self, app: &App) -> Result<(), Problem> {
        let db = app.engine.database().read();
        let message = inbox::find(db, "api", &self.source_id()).await?;
        match message.filter(|message| message.status == "IGNORED") {
            Some(message) => {
                let why = message.last_error.unwrap_or_default();
                Err(Problem::new(Code::ConnectNotReady, why))
            }
            None => Ok(()),
        }
    }
}
