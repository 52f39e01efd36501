//! The OpenAPI document: current, complete, and true.

use serde_json::Value;

use crate::world::World;

/// Accept a change with `UPDATE_EXPECT=1`.
#[test]
fn the_document_is_current() {
    expect_test::expect_file!["../../../openapi/openapi.yaml"].assert_eq(&api::openapi_yaml());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_described_and_guarded() {
    let world = World::sqlite().await;
    let document = world.get("/openapi.json").send().await.expect(200);
    let mut guarded = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            for field in ["summary", "operationId"] {
                assert!(operation[field].is_string(), "{name} has no {field}");
            }
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has no tag");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("503"), "{name}");
            described(&name, operation);
            guarded += usize::from(
                refuses_strangers(&world, &method.to_uppercase(), path, operation).await,
            );
        }
    }
    assert!(guarded > 15, "{guarded}");
}

/// Writes that are repeated without harm and without a key, and why.
const NEED_NO_KEY: &[(&str, &str)] = &[
    (
        "useMagicLink",
        "a link signs in once; its session is a secret, and not kept among the answers",
    ),
    ("signVisitorOut", "there is nothing left to end"),
    ("signVisitorOutEverywhere", "there is nothing left to end"),
    ("endVisitorSession", "the session is gone"),
    ("createDashboardLink", "every request makes a link of its own, and none is kept"),
    ("previewRefund", "it changes nothing"),
    ("previewGroupBuy", "it changes nothing"),
    ("showInterest", "a visitor has one interest: saying it again changes nothing"),
    ("withdrawInterest", "there is nothing left to withdraw"),
    ("receiveStripeEvent", "Stripe's own id is the key"),
    ("receiveStripeConnectEvent", "Stripe's own id is the key"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_takes_a_key_or_needs_none() {
    let world = World::sqlite().await;
    let document = world.get("/openapi.json").send().await.expect(200);
    let (mut without, mut with) = (Vec::new(), 0);
    for (_, operations) in document["paths"].as_object().unwrap() {
        for (_, operation) in operations.as_object().unwrap().iter().filter(|(m, _)| *m != "get") {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            match parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
                true => with += 1,
                false => without.push(operation["operationId"].as_str().unwrap().to_owned()),
            }
        }
    }
    without.sort();
    let mut expected: Vec<_> = NEED_NO_KEY.iter().map(|(id, _)| (*id).to_owned()).collect();
    expected.sort();
    assert_eq!(without, expected);
    assert!(with > 5, "{with}");
}

fn described(name: &str, operation: &Value) {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in parameters {
        assert!(parameter["description"].is_string(), "{name}: {parameter}");
    }
    for (status, response) in operation["responses"].as_object().unwrap() {
        assert_ne!(response["description"], "", "{name}: {status}");
        if !status.starts_with(['4', '5']) || status.ends_with("XX") {
            continue;
        }
        assert!(response["content"]["application/problem+json"].is_object(), "{name}: {status}");
    }
}

/// An operation with a security scheme lets nobody in without it.
async fn refuses_strangers(world: &World, method: &str, path: &str, operation: &Value) -> bool {
    let schemes = operation["security"].as_array().cloned().unwrap_or_default();
    let optional = schemes.iter().any(|scheme| scheme.as_object().is_some_and(|s| s.is_empty()));
    if schemes.is_empty() || optional {
        return false;
    }
    let code = match schemes[0].as_object().unwrap().keys().next().unwrap().as_str() {
        "BearerToken" => "unauthorized",
        "VisitorCookie" => "not_signed_in",
        other => panic!("an unknown scheme {other}"),
    };
    let path = path.replace(['{', '}'], "");
    world.call(method, path).send().await.problem(401, code);
    true
}
