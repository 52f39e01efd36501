//! What those who run the service ask, and what every answer carries.

use poem::{Endpoint, Request, Response, endpoint::BoxEndpoint};
use serde_json::json;

use crate::world::{Setup, World, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_answers_for_itself() {
    let world = World::sqlite().await;
    assert_eq!(world.get("/healthz").send().await.expect(200), json!({"status": "ok"}));
    assert_eq!(world.get("/readyz").send().await.expect(200), json!({"status": "ok"}));
    let root = world.get("/").send().await;
    assert_eq!((root.status, root.header("location")), (303, Some("/docs")));
    let document = world.get("/openapi.json").send().await.expect(200);
    assert_eq!(document["info"]["title"], "Sluice");
    let docs = world.get("/docs").send().await;
    assert!(docs.text.contains("SwaggerUIBundle") && docs.status == 200);
    let policy = docs.header("content-security-policy").unwrap();
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    let refused = world.call("DELETE", "/v2/handles/alice/pages/x").send().await;
    refused.problem(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET, HEAD, PATCH"));
    let errors = world.get("/docs/errors").send().await;
    for code in api::Code::ALL {
        assert!(errors.text.contains(&format!("id=\"{}\"", code.name())), "{}", code.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_for_the_loopback_or_the_token() {
    let world = World::sqlite().await;
    world.get("/metrics").send().await.problem(403, "forbidden");
    world.get("/metrics").bearer("wrong").send().await.problem(401, "token_invalid");
    let seen = world.get("/metrics").bearer("metrics token").send().await;
    assert_eq!((seen.status, seen.text.as_str()), (200, "sluice_up 1\n"));
    // Without a token: over a real socket, from the loopback; and through a proxy that runs there.
    let world = World::with(Setup { metrics_token: None, ..Setup::default() }).await;
    let (address, server) = listening(world.app);
    for (header, status) in [("x-nothing: 1", "200"), ("x-forwarded-for: 203.0.113.7", "403")] {
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n");
        let answer =
            tokio::task::spawn_blocking(move || over_a_socket(address, &request)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    server.abort();
}

type Served = tokio::task::JoinHandle<std::io::Result<()>>;

fn listening(app: BoxEndpoint<'static, Response>) -> (std::net::SocketAddr, Served) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let acceptor = poem::listener::TcpAcceptor::from_tokio(listener).unwrap();
    (address, tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(app)))
}

fn over_a_socket(address: std::net::SocketAddr, request: &str) -> String {
    use std::io::{Read, Write};

    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_get_without_the_body() {
    let world = World::sqlite().await;
    world.handle("alice").await;
    let alice = token("alice");
    for path in [
        "/healthz",
        "/docs",
        "/docs/errors",
        "/openapi.json",
        "/",
        "/v2/handles/alice",
        "/v2/handles/nobody",
        "/v2/visitor/session",
        "/v2/nowhere",
        "/v2/visitor/auth/verify?token=forged",
    ] {
        let get = world.get(path).bearer(&alice).header("x-request-id", "one").send().await;
        let head =
            world.call("HEAD", path).bearer(&alice).header("x-request-id", "one").send().await;
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        let length = head.header("content-length").unwrap().parse::<usize>().unwrap();
        assert_eq!(length, get.text.len(), "{path}");
    }
    let refused = world.call("HEAD", "/v2/visitor/auth/magic-link").send().await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    // Over a real socket: nothing follows the headers.
    let (address, server) = listening(world.app);
    let request = "HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer =
        tokio::task::spawn_blocking(move || over_a_socket(address, request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains("content-length: 15\r\n"), "{answer}");
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_an_id() {
    let world = World::sqlite().await;
    for (given, kept) in [
        ("abc-123_X.y", true),
        (&"x".repeat(64) as &str, true),
        (&"x".repeat(65), false),
        ("a b", false),
        ("<script>", false),
        ("", false),
    ] {
        for path in ["/healthz", "/nowhere", "/docs/errors"] {
            let seen = world.get(path).header("x-request-id", given).send().await;
            let id = seen.header("x-request-id").unwrap();
            assert_eq!(id == given, kept, "{given:?}");
            assert_eq!(id.starts_with("req_"), !kept, "{id}");
            assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
        }
    }
}

/// A body without a length, as a stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_a_length_is_read_as_far_as_the_limit() {
    let world = World::sqlite().await;
    for (size, status) in [(10, 201), (300_000, 413)] {
        let body =
            json!({"handle": format!("h{size}"), "displayName": "A", "pad": "x".repeat(size)})
                .to_string();
        let chunks: Vec<_> = body.into_bytes().chunks(4_096).map(<[u8]>::to_vec).collect();
        let stream = futures::stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        let request = Request::builder()
            .method(poem::http::Method::POST)
            .uri("/v2/handles".parse().unwrap())
            .header("authorization", format!("Bearer {}", token("alice")))
            .header("content-type", "application/json")
            .body(poem::Body::from_bytes_stream(stream));
        assert_eq!(world.app.call(request).await.unwrap().status(), status, "{size}");
    }
}

/// A live timeline begins where the client left off, and goes on as the run does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_be_followed() {
    use futures::StreamExt;

    let world = World::sqlite().await;
    world.seller("alice").await;
    let status = world.get("/v2/handles/alice/connect/status").bearer(token("alice")).send().await;
    let run = status.expect(200)["runId"].as_str().unwrap().to_owned();
    let request = Request::builder()
        .uri(format!("/v2/runs/{run}/events").parse().unwrap())
        .header("authorization", format!("Bearer {}", token("alice")))
        .header("last-event-id", "1")
        .finish();
    let response = world.app.call(request).await.unwrap();
    assert_eq!(response.content_type(), Some("text/event-stream"));
    let mut stream = response.into_body().into_bytes_stream();
    let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.contains("id: 2") && first.contains("event: history"), "{first}");
    world.connect_event("evt_1", "account.updated").await;
    let mut seen = first;
    while !seen.contains("AccountChanged") {
        let more = stream.next().await.unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&more).unwrap());
    }
}
