//! Problems: every error answer is `application/problem+json` (RFC 9457), also those of the framework.

use std::{fmt, marker::PhantomData};

use engine::{EngineError, is_passing};
use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ResponseError},
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    error::{AuthorizationError, ContentTypeError, ParseParamError, ParseRequestPayloadError},
    payload::Payload,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use sea_orm::DbErr;

use crate::{blocker::Blocker, codes::Code, group_buy_status::GroupBuyStanding, plan::Upgrade};

/// How long a client waits before it repeats what failed for a passing reason, in seconds.
const PASSING: u64 = 2;

/// What went wrong, before it is drawn as an answer.
#[derive(Debug)]
pub struct Problem {
    /// What went wrong.
    pub code: Code,
    /// For a person: this occurrence of it.
    pub detail: String,
    /// The fields to blame.
    pub errors: Vec<FieldProblem>,
    /// What keeps a creator from taking payments.
    pub blockers: Vec<Blocker>,
    /// What the handle's plan lacks.
    pub upgrade: Option<Box<Upgrade>>,
    /// The group buy that keeps something closed.
    pub group_buy: Option<Box<GroupBuyStanding>>,
    /// Seconds after which the same request may succeed.
    pub retry_after: Option<u64>,
}

/// A field to blame.
#[derive(Clone, Debug, PartialEq, Eq, Object)]
pub struct FieldProblem {
    /// Which field: its path in the body, or the name of the parameter or header.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    /// A problem of this occurrence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            blockers: Vec::new(),
            upgrade: None,
            group_buy: None,
            retry_after: None,
        }
    }

    /// A problem with one field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let detail = format!("{field}: {message}");
        Self {
            errors: vec![FieldProblem { field, message }],
            ..Self::new(Code::InvalidRequest, detail)
        }
    }

    /// Something that is over soon.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, detail).retry_after(PASSING)
    }

    /// Something that must not happen. The caller hears nothing of it, the log all.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Code::Internal, "the fault is ours, and was logged with the requestId")
    }

    /// Says when the same request may succeed.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says what the handle's plan lacks, and where to get it.
    pub fn upgradable(mut self, upgrade: Upgrade) -> Self {
        self.upgrade = Some(Box::new(upgrade));
        self
    }

    /// Says how far the group buy is that keeps something closed.
    pub fn gated(mut self, standing: GroupBuyStanding) -> Self {
        self.group_buy = Some(Box::new(standing));
        self
    }

    /// Names a field that is to blame.
    pub fn blaming(mut self, field: &str, message: impl Into<String>) -> Self {
        self.errors.push(FieldProblem { field: field.to_owned(), message: message.into() });
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        if is_passing(&error) {
            tracing::warn!(%error, "the database is not available");
            return Self::unavailable("the database cannot be reached or is busy");
        }
        Self::internal(error)
    }
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        EngineError::Database(error).into()
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

/// Problem details, RFC 9457.
#[derive(Debug, Object)]
#[oai(rename = "Problem", rename_all = "camelCase")]
pub struct ProblemDocument {
    /// The documentation of the code: what it means and what to do.
    #[oai(rename = "type")]
    pub kind: String,
    /// What the code means, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here.
    pub detail: String,
    /// Stable: for programs.
    pub code: String,
    /// The answer's `x-request-id`: quote it in reports.
    pub request_id: String,
    /// The fields to blame, where fields are.
    pub errors: Vec<FieldProblem>,
    /// Only with `connect_not_ready`: what keeps the creator from taking payments.
    #[oai(skip_serializing_if_is_none)]
    pub blockers: Option<Vec<Blocker>>,
    /// Only with `feature_locked` and `daily_limit`: what the handle's plan lacks, and where to get it.
    #[oai(skip_serializing_if_is_none)]
    pub upgrade: Option<Upgrade>,
    /// Only with `threshold_not_reached` and `interest_required`: the group buy that keeps something closed.
    #[oai(skip_serializing_if_is_none)]
    pub group_buy: Option<GroupBuyStanding>,
}

/// The media type of problems.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The same, where the document names the answers.
struct ProblemPayload;

