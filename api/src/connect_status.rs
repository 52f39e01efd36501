//! Where a connected account stands, and what is missing.

use std::collections::BTreeMap;

use entities::{connect_account, connect_account_past};
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use time::OffsetDateTime;
use workflows::{
    record::ConnectStatus,
    stripe::{CapabilityStatus, RequirementError},
};

use crate::{
    answer::Shown,
    auth::Caller,
    blocker::{self, Blocker},
    config::App,
    connect_onboarding::run_of,
    handle::permitted,
    moment::{maybe_moment, moment},
    permission::Permission,
    problem::{Refused, refusals},
    tag::Tag,
};

/// Where a connected account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectState {
    /// Nothing was begun, or it failed.
    NotStarted,
    /// The creator has the form to fill in.
    Onboarding,
    /// Stripe is checking.
    PendingVerification,
    /// May sell.
    Connected,
    /// May not sell until something is mended.
    Restricted,
    /// Refused by Stripe for good.
    Rejected,
    /// The creator took the access back.
    Disconnected,
}

impl ConnectState {
    /// What the API calls a status.
    pub fn of(status: ConnectStatus) -> Self {
        match status {
            ConnectStatus::NotStarted => Self::NotStarted,
            ConnectStatus::Onboarding => Self::Onboarding,
            ConnectStatus::PendingVerification => Self::PendingVerification,
            ConnectStatus::Connected => Self::Connected,
            ConnectStatus::Restricted => Self::Restricted,
            ConnectStatus::Rejected => Self::Rejected,
            ConnectStatus::Disconnected => Self::Disconnected,
        }
    }
}

/// A handle's connected account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct ConnectView {
    /// Where it stands.
    pub status: ConnectState,
    /// May take charges.
    pub charges_enabled: bool,
    /// May be paid out.
    pub payouts_enabled: bool,
    /// The capabilities that were asked for, by Stripe's names.
    pub capabilities: Vec<CapabilityView>,
    /// What Stripe wants, in Stripe's words.
    pub requirements: RequirementsView,
    /// What keeps the creator from taking payments, or soon will, in plain words.
    pub blockers: Vec<Blocker>,
    /// Stripe's id of the account: `acct_…`
    pub account_id: Option<String>,
    /// Accounts that the handle has left: what was sold through them is reversed through them.
    pub past_accounts: Vec<PastAccountView>,
    /// Why the account or the last link could not be made.
    pub failure: Option<String>,
    /// The run behind it: `run_…`
    pub run_id: Option<String>,
    /// When this last changed.
    pub updated_at: Option<OffsetDateTime>,
}

/// What Stripe wants: `account.requirements`.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub struct RequirementsView {
    /// Fields due by the deadline.
    pub currently_due: Vec<String>,
    /// Fields whose deadline passed.
    pub past_due: Vec<String>,
    /// Fields that will be due, without a date.
    pub eventually_due: Vec<String>,
    /// Fields that Stripe is checking.
    pub pending_verification: Vec<String>,
    /// What was wrong with what was given.
    pub errors: Vec<RequirementErrorView>,
    /// When capabilities are lost if `currentlyDue` stays open.
    pub current_deadline: Option<OffsetDateTime>,
    /// Why the account is disabled, if it is.
    pub disabled_reason: Option<String>,
}

/// Something that an account may do.
#[derive(Debug, Object)]
#[oai(rename = "Capability", rename_all = "camelCase")]
pub struct CapabilityView {
    /// `transfers`, `card_payments`
    pub name: String,
    /// Whether it can be used.
    pub status: CapabilityState,
}

/// Whether a capability can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapabilityState {
    /// It can be used.
    Active,
    /// Stripe is checking.
    Pending,
    /// It cannot be used.
    Inactive,
}

impl CapabilityState {
    fn of(status: CapabilityStatus) -> Self {
        match status {
            CapabilityStatus::Active => Self::Active,
            CapabilityStatus::Pending => Self::Pending,
            CapabilityStatus::Inactive => Self::Inactive,
        }
    }
}

/// Why Stripe did not accept what was given for a field.
#[derive(Debug, Object)]
#[oai(rename = "RequirementError", rename_all = "camelCase")]
pub struct RequirementErrorView {
    /// The field.
    pub field: String,
    /// Stripe's code.
    pub code: String,
    /// For a person.
    pub reason: String,
}

impl RequirementErrorView {
    fn of(error: RequirementError) -> Self {
        Self { field: error.requirement, code: error.code, reason: error.reason }
    }
}

/// An account that a handle has left.
#[derive(Debug, Object)]
#[oai(rename = "PastAccount", rename_all = "camelCase")]
pub struct PastAccountView {
    /// Stripe's id of it: `acct_…`
    pub account_id: String,
    /// When the handle went on with another.
    pub left_at: OffsetDateTime,
}

refusals!(GetConnectStatus: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);

/// Where connected accounts stand.
pub struct ConnectStatuses;

#[OpenApi(tag = "Tag::Connect")]
impl ConnectStatuses {
    /// Where the connected account stands
    ///
    /// `blockers` says in plain words what is missing, what to do, until when, and what happens else. What
    /// Stripe wants is given in its own form: ask for a fresh link with `POST …/connect/onboarding`. A link is
    /// used up by opening it, so none is kept here.
    #[oai(
        path = "/v2/handles/:handle/connect/status",
        method = "get",
        operation_id = "getConnectStatus"
    )]
    async fn status(
        &self,
        request: &Request,
        caller: Caller,
        /// The handle, as it stands in addresses.
        handle: Path<String>,
    ) -> Result<Shown<ConnectView>, Refused<GetConnectStatus>> {
        let app = App::of(request)?;
        let handle = permitted(app, &caller.0, &handle.0, Permission::ConnectRead).await?;
        let db = app.engine.database().read();
        let account = connect_account::of_handle(db, handle.id).await?;
        let past = connect_account_past::of_handle(db, handle.id).await?;
        let account = account.as_ref();
        let due = blocker::requirements_of(account)?;
        let capabilities: BTreeMap<String, CapabilityStatus> = match account {
            Some(account) => serde_json::from_str(&account.capabilities)?,
            None => BTreeMap::new(),
        };
        Ok(Shown::of(ConnectView {
            status: ConnectState::of(blocker::status_of(account)),
            charges_enabled: account.is_some_and(|account| account.charges_enabled),
            payouts_enabled: account.is_some_and(|account| account.payouts_enabled),
            capabilities: capabilities
                .into_iter()
                .map(|(name, status)| CapabilityView { name, status: CapabilityState::of(status) })
                .collect(),
            requirements: RequirementsView {
                currently_due: due.currently_due,
                past_due: due.past_due,
                eventually_due: due.eventually_due,
                errors: due.errors.into_iter().map(RequirementErrorView::of).collect(),
                pending_verification: due.pending_verification,
                current_deadline: due.current_deadline.map(|at| moment(at.millis())),
                disabled_reason: due.disabled_reason,
            },
            blockers: blocker::blockers(account)?,
            account_id: account.and_then(|account| account.account_id.clone()),
            past_accounts: past
                .into_iter()
                .map(|past| PastAccountView {
                    account_id: past.account_id,
                    left_at: moment(past.left_at),
                })
                .collect(),
            failure: account.and_then(|account| account.failure.clone()),
            run_id: account.map(|_| run_of(&handle).to_string()),
            updated_at: maybe_moment(account.map(|account| account.updated_at)),
        }))
    }
}
