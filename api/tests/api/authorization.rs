//! Who may call which route: every route of the document is called as everybody, and what comes of it is the
//! documentation (`openapi/access.md`). A route without a row here is named in a golden file, which is empty.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

use api::{Permission, Role};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::{
    client::Seen,
    on_both,
    world::{World, admin_token, operator_token, token},
};

/// How a route with a bearer token is called: where, with what, and what comes of it for whoever is permitted.
/// `{run}` is a run of the handle, `{offer}` an offer; `{n}` is another number for each call.
struct Sample {
    operation: &'static str,
    path: &'static str,
    body: Option<Value>,
    permitted: &'static str,
}

fn sample(
    operation: &'static str,
    path: &'static str,
    body: impl Into<Option<Value>>,
    permitted: &'static str,
) -> Sample {
    Sample { operation, path, body: body.into(), permitted }
}

#[rustfmt::skip]
fn samples() -> Vec<Sample> {
    let handle = json!({"handle": "made-{n}", "displayName": "M"});
    let member = json!({"subject": "guest-{n}", "role": "operator"});
    let wish = json!({"name": "n", "scopes": ["pages:read"]});
    let page = json!({"slug": "made-{n}", "title": "M", "mode": "PUBLIC"});
    // BUSINESS has no price here, and alice has nothing to pay for: whoever may ask hears so.
    let upgrade = json!({"handle": "alice", "plan": "BUSINESS"});
    let billed = json!({"handle": "alice"});
    let gift = json!({"handle": "alice", "plan": "PRO", "reason": "for {n}"});
    let group_buy = json!({"slug": "made-{n}", "title": "M", "targetQuantity": 5});
    let link = json!({"groupBuySlug": "drop", "gate": "LAUNCH_THRESHOLD"});
    // Nobody has bought anything: whoever may ask hears so.
    let back = json!({"visitorEmail": "nobody@example.com"});
    vec![
        sample("createHandle", "/v2/handles", handle, "201"),
        sample("getHandle", "/v2/handles/alice", None, "200"),
        sample("setMember", "/v2/handles/alice/members", member, "201"),
        sample("listMembers", "/v2/handles/alice/members", None, "200"),
        sample("removeMember", "/v2/handles/alice/members/nobody", None, "404 unknown_member"),
        sample("makeToken", "/v2/tokens", wish, "201"),
        sample("listTokens", "/v2/tokens", None, "200"),
        sample("getToken", "/v2/tokens/tok_{n}", None, "404 unknown_token"),
        sample("revokeToken", "/v2/tokens/tok_{n}", None, "404 unknown_token"),
        sample("listAuditLog", "/v2/handles/alice/audit-log", None, "200"),
        sample("listOperatorAuditLog", "/v2/operator/audit-log", None, "200"),
        sample("startOnboarding", "/v2/handles/alice/connect/onboarding", None, "200"),
        sample("createDashboardLink", "/v2/handles/alice/connect/dashboard-link", None, "200"),
        sample("openBillingCheckout", "/v2/billing/checkout-session", upgrade, "409 plan_not_for_sale"),
        sample("openBillingPortal", "/v2/billing/portal-session", billed, "409 not_subscribed"),
        sample("getBillingSummary", "/v2/billing/summary?handle=alice", None, "200"),
        sample("setManualPlan", "/v2/billing/manual-plan", gift, "200"),
        sample("getConnectStatus", "/v2/handles/alice/connect/status", None, "200"),
        sample("createPage", "/v2/handles/alice/pages", page, "201"),
        sample("listPages", "/v2/handles/alice/pages", None, "200"),
        sample("getPage", "/v2/handles/alice/pages/guide", None, "200"),
        sample("changePage", "/v2/handles/alice/pages/guide", json!({"version": 99}), "409 version_conflict"),
        sample("publishPage", "/v2/handles/alice/pages/guide/publish", None, "200"),
        sample("unpublishPage", "/v2/handles/alice/pages/sold/unpublish", None, "200"),
        sample("createGroupBuy", "/v2/handles/alice/group-buys", group_buy, "201"),
        sample("listGroupBuys", "/v2/handles/alice/group-buys", None, "200"),
        sample("getGroupBuy", "/v2/handles/alice/group-buys/drop", None, "200"),
        sample("changeGroupBuy", "/v2/handles/alice/group-buys/off", json!({"title": "N"}), "409 group_buy_published"),
        sample("publishGroupBuy", "/v2/handles/alice/group-buys/drop/publish", None, "200"),
        sample("previewGroupBuy", "/v2/handles/alice/group-buys/drop/preview", None, "200"),
        sample("cancelGroupBuy", "/v2/handles/alice/group-buys/off/cancel", None, "200"),
        sample("createOffer", "/v2/handles/alice/offers", json!({"title": "O", "pageSlug": "guide"}), "201"),
        sample("listOffers", "/v2/handles/alice/offers", None, "200"),
        sample("getOffer", "/v2/handles/alice/offers/{offer}", None, "200"),
        sample("linkOffer", "/v2/handles/alice/offers/{offer}/group-buy", link, "200"),
        sample("unlinkOffer", "/v2/handles/alice/offers/{offer}/group-buy", None, "200"),
        sample("getEarnings", "/v2/handles/alice/earnings", None, "200"),
        sample("listCheckouts", "/v2/handles/alice/checkouts", None, "200"),
        sample("listRefunds", "/v2/handles/alice/refunds", None, "200"),
        sample("listDisputes", "/v2/handles/alice/disputes", None, "200"),
        sample("refundPage", "/v2/handles/alice/pages/guide/refund", back.clone(), "404 unknown_checkout"),
        sample("previewRefund", "/v2/handles/alice/pages/guide/refund/preview", back, "404 unknown_checkout"),
        sample("explainEarnings", "/v2/handles/alice/earnings/explain", None, "200"),
        sample("listPayouts", "/v2/handles/alice/payouts", None, "200"),
        sample("getRun", "/v2/runs/{run}", None, "200"),
        sample("getRunHistory", "/v2/runs/{run}/history", None, "200"),
        sample("followRun", "/v2/runs/{run}/events", None, "200"),
    ]
}

