//! The routes of the sign-in: ask for a link, look at it, use it.

use poem::{Request, http::StatusCode};
use poem_openapi::{
    ApiRequest, ApiResponse, OpenApi,
    param::{Header, Query},
    payload::{Form, Html, Json},
};

use crate::{
    answer::Replayed,
    body::Given,
    config::App,
    html::{self, HtmlPage},
    magic_link::{self, LinkSent, LinkWish, Proof, SignIn},
    origin::SameOrigin,
    problem::{Problem, Refused, refusals},
    tag::Tag,
    visitor::Session,
};

refusals!(RequestMagicLink: OriginMismatch, UnknownHandle, TooLarge, UnsupportedMediaType,
    IdempotencyMismatch, IdempotencyInProgress);
refusals!(ShowMagicLink: LinkInvalid, LinkUsed, LinkExpired);
refusals!(UseMagicLink: LinkInvalid, LinkUsed, LinkExpired, CodeWrong, OriginMismatch,
    TooLarge, UnsupportedMediaType);

/// A link is on its way.
#[derive(ApiResponse)]
enum Sent {
    /// If the address receives mail, the link is in it. The answer is the same for every address.
    #[oai(status = 202)]
    Accepted(
        Json<LinkSent>,
        /// `true`: an earlier request with the same key was answered so.
        #[oai(header = "Idempotent-Replayed")]
        Option<String>,
    ),
}

/// What is behind a link.
#[derive(ApiResponse)]
enum LinkPage {
    /// The address, and one button.
    #[oai(status = 200)]
    Button(Html<String>),
    /// The link is not genuine, or no longer good; browsers get a page, programs a problem.
    #[oai(status_range = "4XX")]
    No(StatusCode, Html<String>),
}

/// What signs a visitor in, from a program or from the page's own form.
#[derive(ApiRequest)]
enum Presented {
    Json(Given<Proof>),
    Form(Form<Proof>),
}

/// What the sign-in came to.
#[derive(ApiResponse)]
enum SignedIn {
    /// Signed in.
    #[oai(status = 200)]
    Session(
        Json<Session>,
        /// The session's cookie.
        #[oai(header = "Set-Cookie")]
        String,
    ),
    /// Signed in with the page's form, and on to where the visitor wanted to go.
    #[oai(status = 303)]
    Onward(
        /// The session's cookie.
        #[oai(header = "Set-Cookie")]
        String,
        /// Where the visitor wanted to go.
        #[oai(header = "Location")]
        String,
    ),
    /// What the page's form came to, for people.
    #[oai(status_range = "4XX")]
    Page(StatusCode, Html<String>),
}

/// The sign-in of visitors.
pub struct SignIns;

#[OpenApi(tag = "Tag::Visitors")]
impl SignIns {
    /// Ask for a sign-in link
    ///
    /// Mails a link and a code of eight digits, good for 15 minutes. Throttled by address and by client.
    #[oai(path = "/v2/visitor/auth/magic-link", method = "post", operation_id = "requestMagicLink")]
    async fn ask(
        &self,
        request: &Request,
        _origin: SameOrigin,
        /// Repeating a write with the same key and body gives the first answer again, for 24 hours.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        body: Given<LinkWish>,
    ) -> Result<Sent, Refused<RequestMagicLink>> {
        let app = App::of(request)?;
        let answer = magic_link::send(app, request, key.0, &body.0).await?;
        let replayed = (answer.replayed == Replayed::Yes).then(|| "true".to_owned());
        Ok(Sent::Accepted(Json(answer.body), replayed))
    }

    /// The page behind a sign-in link
    ///
    /// Shows the address and one button, and consumes nothing: mail scanners open links, too.
    #[oai(path = "/v2/visitor/auth/verify", method = "get", operation_id = "showMagicLink")]
    async fn show(
        &self,
        request: &Request,
        /// The token of the link.
        token: Query<String>,
    ) -> Result<LinkPage, Refused<ShowMagicLink>> {
        match magic_link::look_up(App::of(request)?, &token.0).await {
            Ok(link) => Ok(LinkPage::Button(Html(html::sign_in(&link.email, &token.0)?))),
            Err(problem) if is_for_people(request, &problem) => {
                Ok(LinkPage::No(problem.code.status(), Html(page_of(&problem)?)))
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// Sign in
    ///
    /// With the token of the link, or the address and the code of its newest mail. A link signs in once. Its
    /// code may be mistyped four times; then the link is still good, and the code is not.
    #[oai(path = "/v2/visitor/auth/verify", method = "post", operation_id = "useMagicLink")]
    async fn sign_in(
        &self,
        request: &Request,
        _origin: SameOrigin,
        body: Presented,
    ) -> Result<SignedIn, Refused<UseMagicLink>> {
        let app = App::of(request)?;
        match body {
            Presented::Json(Given(proof)) => {
                let signed_in = magic_link::sign_in(app, &proof).await?;
                let session = Session::of(&signed_in.session);
                Ok(SignedIn::Session(Json(session), signed_in.cookie))
            }
            Presented::Form(Form(proof)) => match magic_link::sign_in(app, &proof).await {
                Ok(signed_in) => Ok(onward(signed_in)),
                Err(problem) if is_for_people(request, &problem) => {
                    Ok(SignedIn::Page(problem.code.status(), Html(page_of(&problem)?)))
                }
                Err(problem) => Err(problem.into()),
            },
        }
    }

    /// The page after the sign-in
    ///
    /// Where the form leads when the visitor wanted to go nowhere in particular.
    #[oai(path = "/v2/visitor/auth/welcome", method = "get", operation_id = "welcomeVisitor")]
    async fn welcome(&self) -> Result<HtmlPage, Refused<Welcome>> {
        let text = "You can close this page and go on where you were.";
        Ok(HtmlPage::Page(Html(html::message("You are signed in", text)?)))
    }
}

refusals!(Welcome:);

const WELCOME: &str = "/v2/visitor/auth/welcome";

fn onward(signed_in: SignIn) -> SignedIn {
    let path = signed_in.return_to.unwrap_or_else(|| WELCOME.to_owned());
    SignedIn::Onward(signed_in.cookie, path)
}

/// Whether a person in a browser reads the answer. What is our own fault stays a problem.
fn is_for_people(request: &Request, problem: &Problem) -> bool {
    let accepts = request.headers().get("accept").and_then(|value| value.to_str().ok());
    problem.code.status().is_client_error()
        && accepts.is_some_and(|kinds| kinds.contains("text/html"))
}

fn page_of(problem: &Problem) -> Result<String, Problem> {
    html::message(problem.code.title(), problem.code.remedy())
}
