//! Creators and operators: the bearer token of a request, a JWT or a personal access token.

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    auth::{Bearer, BearerAuthorization},
    registry::{MetaSecurityScheme, Registry},
};

use crate::{access_token, config::App, principal::Principal, throttle::count_caller};

/// The caller of an operation, by bearer token.
pub struct Caller(pub Principal);

const SCHEME: &str = "BearerToken";

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some(
                "A JWT whose `sub` is a member of the handle (HS256, or RS256, ES256 or EdDSA by a key of the \
                 configured JWKS; `exp` required; roles of the platform stand in `roles`), or a personal \
                 access token, `slc_…`.",
            ),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("JWT or slc_…"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let app = App::of(request)?;
        let bearer = <Bearer as BearerAuthorization>::from_request(request)?;
        let principal = match access_token::is_one(&bearer.token) {
            true => access_token::read(app, &bearer.token).await?,
            false => app.tokens.read(&bearer.token, app.now()).await?,
        };
        count_caller(request, &format!("subject:{}", principal.subject)).await?;
        Ok(Self(principal))
    }
}
