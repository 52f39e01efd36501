//! Links to Stripe's pages for plans. A request waits for its own link: of several at once the newest gets one,
//! and the others hear that theirs was superseded.

use engine::{Awaited, Letter, Sent};
use entities::{
    handle::Handle,
    inbox,
    plan_subscription::{self, PlanSubscription},
};
use poem::http::StatusCode;
use poem_openapi::Object;
use time::OffsetDateTime;
use tokio::time::Instant;
use workflows::{
    id::{HandleId, PlanLinkId, RunId},
    message::Message,
    plan_subscription::Event,
    record::{PlanLinkPurpose, PlanStatus},
};

use crate::{
    answer::{Answer, Replayed},
    billing::run_of,
    codes::Code,
    config::App,
    idempotency::Write,
    moment::maybe_moment,
    problem::Problem,
};

/// A link to a page of Stripe's.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct BillingLink {
    /// Where the creator goes. A secret; `null` while it is being made, and in the answer to a repeated request
    /// when it is no longer good.
    pub url: Option<String>,
    /// Until when the link is good.
    pub expires_at: Option<OffsetDateTime>,
    /// The run behind the handle's plan: `run_…`
    pub run_id: String,
}

/// A request for a link, under way.
pub struct LinkRequest<'a> {
    app: &'a App,
    handle: &'a Handle,
    purpose: PlanLinkPurpose,
    request: PlanLinkId,
}

impl<'a> LinkRequest<'a> {
    /// The request that a write is. Taken up again, it is the same request.
    pub fn of(
        app: &'a App,
        handle: &'a Handle,
        purpose: PlanLinkPurpose,
        write: &Write,
    ) -> LinkRequest<'a> {
        Self { app, handle, purpose, request: PlanLinkId(write.subject) }
    }

    /// Its id.
    pub fn id(&self) -> PlanLinkId {
        self.request
    }

    /// Sends the message that asks for the link, and waits for it.
    pub async fn carry_out(
        &self,
        write: Write,
        event: Event,
    ) -> Result<Answer<BillingLink>, Problem> {
        let id = HandleId(self.handle.id);
        let letter = Letter {
            source: "api",
            source_id: self.source_id(),
            message: Message::PlanSubscription(id, event),
            handle: Some(id),
        };
        // Taken up again, the message is a duplicate: it was sent with the row of the key.
        let Sent { run, wake_up } = self.app.engine.send(&write.transaction, letter).await?;
        let pending = write.commit(self.app, wake_up).await?;
        match self.answered(run).await {
            Ok(answer) => {
                // The link is a secret: it is not kept among the answers, and looked up again for a repetition.
                let body = BillingLink { url: None, ..answer.body.clone() };
                pending.answer(self.app, &Answer { body, ..answer.clone() }).await?;
                Ok(answer)
            }
            Err(problem) => {
                pending.give_up(self.app, &problem).await?;
                Err(problem)
            }
        }
    }

    fn source_id(&self) -> String {
        format!("billing:{}", self.request.0.simple())
    }

    /// Waits until the link is there, or will not be.
    async fn answered(&self, run: RunId) -> Result<Answer<BillingLink>, Problem> {
        let deadline = Instant::now() + self.app.config.answer_within;
        let mut seen = -1;
        loop {
            // The run is read first: whatever is written after that wakes us again.
            let left = deadline.saturating_duration_since(Instant::now());
            match self.app.engine.wait(run, left, |run| run.version > seen).await? {
                Awaited::Reached(reached) => seen = reached.version,
                Awaited::Elapsed(_) => {
                    let body = BillingLink { url: None, expires_at: None, run_id: run.to_string() };
                    return Ok(Answer::accepted(format!("/v2/runs/{run}"), body));
                }
            }
            if let Some(body) = self.outcome().await? {
                return Ok(Answer::done(body));
            }
        }
    }

    /// What came of the request, as soon as anything did.
    async fn outcome(&self) -> Result<Option<BillingLink>, Problem> {
        let db = self.app.engine.database().read();
        // Asked before the row is read: that is then no older than what the run wrote when it heard.
        let message = inbox::find(db, "api", &self.source_id()).await?;
        match message.as_ref().map(|message| message.status.as_str()) {
            Some("DONE") => {}
            Some("IGNORED") => return Err(self.turned_down()),
            // An operator may have a dead message taken again.
            Some(_) | None => return Ok(None),
        }
        let row = plan_subscription::of_handle(db, self.handle.id).await?;
        let row = row.ok_or_else(|| Problem::internal("a run of a plan has written no row"))?;
        self.judge(row)
    }

    fn judge(&self, row: PlanSubscription) -> Result<Option<BillingLink>, Problem> {
        let ours = Some(self.request.0);
        if row.failure_request == ours {
            return Err(refused(row.failure));
        }
        if row.link_request == ours {
            return match row.link_url {
                Some(_) if is_good(self.app, &row) => Ok(Some(link(self.handle, row))),
                Some(_) => Err(refused(Some("the link has expired: ask for another".to_owned()))),
                None => Ok(None),
            };
        }
        // Whoever subscribed meanwhile needs no page for it.
        if self.purpose == PlanLinkPurpose::Checkout && is_subscribed(&row) {
            return Err(already_subscribed());
        }
        match row.link_request.or(row.failure_request) {
            Some(_) => Err(superseded()),
            None => Err(refused(row.failure)),
        }
    }

    /// The run did not take the request: the handle was not as it was a moment before.
    fn turned_down(&self) -> Problem {
        match self.purpose {
            PlanLinkPurpose::Checkout => already_subscribed(),
            PlanLinkPurpose::Portal => not_subscribed(),
        }
    }
}

