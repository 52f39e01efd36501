//! Blockers: what keeps a creator from taking payments, in plain words.
//! <https://docs.stripe.com/connect/handling-api-verification>

use entities::connect_account::ConnectAccount;
use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use workflows::{record::ConnectStatus, stripe::Requirements};

use crate::{codes::Code, moment::moment, problem::Problem};

/// What keeps a creator from taking payments, or soon will.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct Blocker {
    /// Stable, snake case: `bank_account`, `identity_document`, `verification_pending` …
    pub code: String,
    /// Stripe's name of the field, where one field is meant.
    pub field: Option<String>,
    /// What is missing, in plain words.
    pub message: String,
    /// Until when, if Stripe has set a date.
    pub deadline: Option<OffsetDateTime>,
    /// What it prevents.
    pub effect: BlockerEffect,
}

/// What a blocker prevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(clippy::enum_variant_names, reason = "each says what is not to be had")]
pub enum BlockerEffect {
    /// No payments can be taken and nothing can be published for sale.
    NoSales,
    /// Payments are taken until the deadline, and not after it.
    NoSalesAfterDeadline,
    /// Sales go on, money is not paid out.
    NoPayouts,
}

/// The status of a handle's account; a handle without one has not started.
pub fn status_of(account: Option<&ConnectAccount>) -> ConnectStatus {
    account.and_then(|account| account.status.parse().ok()).unwrap_or(ConnectStatus::NotStarted)
}

/// What Stripe wants of an account.
pub fn requirements_of(account: Option<&ConnectAccount>) -> Result<Requirements, Problem> {
    match account.map(|account| account.requirements.as_str()) {
        // The row is made before the account was first read.
        None | Some("" | "{}") => Ok(Requirements::default()),
        Some(json) => Ok(serde_json::from_str(json)?),
    }
}

/// The account that can be paid, or what is missing.
pub fn expect_connected(account: Option<&ConnectAccount>) -> Result<String, Problem> {
    let id = account.and_then(|account| account.account_id.clone());
    match (status_of(account), id) {
        (ConnectStatus::Connected, Some(id)) => Ok(id),
        _ => {
            let blockers = blockers(account)?;
            let first = blockers.first().map(|blocker| blocker.message.clone());
            let detail = first.unwrap_or_else(|| "the account is not connected".to_owned());
            Err(Problem { blockers, ..Problem::new(Code::ConnectNotReady, detail) })
        }
    }
}

/// Everything that keeps, or will keep, a creator from taking payments.
pub fn blockers(account: Option<&ConnectAccount>) -> Result<Vec<Blocker>, Problem> {
    let due = requirements_of(account)?;
    let status = status_of(account);
    let payouts = account.is_some_and(|account| account.payouts_enabled);
    let mut blockers: Vec<_> = of_status(status).into_iter().collect();
    let missing = match status {
        ConnectStatus::Rejected | ConnectStatus::Disconnected => return Ok(blockers),
        ConnectStatus::Connected => BlockerEffect::NoSalesAfterDeadline,
        _ => BlockerEffect::NoSales,
    };
    let deadline = due.current_deadline.map(|at| moment(at.millis()));
    for field in &due.past_due {
        let effect = if payouts { missing } else { BlockerEffect::NoSales };
        blockers.push(of_field(field, None, effect));
    }
    for field in due.currently_due.iter().filter(|field| !due.past_due.contains(field)) {
        blockers.push(of_field(field, deadline, missing));
    }
    // What Stripe is checking hinders only those who may not sell yet.
    if status != ConnectStatus::Connected && !due.pending_verification.is_empty() {
        blockers.push(pending(&due.pending_verification));
    }
    if status == ConnectStatus::Connected && !payouts {
        blockers.push(plain(
            "payouts_paused",
            "Stripe does not pay out to the account right now.",
            BlockerEffect::NoPayouts,
        ));
    }
    if blockers.is_empty() && status != ConnectStatus::Connected {
        blockers.push(disabled(due.disabled_reason.as_deref()));
    }
    Ok(blockers)
}

fn plain(code: &str, message: &str, effect: BlockerEffect) -> Blocker {
    let (code, message) = (code.to_owned(), message.to_owned());
    Blocker { code, field: None, message, deadline: None, effect }
}

