//! Records are data: what a step writes in the same transaction as its state, exactly once.
//!
//! A record never fails on data. One that can lose a race says so to the loser's run, as an event.

use serde::{Deserialize, Serialize};

use crate::{
    effect::Marker,
    id::{
        CheckoutId, DisputeId, GroupBuyId, HandleId, LoginLinkId, MagicLinkId, OnboardingLinkId,
        PageId, PayoutId, PlanLinkId, RefundId, SessionId, VisitorId,
    },
    ledger::{Sale, Transaction},
    message::Message,
    money::Money,
    payout::Report,
    plan::Plan,
    stripe,
    timestamp::Timestamp,
};

/// Something to write.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Post a ledger transaction, once for each key, and queue it for the rollup.
    Ledger(Transaction),
    /// Give a visitor access to a page. Where another grant stands, that one stays, and this run's checkout
    /// hears [`GrantLost`](crate::checkout::Event::GrantLost). Where an interest that it needs was withdrawn, it
    /// is not given, and the checkout hears [`InterestLost`](crate::checkout::Event::InterestLost).
    Grant(Grant),
    /// Say on what grounds a purchase gives access, or no longer does. Nothing, where another one has taken
    /// its place.
    Access(AccessUpdate),
    /// Bring the purchase's row up to date.
    Checkout(CheckoutUpdate),
    /// Bring a refund's row up to date; it comes into being with the first update.
    Refund(Box<RefundUpdate>),
    /// Bring a dispute's row up to date; it comes into being with the first update.
    Dispute(Box<DisputeUpdate>),
    /// Bring the connect account's row up to date.
    ConnectAccount(Box<ConnectAccountUpdate>),
    /// Keep an account that a handle has left, for what was sold through it.
    PastConnectAccount(PastConnectAccount),
    /// A link to Stripe's dashboard, or why there is none, for whoever asked for it.
    LoginLink(LoginLink),
    /// Bring the plan of a handle up to date.
    PlanSubscription(Box<PlanSubscriptionUpdate>),
    /// Bring a payout's row up to date.
    Payout(Box<PayoutUpdate>),
    /// From now on, events about this Stripe object go to this run.
    StripeObject(String),
    /// How far the page's marker is.
    Marker(MarkerUpdate),
    /// Sign a visitor in; the visitor comes into being with the first sign-in.
    VisitorSession(VisitorSession),
    /// Something that a person must decide, once for each key.
    OperatorCase(OperatorCase),
    /// A message to another run: an inbox row in the same transaction.
    Send(Message),
}

/// Access to a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Which page.
    pub page: PageId,
    /// Whose access.
    pub visitor: VisitorId,
    /// The purchase that it comes from.
    pub checkout: CheckoutId,
    /// On what grounds.
    pub kind: GrantKind,
    /// Group buys in which the visitor must be interested at this moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interests: Vec<GroupBuyId>,
}

/// On what grounds a visitor has access, or had it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantKind {
    /// Paid for.
    Paid,
    /// A page that is free for those who sign in, or a price of zero.
    Free,
    /// No access: the last of the money is back.
    Refunded,
    /// No access: it was taken away with a partial refund.
    Revoked,
    /// No access, until the buyer's bank has decided.
    Disputed,
    /// No access: the buyer's bank has taken the money back.
    ChargedBack,
}

impl GrantKind {
    /// Whether the visitor may read the page.
    pub fn is_access(self) -> bool {
        matches!(self, Self::Paid | Self::Free)
    }
}

/// On what grounds a purchase gives access from now on, or no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccessUpdate {
    /// To which page.
    pub page: PageId,
    /// Whose.
    pub visitor: VisitorId,
    /// The purchase that it comes from.
    pub checkout: CheckoutId,
    /// On what grounds.
    pub kind: GrantKind,
}

/// A refund's row, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefundUpdate {
    /// Which.
    pub refund: RefundId,
    /// Of which sale.
    pub sale: Sale,
    /// What the API calls the state.
    pub status: RefundStatus,
    /// What the buyer gets, or asked for; absent, as long as it is all that is left.
    pub amount: Option<Money>,
    /// Why it was asked for.
    pub reason: RefundReason,
    /// Who asked: the `sub` of a token. Absent where nobody of the handle's did.
    pub by: Option<String>,
    /// `re_…`
    pub stripe_refund: Option<String>,
    /// Why it waits, failed or was refused: a short code.
    pub failure: Option<String>,
}

