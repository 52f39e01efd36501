//! Bodies: how much is read, what is refused before anything else looks, and JSON with errors that name
//! the field.

use std::time::Duration;

use bytes::Bytes;
use poem::{Body, FromRequest, Request, RequestBody, error::ReadBodyError, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ContentTypeError,
    impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;

use crate::{codes::Code, problem::Problem};

/// The most that is read of a body, in bytes.
const LIMIT: usize = 256 * 1024;
/// The same on the webhook routes: an event holds a whole object of Stripe's.
const WEBHOOK_LIMIT: usize = 1024 * 1024;
/// Where the webhook routes are.
const WEBHOOKS: &str = "/v2/public/stripe/";
/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(15);

/// Reads the body within its limit, and refuses U+0000 anywhere in the request: PostgreSQL's text cannot
/// hold it. Requests without a length are read as far as the limit, never refused for it.
pub async fn admit(request: &mut Request) -> Result<(), Problem> {
    if holds_escaped_nul(request.uri()) {
        return Err(Problem::new(Code::InvalidRequest, "the address holds U+0000"));
    }
    let announced = request.headers().contains_key(header::CONTENT_LENGTH)
        || request.headers().contains_key(header::TRANSFER_ENCODING)
        || !request.method().is_safe();
    if !announced {
        return Ok(());
    }
    let limit = limit_of(request);
    if announced_length(request).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let body = request.take_body();
    let reading = tokio::time::timeout(ARRIVES_WITHIN, body.into_bytes_limit(limit));
    let bytes = match reading.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(too_large(limit)),
        Ok(Err(error)) => {
            return Err(Problem::new(
                Code::InvalidRequest,
                format!("the body cannot be read: {error}"),
            ));
        }
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", ARRIVES_WITHIN.as_secs());
            return Err(Problem::new(Code::RequestTimeout, detail));
        }
    };
    if holds_nul(&bytes, is_form(request)) {
        return Err(Problem::new(Code::InvalidRequest, "the body holds U+0000"));
    }
    request.set_body(Body::from_bytes(bytes));
    Ok(())
}

fn limit_of(request: &Request) -> usize {
    if request.uri().path().starts_with(WEBHOOKS) { WEBHOOK_LIMIT } else { LIMIT }
}

fn announced_length(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("at most {} KiB are read here", limit / 1024))
}

fn is_form(request: &Request) -> bool {
    request.content_type().is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

fn holds_escaped_nul(uri: &poem::http::Uri) -> bool {
    uri.path().contains("%00") || uri.query().is_some_and(|query| query.contains("%00"))
}

/// As itself, as an escape of JSON, or as an escape of a form.
fn holds_nul(body: &[u8], form: bool) -> bool {
    let mut rest = body;
    while let Some(place) =
        rest.iter().position(|byte| *byte == 0 || *byte == b'\\' || (form && *byte == b'%'))
    {
        let after = &rest[place + 1..];
        match rest[place] {
            b'\\' if after.starts_with(b"u0000") => return true,
            b'%' if after.starts_with(b"00") => return true,
            0 => return true,
            // The character after a backslash is escaped: it begins no escape of its own.
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            _ => rest = after,
        }
    }
    false
}

/// A JSON body. An error names the field that is to blame.
pub struct Given<T>(pub T);

/// A JSON body that may be left out.
pub struct MaybeGiven<T>(pub T);

/// The raw bytes of a body that is JSON, for signatures.
pub struct RawJson(pub Bytes);

async fn bytes_of(request: &Request, body: &mut RequestBody) -> poem::Result<Bytes> {
    <Bytes as FromRequest>::from_request(request, body).await
}

impl<T: Type> Payload for Given<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(kind: &str) -> bool {
        <Json<T> as Payload>::check_content_type(kind)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for Given<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(parse(&bytes_of(request, body).await?)?))
    }
}

impl_apirequest_for_payload!(Given<T>, T: Type + DeserializeOwned);

impl Payload for RawJson {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(kind: &str) -> bool {
        kind.starts_with(Self::CONTENT_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        event_schema()
    }
}

impl ParsePayload for RawJson {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(bytes_of(request, body).await?))
    }
}

impl_apirequest_for_payload!(RawJson);

impl<'a, T: Type + DeserializeOwned + Default> ApiExtractor<'a> for MaybeGiven<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content_type = <Given<T> as Payload>::CONTENT_TYPE;
        let content = vec![MetaMediaType { content_type, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = bytes_of(request, body).await?;
        match request.content_type() {
            _ if bytes.is_empty() => Ok(Self(T::default())),
            Some(kind) if Given::<T>::check_content_type(kind) => Ok(Self(parse(&bytes)?)),
            Some(kind) => {
                Err(ContentTypeError::NotSupported { content_type: kind.to_owned() }.into())
            }
            None => Err(ContentTypeError::ExpectContentType.into()),
        }
    }
}

fn event_schema() -> MetaSchemaRef {
    let schema = MetaSchema {
        description: Some(
            "An Event of Stripe's, exactly as it was signed: https://docs.stripe.com/api/events/object",
        ),
        ..MetaSchema::new("object")
    };
    MetaSchemaRef::Inline(Box::new(schema))
}

/// Reads JSON, and names the field where that fails.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Keeping track of the path costs time: only what fails is read again with it.
    serde_json::from_slice(bytes).or_else(|_| explain(bytes))
}

fn explain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                Problem::field(field_of(&path, inner), inner.to_string())
            }
            _ => Problem::new(Code::InvalidRequest, format!("the body is not JSON: {inner}")),
        }
    })?;
    json.end().map_err(|error| {
        Problem::new(Code::InvalidRequest, format!("the body is not one JSON value: {error}"))
    })?;
    Ok(value)
}

/// A missing field is blamed on the object that lacks it: its name stands in the message.
fn field_of(path: &str, error: &serde_json::Error) -> String {
    let text = error.to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(name) if path == "." => name.to_owned(),
        Some(name) => format!("{path}.{name}"),
        None if path == "." => "body".to_owned(),
        None => path.to_owned(),
    }
}

/// Collects what is wrong with fields, so that one answer names them all.
#[derive(Default)]
pub struct Issues(Vec<(&'static str, String)>);

impl Issues {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Blames a field.
    pub fn blame(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push((field, message.into()));
    }

    /// The value of a field, or the blame for it.
    pub fn take<T, E: std::fmt::Display>(
        &mut self,
        field: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.blame(field, error.to_string())).ok()
    }

    /// Goes on only if nothing was wrong.
    pub fn settle(self) -> Result<(), Problem> {
        let Some((field, message)) = self.0.first() else { return Ok(()) };
        let problem = Problem::new(Code::InvalidRequest, format!("{field}: {message}"));
        Err(self
            .0
            .iter()
            .fold(problem, |problem, (field, message)| problem.blaming(field, message.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_in_every_disguise() {
        for (body, form, expected) in [
            (&b"{\"a\":\"b\"}"[..], false, false),
            (b"{\"a\":\"\\u0000\"}", false, true),
            (b"{\"a\":\"\\\\u0000\"}", false, false),
            (b"{\"a\":\"\\\\\\u0000\"}", false, true),
            (b"{\"a\":\"\0\"}", false, true),
            (b"a=%00", false, false),
            (b"a=%00", true, true),
            (b"a=100%\\", true, false),
        ] {
            assert_eq!(holds_nul(body, form), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}
