//! Pages for people: few, plain, and without a script.

use askama::Template;
use poem::{
    Response,
    http::{HeaderValue, header},
};

use poem_openapi::{ApiResponse, payload::Html};

use crate::problem::Problem;

/// A page for people.
#[derive(ApiResponse)]
pub enum HtmlPage {
    /// A page for people.
    #[oai(status = 200)]
    Page(Html<String>),
}

/// What a page may load: nothing but its own style, and it may send its form home.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The headers that every page carries, unless it brings its own policy. `Referrer-Policy` is `same-origin`
/// on purpose: with `no-referrer` browsers send `Origin: null` with the page's own form.
pub fn protect(response: &mut Response) {
    if !response.content_type().is_some_and(|kind| kind.starts_with("text/html")) {
        return;
    }
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
}

/// A page that says one thing.
pub fn message(title: &str, text: &str) -> Result<String, Problem> {
    Message { title, text }.render().map_err(Problem::internal)
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    email: &'a str,
    token: &'a str,
}

/// The page behind a sign-in link: the address, and one button.
pub fn sign_in(email: &str, token: &str) -> Result<String, Problem> {
    SignIn { email, token }.render().map_err(Problem::internal)
}