/// What the API calls a refund's state.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// It was asked for.
    Requested,
    /// Stripe has it, the buyer has not.
    Pending,
    /// Given back.
    Succeeded,
    /// It could not be given back.
    Failed,
    /// It was called off.
    Canceled,
    /// There is not as much to give back, or not now.
    Rejected,
}

/// Why a refund was asked for.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundReason {
    /// The buyer wants it.
    #[default]
    RequestedByCustomer,
    /// The buyer paid twice.
    Duplicate,
    /// The buyer has withdrawn the interest that the purchase needs.
    InterestWithdrawn,
    /// The buyer is not who they said.
    Fraudulent,
    /// Made in Stripe's dashboard, for whatever reason.
    MadeAtStripe,
}

/// A dispute's row, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DisputeUpdate {
    /// Which.
    pub dispute: DisputeId,
    /// Of which sale.
    pub sale: Sale,
    /// What the API calls the state.
    pub status: DisputeStatus,
    /// As Stripe reported it.
    pub facts: stripe::Dispute,
}

/// What the API calls a dispute's state.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum DisputeStatus {
    /// Evidence is asked for; or the bank only asks, and took no money.
    Open,
    /// The bank has the evidence.
    UnderReview,
    /// The creator keeps the money.
    Won,
    /// The buyer has the money.
    Lost,
    /// It came to nothing.
    Closed,
}

/// Changes of a purchase's row; absent fields stay.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckoutUpdate {
    /// Which.
    pub checkout: CheckoutId,
    /// What the API calls the state.
    pub status: CheckoutStatus,
    /// `cs_…`
    pub session: Option<String>,
    /// Where the buyer pays.
    pub url: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// Why it failed, or waits for a person: a short code.
    pub reason: Option<String>,
}

/// What the API calls a checkout's state.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckoutStatus {
    /// The buyer may pay.
    Open,
    /// The money is on its way.
    Processing,
    /// Paid and posted.
    Settled,
    /// Closed without a payment.
    Expired,
    /// The payment or the session failed.
    Failed,
    /// What was paid differs from what was agreed; a person decides.
    InReview,
    /// Given back in full.
    Refunded,
    /// A part was given back.
    PartlyRefunded,
    /// The buyer's bank disputes the payment.
    Disputed,
    /// The buyer's bank has taken the payment back.
    ChargedBack,
}

/// The connect account's row, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConnectAccountUpdate {
    /// Whose.
    pub handle: HandleId,
    /// What the API calls the state. `None` leaves it.
    pub status: Option<ConnectStatus>,
    /// What was last retrieved. `None` leaves the facts as they are.
    pub account: Option<stripe::Account>,
    /// `acct_…`, as soon as it is known.
    pub account_id: Option<String>,
    /// What becomes of the single-use link.
    pub link: LinkChange,
    /// The newest wish for a link. `None` leaves it.
    pub request: Option<OnboardingLinkId>,
    /// Why the account or the link could not be made. It stays until the link is dropped or a fresh one set.
    pub failure: Option<String>,
}

/// An account that a handle has left.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PastConnectAccount {
    /// Whose.
    pub handle: HandleId,
    /// `acct_…`
    pub account: String,
}

/// A link to Stripe's dashboard, or why there is none. Whoever asked takes it, and it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoginLink {
    /// Which wish it answers.
    pub request: LoginLinkId,
    /// Whose.
    pub handle: HandleId,
    /// A secret: whoever opens it acts as the creator. Or why Stripe makes none.
    pub made: Result<String, String>,
}

/// What becomes of the single-use onboarding link in the row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkChange {
    /// It stays, until it expires.
    Keep,
    /// It is dropped.
    Drop,
    /// A fresh one.
    Set(OnboardingLink),
}

/// A single-use onboarding link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OnboardingLink {
    /// A secret: whoever opens it acts as the creator.
    pub url: String,
    /// A few minutes after it was minted.
    pub expires_at: Timestamp,
}

/// What the API calls the state of a connect account.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ConnectStatus {
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

/// The plan of a handle, as it stands: the whole row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanSubscriptionUpdate {
    /// Whose.
    pub handle: HandleId,
    /// The plan that counts.
    pub plan: Plan,
    /// Why it counts.
    pub source: PlanSource,
    /// How the subscription stands.
    pub status: PlanStatus,
    /// Why the plan was set by hand, where it was.
    pub reason: Option<String>,
    /// `cus_…`
    pub customer: Option<String>,
    /// As it was last retrieved.
    pub subscription: Option<stripe::Subscription>,
    /// Until when a plan whose payment failed is kept.
    pub grace_until: Option<Timestamp>,
    /// What becomes of the link in the row, or of why there is none.
    pub link: PlanLinkChange,
}