/// Routes that anybody may call; what they show and take is public, signed by Stripe, or proven by a mail.
const PUBLIC: &[&str] = &[
    "getEntitlement",
    "getHealth",
    "getMetrics",
    "getReadiness",
    "getRoot",
    "listPublicGroupBuys",
    "readGroupBuyActivation",
    "readPublicGroupBuy",
    "readPublicPage",
    "receiveStripeConnectEvent",
    "receiveStripeEvent",
    "refreshFromStripe",
    "requestMagicLink",
    "returnFromStripe",
    "showMagicLink",
    "signVisitorOut",
    "useMagicLink",
    "welcomeVisitor",
];

/// An operation of the document.
struct Operation {
    id: String,
    route: String,
    method: String,
    schemes: Vec<String>,
}

async fn operations(world: &World) -> Vec<Operation> {
    let document = world.get("/openapi.json").send().await.expect(200);
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let schemes = operation["security"].as_array().cloned().unwrap_or_default();
            let mut names: Vec<String> = Vec::new();
            for scheme in &schemes {
                names.extend(scheme.as_object().unwrap().keys().cloned());
            }
            // Whoever may come without is anybody.
            if schemes.iter().any(|scheme| scheme.as_object().unwrap().is_empty()) {
                names.clear();
            }
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                route: format!("{method} {path}"),
                method,
                schemes: names,
            });
        }
    }
    operations
}

/// Everybody who may call: what each route is called as.
struct Callers {
    roles: Vec<(Role, String)>,
    stranger: String,
    platform: String,
    admin: String,
    scopes: Vec<(Permission, String)>,
    elsewhere: String,
    run: String,
    offer: String,
    calls: AtomicUsize,
}