impl Payload for ProblemPayload {
    const CONTENT_TYPE: &'static str = CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        ProblemDocument::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

/// Draws a problem as an answer.
pub fn draw(problem: &Problem, docs: &str, request_id: &str) -> Response {
    let code = problem.code;
    let document = ProblemDocument {
        kind: format!("{docs}#{}", code.name()),
        title: code.title().to_owned(),
        status: code.status().as_u16(),
        detail: problem.detail.clone(),
        code: code.name().to_owned(),
        request_id: request_id.to_owned(),
        errors: problem.errors.clone(),
        blockers: (!problem.blockers.is_empty()).then(|| problem.blockers.clone()),
        upgrade: problem.upgrade.as_deref().cloned(),
        group_buy: problem.group_buy.as_deref().cloned(),
    };
    let mut answer = Response::builder().status(code.status()).content_type(CONTENT_TYPE);
    if let Some(seconds) = problem.retry_after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    if code.status() == StatusCode::UNAUTHORIZED && code != Code::NotSignedIn {
        answer = answer.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    answer.body(document.to_json_string())
}

/// The problem behind any error of the framework.
pub fn of_framework(error: poem::Error) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(error) => error,
    };
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Problem::field(error.name, error.reason.clone());
    }
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return Problem::new(Code::InvalidRequest, error.reason.clone());
    }
    if let Some(error) = error.downcast_ref::<ContentTypeError>() {
        return Problem::new(Code::UnsupportedMediaType, error.to_string());
    }
    if error.is::<AuthorizationError>() {
        return Problem::new(Code::Unauthorized, "the request carries no bearer token");
    }
    if error.is::<NotFoundError>() {
        return Problem::new(Code::NotFound, "there is nothing at this address");
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::new(Code::MethodNotAllowed, "the address does not know this method");
    }
    of_status(error.status(), &error.to_string())
}

/// The problem that a bare status stands for.
pub fn of_status(status: StatusCode, detail: &str) -> Problem {
    let known = [
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::Unauthorized,
        Code::Forbidden,
        Code::RateLimited,
        Code::RequestTimeout,
        Code::Unavailable,
    ];
    match known.into_iter().find(|code| code.status() == status) {
        Some(code) => Problem::new(code, code.title()),
        None if status.is_client_error() => Problem::new(Code::InvalidRequest, detail),
        None => Problem::internal(detail),
    }
}

/// The problems that an operation may answer with, beside those that any may.
pub trait Refusals: Send + Sync + 'static {
    /// Its own codes.
    const CODES: &'static [Code];
}

/// Any operation may answer with these.
const COMMON: &[Code] =
    &[Code::InvalidRequest, Code::RateLimited, Code::Internal, Code::Unavailable];

/// The error answer of an operation, documented by its codes.
pub struct Refused<R>(Problem, PhantomData<R>);

impl<R: Refusals, P: Into<Problem>> From<P> for Refused<R> {
    fn from(problem: P) -> Self {
        let problem = problem.into();
        debug_assert!(
            R::CODES.contains(&problem.code) || COMMON.contains(&problem.code),
            "{} is not among the documented problems of the operation",
            problem.code.name()
        );
        Self(problem, PhantomData)
    }
}

impl<R: Refusals> From<Refused<R>> for poem::Error {
    fn from(refused: Refused<R>) -> Self {
        refused.0.into()
    }
}

impl<R: Refusals> ApiResponse for Refused<R> {
    fn meta() -> MetaResponses {
        let mut codes: Vec<Code> = R::CODES.iter().chain(COMMON).copied().collect();
        codes.sort_by_key(|code| code.status());
        let statuses = codes.chunk_by(|one, other| one.status() == other.status());
        MetaResponses { responses: statuses.map(answer_of).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemPayload::register(registry);
    }
}

fn answer_of(codes: &[Code]) -> MetaResponse {
    let lines: Vec<_> =
        codes.iter().map(|code| format!("`{}`: {}.", code.name(), code.title())).collect();
    MetaResponse {
        // The registry wants text that lives for ever; the document is drawn a few times in a process.
        description: Box::leak(lines.join("\n\n").into_boxed_str()),
        status: codes.first().map(|code| code.status().as_u16()),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: CONTENT_TYPE,
            schema: ProblemPayload::schema_ref(),
        }],
        headers: vec![],
    }
}

/// Declares the problems of an operation: `refusals!(CreatePage: UnknownHandle, SlugTaken);`
macro_rules! refusals {
    ($(#[$doc:meta])* $name:ident: $($code:ident),* $(,)?) => {
        $(#[$doc])*
        #[doc = concat!("The problems of the operation `", stringify!($name), "`.")]
        pub struct $name;

        impl $crate::problem::Refusals for $name {
            const CODES: &'static [$crate::codes::Code] = &[$($crate::codes::Code::$code),*];
        }
    };
}
pub(crate) use refusals;