/// Why a plan counts.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanSource {
    /// Nothing says otherwise.
    Default,
    /// It is subscribed to.
    Stripe,
    /// It was set by hand, and wins until that is cleared.
    Manual,
}

/// What the API calls the state of a plan's subscription.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanStatus {
    /// There is none, or it has ended.
    None,
    /// The creator has the page to subscribe on.
    Pending,
    /// Paid.
    Active,
    /// A payment failed; the plan is kept for a while.
    PastDue,
    /// A payment failed, and the while is over.
    Lapsed,
}

/// What becomes of the link in the row, or of why there is none. Whoever asked last has the row's place for
/// it: others are told by that, that theirs is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanLinkChange {
    /// Either stays, the link until it expires.
    Keep,
    /// Both are dropped.
    Drop,
    /// Both are dropped: a link is made for this request.
    Asked(Option<PlanLinkId>),
    /// A fresh one.
    Set(PlanLink),
    /// There is none.
    Failed(PlanLinkFailure),
}

/// Why there is no link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanLinkFailure {
    /// Which request it answers, if any.
    pub request: Option<PlanLinkId>,
    /// What Stripe says, for a person.
    pub message: String,
}

/// A short-lived link to a page of Stripe's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanLink {
    /// Which request it answers; none, where it was made before requests had ids.
    pub request: Option<PlanLinkId>,
    /// What for.
    pub purpose: PlanLinkPurpose,
    /// A secret: whoever opens it acts as the creator.
    pub url: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PlanLinkPurpose {
    /// To subscribe.
    Checkout,
    /// To change or cancel, and to see invoices.
    Portal,
}

/// A payout, as it stands: the whole row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayoutUpdate {
    /// Which.
    pub payout_id: PayoutId,
    /// Whose it is, and how it stands.
    pub report: Report,
}

/// How far the outside knows about a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MarkerUpdate {
    /// Which page.
    pub page: PageId,
    /// The version that the outside was told.
    pub version: i32,
    /// What it was told.
    pub marker: Marker,
    /// How far that is.
    pub sync: SyncStatus,
}

/// How far a marker is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum SyncStatus {
    /// On its way.
    Syncing,
    /// The outside knows.
    Synced,
    /// The outside refused it.
    Failed,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VisitorSession {
    /// The link that was used.
    pub link: MagicLinkId,
    /// The new session.
    pub session: SessionId,
    /// The visitor to create, should the address be new.
    pub visitor: VisitorId,
    /// The keyed hash of the cookie's token, hexadecimal.
    pub token_hash: String,
    /// 30 days on.
    pub expires_at: Timestamp,
}

/// Something that a person must decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperatorCase {
    /// What kind of thing.
    pub kind: CaseKind,
    /// One case for each kind and key: a Stripe id.
    pub key: String,
    /// What happened, and what to do.
    pub detail: String,
}

/// Kinds of operator cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CaseKind {
    /// What was paid is not what was agreed.
    AmountMismatch,
    /// The duplicate's money could not be given back.
    DuplicateNotRefunded,
    /// A refund failed after it was said to have succeeded.
    RefundFailed,
    /// What came back of the fee is not its part of what came back of the transfer.
    FeeShareDiffers,
    /// What a bank took could not be taken back from the creator.
    ReversalRefused,
    /// What was taken from a creator for nothing could not be passed on again.
    TransferRefused,
    /// A card network believes that a payment is fraud.
    EarlyFraudWarning,
    /// Stripe reported a fee in another currency than the sale's.
    FeeCurrency,
    /// Money came back in another currency than the sale's.
    ReturnsCurrency,
    /// What came back of a payment cannot be read.
    PaymentUnreadable,
    /// An event of Stripe's that no run knows.
    UnmatchedWebhook,
    /// A handle pays for more than one subscription.
    SeveralSubscriptions,
    /// A handle is subscribed to a price that is no plan's.
    UnknownPrice,
    /// Stripe does not know the customer that a handle is.
    CustomerMissing,
    /// A handle's earnings are not what its ledger comes to.
    EarningsDifference,
    /// Stripe moved money, and the ledger has no posting for it.
    MissingHere,
    /// The ledger has a posting, and Stripe moved no money.
    MissingAtStripe,
    /// Stripe moved another amount than was posted.
    AmountDiffers,
}
