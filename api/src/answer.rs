//! Answers to writes: the status, the body, where the thing is, and whether it is the answer to an earlier
//! request with the same key.

use std::marker::PhantomData;

use poem::{
    IntoResponse, Response,
    http::{HeaderName, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use uuid::Uuid;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// 200, 201 or 202.
    pub status: StatusCode,
    /// Where what was made, or is being made, can be read.
    pub location: Option<String>,
    /// What is said about it.
    pub body: T,
    /// Whether an earlier request with the same key was answered so.
    pub replayed: Replayed,
    /// Of an answer that is given again: the id that the write had.
    pub subject: Option<Uuid>,
}

/// Whether an answer is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The request was carried out.
    No,
    /// An earlier request with the same key was carried out.
    Yes,
}

impl<T> Answer<T> {
    /// It is done.
    pub fn done(body: T) -> Self {
        Self { status: StatusCode::OK, location: None, body, replayed: Replayed::No, subject: None }
    }

    /// It was made, and is here.
    pub fn created(location: String, body: T) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..Self::done(body) }
    }

    /// It is under way; look here.
    pub fn accepted(location: String, body: T) -> Self {
        Self { status: StatusCode::ACCEPTED, location: Some(location), ..Self::done(body) }
    }
}

/// Which statuses an operation answers with when all is well.
pub trait Statuses: Send + Sync + 'static {
    /// The statuses, and what each means.
    const STATUSES: &'static [(u16, &'static str)];

    /// The headers of each. Writes can be repeated, and say so.
    fn headers(status: u16) -> Vec<MetaHeader> {
        let replayed = "`true`: an earlier request with the same key was answered so.";
        let replayed = header("Idempotent-Replayed", replayed);
        match status {
            200 => vec![replayed],
            _ => vec![header("Location", "Where to look."), replayed],
        }
    }
}

/// 201.
pub struct IsCreated;

impl Statuses for IsCreated {
    const STATUSES: &'static [(u16, &'static str)] = &[(201, "Created; `Location` says where.")];
}

/// 200.
pub struct IsDone;

impl Statuses for IsDone {
    const STATUSES: &'static [(u16, &'static str)] = &[(200, "Done.")];
}

/// 201, or 200 when what was asked for was there.
pub struct IsCreatedOrDone;

impl Statuses for IsCreatedOrDone {
    const STATUSES: &'static [(u16, &'static str)] =
        &[(200, "It was there, and is so now."), (201, "Created; `Location` says where.")];
}

/// 200, or 202 when it takes longer than a request should.
pub struct IsDoneOrAccepted;

impl Statuses for IsDoneOrAccepted {
    const STATUSES: &'static [(u16, &'static str)] = &[
        (200, "Done."),
        (202, "Accepted, and not done within ten seconds; `Location` says where to look."),
    ];
}

/// 202.
pub struct IsAccepted;

impl Statuses for IsAccepted {
    const STATUSES: &'static [(u16, &'static str)] =
        &[(202, "Accepted; `Location` says where to look.")];
}

/// 200, without a write.
pub struct IsShown;

impl Statuses for IsShown {
    const STATUSES: &'static [(u16, &'static str)] = &[(200, "What was asked for.")];

    fn headers(_: u16) -> Vec<MetaHeader> {
        Vec::new()
    }
}

/// The answer of an operation, documented by its statuses.
pub struct Reply<S, T>(pub Answer<T>, PhantomData<S>);

/// The answer to a request that reads.
pub type Shown<T> = Reply<IsShown, T>;
/// The answer to a request that makes something.
pub type Created<T> = Reply<IsCreated, T>;
/// The answer to a request that makes something, or changes it if it is there.
pub type CreatedOrDone<T> = Reply<IsCreatedOrDone, T>;
/// The answer to a request that changes something.
pub type Done<T> = Reply<IsDone, T>;
/// The answer to a request that begins something.
pub type Accepted<T> = Reply<IsAccepted, T>;
/// The answer to a request that may take longer.
pub type DoneOrAccepted<T> = Reply<IsDoneOrAccepted, T>;

impl<S, T> Reply<S, T> {
    /// With a body, and nothing else to say.
    pub fn of(body: T) -> Self {
        Answer::done(body).into()
    }
}

impl<S, T> From<Answer<T>> for Reply<S, T> {
    fn from(answer: Answer<T>) -> Self {
        Self(answer, PhantomData)
    }
}

impl<S: Statuses, T: ToJSON> IntoResponse for Reply<S, T> {
    fn into_response(self) -> Response {
        let Answer { status, location, body, replayed, subject: _ } = self.0;
        let mut response = Response::builder().status(status).content_type(Json::<T>::CONTENT_TYPE);
        if let Some(location) = location {
            response = response.header(header::LOCATION, location);
        }
        if replayed == Replayed::Yes {
            response = response.header(REPLAYED, "true");
        }
        response.body(body.to_json_string())
    }
}

impl<S: Statuses, T: Type + ToJSON> ApiResponse for Reply<S, T> {
    fn meta() -> MetaResponses {
        let answer = |&(status, description): &(u16, &'static str)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: Json::<T>::CONTENT_TYPE,
                schema: T::schema_ref(),
            }],
            headers: S::headers(status),
        };
        MetaResponses { responses: S::STATUSES.iter().map(answer).collect() }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

fn header(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: String::schema_ref(),
    }
}