impl Callers {
    async fn of(world: &World) -> Self {
        world.seller("alice").await;
        world.page("alice", "guide").await;
        world.page("alice", "sold").await;
        let mut roles = vec![(Role::Owner, token("alice"))];
        for role in [Role::Creator, Role::Operator] {
            world.member("alice", role.name(), role.name()).await;
            roles.push((role, token(role.name())));
        }
        let mut scopes = Vec::new();
        for scope in Permission::ALL {
            scopes.push((*scope, world.access_token("alice", &[scope.name()]).await));
        }
        world.group_buy("drop", 5, None).await;
        world.draft("off", 5, None).await;
        let off = "/v2/handles/alice/group-buys/off/cancel";
        world.post(off).bearer(token("alice")).send().await.expect(200);
        let offer = world.offer("guide").await;
        world.handle("elsewhere").await;
        let all: Vec<_> = Permission::ALL.iter().map(|scope| scope.name()).collect();
        let limited = json!({"name": "limited", "scopes": all, "handles": ["elsewhere"]});
        let limited = world.post("/v2/tokens").bearer(token("alice")).json(limited).send().await;
        let status = world.get("/v2/handles/alice/connect/status").bearer(token("alice"));
        let run = status.send().await.expect(200)["runId"].as_str().unwrap().to_owned();
        Self {
            roles,
            stranger: token("mallory"),
            platform: operator_token(),
            admin: admin_token(),
            scopes,
            elsewhere: limited.expect(201)["token"].as_str().unwrap().to_owned(),
            run,
            offer,
            calls: AtomicUsize::new(0),
        }
    }

    async fn call(
        &self,
        world: &World,
        method: &str,
        sample: &Sample,
        token: Option<&str>,
    ) -> Seen {
        let n = format!("{:032x}", self.calls.fetch_add(1, Ordering::Relaxed));
        let filled = |text: &str| {
            text.replace("{run}", &self.run).replace("{offer}", &self.offer).replace("{n}", &n)
        };
        let call = world.call(method, filled(sample.path));
        let call = match token {
            Some(token) => call.bearer(token),
            None => call,
        };
        match &sample.body {
            Some(body) => call.raw("application/json", filled(&body.to_string())).send().await,
            None => call.send().await,
        }
    }

    /// Whether somebody is permitted. Whoever is gets what the sample says; whoever is not is told so.
    async fn is_permitted(
        &self,
        world: &World,
        operation: &Operation,
        sample: &Sample,
        token: &str,
    ) -> bool {
        let seen = self.call(world, &operation.method, sample, Some(token)).await;
        let code = match seen.status {
            400.. => format!(" {}", seen.expect(seen.status)["code"].as_str().unwrap()),
            _ => String::new(),
        };
        match format!("{}{code}", seen.status).as_str() {
            "403 forbidden" | "404 unknown_run" => false,
            answer => {
                assert_eq!(answer, sample.permitted, "{}: {}", operation.route, seen.text);
                true
            }
        }
    }
}

/// Who is permitted to call a route.
struct Access {
    roles: Vec<Role>,
    stranger: bool,
    platform: bool,
    admin: bool,
    scopes: Vec<Permission>,
    elsewhere: bool,
}

impl Access {
    async fn of(world: &World, callers: &Callers, operation: &Operation, sample: &Sample) -> Self {
        let nobody = callers.call(world, &operation.method, sample, None).await;
        nobody.problem(401, "unauthorized");
        let permitted = |token| callers.is_permitted(world, operation, sample, token);
        let (mut roles, mut scopes) = (Vec::new(), Vec::new());
        for (role, token) in &callers.roles {
            if permitted(token).await {
                roles.push(*role);
            }
        }
        for (scope, token) in &callers.scopes {
            if permitted(token).await {
                scopes.push(*scope);
            }
        }
        Self {
            roles,
            scopes,
            stranger: permitted(&callers.stranger).await,
            platform: permitted(&callers.platform).await,
            admin: permitted(&callers.admin).await,
            elsewhere: permitted(&callers.elsewhere).await,
        }
    }

