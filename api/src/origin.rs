//! Origins: where requests come from, and where people may be sent.

use poem::{FromRequest, Request, RequestBody, http::header};
use url::Url;

use crate::{codes::Code, config::App, problem::Problem};

/// The longest address that is taken.
const LONGEST: usize = 2_000;

/// Proof that a write with the visitor's cookie comes from a page of this origin. Other creators' subdomains
/// are same-site, so that SameSite alone would let them in.
pub struct SameOrigin;

impl<'a> FromRequest<'a> for SameOrigin {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let app = App::of(request)?;
        if comes_from_here(request, &app.config.public_url) {
            return Ok(Self);
        }
        let detail =
            format!("this is accepted from pages of {} only", origin(&app.config.public_url));
        Err(Problem::new(Code::OriginMismatch, detail).into())
    }
}

/// Browsers name the origin of every write. Where none is named, `Sec-Fetch-Site` must not speak of another
/// site; programs that send neither carry their cookie on purpose.
fn comes_from_here(request: &Request, public_url: &Url) -> bool {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    match text(header::ORIGIN.as_str()) {
        Some(named) => named == origin(public_url),
        None => text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none")),
    }
}

/// `https://example.com`, as browsers write it.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The place a caller wants somebody sent to: a path of ours, or an address on our origin or the allow-list.
pub fn destination(app: &App, given: &str) -> Result<Url, &'static str> {
    if given.len() > LONGEST || given.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("is no address: it is too long, or holds spaces or control characters");
    }
    let ours = &app.config.public_url;
    let url = match given.starts_with('/') {
        true => ours.join(given).map_err(|_| "is no path")?,
        false => Url::parse(given).map_err(|_| "is neither an address nor a path of ours")?,
    };
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("must be a plain http or https address");
    }
    if leaves_when_relative(url.path()) {
        return Err("must not begin with two slashes, however they are written");
    }
    let allowed = std::iter::once(ours).chain(&app.config.return_origins);
    match allowed.map(Url::origin).any(|origin| origin == url.origin()) {
        true => Ok(url),
        false => Err("must be on this origin or on the allow-list"),
    }
}

/// Whether a path of ours leads elsewhere once it stands by itself: `//evil.test` is another host. Such paths
/// come about in disguise, too (`/.//evil.test`), and proxies may take an escaped slash for a slash.
fn leaves_when_relative(path: &str) -> bool {
    let rest = path.strip_prefix('/').unwrap_or(path).to_ascii_lowercase();
    ["/", "\\", "%2f", "%5c"].iter().any(|slash| rest.starts_with(slash))
}

/// Whether an installation is reached over plain HTTP on the developer's own machine: cookies are not marked
/// Secure there.
pub fn is_plain_localhost(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && local
}