fn of_status(status: ConnectStatus) -> Option<Blocker> {
    let (code, message) = match status {
        ConnectStatus::NotStarted => {
            ("onboarding_not_started", "Payments are not set up: start the onboarding with Stripe.")
        }
        ConnectStatus::Onboarding => (
            "onboarding_unfinished",
            "Stripe's form is not finished: open a new onboarding link and go on.",
        ),
        ConnectStatus::Rejected => {
            ("rejected", "Stripe has rejected the account for good; its support can say why.")
        }
        ConnectStatus::Disconnected => (
            "disconnected",
            "The account was disconnected from the platform: start the onboarding again.",
        ),
        ConnectStatus::PendingVerification
        | ConnectStatus::Connected
        | ConnectStatus::Restricted => return None,
    };
    Some(plain(code, message, BlockerEffect::NoSales))
}

fn pending(fields: &[String]) -> Blocker {
    let mut words: Vec<_> = fields.iter().map(|field| in_words(field).1).collect();
    words.dedup();
    let message =
        format!("Stripe is checking what was given: {}. Nothing has to be done.", words.join(", "));
    plain("verification_pending", &message, BlockerEffect::NoSales)
}

fn disabled(reason: Option<&str>) -> Blocker {
    let message = match reason {
        Some("requirements.pending_verification" | "pending_verification" | "under_review")
        | None => "Stripe is checking the account. Nothing has to be done.".to_owned(),
        Some("platform_paused") => {
            "The platform has paused the account: ask its support.".to_owned()
        }
        Some(reason) => {
            format!("Stripe has disabled the account ({reason}): its support can say why.")
        }
    };
    plain("account_disabled", &message, BlockerEffect::NoSales)
}

fn of_field(field: &str, deadline: Option<OffsetDateTime>, effect: BlockerEffect) -> Blocker {
    let (code, what) = in_words(field);
    let message = format!("Stripe still needs {what}.");
    Blocker { field: Some(field.to_owned()), deadline, ..plain(code, &message, effect) }
}

/// What each kind of field is called, by a part of Stripe's name for it; the first that fits counts.
const WORDS: &[(&str, &str, &str)] = &[
    ("external_account", "bank_account", "a bank account or card to pay out to"),
    ("tos_acceptance", "terms_acceptance", "the acceptance of its terms of service"),
    ("verification.additional_document", "address_document", "a document that proves the address"),
    ("verification.document", "identity_document", "a photo of an identity document"),
    ("verification.proof_of_liveness", "identity_document", "a live photo of the account's owner"),
    ("company.verification", "business_document", "a document about the business"),
    ("documents", "business_document", "a document about the business"),
    ("ssn_last_4", "tax_number", "the last digits of the social security number"),
    ("id_number", "tax_number", "a national identification or tax number"),
    ("tax_id", "tax_number", "the tax number of the business"),
    ("vat_id", "tax_number", "the VAT number of the business"),
    ("dob", "birth_date", "the date of birth"),
    ("address", "address", "a postal address"),
    ("phone", "phone", "a telephone number"),
    ("email", "email", "a mail address"),
    ("first_name", "name", "the first name"),
    ("last_name", "name", "the last name"),
    ("nationality", "nationality", "the nationality"),
    ("relationship", "relationship", "the relationship of a person to the business"),
    ("owners_provided", "owners", "the owners of the business"),
    ("directors_provided", "owners", "the directors of the business"),
    ("executives_provided", "owners", "the executives of the business"),
    ("business_profile.url", "business_profile", "the address of a web site"),
    ("business_profile.mcc", "business_profile", "the kind of business"),
    ("business_profile.product_description", "business_profile", "a description of what is sold"),
    ("business_profile", "business_profile", "details about the business"),
    ("business_type", "business_profile", "whether this is a person or a company"),
    ("company", "business_profile", "details about the company"),
];

/// A stable code and plain words for one of Stripe's fields.
fn in_words(field: &str) -> (&'static str, String) {
    match WORDS.iter().find(|(part, _, _)| field.contains(part)) {
        Some((_, code, words)) => (code, (*words).to_owned()),
        None => ("other", field.replace(['.', '_'], " ")),
    }
}
