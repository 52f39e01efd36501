//! Plans: which one a handle has right now, what it locks, and where to get a larger one.

use entities::{
    member,
    plan_subscription::{self, PlanSubscription},
};
use poem_openapi::{Enum, Object};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use uuid::Uuid;
use workflows::{
    plan::{Feature, Plan, Terms},
    record::{PlanSource, PlanStatus},
};

use crate::{codes::Code, config::App, problem::Problem};

/// A plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename = "Plan", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanName {
    /// What everybody has who has nothing else.
    Free,
    /// The first one that is paid for.
    Pro,
    /// The largest.
    Business,
}

impl PlanName {
    /// What the API calls a plan.
    pub fn of(plan: Plan) -> Self {
        match plan {
            Plan::Free => Self::Free,
            Plan::Pro => Self::Pro,
            Plan::Business => Self::Business,
        }
    }

    /// The plan of a name.
    pub fn plan(self) -> Plan {
        match self {
            Self::Free => Plan::Free,
            Self::Pro => Plan::Pro,
            Self::Business => Plan::Business,
        }
    }
}

/// Something that a plan has, or has more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanFeature {
    /// Pages that are sold.
    PaidPages,
    /// Group buys.
    GroupBuys,
    /// Writes to the handle in a day.
    DailyWrites,
    /// Members of the handle, its owners among them.
    Members,
}

impl PlanFeature {
    /// What the API calls a feature.
    pub fn of(feature: Feature) -> Self {
        match feature {
            Feature::PaidPages => Self::PaidPages,
            Feature::GroupBuys => Self::GroupBuys,
        }
    }
}

/// What a plan keeps a handle from, and where to get one that does not.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct Upgrade {
    /// What is locked, or used up.
    pub feature: PlanFeature,
    /// The plan that the handle has.
    pub current_plan: PlanName,
    /// The smallest plan that has it, or has more of it; `null` if none does.
    pub plan: Option<PlanName>,
    /// Where the owner of the handle upgrades: `POST` with the handle and the plan.
    pub url: String,
}

/// Where plans are subscribed to.
pub const UPGRADE: &str = "/v2/billing/checkout-session";

impl Upgrade {
    /// From a plan to the smallest one that has a feature.
    pub fn to(app: &App, feature: Feature, current: Plan) -> Self {
        Self {
            feature: PlanFeature::of(feature),
            current_plan: PlanName::of(current),
            plan: app.config.plans.with(feature).map(PlanName::of),
            url: app.url(UPGRADE),
        }
    }
}

/// The plan that counts right now. A grace period that is over is over, whether or not anybody has noted it
/// down yet.
pub fn in_force(row: Option<&PlanSubscription>, now: i64) -> Result<Plan, Problem> {
    let Some(row) = row else { return Ok(Plan::Free) };
    let in_grace = row.status == <&str>::from(PlanStatus::PastDue)
        && row.source == <&str>::from(PlanSource::Stripe);
    if in_grace && row.grace_until.is_some_and(|until| until <= now) {
        return Ok(Plan::Free);
    }
    row.plan.parse().map_err(|_| Problem::internal(format!("{} is no plan", row.plan)))
}

/// The plan of a handle right now.
pub async fn plan_of(app: &App, db: &impl ConnectionTrait, handle: Uuid) -> Result<Plan, Problem> {
    in_force(plan_subscription::of_handle(db, handle).await?.as_ref(), app.now())
}

/// Goes on only if the handle's plan has room for one member more.
pub async fn expect_room(
    app: &App,
    db: &impl ConnectionTrait,
    handle: Uuid,
) -> Result<(), Problem> {
    let plan = plan_of(app, db, handle).await?;
    let allowed = app.config.plans.of(plan).members;
    if member::count(db, handle).await? < i64::from(allowed) {
        return Ok(());
    }
    let larger = app.config.plans.with_more_than(plan, |terms| terms.members);
    let more = larger.map_or(String::new(), |larger| {
        format!("; {larger} allows {}", app.config.plans.of(larger).members)
    });
    let detail = format!("the handle's plan {plan} allows {allowed} members{more}");
    let upgrade = Upgrade {
        feature: PlanFeature::Members,
        current_plan: PlanName::of(plan),
        plan: larger.map(PlanName::of),
        url: app.url(UPGRADE),
    };
    Err(Problem::new(Code::FeatureLocked, detail).upgradable(upgrade))
}

/// The terms of a handle's plan, if a feature is among them.
pub async fn expect_feature<'a>(
    app: &'a App,
    db: &impl ConnectionTrait,
    handle: Uuid,
    feature: Feature,
) -> Result<&'a Terms, Problem> {
    let plan = plan_of(app, db, handle).await?;
    let terms = app.config.plans.of(plan);
    if terms.has(feature) {
        return Ok(terms);
    }
    let upgrade = Upgrade::to(app, feature, plan);
    let has = match app.config.plans.with(feature) {
        Some(larger) => format!("{larger} has it: upgrade with POST {}", upgrade.url),
        None => "no plan here has it".to_owned(),
    };
    let detail = format!("{feature} is not part of the handle's plan {plan}; {has}");
    Err(Problem::new(Code::FeatureLocked, detail).upgradable(upgrade))
}
