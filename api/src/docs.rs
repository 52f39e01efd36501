//! The documentation: the OpenAPI document, a page to read it with, and the page of problems.

use std::sync::OnceLock;

use askama::Template;
use poem::{
    IntoResponse, Route,
    endpoint::make_sync,
    get,
    http::{Method, header},
    web::Html,
};
use poem_openapi::{OpenApi, OpenApiService, registry::MetaOperation};

use crate::{
    audit_log::AuditLog,
    billing::Billing,
    billing_summary::BillingSummaries,
    checkout::Checkouts,
    codes::Code,
    connect::{self, Connect},
    dispute::Disputes,
    earnings::EarningsRoutes,
    earnings_explained::EarningsExplained,
    group_buy::GroupBuys,
    group_buy_preview::GroupBuyPreviews,
    group_buy_publish::GroupBuyPublishing,
    handle::Handles,
    interest::InterestRoutes,
    manual_plan::ManualPlans,
    member::Members,
    offer::Offers,
    offer_link::OfferLinks,
    page::Pages,
    page_publish::Publishing,
    payout::Payouts,
    public_group_buy::PublicGroupBuys,
    public_page::PublicPages,
    refund::Refunds,
    refund_preview::RefundPreviews,
    run::Runs,
    sale::Sales,
    service::Service,
    sign_in::SignIns,
    token::Tokens,
    visitor::Visitors,
    visitor_sessions::VisitorSessions,
    webhook::Webhooks,
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
take `Idempotency-Key`; signing in and out, and interest in group buys, make nothing twice, and need none. Answers of throttled routes carry \
`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds), refusals `Retry-After`.";

/// Which role may call which route: a test walks every route, and writes what it finds.
const ACCESS: &str = include_str!("../../openapi/access.md");

/// How the parts play together where it takes several of them.
const RECIPE: &str = include_str!("../../openapi/reservation_drop.md");

/// Who may act on a handle, and who did.
type People = (Handles, Members, Tokens, AuditLog);
/// What creators make.
type Work =
    (Pages, Publishing, GroupBuys, GroupBuyPreviews, GroupBuyPublishing, Offers, OfferLinks);
/// What was bought, and what goes back of it.
type Returns = (Sales, Refunds, RefundPreviews, Disputes);
/// What came in.
type Money = (EarningsRoutes, EarningsExplained, Payouts);
/// What handles pay for.
type Plans = (Billing, BillingSummaries, ManualPlans);
/// Visitors, and what they buy.
type Visiting = (SignIns, Visitors, VisitorSessions, PublicPages, Checkouts);
/// What visitors want.
type Wanting = (PublicGroupBuys, InterestRoutes);

type Everything =
    (People, Connect, Work, Returns, Money, Plans, Visiting, Wanting, (Webhooks, Runs, Service));

/// Every documented route.
pub fn service() -> OpenApiService<Everything, ()> {
    let everything = (
        (Handles, Members, Tokens, AuditLog),
        connect::ROUTES,
        (Pages, Publishing, GroupBuys, GroupBuyPreviews, GroupBuyPublishing, Offers, OfferLinks),
        (Sales, Refunds, RefundPreviews, Disputes),
        (EarningsRoutes, EarningsExplained, Payouts),
        (Billing, BillingSummaries, ManualPlans),
        (SignIns, Visitors, VisitorSessions, PublicPages, Checkouts),
        (PublicGroupBuys, InterestRoutes),
        (Webhooks, Runs, Service),
    );
    OpenApiService::new(everything, "Sluice", env!("CARGO_PKG_VERSION"))
        .description(format!("{DESCRIPTION}\n\n{}\n\n{}", RECIPE.trim_end(), ACCESS.trim_end()))
        .server("/")
}

/// An operation, as the documentation knows it.
pub struct Operation {
    /// `/v2/handles/{handle}`
    pub template: String,
    /// Its method.
    pub method: Method,
    /// Its name; empty for the pages of the documentation.
    pub id: &'static str,
    /// Whether callers say who they are.
    pub guarded: bool,
}

fn operations() -> &'static [Operation] {
    static OPERATIONS: OnceLock<Vec<Operation>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let paths = <Everything as OpenApi>::meta().into_iter().flat_map(|api| api.paths);
        let known = paths.flat_map(|path| {
            let known = move |operation: MetaOperation| Operation {
                template: path.path.clone(),
                method: operation.method,
                id: operation.operation_id.unwrap_or_default(),
                guarded: !operation.security.is_empty(),
            };
            path.operations.into_iter().map(known).collect::<Vec<_>>()
        });
        let own = ["/docs", ERRORS, "/openapi.json"].map(|path| Operation {
            template: path.to_owned(),
            method: Method::GET,
            id: "",
            guarded: false,
        });
        known.chain(own).collect()
    })
}

/// The operations of an address. Paths are matched part by part, as the router does.
fn operations_at(path: &str) -> impl Iterator<Item = &'static Operation> {
    operations().iter().filter(move |operation| fits(&operation.template, path))
}

/// The operation of a request. A HEAD is a GET whose body nobody reads.
pub fn operation(method: &Method, path: &str) -> Option<&'static Operation> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    operations_at(path).find(|operation| operation.method == *method)
}

/// The methods of an address, for `Allow`.
pub fn allowed(path: &str) -> String {
    let mut methods: Vec<_> =
        operations_at(path).map(|operation| operation.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
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
