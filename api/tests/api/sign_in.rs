//! Signing in: by a deliberate act, once for each link.

use std::num::NonZeroU32;

use api::{SignInLimits, ThrottleConfig};
use serde_json::json;

use crate::{
    on_both,
    world::{Setup, World},
};

const VERIFY: &str = "/v2/visitor/auth/verify";

on_both! {

async fn s42_opening_the_link_consumes_nothing(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let token = world.mailed_token();
    let rows = world.rows().await;
    for _ in 0..3 {
        let seen = world.get(format!("{VERIFY}?token={token}")).send().await;
        assert_eq!(seen.status, 200);
        assert!(seen.text.contains("bob@example.com") && seen.text.contains("method=\"post\""));
        assert_eq!(seen.header("referrer-policy"), Some("same-origin"));
        assert!(seen.header("content-security-policy").unwrap().contains("form-action 'self'"));
    }
    assert_eq!(world.rows().await, rows);

    // The button of the page.
    let form = format!("token={token}");
    let call =
        world.post(VERIFY).header("origin", "http://localhost:8080").header("accept", "text/html");
    let seen = call.raw("application/x-www-form-urlencoded", form.clone()).send().await;
    seen.expect(303);
    let cookie = seen.cookie();
    world.get("/v2/visitor/session").cookie(&cookie).send().await.expect(200);

    // Once only, and a person is told so.
    let call = world.post(VERIFY).header("accept", "text/html");
    let again = call.raw("application/x-www-form-urlencoded", form).send().await;
    assert_eq!(
        (again.status, again.header("content-type")),
        (410, Some("text/html; charset=utf-8"))
    );
    let json = world.post(VERIFY).json(json!({"token": token})).send().await;
    json.problem(410, "link_used");
    world.get(format!("{VERIFY}?token={token}")).send().await.problem(410, "link_used");
}

async fn one_of_many_at_once_signs_in(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let proof = json!({"token": world.mailed_token()});
    let tries = (0..8).map(|_| world.post(VERIFY).json(proof.clone()).send());
    let seen = futures::future::join_all(tries).await;
    assert_eq!(seen.iter().filter(|seen| seen.status == 200).count(), 1);
    assert!(seen.iter().all(|seen| seen.status == 200 || seen.status == 410));
    assert_eq!(world.number("SELECT count(*) AS number FROM visitor_session").await, 1);
}

async fn the_code_may_be_mistyped_four_times(world: World) {
    let wrong = |code: &str| if code == "000000" { "000001" } else { "000000" };
    for (mistakes, last) in [(4, 200), (5, 400)] {
        world.ask_to_sign_in("bob@example.com").await.expect(202);
        let code = world.mailed_code();
        for _ in 0..mistakes {
            let proof = json!({"email": "Bob@example.com", "code": wrong(&code)});
            world.post(VERIFY).json(proof).send().await.problem(400, "code_wrong");
        }
        let proof = json!({"email": "bob@example.com", "code": code});
        let seen = world.post(VERIFY).json(proof).send().await;
        assert_eq!(seen.status, last, "{}", seen.text);
    }
    // Whoever knows the address can spoil the code, and not the link.
    let proof = json!({"token": world.mailed_token()});
    world.post(VERIFY).json(proof).send().await.expect(200);
}

async fn no_more_than_five_guesses_at_once_are_looked_at(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let code = world.mailed_code();
    let guesses = (0..24).map(|n| {
        let guess = format!("{:08}", (code.parse::<u64>().unwrap() + n + 1) % 100_000_000);
        world.post(VERIFY).json(json!({"email": "bob@example.com", "code": guess})).send()
    });
    for seen in futures::future::join_all(guesses).await {
        seen.problem(400, "code_wrong");
    }
    assert_eq!(world.number("SELECT CAST(code_tries AS BIGINT) AS number FROM magic_link").await, 5);
    let right = json!({"email": "bob@example.com", "code": code});
    world.post(VERIFY).json(right).send().await.problem(400, "code_wrong");
    assert_eq!(world.number("SELECT count(*) AS number FROM visitor_session").await, 0);
}

async fn of_many_who_type_the_right_code_one_signs_in(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let code = world.mailed_code();
    let spaced = format!("{} {}-{}", &code[..3], &code[3..6], &code[6..]);
    let proof = json!({"email": " BOB@example.com ", "code": spaced});
    let tries = (0..4).map(|_| world.post(VERIFY).json(proof.clone()).send());
    let seen = futures::future::join_all(tries).await;
    assert_eq!(seen.iter().filter(|seen| seen.status == 200).count(), 1, "{seen:?}");
    assert_eq!(world.number("SELECT count(*) AS number FROM visitor_session").await, 1);
}

async fn a_refused_code_does_not_tell_whether_the_address_is_known(world: World) {
    world.visitor("bob@example.com").await;
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let code = world.mailed_code();
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    let mut answers = Vec::new();
    for email in ["bob@example.com", "nobody@example.com"] {
        let began = std::time::Instant::now();
        let proof = json!({"email": email, "code": wrong});
        let seen = world.post(VERIFY).header("x-request-id", "same").json(proof).send().await;
        seen.problem(400, "code_wrong");
        assert!(began.elapsed().as_millis() >= 250, "{email}: {:?}", began.elapsed());
        let mut names: Vec<_> = seen.headers.keys().map(|name| name.to_string()).collect();
        names.sort();
        answers.push((seen.text, names));
    }
    assert_eq!(answers[0], answers[1]);
    let asked = |email: &str| {
        let body = json!({"email": email});
        world.post("/v2/visitor/auth/magic-link").json(body).send()
    };
    let (known, unknown) = (asked("bob@example.com").await, asked("new@example.com").await);
    let fields = |seen: &crate::client::Seen| {
        seen.expect(202).as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(fields(&known), fields(&unknown));
}

async fn the_tokens_and_codes_are_stored_nowhere(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let (token, code) = (world.mailed_token(), world.mailed_code());
    let signature = token.split_once('.').unwrap().1.to_owned();
    for (table, columns) in [
        ("magic_link", "email || COALESCE(return_to, '')"),
        ("inbox", "event || source_id"),
        ("outbox", "effect"),
        ("run", "state"),
        ("history", "event"),
    ] {
        for secret in [&signature, &code] {
            let sql = format!(
                "SELECT count(*) AS number FROM {table} WHERE {columns} LIKE '%{secret}%'"
            );
            assert_eq!(world.number(&sql).await, 0, "{table}");
        }
    }
}

async fn a_repeated_request_sends_one_mail(world: World) {
    let ask = |key: &str, email: &str| {
        let body = json!({"email": email});
        world.post("/v2/visitor/auth/magic-link").key(key).json(body).send()
    };
    let first = ask("k1", "bob@example.com").await;
    let again = ask("k1", "bob@example.com").await;
    assert_eq!(first.expect(202), again.expect(202));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    ask("k1", "eve@example.com").await.problem(422, "idempotency_mismatch");
    world.settle().await;
    assert_eq!(world.stripe.mailed.lock().unwrap().len(), 1);
}

async fn a_link_is_good_for_15_minutes(world: World) {
    world.ask_to_sign_in("bob@example.com").await.expect(202);
    let token = world.mailed_token();
    world.engine.clock().advance(15 * 60_000);
    world.get(format!("{VERIFY}?token={token}")).send().await.problem(410, "link_expired");
    world.post(VERIFY).json(json!({"token": token})).send().await.problem(410, "link_expired");
}

async fn sessions_end(world: World) {
    let cookie = world.visitor("bob@example.com").await;
    let other = world.visitor("bob@example.com").await;
    let session = "/v2/visitor/session";
    let one = world.get(session).cookie(&cookie).send().await.expect(200);
    let two = world.get(session).cookie(&other).send().await.expect(200);
    assert_eq!(one["visitorId"], two["visitorId"]);
    let out = world.post("/v2/visitor/auth/logout").cookie(&cookie).send().await;
    out.expect(204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    world.get(session).cookie(&cookie).send().await.problem(401, "not_signed_in");
    world.get(session).cookie(&other).send().await.expect(200);
    world.post("/v2/visitor/auth/logout").send().await.expect(204);
    world.engine.clock().advance(31 * 86_400_000);
    world.get(session).cookie(&other).send().await.problem(401, "not_signed_in");
}

async fn writes_by_cookie_come_from_this_origin(world: World) {
    world.seller("alice").await;
    world.page("alice", "guide").await;
    let cookie = world.visitor("bob@example.com").await;
    let path = "/v2/public/pages/alice/guide/checkout";
    for (name, value, status) in [
        ("origin", "http://localhost:8080", 200),
        ("origin", "http://evil.localhost:8080", 403),
        ("origin", "https://localhost:8080", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
    ] {
        let seen = world.post(path).cookie(&cookie).header(name, value).send().await;
        assert_eq!(seen.status, status, "{name}: {value}: {}", seen.text);
    }
}

}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_is_kept_from_scripts_and_other_sites() {
    for (public_url, secure) in [
        ("http://localhost:8080", false),
        ("http://127.0.0.1:8080", false),
        ("https://sluice.example", true),
        ("http://sluice.example", true),
    ] {
        let world = World::with(Setup { public_url, ..Setup::default() }).await;
        world.ask_to_sign_in("bob@example.com").await.expect(202);
        let proof = json!({"token": world.mailed_token()});
        let seen = world.post(VERIFY).json(proof).send().await;
        seen.expect(200);
        let cookie = seen.header("set-cookie").unwrap();
        assert!(cookie.starts_with("_10x_visitor="), "{cookie}");
        for flag in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=2592000"] {
            assert!(cookie.contains(flag), "{cookie}");
        }
        assert_eq!(cookie.contains("; Secure"), secure, "{public_url}: {cookie}");
        let token = seen.cookie().split_once('=').unwrap().1.to_owned();
        assert_eq!(token.len(), 43, "256 bits");
        let stored =
            format!("SELECT count(*) AS number FROM visitor_session WHERE token_hash = '{token}'");
        assert_eq!(world.number(&stored).await, 0, "the token itself is not stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_throttled_by_address_and_by_client() {
    let n = |n| NonZeroU32::new(n).unwrap();
    let limits = SignInLimits { per_address: n(2), per_client: n(4) };
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    for (email, status) in
        [("a@b.co", 202), ("A+x@b.co", 202), ("a+y@b.co", 429), ("c@b.co", 202), ("d@b.co", 429)]
    {
        let seen = world.ask_to_sign_in(email).await;
        assert_eq!(seen.status, status, "{email}: {}", seen.text);
        if status == 429 {
            seen.problem(429, "rate_limited");
            assert!(seen.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_costs_no_mail() {
    let n = |n| NonZeroU32::new(n).unwrap();
    let limits = SignInLimits { per_address: n(2), per_client: n(100) };
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    let ask = |key: &'static str| {
        let body = json!({"email": "bob@example.com"});
        world.post("/v2/visitor/auth/magic-link").key(key).json(body).send()
    };
    for key in ["k1", "k1", "k1", "k2", "k1", "k2"] {
        ask(key).await.expect(202);
    }
    ask("k3").await.problem(429, "rate_limited");
    ask("k1").await.expect(202);
    world.settle().await;
    assert_eq!(world.stripe.mailed.lock().unwrap().len(), 2);
    // What was refused left no key behind.
    assert_eq!(world.number("SELECT count(*) AS number FROM idempotency").await, 2);
}

/// Whoever has a whole network, or many of IPv6, gets no more by going from one address to the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_are_throttled_by_neighbourhood() {
    let n = |n| NonZeroU32::new(n).unwrap();
    let limits = SignInLimits { per_address: n(1_000), per_client: n(1) };
    let throttles =
        ThrottleConfig { trusted_proxies: "1".parse().unwrap(), ..Setup::default().throttles };
    let world = World::with(Setup { limits, throttles, ..Setup::default() }).await;
    for (address, elsewhere) in [
        (
            Box::new(|n: u32| format!("2001:db8:1:{n:x}::1")) as Box<dyn Fn(u32) -> String>,
            "2001:db8:2::1",
        ),
        (Box::new(|n: u32| format!("203.0.113.{n}")), "203.0.114.1"),
    ] {
        let ask = |address: String| {
            let body = json!({"email": "bob@example.com"});
            let call = world.post("/v2/visitor/auth/magic-link").json(body);
            call.header("x-forwarded-for", address).send()
        };
        let mut seen = Vec::new();
        for n in 1..=40 {
            seen.push(ask(address(n)).await.status);
        }
        assert_eq!(seen[..16], [202; 16], "neighbours do not keep each other out at once");
        assert!(seen.contains(&429), "{seen:?}");
        ask(elsewhere.to_owned()).await.expect(202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cookies_of_one_name_sign_nobody_in() {
    let world = World::sqlite().await;
    let (bob, eve) =
        (world.visitor("bob@example.com").await, world.visitor("eve@example.com").await);
    let session = |cookie: String| world.get("/v2/visitor/session").cookie(&cookie).send();
    session(format!("a=b; {bob}; c=d")).await.expect(200);
    for both in [format!("{eve}; {bob}"), format!("{bob}; {eve}"), format!("_10x_visitor=; {bob}")]
    {
        session(both).await.problem(401, "not_signed_in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_leads_where_the_visitor_wanted_to_go() {
    let world = World::sqlite().await;
    let wish =
        json!({"email": "bob@example.com", "returnTo": "http://localhost:8080/pages/x?y=1#z"});
    world.post("/v2/visitor/auth/magic-link").json(wish).send().await.expect(202);
    world.settle().await;
    let form = format!("token={}", world.mailed_token());
    let seen = world.post(VERIFY).raw("application/x-www-form-urlencoded", form).send().await;
    seen.expect(303);
    assert_eq!(seen.header("location"), Some("/pages/x?y=1#z"));
}

/// What does not lead to another site is taken, and then leads to a page of ours; the rest is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_sent_to_another_site() {
    let world = World::sqlite().await;
    let ours: url::Url = "http://localhost:8080/v2/visitor/auth/verify".parse().unwrap();
    let mut taken = Vec::new();
    for to in [
        "/",
        "/pages/x?next=//evil.test#//evil.test",
        "/a//evil.test",
        "/pages/%2f%2fevil.test",
        "HTTP://LOCALHOST:8080/x",
        "/\u{200b}/evil.test",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "\\/evil.test",
        "/.//evil.test",
        "/..//evil.test",
        "/x/..//evil.test",
        "/x/../\\evil.test",
        "/%2e//evil.test",
        "/%2f%2fevil.test",
        "/%2Fevil.test",
        "/%5cevil.test",
        "http://localhost:8080//evil.test",
        "http://localhost:8080/%2f/evil.test",
        "http://localhost:8080/.//evil.test",
        "http:evil.test",
        "http:/evil.test",
        "http:\\\\evil.test",
        "https://localhost:8080/",
        "http://localhost:8081/",
        "http://localhost/",
        "http://localhost:8080@evil.test/",
        "http://localhost:8080%2f@evil.test/",
        "http://evil.test@localhost:8080/",
        "http://:pw@localhost:8080/",
        "http://localhost:8080.evil.test/",
        "http://evil.test#@localhost:8080/",
        "http://evil.test?@localhost:8080/",
        "http://\u{ff4c}ocalhost.evil.test/",
        "https://alice.example/on-the-list-but-not-ours",
        "\u{ff0f}\u{ff0f}evil.test",
        "/\t/evil.test",
        "/\n/evil.test",
        "\t//evil.test",
        " //evil.test",
        "/\u{2028}/evil.test",
        "/\u{7f}/evil.test",
        "javascript:alert(1)",
        "JavaScript:alert(1)//http://localhost:8080/",
        "data:text/html,x",
        "blob:http://localhost:8080/x",
        "file:///etc/passwd",
        "evil.test",
        "",
    ] {
        let wish = json!({"email": "bob@example.com", "returnTo": to});
        let seen = world.post("/v2/visitor/auth/magic-link").json(wish).send().await;
        if seen.status == 400 {
            let problem = seen.problem(400, "invalid_request");
            assert_eq!(problem["errors"][0]["field"], "returnTo", "{to:?}");
            continue;
        }
        seen.expect(202);
        world.settle().await;
        let form = format!("token={}", world.mailed_token());
        let seen = world.post(VERIFY).raw("application/x-www-form-urlencoded", form).send().await;
        seen.expect(303);
        let location = seen.header("location").unwrap();
        assert_eq!(ours.join(location).unwrap().origin(), ours.origin(), "{to:?}: {location}");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{to:?}: {location}");
        taken.push(to);
    }
    assert_eq!(taken.len(), 6, "{taken:?}");
}
