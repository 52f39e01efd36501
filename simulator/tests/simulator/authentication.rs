use reqwest::Method;

use crate::support::{KEY, Sim, send};

#[tokio::test]
async fn a_test_key_is_let_in_as_bearer_or_as_user_name() {
    let sim = Sim::start().await;
    let request = |path| sim.request(Method::GET, path);
    send(request("/v1/accounts").bearer_auth(KEY)).await.ok();
    send(request("/v1/accounts").basic_auth(KEY, Some(""))).await.ok();
    send(request("/v1/accounts").bearer_auth("rk_test_restricted")).await.ok();
}

#[tokio::test]
async fn no_key_and_live_keys_are_refused() {
    let sim = Sim::start().await;
    let missing = send(sim.request(Method::GET, "/v1/accounts")).await;
    assert!(missing.header("request-id").is_some_and(|id| id.starts_with("req_")));
    assert_eq!(missing.error(401)["type"], "invalid_request_error");
    for key in ["sk_live_abc", "rk_live_abc", "pk_test_abc", "anything"] {
        let refused = send(sim.request(Method::GET, "/v1/accounts").bearer_auth(key)).await;
        let message = refused.error(401)["message"].to_string();
        assert!(!message.contains(key), "the key is repeated: {message}");
    }
    let refused = sim.request(Method::GET, "/v1/accounts").basic_auth("sk_live_abc", Some(""));
    assert!(send(refused).await.error(401)["message"].to_string().contains("simulator"));
}

#[tokio::test]
async fn unknown_routes_get_stripes_error_object() {
    let sim = Sim::start().await;
    for (method, path) in [
        (Method::GET, "/v1/nothing"),
        (Method::DELETE, "/v1/charges"),
        (Method::GET, "/v1"),
        (Method::GET, "/elsewhere"),
    ] {
        let reply = send(sim.api(method, path)).await;
        assert!(reply.header("request-id").is_some());
        let error = reply.error(404);
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].to_string().contains(path), "{error}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let sim = Sim::start().await;
    let first = sim.get("/v1/events").await;
    let second = sim.get("/v1/events").await;
    assert_ne!(first.header("request-id"), second.header("request-id"));
    assert_eq!(first.header("stripe-version"), Some(simulator::API_VERSION));
}
