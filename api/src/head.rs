//! HEAD: what GET would answer, without the body (RFC 9110, 9.3.2).

use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response,
    http::{Method, header},
};

/// What is sent as it is made: events without an end, and lists that may be long.
const STREAMED: [&str; 2] = ["text/event-stream", "text/csv"];

/// Answers HEAD wherever GET is answered. Stands outside everything that draws answers.
pub struct HeadAsGet;

impl<E: Endpoint> Middleware<E> for HeadAsGet {
    type Output = HeadAsGetEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        HeadAsGetEndpoint(inner)
    }
}

/// The application, which needs to know nothing of HEAD.
pub struct HeadAsGetEndpoint<E>(E);

impl<E: Endpoint> Endpoint for HeadAsGetEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if request.method() != Method::HEAD {
            return self.0.call(request).await.map(IntoResponse::into_response);
        }
        request.set_method(Method::GET);
        let mut response = self.0.call(request).await?.into_response();
        let body = response.take_body();
        // A streamed body has no length to be known, or no end to wait for.
        let is_streamed = |kind: &str| STREAMED.iter().any(|streamed| kind.starts_with(streamed));
        if !response.content_type().is_some_and(is_streamed)
            && let Ok(bytes) = body.into_bytes().await
        {
            response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
        }
        response.set_body(Body::empty());
        Ok(response)
    }
}
