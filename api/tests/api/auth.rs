//! Bearer tokens: who is let in, and who is not.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::world::{JWT_SECRET, Setup, World, in_an_hour};

fn signed(secret: &str, algorithm: Algorithm, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn unsigned(header: Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(claims))
}

async fn check(world: &World, tokens: Vec<(&str, String, &str)>) {
    world.handle("alice").await;
    for (name, token, expected) in tokens {
        let seen = world.get("/v2/handles/alice").bearer(&token).send().await;
        match expected {
            "ok" => drop(seen.expect(200)),
            code => {
                let problem = seen.problem(401, code);
                assert_eq!(seen.header("www-authenticate"), Some("Bearer"), "{name}: {problem}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_genuine_tokens_are_let_in() {
    let world = World::sqlite().await;
    let exp = in_an_hour();
    let alice = json!({"sub": "alice", "exp": exp});
    let good = signed(JWT_SECRET, Algorithm::HS256, &alice);
    let (body, _) = good.rsplit_once('.').unwrap();
    let tokens = vec![
        ("good", good.clone(), "ok"),
        ("rotated", signed("an older secret", Algorithm::HS256, &alice), "ok"),
        (
            "with aud",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"sub": "alice", "exp": exp, "aud": "x"})),
            "ok",
        ),
        ("forged", signed("another secret", Algorithm::HS256, &alice), "token_invalid"),
        ("another algorithm", signed(JWT_SECRET, Algorithm::HS512, &alice), "token_invalid"),
        ("alg none", unsigned(json!({"alg": "none", "typ": "JWT"}), &alice), "token_invalid"),
        ("alg None", unsigned(json!({"alg": "None"}), &alice), "token_invalid"),
        ("no signature", format!("{body}."), "token_invalid"),
        (
            "expired",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"sub": "alice", "exp": exp - 7_200})),
            "token_expired",
        ),
        (
            "without exp",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"sub": "alice"})),
            "token_invalid",
        ),
        (
            "without sub",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"exp": exp})),
            "token_invalid",
        ),
        (
            "empty sub",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"sub": "", "exp": exp})),
            "token_invalid",
        ),
        (
            "not yet",
            signed(JWT_SECRET, Algorithm::HS256, &json!({"sub": "alice", "exp": exp, "nbf": exp})),
            "token_invalid",
        ),
        ("nonsense", "nonsense".to_owned(), "token_invalid"),
    ];
    check(&world, tokens).await;
    let basic = world.get("/v2/handles/alice").header("authorization", "Basic YTpi").send().await;
    basic.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuer_and_audience_are_checked_when_configured() {
    let setup = Setup {
        issuer: Some("https://id.example".to_owned()),
        audience: Some("sluice".to_owned()),
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let exp = in_an_hour();
    let token = |iss: Value, aud: Value| {
        let mut claims = json!({"sub": "alice", "exp": exp, "iss": iss, "aud": aud});
        let claims = claims.as_object_mut().unwrap();
        claims.retain(|_, value| !value.is_null());
        signed(JWT_SECRET, Algorithm::HS256, &Value::Object(claims.clone()))
    };
    let ours = json!("https://id.example");
    for (name, token, status) in [
        ("ours", token(ours.clone(), json!("sluice")), 404),
        ("one of several", token(ours.clone(), json!(["other", "sluice"])), 404),
        ("another issuer", token(json!("https://evil.example"), json!("sluice")), 401),
        ("another audience", token(ours.clone(), json!("other")), 401),
        ("no issuer", token(Value::Null, json!("sluice")), 401),
        ("no audience", token(ours, Value::Null), 401),
    ] {
        let seen = world.get("/v2/handles/alice").bearer(token).send().await;
        assert_eq!(seen.status, status, "{name}: {}", seen.text);
    }
}
