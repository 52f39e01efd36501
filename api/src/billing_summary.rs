//! The summary of a handle's billing: its plan, what that allows, what was used of it, and what it cost.

use entities::{
    daily_write, earnings,
    plan_subscription::{self, PlanSubscription},
};
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Query};
use time::{OffsetDateTime, Time};
use workflows::{
    Timestamp,
    plan::{Feature, Plan, Terms},
    record::{PlanSource, PlanStatus},
};

use crate::{
    answer::Shown,
    auth::Caller,
    billing::run_of,
    config::App,
    daily_limit::next_midnight,
    handle::permitted,
    moment::{maybe_moment, moment},
    permission::Permission,
    plan::{PlanFeature, PlanName, UPGRADE, in_force},
    problem::{Refused, refusals},
    tag::Tag,
};

/// Why a plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanOrigin {
    /// Nothing says otherwise.
    Default,
    /// It is subscribed to.
    Stripe,
    /// It was set by hand, and wins until that is cleared.
    Manual,
}

impl PlanOrigin {
    /// Why the plan in a row counts.
    pub fn of(row: Option<&PlanSubscription>) -> Self {
        match row.map(|row| row.source.parse()) {
            Some(Ok(PlanSource::Stripe)) => Self::Stripe,
            Some(Ok(PlanSource::Manual)) => Self::Manual,
            Some(Ok(PlanSource::Default) | Err(_)) | None => Self::Default,
        }
    }
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubscriptionState {
    /// There is none, or it has ended.
    None,
    /// The creator has the page to subscribe on.
    Pending,
    /// Paid.
    Active,
    /// A payment failed; the plan is kept until `graceUntil`.
    PastDue,
    /// A payment failed, and the grace period is over.
    Lapsed,
}

impl SubscriptionState {
    fn of(row: Option<&PlanSubscription>, now: i64) -> Self {
        match row.map(|row| (row.status.parse(), row.grace_until)) {
            Some((Ok(PlanStatus::PastDue), Some(until))) if until <= now => Self::Lapsed,
            Some((Ok(PlanStatus::PastDue), _)) => Self::PastDue,
            Some((Ok(PlanStatus::Pending), _)) => Self::Pending,
            Some((Ok(PlanStatus::Active), _)) => Self::Active,
            Some((Ok(PlanStatus::Lapsed), _)) => Self::Lapsed,
            Some((Ok(PlanStatus::None) | Err(_), _)) | None => Self::None,
        }
    }
}

/// A handle's billing.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct BillingSummary {
    /// The handle, as it stands in addresses.
    pub handle: String,
    /// The plan that counts.
    pub plan: PlanName,
    /// Why it counts.
    pub source: PlanOrigin,
    /// How the subscription stands, whether or not its plan counts.
    pub status: SubscriptionState,
    /// The plan that is subscribed to, if one is.
    pub subscribed_plan: Option<PlanName>,
    /// When the subscription is renewed; `null` if it is not, or is cancelled.
    pub renews_at: Option<OffsetDateTime>,
    /// When a cancelled subscription is over.
    pub cancels_at: Option<OffsetDateTime>,
    /// Until when a plan whose payment failed is kept.
    pub grace_until: Option<OffsetDateTime>,
    /// What the plan comes with.
    pub limits: PlanLimits,
    /// What is used of it.
    pub usage: PlanUsage,
    /// What the plan has not, and the smallest one that has.
    pub locked: Vec<LockedFeature>,
    /// Every plan and what it comes with.
    pub plans: Vec<PlanOffer>,
    /// Where the owner of the handle upgrades.
    pub upgrade_url: String,
    /// What the platform kept of the handle's sales in the current period: that of the subscription, else the
    /// calendar month (UTC).
    pub platform_fees: PeriodFees,
    /// Why the last link to a page of Stripe's could not be made.
    pub failure: Option<String>,
    /// The run behind the plan: `run_…`
    pub run_id: Option<String>,
}

/// What a plan comes with.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PlanLimits {
    /// The platform's part of every sale, in hundredths of a percent.
    pub platform_fee_bps: u16,
    /// Whether pages may be sold.
    pub paid_pages: bool,
    /// Whether group buys may be held.
    pub group_buys: bool,
    /// Writes to the handle in a day (UTC).
    pub daily_writes: u32,
    /// People who may work on the handle.
    pub members: u32,
}

impl PlanLimits {
    fn of(terms: &Terms) -> Self {
        Self {
            platform_fee_bps: terms.platform_fee.points(),
            paid_pages: terms.paid_pages,
            group_buys: terms.group_buys,
            daily_writes: terms.daily_writes,
            members: terms.members,
        }
    }
}

/// What is used of a plan.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PlanUsage {
    /// Writes to the handle today (UTC).
    pub daily_writes: i64,
    /// When they are counted anew.
    pub daily_writes_reset_at: OffsetDateTime,
}

/// What a plan has not.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct LockedFeature {
    /// What.
    pub feature: PlanFeature,
    /// The smallest plan that has it; `null` if none does.
    pub plan: Option<PlanName>,
}

