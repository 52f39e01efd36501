//! Daily limits: so many writes to a handle between one midnight (UTC) and the next, by its plan. Counted in
//! the transaction of the write itself: what is refused or rolled back does not count, and a repetition that
//! gets the first answer again does not either.

use entities::{daily_write, handle::Handle};
use poem_openapi::types::ParseFromJSON;
use workflows::Timestamp;

use crate::{
    codes::Code,
    config::App,
    idempotency::{Begun, Start, Ticket, Write},
    plan::{PlanFeature, PlanName, UPGRADE, Upgrade, plan_of},
    problem::Problem,
};

impl Ticket {
    /// Begins a write to a handle, which counts against its plan's daily limit.
    pub async fn begin_on<T: ParseFromJSON>(
        self,
        app: &App,
        handle: &Handle,
    ) -> Result<Begun<T>, Problem> {
        let begun = self.begin(app).await?;
        if let Begun::Write(write) = &begun
            && write.start == Start::First
        {
            count(app, write, handle).await?;
        }
        Ok(begun)
    }
}

async fn count(app: &App, write: &Write, handle: &Handle) -> Result<(), Problem> {
    let (db, now) = (&write.transaction, app.now());
    let plan = plan_of(app, db, handle.id).await?;
    let allowed = app.config.plans.of(plan).daily_writes;
    let written = daily_write::count(db, handle.id, Timestamp::from_millis(now).day()).await?;
    if written <= i64::from(allowed) {
        return Ok(());
    }
    let larger = app.config.plans.with_more_than(plan, |terms| terms.daily_writes);
    let more = larger.map_or(String::new(), |larger| {
        format!("; {larger} allows {} a day", app.config.plans.of(larger).daily_writes)
    });
    let detail = format!("the handle's plan {plan} allows {allowed} writes a day{more}");
    let upgrade = Upgrade {
        feature: PlanFeature::DailyWrites,
        current_plan: PlanName::of(plan),
        plan: larger.map(PlanName::of),
        url: app.url(UPGRADE),
    };
    let problem = Problem::new(Code::DailyLimit, detail).upgradable(upgrade);
    Err(problem.retry_after(seconds_to(next_midnight(now), now)))
}

/// The midnight (UTC) after a moment, in milliseconds.
pub fn next_midnight(now: i64) -> i64 {
    (Timestamp::from_millis(now).day() + 1) * Timestamp::DAY
}

/// Whole seconds until a moment, rounded up.
fn seconds_to(then: i64, now: i64) -> u64 {
    u64::try_from((then - now + Timestamp::SECOND - 1) / Timestamp::SECOND).unwrap_or(1)
}
