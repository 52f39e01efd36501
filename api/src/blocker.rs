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
    /// What to do about it.
    pub action: String,
    /// Until when, if Stripe has set a date.
    pub deadline: Option<OffsetDateTime>,
    /// What it prevents.
    pub effect: BlockerEffect,
    /// What it prevents, in plain words, with the date: "Payouts and new sales stop on 3 May 2027."
    pub consequence: String,
}

/// What a blocker prevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BlockerEffect {
    /// No payments can be taken and nothing can be published for sale.
    NoSales,
    /// Payments are taken until the deadline, and not after it.
    NoSalesAfterDeadline,
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

/// The account that can be paid, or what is missing: for the handle's own people.
pub fn expect_connected(account: Option<&ConnectAccount>) -> Result<String, Problem> {
    match connected(account) {
        Some(id) => Ok(id),
        None => Err(not_ready(blockers(account)?)),
    }
}

/// The account that can be paid, or why there is none: for visitors, whom the creator's papers do not concern.
pub fn expect_seller(account: Option<&ConnectAccount>) -> Result<String, Problem> {
    connected(account).ok_or_else(|| not_ready(vec![for_visitors(status_of(account))]))
}

fn connected(account: Option<&ConnectAccount>) -> Option<String> {
    let id = account.and_then(|account| account.account_id.clone());
    id.filter(|_| status_of(account) == ConnectStatus::Connected)
}

/// The refusal, with what is missing.
pub fn not_ready(blockers: Vec<Blocker>) -> Problem {
    let detail = match blockers.as_slice() {
        [] => "the account is not connected".to_owned(),
        [only] => only.in_words(),
        [first, rest @ ..] => {
            format!("{} There is more: see the {} other blockers.", first.in_words(), rest.len())
        }
    };
    let mut problem = Problem::new(Code::ConnectNotReady, detail);
    for blocker in &blockers {
        if let Some(field) = &blocker.field {
            problem = problem.blaming(field, blocker.message.clone());
        }
    }
    Problem { blockers, ..problem }
}

/// Why a creator cannot sell, without what it is that Stripe wants of them.
fn for_visitors(status: ConnectStatus) -> Blocker {
    let (code, message) = match status {
        ConnectStatus::NotStarted | ConnectStatus::Onboarding => {
            ("onboarding_unfinished", "The creator has not set payments up yet.")
        }
        ConnectStatus::PendingVerification => {
            ("verification_pending", "Stripe is still checking the creator's account.")
        }
        ConnectStatus::Restricted | ConnectStatus::Connected => {
            ("account_restricted", "Stripe has restricted the creator's account.")
        }
        ConnectStatus::Rejected => ("rejected", "Stripe has rejected the creator's account."),
        ConnectStatus::Disconnected => {
            ("disconnected", "The creator has disconnected the account that is paid.")
        }
    };
    plain(code, message, "Come back later, or ask the creator.", BlockerEffect::NoSales)
}

impl Blocker {
    fn in_words(&self) -> String {
        format!("{} {} {}", self.message, self.action, self.consequence)
    }
}

/// Everything that keeps, or will keep, a creator from taking payments.
pub fn blockers(account: Option<&ConnectAccount>) -> Result<Vec<Blocker>, Problem> {
    let due = requirements_of(account)?;
    let status = status_of(account);
    let mut blockers: Vec<_> = of_status(status).into_iter().collect();
    let effect = match status {
        ConnectStatus::Rejected | ConnectStatus::Disconnected => return Ok(blockers),
        ConnectStatus::Connected => BlockerEffect::NoSalesAfterDeadline,
        _ => BlockerEffect::NoSales,
    };
    let deadline = due.current_deadline.map(|at| moment(at.millis()));
    for field in &due.past_due {
        blockers.push(of_field(&due, field, None, effect));
    }
    for field in due.currently_due.iter().filter(|field| !due.past_due.contains(field)) {
        blockers.push(of_field(&due, field, deadline, effect));
    }
    // What Stripe is checking hinders only those who may not sell yet.
    if status != ConnectStatus::Connected && !due.pending_verification.is_empty() {
        blockers.push(pending(&due.pending_verification));
    }
    if blockers.is_empty() && status != ConnectStatus::Connected {
        blockers.push(disabled(due.disabled_reason.as_deref()));
    }
    // Nothing is sold through an account that is not paid out.
    if status == ConnectStatus::Restricted
        && account.is_some_and(|account| account.charges_enabled && !account.payouts_enabled)
    {
        blockers.push(plain(
            "payouts_paused",
            "Stripe does not pay out to the account right now.",
            "Do what else is listed here, or ask Stripe's support.",
            BlockerEffect::NoSales,
        ));
    }
    Ok(blockers)
}