/// The answer to a repeated request, with its link as long as that very link is good. One that was not there in
/// time for the first answer may be there now.
pub async fn repeated(
    app: &App,
    handle: &Handle,
    answer: Answer<BillingLink>,
) -> Result<Answer<BillingLink>, Problem> {
    debug_assert_eq!(answer.replayed, Replayed::Yes);
    let row = plan_subscription::of_handle(app.engine.database().read(), handle.id).await?;
    let ours = |row: &PlanSubscription| {
        row.link_request.is_some() && row.link_request == answer.subject && is_good(app, row)
    };
    Ok(match row.filter(ours) {
        Some(row) => {
            Answer { status: StatusCode::OK, location: None, body: link(handle, row), ..answer }
        }
        None => answer,
    })
}

fn link(handle: &Handle, row: PlanSubscription) -> BillingLink {
    BillingLink {
        url: row.link_url,
        expires_at: maybe_moment(row.link_expires_at),
        run_id: run_of(handle).to_string(),
    }
}

/// Whether the row's link can be used still.
fn is_good(app: &App, row: &PlanSubscription) -> bool {
    row.link_url.is_some() && row.link_expires_at.is_some_and(|until| until > app.now())
}

/// Whether there is a subscription that is paid for, or that is to be paid for still.
pub fn is_subscribed(row: &PlanSubscription) -> bool {
    matches!(row.status.parse(), Ok(PlanStatus::Active | PlanStatus::PastDue | PlanStatus::Lapsed))
}

/// A handle has one subscription.
pub fn already_subscribed() -> Problem {
    let detail = "the handle has a subscription: another plan is chosen in the portal, \
                  POST /v2/billing/portal-session";
    Problem::new(Code::AlreadySubscribed, detail)
}

/// The portal is for what was subscribed to.
pub fn not_subscribed() -> Problem {
    let detail = "the handle has never subscribed to a plan: there is nothing to manage";
    Problem::new(Code::NotSubscribed, detail)
}

fn superseded() -> Problem {
    let detail = "another request for a link of the handle's took the place of this one: ask again";
    Problem::new(Code::Superseded, detail)
}

fn refused(failure: Option<String>) -> Problem {
    Problem::new(Code::StripeRefused, failure.unwrap_or_else(|| "no link was made".to_owned()))
}