/// A plan and what it comes with.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PlanOffer {
    /// Which.
    pub plan: PlanName,
    /// What it comes with.
    pub limits: PlanLimits,
    /// Whether it can be subscribed to here.
    pub for_sale: bool,
}

/// What the platform kept in a period.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct PeriodFees {
    /// The day (UTC) that the period began on.
    pub from: OffsetDateTime,
    /// The day that it ends on, which is part of it.
    pub to: OffsetDateTime,
    /// By currency, as far as it is in the earnings already.
    pub fees: Vec<CurrencyFees>,
}

/// What the platform kept in a currency.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct CurrencyFees {
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub platform_fee_cents: i64,
}

refusals!(GetBillingSummary: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Summaries of handles' billing.
pub struct BillingSummaries;

#[OpenApi(tag = "Tag::Billing")]
impl BillingSummaries {
    /// A handle's plan, its limits and what it cost
    #[oai(path = "/v2/billing/summary", method = "get", operation_id = "getBillingSummary")]
    async fn get(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Query<String>,
    ) -> Result<Shown<BillingSummary>, Refused<GetBillingSummary>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::BillingRead).await?;
        let (db, now) = (app.engine.database().read(), app.now());
        let row = plan_subscription::of_handle(db, handle.id).await?;
        let row = row.as_ref();
        let plan = in_force(row, now)?;
        let today = Timestamp::from_millis(now).day();
        let written = daily_write::on_day(db, handle.id, today).await?;
        let (from, to) = period(row, now);
        let days = (Timestamp::from_millis(from).day(), Timestamp::from_millis(to).day());
        let fees = earnings::platform_fees(db, handle.id, days).await?;
        let status = SubscriptionState::of(row, now);
        let cancels_at = row.and_then(|row| row.cancel_at);
        let renews = matches!(status, SubscriptionState::Active | SubscriptionState::PastDue)
            && cancels_at.is_none();
        let subscribed = row.and_then(|row| row.subscribed_plan.as_deref());
        let subscribed: Option<Plan> = subscribed.and_then(|plan| plan.parse().ok());
        Ok(Shown::of(BillingSummary {
            handle: handle.name.clone(),
            plan: PlanName::of(plan),
            source: match plan {
                Plan::Free if status == SubscriptionState::Lapsed => origin_of_lapsed(row),
                _ => PlanOrigin::of(row),
            },
            status,
            subscribed_plan: subscribed.map(PlanName::of),
            renews_at: maybe_moment(row.filter(|_| renews).and_then(|row| row.period_end)),
            cancels_at: maybe_moment(cancels_at),
            grace_until: maybe_moment(row.and_then(|row| row.grace_until)),
            limits: PlanLimits::of(app.config.plans.of(plan)),
            usage: PlanUsage {
                daily_writes: written,
                daily_writes_reset_at: moment(next_midnight(now)),
            },
            locked: locked(app, plan),
            plans: Plan::ALL.into_iter().map(|plan| offer(app, plan)).collect(),
            upgrade_url: app.url(UPGRADE),
            platform_fees: PeriodFees {
                from: moment(from),
                to: moment(to),
                fees: fees
                    .into_iter()
                    .map(|row| CurrencyFees {
                        currency: row.currency,
                        platform_fee_cents: row.platform_fee,
                    })
                    .collect(),
            },
            failure: row.and_then(|row| row.failure.clone()),
            run_id: row.map(|_| run_of(&handle).to_string()),
        }))
    }
}

/// What a plan is had by whose payment failed: nothing, unless it was set by hand.
fn origin_of_lapsed(row: Option<&PlanSubscription>) -> PlanOrigin {
    match PlanOrigin::of(row) {
        PlanOrigin::Manual => PlanOrigin::Manual,
        PlanOrigin::Default | PlanOrigin::Stripe => PlanOrigin::Default,
    }
}

fn locked(app: &App, plan: Plan) -> Vec<LockedFeature> {
    let terms = app.config.plans.of(plan);
    let missing = Feature::ALL.into_iter().filter(|feature| !terms.has(*feature));
    missing
        .map(|feature| LockedFeature {
            feature: PlanFeature::of(feature),
            plan: app.config.plans.with(feature).map(PlanName::of),
        })
        .collect()
}

fn offer(app: &App, plan: Plan) -> PlanOffer {
    let terms = app.config.plans.of(plan);
    PlanOffer {
        plan: PlanName::of(plan),
        limits: PlanLimits::of(terms),
        for_sale: terms.price.is_some(),
    }
}

/// The current period, in milliseconds: that of the subscription, else the calendar month (UTC).
fn period(row: Option<&PlanSubscription>, now: i64) -> (i64, i64) {
    let of_subscription = row.and_then(|row| row.period_start.zip(row.period_end));
    of_subscription.filter(|(from, to)| (*from..*to).contains(&now)).unwrap_or_else(|| month(now))
}

fn month(now: i64) -> (i64, i64) {
    let today = moment(now).replace_time(Time::MIDNIGHT);
    let millis = |at: OffsetDateTime| at.unix_timestamp() * Timestamp::SECOND;
    let first = today - time::Duration::days(i64::from(today.day()) - 1);
    let days = today.month().length(today.year());
    (millis(first), millis(first + time::Duration::days(i64::from(days) - 1)))
}