fn plain(code: &str, message: &str, action: &str, effect: BlockerEffect) -> Blocker {
    let [code, message, action] = [code, message, action].map(str::to_owned);
    let consequence = consequence(effect, None);
    Blocker { code, field: None, message, action, deadline: None, effect, consequence }
}

fn consequence(effect: BlockerEffect, deadline: Option<OffsetDateTime>) -> String {
    match (effect, deadline) {
        (BlockerEffect::NoSales, _) => "No payments can be taken until then.".to_owned(),
        (BlockerEffect::NoSalesAfterDeadline, Some(day)) => {
            let (day, month, year) = (day.day(), day.month(), day.year());
            format!("Payouts and new sales stop on {day} {month} {year}.")
        }
        (BlockerEffect::NoSalesAfterDeadline, None) => {
            "Payouts and new sales may stop any day.".to_owned()
        }
    }
}

const NOTHING: &str = "Nothing has to be done.";
const SUPPORT: &str = "Ask Stripe's support.";

fn of_status(status: ConnectStatus) -> Option<Blocker> {
    let (code, message, action) = match status {
        ConnectStatus::NotStarted => (
            "onboarding_not_started",
            "Payments are not set up.",
            "Start the onboarding with Stripe.",
        ),
        ConnectStatus::Onboarding => (
            "onboarding_unfinished",
            "Stripe's form is not finished.",
            "Open a new onboarding link and go on.",
        ),
        ConnectStatus::Rejected => {
            ("rejected", "Stripe has rejected the account for good.", SUPPORT)
        }
        ConnectStatus::Disconnected => (
            "disconnected",
            "The account was disconnected from the platform.",
            "Start the onboarding again.",
        ),
        ConnectStatus::PendingVerification
        | ConnectStatus::Connected
        | ConnectStatus::Restricted => return None,
    };
    Some(plain(code, message, action, BlockerEffect::NoSales))
}

fn pending(fields: &[String]) -> Blocker {
    let mut words: Vec<_> = fields.iter().map(|field| in_words(field).1).collect();
    words.dedup();
    let message = format!("Stripe is checking what was given: {}.", words.join(", "));
    plain("verification_pending", &message, NOTHING, BlockerEffect::NoSales)
}

/// For accounts of which nothing is due. The reasons are an open set.
/// <https://docs.stripe.com/api/accounts/object#account_object-requirements-disabled_reason>
fn disabled(reason: Option<&str>) -> Blocker {
    let (message, action) = match reason {
        Some(
            "requirements.pending_verification"
            | "pending_verification"
            | "under_review"
            | "listed",
        )
        | None => ("Stripe is checking the account.".to_owned(), NOTHING),
        Some("platform_paused") => {
            ("The platform has paused the account.".to_owned(), "Ask the platform's support.")
        }
        Some(reason) => (format!("Stripe has disabled the account ({reason})."), SUPPORT),
    };
    plain("account_disabled", &message, action, BlockerEffect::NoSales)
}

fn of_field(
    due: &Requirements,
    field: &str,
    deadline: Option<OffsetDateTime>,
    effect: BlockerEffect,
) -> Blocker {
    let (code, what) = in_words(field);
    let refused = due.errors.iter().find(|error| error.requirement == field);
    let message = match refused {
        Some(error) => format!("Stripe did not accept {what}: {}", error.reason),
        None => format!("Stripe still needs {what}."),
    };
    let action = match refused {
        Some(_) => "Open a new onboarding link and give it again.",
        None => "Open a new onboarding link and give it.",
    };
    Blocker {
        field: Some(field.to_owned()),
        deadline,
        consequence: consequence(effect, deadline),
        ..plain(code, &message, action, effect)
    }
}

/// What each kind of field is called, by a part of Stripe's name for it; the first that fits counts.
const WORDS: &[(&str, &str, &str)] = &[
    ("external_account", "bank_account", "a bank account or card to pay out to"),
    ("tos_acceptance", "terms_acceptance", "the acceptance of its terms of service"),
    // Before the documents of persons, whose names are the same.
    ("company.verification", "business_document", "a document about the business"),
    ("verification.additional_document", "address_document", "a document that proves the address"),
    ("verification.document", "identity_document", "a photo of an identity document"),
    ("verification.proof_of_liveness", "identity_document", "a live photo of the account's owner"),
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
