//! Effects are data: what a step asks of the outside world, what comes back, and how it can fail.
//!
//! An effect holds absolute values (amounts, `expires_at`), so that a retry asks for the same thing.

use serde::{Deserialize, Serialize};

use crate::{
    group_buy::{News, Outcome, Refusal},
    id::{
        CheckoutId, GroupBuyId, HandleId, LoginLinkId, MagicLinkId, OnboardingLinkId, PageId,
        PlanLinkId, RefundId, VisitorId,
    },
    money::Money,
    stripe,
    timestamp::Timestamp,
};

/// Something that leaves the house, or that is too big for a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Effect {
    /// Create an Express account. <https://docs.stripe.com/api/accounts/create>
    CreateAccount {
        /// Whose.
        handle: HandleId,
        /// ISO 3166 two-letter country; Stripe's default (the platform's) when absent.
        country: Option<String>,
    },
    /// Mint a single-use onboarding link. <https://docs.stripe.com/api/account_links/create>
    CreateAccountLink {
        /// `acct_…`
        account: String,
        /// Which wish it answers, and whose.
        #[serde(default)]
        request: LinkRequest,
        /// Where Stripe sends the creator afterwards, and when the link is used up.
        urls: OnboardingUrls,
    },
    /// Read an account as it is now.
    RetrieveAccount {
        /// `acct_…`
        account: String,
        /// When the reading was begun: only the answer to the newest counts.
        #[serde(default)]
        begun_at: Timestamp,
    },
    /// Mint a single-use link to the Express dashboard.
    /// <https://docs.stripe.com/api/accounts/login_link/create>
    CreateLoginLink {
        /// `acct_…`
        account: String,
        /// Which wish it answers.
        request: LoginLinkId,
    },
    /// Create a Checkout Session with a destination charge. <https://docs.stripe.com/connect/destination-charges>
    CreateCheckoutSession(Box<SessionRequest>),
    /// Read a session as it is now.
    RetrieveCheckoutSession {
        /// `cs_…`
        session: String,
    },
    /// Expire an open session; a session that is no longer open is read instead.
    ExpireCheckoutSession {
        /// `cs_…`
        session: String,
    },
    /// Give a payment back, or a part of it, with that part of the transfer and of the platform's fee.
    /// <https://docs.stripe.com/api/refunds/create>
    CreateRefund {
        /// `pi_…`
        payment_intent: String,
        /// Minor units to give back.
        amount: i64,
        /// Whether the platform's fee goes back too. Stripe refuses the question when there was no fee.
        fee: FeeReturn,
        /// Whether the creator's part comes back with it. All that versions before this asked for did.
        #[serde(default)]
        transfer: TransferReturn,
        /// What asks for it. Absent in what versions before there were refund runs asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<RefundId>,
        /// Whose payment it is. Absent in the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkout: Option<CheckoutId>,
    },
    /// Read a refund as it is now. Only asked for by versions before there were refund runs.
    RetrieveRefund {
        /// `re_…`
        refund: String,
    },
    /// Read a payment's charge as it is now, with its transfer, its fee, its refunds and its disputes.
    /// <https://docs.stripe.com/api/charges/object>
    RetrieveCharge {
        /// `pi_…`
        payment_intent: String,
        /// Which reading this is: only the answer to the newest counts.
        reading: u32,
    },
    /// Take a part of a transfer back from the creator, since the buyer's bank has taken it from the platform,
    /// or the buyer was given it back without. <https://docs.stripe.com/api/transfer_reversals/create>
    ReverseTransfer {
        /// `tr_…`
        transfer: String,
        /// Minor units to take back.
        amount: i64,
        /// Whether the creator gets that part of the platform's fee back.
        fee: FeeReturn,
        /// `dp_…` or `re_…`: why.
        cause: String,
    },
    /// Pass on again what was taken from a creator for nothing.
    /// <https://docs.stripe.com/api/transfers/create>
    CreateTransfer {
        /// `acct_…`: the account that was paid at first.
        account: String,
        /// How much.
        amount: Money,
        /// `re_…` that failed, or `dp_…` that was won.
        cause: String,
        /// Whose payment it was.
        checkout: CheckoutId,
        /// Under which a reading of the payment finds it: see [`stripe::transfer_group`].
        group: String,
    },
    /// Create the customer that a handle is to the platform. <https://docs.stripe.com/api/customers/create>
    CreateCustomer {
        /// Whose.
        handle: HandleId,
        /// As people read it.
        name: String,
    },
    /// Create a Checkout Session for a subscription. <https://docs.stripe.com/billing/subscriptions/build-subscriptions>
    CreatePlanSession(Box<PlanSessionRequest>),
    /// Expire an open session for a subscription; one that is no longer open is left as it is.
    ExpirePlanSession {
        /// `cs_…`
        session: String,
    },
    /// Mint a short-lived link to the billing portal. <https://docs.stripe.com/api/customer_portal/sessions/create>
    CreatePortalSession {
        /// `cus_…`
        customer: String,
        /// Where Stripe sends the creator afterwards.
        return_url: String,
        /// Which request it answers; none, where it was made before requests had ids.
        #[serde(default)]
        request: Option<PlanLinkId>,
    },
    /// Read a customer's subscriptions and paid invoices as they are now.
    RetrieveBilling {
        /// `cus_…`
        customer: String,
        /// Which reading this is: only the answer to the newest counts.
        reading: u32,
    },
    /// Send a mail, once as far as SMTP allows.
    SendMail(Mail),
    /// Tell the outside that a page is on sale, or no longer.
    SyncMarker {
        /// Which page.
        page: PageId,
        /// The page's version that the marker speaks of.
        version: i32,
        /// On sale, or not.
        marker: Marker,
    },
    /// Local: fold the new ledger transactions of a handle into its earnings.
    RollUp {
        /// Whose.
        handle: HandleId,
    },
    /// Local: tell a page of the open purchases that pay an account to close.
    CloseCheckouts {
        /// Whose.
        handle: HandleId,
        /// `acct_…`
        account: String,
        /// Purchases up to this one are too old, or were told.
        after: CheckoutId,
    },
    /// Local: end a group buy, unless it has ended.
    EndGroupBuy {
        /// Which.
        group_buy: GroupBuyId,
        /// How, if it is still open.
        refusal: Refusal,
    },
    /// Local: list a page of the visitors who were interested in a group buy after a change, and are still.
    ListInterested {
        /// In which.
        group_buy: GroupBuyId,
        /// From after this position in the order of the interests.
        after: i64,
        /// The change: interests that began later, or had ended by then, are not meant.
        through: i64,
    },
    /// Local: hash the list of the interests that activated a group buy.
    SealActivation {
        /// Which.
        group_buy: GroupBuyId,
    },
}

