//! Bad input, for every route: a clear problem with a code, the field to blame, and not a row written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    client::{Call, Seen},
    on_both,
    world::{World, admin_token, token},
};

/// Who asks.
#[derive(Clone, Copy)]
enum As {
    Nobody,
    Alice,
    Mallory,
    Admin,
    Visitor,
    /// The visitor, from a page of another site.
    ElseWhere,
}
use As::*;

/// What is sent.
enum Send {
    Nothing,
    Json(Value),
    Raw(&'static str, Vec<u8>),
    Key(&'static str, Value),
    IfMatch(&'static str, Value),
}
use Send::*;

/// One row: who sends what where, and the status, code and field (if one is to blame) that come of it.
type Row = (&'static str, &'static str, As, Send, &'static str);

/// A JSON body.
macro_rules! body {
    ($($json:tt)*) => { Send::Json(serde_json::json!($($json)*)) };
}
/// A page that is well but for a change.
macro_rules! page {
    ($($json:tt)*) => { page(serde_json::json!($($json)*)) };
}

mod access;
mod billing;
mod creators;
mod group_buys;
mod returns;
mod visitors;

fn page(change: Value) -> Send {
    let mut page = json!({"slug": "fresh", "title": "T", "mode": "PAID", "priceCents": 1000});
    for (name, value) in change.as_object().unwrap() {
        page[name] = value.clone();
    }
    Json(page)
}

fn handle(handle: &str) -> Send {
    Json(json!({"handle": handle, "displayName": "A"}))
}

fn text(kind: &'static str, text: &str) -> Send {
    Raw(kind, text.as_bytes().to_vec())
}

const JSON: &str = "application/json";
const PAGES: &str = "/v2/handles/alice/pages";
const PAGE: &str = "/v2/handles/alice/pages/guide";
const PUBLISH: &str = "/v2/handles/alice/pages/guide/publish";
const ONBOARD: &str = "/v2/handles/alice/connect/onboarding";
const LINK: &str = "/v2/visitor/auth/magic-link";
const VERIFY: &str = "/v2/visitor/auth/verify";
const SESSIONS: &str = "/v2/visitor/sessions";
const EVERYWHERE: &str = "/v2/visitor/auth/logout-everywhere";
const CHECKOUT: &str = "/v2/public/pages/alice/guide/checkout";
const HOOK: &str = "/v2/public/stripe/webhook";
const CONNECT_HOOK: &str = "/v2/public/stripe/connect-webhook";

fn table() -> Vec<Row> {
    let creators = [
        creators::handles(),
        creators::connect(),
        creators::pages(),
        group_buys::group_buys(),
        group_buys::offers(),
        group_buys::interest(),
    ];
    let others = [visitors::visitors(), visitors::public(), billing::billing(), returns::returns()];
    let access = [access::members(), access::tokens()];
    creators.into_iter().chain(others).chain(access).flatten().collect()
}

on_both! {

async fn bad_input_is_named_and_writes_nothing(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let draft = json!({"slug": "draft", "title": "D", "mode": "PUBLIC"});
    world.post(PAGES).bearer(token("alice")).json(draft).send().await.expect(201);
    let cookie = world.visitor("bob@example.com").await;
    world.group_buy("drop", 5, None).await;
    world.draft("draft", 5, None).await;
    world.stop_working().await;
    for (method, path, who, send, expected) in table() {
        let before = world.rows().await;
        let call = posed(world.call(method, path), who, &cookie);
        let seen = given(call, &send).send().await;
        check(&format!("{method} {path}"), &seen, expected);
        assert_eq!(world.rows().await, before, "{method} {path} wrote something");
    }
}

}

#[track_caller]
fn check(row: &str, seen: &Seen, expected: &str) {
    let words: Vec<_> = expected.split(' ').collect();
    assert_eq!(seen.status.to_string(), words[0], "{row}: {expected}: {}", seen.text);
    let problem = seen.problem(seen.status, words[1]);
    let errors = problem["errors"].as_array().unwrap();
    let blamed: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    match words.get(2) {
        None => assert!(blamed.is_empty(), "{row}: {problem}"),
        Some(field) => assert!(blamed.contains(field), "{row}: {problem}"),
    }
}

fn posed<'a>(call: Call<'a>, who: As, cookie: &str) -> Call<'a> {
    match who {
        Nobody => call,
        Alice => call.bearer(token("alice")),
        Mallory => call.bearer(token("mallory")),
        Admin => call.bearer(admin_token()),
        Visitor => call.cookie(cookie),
        ElseWhere => call.cookie(cookie).header("origin", "https://evil.localhost:8080"),
    }
}

fn given<'a>(call: Call<'a>, send: &Send) -> Call<'a> {
    match send {
        Nothing => call,
        Json(body) => call.json(body.clone()),
        Raw(_, body) if body.is_empty() => call,
        Raw(kind, body) => call.raw(kind, body.clone()),
        Key(key, body) => call.key(key).json(body.clone()),
        IfMatch(version, body) => call.header("if-match", *version).json(body.clone()),
    }
}

/// Every operation of the document has at least one row.
#[test]
fn the_table_covers_every_route() {
    let yaml = api::openapi_yaml();
    let mut operations = BTreeSet::new();
    let mut path = String::new();
    for line in yaml.lines() {
        if let Some(found) = line.strip_prefix("  /") {
            path = format!("/{}", found.trim_end_matches(':'));
        }
        for method in ["get", "post", "patch", "put", "delete"] {
            if line == format!("    {method}:") {
                operations.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(operations.len() > 25, "{operations:?}");
    let rows = table();
    let uncovered: Vec<_> = operations
        .iter()
        .filter(|(_, template)| {
            !rows.iter().any(|(_, path, ..)| fits(template, path.split('?').next().unwrap()))
        })
        .collect();
    assert!(uncovered.is_empty(), "without a row: {uncovered:?}");
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(part, given)| part.starts_with('{') || *part == given)
}