    /// What must hold of every route, whichever it is.
    fn check(&self, route: &str) {
        assert!(!self.elsewhere, "{route}: an access token for another handle opens it");
        assert!(self.scopes.len() < 2, "{route}: several scopes open it: {:?}", self.scopes);
        assert!(self.platform || !self.stranger, "{route}: closed to those who run the platform");
        assert!(self.admin || !self.platform, "{route}: closed to administrators alone");
        if self.stranger {
            return;
        }
        match self.scopes.first() {
            Some(permission) => assert_eq!(self.roles, permission.roles(), "{route}"),
            None => assert!(self.roles.is_empty() && self.admin, "{route}: who may call it?"),
        }
    }

    fn line(&self, route: &str) -> String {
        let mut who: Vec<_> = self.roles.iter().map(|role| role.name()).collect();
        match (self.platform, self.admin) {
            (true, _) => who.push("platform operators"),
            (false, true) => who.push("platform administrators"),
            (false, false) => {}
        }
        if self.stranger {
            who = vec!["everybody who signed in"];
        }
        let scope = self.scopes.first().map(|scope| format!("`{}`", scope.name()));
        let scope = scope.unwrap_or_else(|| "none".to_owned());
        format!("| `{route}` | {} | {scope} |", who.join(", "))
    }
}

/// The document that the walk writes.
fn document(routes: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "## Who may do what\n\n\
         A handle has members, each with a role: `owner`, `creator` or `operator`. Whoever makes a handle is \
         its first owner. A personal access token acts for whoever made it, with the scopes it was given, and \
         never does more than its owner's role permits. Roles of the platform (`platform_admin`, \
         `platform_operator`) open no handle.\n\n\
         | Scope | Opens | Roles |\n|---|---|---|\n",
    );
    for permission in Permission::ALL {
        let roles: Vec<_> = permission.roles().iter().map(|role| role.name()).collect();
        let (name, what) = (permission.name(), permission.what());
        writeln!(text, "| `{name}` | {what} | {} |", roles.join(", ")).unwrap();
    }
    text.push_str("\n| Route | Who may call it | Scope of an access token |\n|---|---|---|\n");
    for line in routes.values() {
        writeln!(text, "{line}").unwrap();
    }
    text
}

on_both! {

async fn every_route_is_open_to_whom_it_should_be(world: World) {
    let callers = Callers::of(&world).await;
    let samples = samples();
    let mut routes = BTreeMap::new();
    for operation in operations(&world).await {
        let Some(sample) = samples.iter().find(|sample| sample.operation == operation.id) else {
            continue;
        };
        let access = Access::of(&world, &callers, &operation, sample).await;
        access.check(&operation.route);
        let (method, path) = operation.route.split_once(' ').unwrap();
        routes.insert(format!("{path} {method}"), access.line(&operation.route));
    }
    assert_eq!(routes.len(), samples.len(), "a sample of a route that is not there");
    // Accept a change with UPDATE_EXPECT=1, look at it, and once more: the document holds the table.
    expect_file!["../../../openapi/access.md"].assert_eq(&document(&routes));
}

}

/// Every route is walked, or takes a visitor's cookie (`document.rs` sees to those), or is named as public.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_is_without_an_authorization_test() {
    let world = World::sqlite().await;
    let samples = samples();
    let covered = |operation: &Operation| {
        let named = operation.schemes.iter().map(String::as_str).collect::<Vec<_>>();
        match named.as_slice() {
            [] => PUBLIC.contains(&operation.id.as_str()),
            ["VisitorCookie"] => true,
            _ => samples.iter().any(|sample| sample.operation == operation.id),
        }
    };
    let operations = operations(&world).await;
    let uncovered: Vec<_> = operations
        .iter()
        .filter(|operation| !covered(operation))
        .map(|operation| format!("{} ({})\n", operation.route, operation.id))
        .collect();
    expect_file!["golden/routes_without_authorization_test.txt"].assert_eq(&uncovered.concat());
    assert!(uncovered.is_empty(), "{uncovered:?}");
    for public in PUBLIC {
        let found = operations.iter().find(|operation| operation.id == *public);
        assert!(found.is_some_and(|found| found.schemes.is_empty()), "{public} is not public");
    }
}
