//! The documentation: the OpenAPI document, a page to read it with, and the page of problems.

use std::sync::OnceLock;

use askama::Template;
use poem::{IntoResponse, Route, endpoint::make_sync, get, http::header, web::Html};
use poem_openapi::{OpenApi, OpenApiService, registry::MetaOperation};

use crate::{
    audit_log::AuditLog, billing::Billing, billing_summary::BillingSummaries, checkout::Checkouts,
    codes::Code, connect::{self, Connect}, earnings::EarningsRoutes, handle::Handles,
    manual_plan::ManualPlans, member::Members, page::Pages, page_publish::Publishing,
    public_page::PublicPages, run::Runs, service::Service, sign_in::SignIns, token::Tokens,
    visitor::Visitors, webhook::Webhooks,
};

/// Where the page of problems is.
pub const ERRORS: &str = "/docs/errors";

/// The page brings its whole script and style with it, and calls nothing but this service.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

const DESCRIPTION: &str = "\
Creators publish pages, take payments for them through Stripe Connect, and see what they earned. Visitors \
sign in with a link in a mail, buy, and read.

Times are RFC 3339 in UTC. Money is whole minor units (`priceCents`) with an ISO 4217 `currency`. Ids are \
prefixed and sort by time. Every error is `application/problem+json` with a stable `code`; \
[the page of problems](/docs/errors) says what to do about each. Every answer carries `x-request-id`. Writes \
take `Idempotency-Key`.";

/// Which role may call which route: a test walks every route, and writes what it finds.
const ACCESS: &str = include_str!("../../openapi/access.md");

type Everything = (
    Handles,
    Members,
    Tokens,
    AuditLog,
    Connect,
    Pages,
    Publishing,
    EarningsRoutes,
    Billing,
    BillingSummaries,
    ManualPlans,
    SignIns,
    Visitors,
    PublicPages,
    Checkouts,
    Webhooks,
    Runs,
    Service,
);

/// Every documented route.
pub fn service() -> OpenApiService<Everything, ()> {
    let everything = (
        Handles,
        connect::ROUTES,
        Members,
        Tokens,
        AuditLog,
        Pages,
        Publishing,
        EarningsRoutes,
        Billing,
        BillingSummaries,
        ManualPlans,
        SignIns,
        Visitors,
        PublicPages,
        Checkouts,
        Webhooks,
        Runs,
        Service,
    );
    OpenApiService::new(everything, "Sluice", env!("CARGO_PKG_VERSION"))
        .description(format!("{DESCRIPTION}\n\n{}", ACCESS.trim_end()))
        .server("/")
}

/// The methods of an address, for `Allow`. Paths are matched part by part, as the router does.
pub fn allowed(path: &str) -> String {
    static ROUTES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let routes = ROUTES.get_or_init(|| {
        let paths = <Everything as OpenApi>::meta().into_iter().flat_map(|api| api.paths);
        let methods = paths.flat_map(|path| {
            let method =
                move |operation: MetaOperation| (path.path.clone(), operation.method.to_string());
            path.operations.into_iter().map(method).collect::<Vec<_>>()
        });
        let own = ["/docs", "/docs/errors", "/openapi.json"];
        methods.chain(own.map(|path| (path.to_owned(), "GET".to_owned()))).collect()
    });
    let fitting = routes.iter().filter(|(template, _)| fits(template, path));
    let mut methods: Vec<_> = fitting.map(|(_, method)| method.as_str()).collect();
    methods.sort_unstable();
    methods.join(", ")
}

fn fits(template: &str, path: &str) -> bool {
    let parts = |path: &str| path.split('/').count();
    let mut pairs = template.split('/').zip(path.split('/'));
    parts(template) == parts(path)
        && pairs.all(|(part, given)| part.starts_with('{') || part == given)
}

/// The generated document. It depends on the code only.
pub fn openapi_yaml() -> String {
    service().spec_yaml()
}

#[derive(Template)]
#[template(path = "errors.html")]
struct Errors {
    codes: &'static [Code],
}

/// Every route, with those of the documentation.
pub fn routes() -> Route {
    let service = service();
    let ui = service.swagger_ui_html();
    let errors = Errors { codes: Code::ALL }.render().unwrap_or_else(|error| error.to_string());
    let ui = make_sync(move |_| {
        Html(ui.clone()).with_header(header::CONTENT_SECURITY_POLICY, POLICY).into_response()
    });
    let errors = make_sync(move |_| Html(errors.clone()));
    Route::new()
        .at("/openapi.json", get(service.spec_endpoint()))
        .at("/docs", get(ui))
        .at(ERRORS, get(errors))
        .nest_no_strip("/", service)
}