/// Where Stripe sends the creator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OnboardingUrls {
    /// After the form. `{token}` in either address becomes a proof, made when the link is minted and stored
    /// nowhere, that whoever comes back was the one who had the link.
    pub return_url: String,
    /// When the link was used or has expired.
    pub refresh_url: String,
}

/// Which link to the form is wanted, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkRequest {
    /// The wish.
    pub id: OnboardingLinkId,
    /// Whose wish: the `sub` of their token. Nobody's, if it was stored before this was asked.
    pub subject: String,
    /// Asked for with the proof of a used link: when the first of these links was asked for by somebody who
    /// was signed in. Every later proof counts from then, so that used links do not lead on for ever.
    pub proven_at: Option<Timestamp>,
}

/// All that Stripe needs to know of a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRequest {
    /// The purchase.
    pub checkout: CheckoutId,
    /// The connected account that gets the creator's part.
    pub account: String,
    /// The line on the payment page.
    pub title: String,
    /// What the buyer pays.
    pub price: Money,
    /// The platform's part, minor units.
    pub fee: i64,
    /// Prefilled on the payment page; the signed-in visitor gets the entitlement whatever is typed there.
    pub email: String,
    /// Where the buyer goes after paying.
    pub success_url: String,
    /// Where the buyer goes without paying.
    pub cancel_url: String,
    /// When the session closes by itself.
    pub expires_at: Timestamp,
}

/// All that Stripe needs to know of a subscription to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanSessionRequest {
    /// Whose plan.
    pub handle: HandleId,
    /// `cus_…`
    pub customer: String,
    /// `price_…`
    pub price: String,
    /// Where the creator goes after subscribing.
    pub success_url: String,
    /// Where the creator goes without subscribing.
    pub cancel_url: String,
    /// When the session closes by itself.
    pub expires_at: Timestamp,
    /// Which request it answers; none, where it was made before requests had ids.
    #[serde(default)]
    pub request: Option<PlanLinkId>,
}

/// Whether the application fee is given back with a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeReturn {
    /// In proportion.
    Returned,
    /// There was none.
    NoFee,
}

/// Whether the creator's part comes back with a refund.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferReturn {
    /// Stripe reverses the charge's transfer by as much.
    #[default]
    Returned,
    /// Not with it: the charge's transfer has less left. It is taken back from what was passed on later.
    Apart,
}

/// Every mail that Sluice sends. The performer looks up the address and the words; no mail address and no
/// secret is kept in an effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mail {
    /// The link and code to sign in with.
    MagicLink(MagicLinkId),
    /// A purchase was settled.
    Receipt(CheckoutId),
    /// A second payment for the same page was given back.
    DuplicateRefunded(CheckoutId),
    /// Money is on its way back.
    Refunded(RefundId),
    /// Money that was on its way back did not arrive.
    RefundFailed(RefundId),
    /// A purchase was given back, since the interest that it needed was withdrawn.
    InterestRefunded(CheckoutId),
    /// What became of a group buy, to somebody who is interested.
    GroupBuy {
        /// Of which.
        group_buy: GroupBuyId,
        /// To whom.
        visitor: VisitorId,
        /// What became of it.
        news: News,
    },
}

