//! The chapters of the documentation.

use poem_openapi::Tags;

/// The chapters of the documentation.
#[derive(Tags)]
pub enum Tag {
    /// Creators' handles.
    Handles,
    /// Who may do what: members, access tokens, and what they did.
    Access,
    /// How a creator comes to be able to take payments: Stripe Connect.
    Connect,
    /// What is read, and what is sold.
    Pages,
    /// What is sold once enough people want it: group buys, and the offers that they open.
    GroupBuys,
    /// What was bought, and what of it goes back: refunds and disputes.
    Returns,
    /// What came in, and what is whose.
    Earnings,
    /// The plans of handles: what they allow, and how they are paid.
    Billing,
    /// Signing in with a link in a mail.
    Visitors,
    /// What everybody may see, and what a visitor buys.
    Public,
    /// Events of Stripe's.
    Webhooks,
    /// What happens behind an answer: each piece of business, its timeline and what it waits for.
    Runs,
    /// For those who run the service.
    Service,
}
