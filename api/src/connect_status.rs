//! Where a connected account stands, what is missing, and the pages that Stripe sends creators back to.

use engine::Letter;
use entities::connect_account;
use poem::Request;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Html};
use time::OffsetDateTime;
use workflows::{
    Timestamp, connect_onboarding::Event, id::HandleId, message::Message, record::ConnectStatus,
};

use crate::{
    answer::Shown,
    auth::Caller,
    blocker::{self, Blocker},
    config::App,
    connect_onboarding::run_of,
    handle::{named, permitted},
    html::{self, HtmlPage},
    moment::{maybe_moment, moment},
    permission::Permission,
    problem::{Problem, Refused, refusals},
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
    /// What Stripe wants, in Stripe's words.
    pub requirements: RequirementsView,
    /// What keeps the creator from taking payments, or soon will, in plain words.
    pub blockers: Vec<Blocker>,
    /// Stripe's id of the account: `acct_…`
    pub account_id: Option<String>,
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
    /// Fields that Stripe is checking.
    pub pending_verification: Vec<String>,
    /// When capabilities are lost if `currentlyDue` stays open.
    pub current_deadline: Option<OffsetDateTime>,
    /// Why the account is disabled, if it is.
    pub disabled_reason: Option<String>,
}

refusals!(GetConnectStatus: Unauthorized, TokenInvalid, TokenExpired, Forbidden, UnknownHandle);
refusals!(ReturnFromStripe: UnknownHandle);

/// Where connected accounts stand.
pub struct Connect;

#[OpenApi(tag = "Tag::Connect")]
impl Connect {
    /// Where the connected account stands
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
        let account = connect_account::of_handle(app.engine.database().read(), handle.id).await?;
        let account = account.as_ref();
        let due = blocker::requirements_of(account)?;
        Ok(Shown::of(ConnectView {
            status: ConnectState::of(blocker::status_of(account)),
            charges_enabled: account.is_some_and(|account| account.charges_enabled),
            payouts_enabled: account.is_some_and(|account| account.payouts_enabled),
            requirements: RequirementsView {
                currently_due: due.currently_due,
                past_due: due.past_due,
                pending_verification: due.pending_verification,
                current_deadline: due.current_deadline.map(|at| moment(at.millis())),
                disabled_reason: due.disabled_reason,
            },
            blockers: blocker::blockers(account)?,
            account_id: account.and_then(|account| account.account_id.clone()),
            failure: account.and_then(|account| account.failure.clone()),
            run_id: account.map(|_| run_of(&handle).to_string()),
            updated_at: maybe_moment(account.map(|account| account.updated_at)),
        }))
    }

    /// Where Stripe sends creators after the form
    ///
    /// A page for people. The account is read again, once a minute at most.
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
    ) -> Result<HtmlPage, Refused<ReturnFromStripe>> {
        let app = App::of(request)?;
        look_again(app, &handle.0).await?;
        let text = "Stripe has what you gave. You can close this page: as soon as Stripe has checked it, \
                    you can sell.";
        Ok(HtmlPage::Page(Html(html::message("Thank you", text)?)))
    }

    /// Where Stripe sends creators whose link is no longer good
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
    ) -> Result<HtmlPage, Refused<ReturnFromStripe>> {
        let app = App::of(request)?;
        named(app.engine.database().read(), &handle.0).await?;
        let text = "The link was used or has expired. You can close this page and start the onboarding \
                    again: it goes on where it ended.";
        Ok(HtmlPage::Page(Html(html::message("This link is used up", text)?)))
    }
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