/// Whether a page is on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Marker {
    /// On sale.
    Published,
    /// No longer.
    Unpublished,
}

/// What an effect came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The account exists.
    AccountCreated {
        /// `acct_…`
        account: String,
    },
    /// The link was minted.
    AccountLinkCreated {
        /// Single use, and a secret.
        url: String,
        /// A few minutes after.
        expires_at: Timestamp,
    },
    /// The account as it is.
    AccountRetrieved(stripe::Account),
    /// The link was minted.
    LoginLinkCreated {
        /// Single use, and a secret.
        url: String,
    },
    /// The session is open.
    SessionCreated {
        /// `cs_…`
        session: String,
        /// Where the buyer pays.
        url: String,
    },
    /// The session as it is.
    SessionRetrieved(stripe::Session),
    /// The refund was accepted.
    RefundCreated(stripe::Refund),
    /// The refund as it is.
    RefundRetrieved(stripe::Refund),
    /// The charge as it is.
    ChargeRetrieved(Box<stripe::Charge>),
    /// A part of the transfer came back.
    TransferReversed {
        /// `trr_…`
        reversal: String,
    },
    /// The creator has it again.
    TransferCreated {
        /// `tr_…`
        transfer: String,
    },
    /// The customer exists.
    CustomerCreated {
        /// `cus_…`
        customer: String,
    },
    /// The session for a subscription is open.
    PlanSessionCreated {
        /// `cs_…`
        session: String,
        /// Where the creator subscribes: a secret.
        url: String,
    },
    /// The session for a subscription is not open, whatever became of it.
    PlanSessionClosed,
    /// The link to the billing portal was minted.
    PortalSessionCreated {
        /// A secret: whoever opens it acts as the creator.
        url: String,
        /// A few minutes after.
        expires_at: Timestamp,
    },
    /// What a customer pays for.
    BillingRetrieved(stripe::Billing),
    /// The mail server took it.
    MailSent,
    /// The outside knows.
    MarkerSynced,
    /// The earnings include that many more ledger transactions.
    RolledUp {
        /// How many were folded.
        transactions: i64,
    },
    /// A page of open purchases was told.
    CheckoutsClosed {
        /// The last one that was told, if there may be more.
        after: Option<CheckoutId>,
    },
    /// A group buy has ended, now or before.
    GroupBuyEnded {
        /// How.
        outcome: Outcome,
        /// The last change of its interests by then.
        through: i64,
    },
    /// A page of those who are interested.
    InterestedListed {
        /// In the order of their interests.
        visitors: Vec<VisitorId>,
        /// The position of the last one, if there may be more.
        after: Option<i64>,
    },
    /// The list of an activation's interests is hashed.
    ActivationSealed {
        /// SHA-256, hexadecimal.
        hash: String,
    },
    /// It will not happen.
    Failed(Failure),
}

/// Why an effect will not happen: a permanent answer, or an operator's decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// Stable and short: Stripe's error code, or `discarded`.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// The queues of the outbox: one for each kind of work, so that slow mail never holds up Stripe.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Queue {
    /// Calls to Stripe.
    Stripe,
    /// Mail that somebody waits for.
    Mail,
    /// Markers to the outside.
    Marker,
    /// Mail by the thousand: what became of a group buy. Nobody's sign-in waits behind it.
    News,
    /// Work on our own database, done and answered in one transaction.
    Local,
}

impl Effect {
    /// The queue that performs it.
    pub fn queue(&self) -> Queue {
        match self {
            Self::CreateAccount { .. }
            | Self::CreateAccountLink { .. }
            | Self::RetrieveAccount { .. }
            | Self::CreateLoginLink { .. }
            | Self::CreateCheckoutSession(_)
            | Self::RetrieveCheckoutSession { .. }
            | Self::ExpireCheckoutSession { .. }
            | Self::CreateRefund { .. }
            | Self::RetrieveRefund { .. }
            | Self::RetrieveCharge { .. }
            | Self::ReverseTransfer { .. }
            | Self::CreateTransfer { .. }
            | Self::CreateCustomer { .. }
            | Self::CreatePlanSession(_)
            | Self::ExpirePlanSession { .. }
            | Self::CreatePortalSession { .. }
            | Self::RetrieveBilling { .. } => Queue::Stripe,
            Self::SendMail(Mail::GroupBuy { .. }) => Queue::News,
            Self::SendMail(_) => Queue::Mail,
            Self::SyncMarker { .. } => Queue::Marker,
            Self::RollUp { .. }
            | Self::CloseCheckouts { .. }
            | Self::EndGroupBuy { .. }
            | Self::ListInterested { .. }
            | Self::SealActivation { .. } => Queue::Local,
        }
    }
}
