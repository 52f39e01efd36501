//! What a retrieved account means. <https://docs.stripe.com/connect/handling-api-verification>

use crate::{record::ConnectStatus, stripe::Account};

/// Where an account stands. `disabled_reason` is an open set: one that nobody knows yet restricts.
pub(super) fn judge(account: &Account) -> ConnectStatus {
    let due = &account.requirements;
    let disabled = due.disabled_reason.as_deref();
    if disabled.is_some_and(|reason| reason.starts_with("rejected.")) {
        ConnectStatus::Rejected
    } else if account.can_be_paid() && account.payouts_enabled && disabled.is_none() {
        ConnectStatus::Connected
    } else if !account.details_submitted {
        ConnectStatus::Onboarding
    } else if due.currently_due.is_empty() && due.past_due.is_empty() && is_being_checked(account) {
        ConnectStatus::PendingVerification
    } else {
        ConnectStatus::Restricted
    }
}

/// Whether it is Stripe's turn. <https://docs.stripe.com/api/accounts/object#account_object-requirements-disabled_reason>
fn is_being_checked(account: &Account) -> bool {
    match account.requirements.disabled_reason.as_deref() {
        None
        | Some(
            "requirements.pending_verification"
            | "pending_verification"
            | "under_review"
            | "listed",
        ) => true,
        Some("platform_paused") => false,
        Some(_) => !account.requirements.pending_verification.is_empty(),
    }
}
