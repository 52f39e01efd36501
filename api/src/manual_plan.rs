//! Plans that people of the platform's set by hand.

use engine::{Letter, Sent};
use entities::plan_subscription;
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Header};
use serde::Deserialize;
use workflows::{
    id::HandleId,
    message::Message,
    plan_subscription::{Event, Manual},
};

use crate::{
    answer::{Answer, DoneOrAccepted},
    audit_log::Author,
    auth::Caller,
    billing_summary::PlanOrigin,
    body::{Given, Issues},
    config::App,
    handle::named,
    heard::{Heard, until_heard},
    idempotency::{Begun, Ticket, Writer},
    plan::{PlanName, in_force},
    problem::{Refused, refusals},
    slug::check_line,
    tag::Tag,
};

/// The longest reason, in characters.
const LONGEST_REASON: usize = 500;

/// A plan to set by hand.
#[derive(Debug, Object, Deserialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub struct ManualPlanWish {
    /// The handle, as it stands in addresses.
    pub handle: String,
    /// The plan that is to count, whatever is paid for; `AUTOMATIC` clears what was set by hand.
    pub plan: ManualChoice,
    /// Why: it stands in the audit log.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// A plan, or none in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManualChoice {
    /// The smallest plan, even if a larger one is paid for.
    Free,
    /// The first paid one.
    Pro,
    /// The largest.
    Business,
    /// What is paid for counts again.
    Automatic,
}

impl ManualChoice {
    fn name(self) -> Option<PlanName> {
        match self {
            Self::Free => Some(PlanName::Free),
            Self::Pro => Some(PlanName::Pro),
            Self::Business => Some(PlanName::Business),
            Self::Automatic => None,
        }
    }
}

/// The plan of a handle after it was set.
#[derive(Clone, Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ManualPlan {
    /// The handle, as it stands in addresses.
    pub handle: String,
    /// The plan that counts.
    pub plan: PlanName,
    /// Why it counts.
    pub source: PlanOrigin,
    /// The run behind the handle's plan: `run_…`
    pub run_id: String,
}

refusals!(SetManualPlan: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle, TooLarge,
    UnsupportedMediaType, IdempotencyMismatch, IdempotencyInProgress);

/// Plans that are set by hand.
pub struct ManualPlans;

#[OpenApi(tag = "Tag::Billing")]
impl ManualPlans {
    /// Set a handle's plan by hand
    ///
    /// For the platform's administrators. It counts until it is cleared with `AUTOMATIC`, whatever is paid for
    /// meanwhile, and stands in the audit log with its reason.
    #[oai(path = "/v2/billing/manual-plan", method = "post", operation_id = "setManualPlan")]
    async fn set(
        &self,
        request: &Request,
        caller: Caller,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<ManualPlanWish>,
    ) -> Result<DoneOrAccepted<ManualPlan>, Refused<SetManualPlan>> {
        let (app, Given(body)) = (App::of(request)?, body);
        caller.0.expect_admin()?;
        let mut issues = Issues::new();
        let reason = issues.take("reason", check_line(&body.reason, LONGEST_REASON));
        issues.settle()?;
        let handle = named(app.engine.database().read(), &body.handle).await?;
        let writer = Writer::Subject(&caller.0.subject);
        let ticket = Ticket::new(writer, key.0, "setManualPlan", &[&handle.name], &body)?;
        let write = match ticket.begin(app).await? {
            Begun::Answered(answer) => return Ok(answer.into()),
            Begun::Write(write) => write,
        };
        let (id, reason) = (HandleId(handle.id), reason.unwrap_or_default());
        let author = Author::of(request, &caller.0).because(reason.clone());
        author.note(app, &write, "plan.set", Some(&handle), target(body.plan)).await?;
        let plan = body.plan.name().map(PlanName::plan);
        let manual = plan.map(|plan| Manual { plan, reason });
        let source_id = format!("manual-plan:{}", write.subject.simple());
        let letter = Letter {
            source: "api",
            source_id: source_id.clone(),
            message: Message::PlanSubscription(id, Event::SetManually { handle: id, manual }),
            handle: Some(id),
        };
        let Sent { run, wake_up } = app.engine.send(&write.transaction, letter).await?;
        let pending = write.commit(app, wake_up).await?;
        let heard = until_heard(app, run, &source_id, |_| true).await?;
        let row = plan_subscription::of_handle(app.engine.database().read(), handle.id).await?;
        let view = ManualPlan {
            handle: handle.name.clone(),
            plan: PlanName::of(in_force(row.as_ref(), app.now())?),
            source: PlanOrigin::of(row.as_ref()),
            run_id: run.to_string(),
        };
        let answer = match heard {
            Heard::Yes => Answer::done(view),
            Heard::NotYet => Answer::accepted(format!("/v2/runs/{run}"), view),
        };
        pending.answer_if_done(app, &answer).await?;
        Ok(answer.into())
    }
}

fn target(plan: ManualChoice) -> String {
    plan.name().map_or_else(|| "AUTOMATIC".to_owned(), |name| name.plan().to_string())
}
