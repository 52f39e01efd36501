//! Tokens signed by an identity provider: which keys are good, and what happens when they change.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use api::KeySource;
use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::world::{Setup, World, in_an_hour, token};

/// Made for these tests: private keys, and the public set of them.
const PUBLIC: &str = include_str!("keys/public.json");
const RSA: &[u8] = include_bytes!("keys/rsa.der");
const EC: &[u8] = include_bytes!("keys/ec.der");
const ED: &[u8] = include_bytes!("keys/ed.der");

/// A provider whose answers tests choose.
pub struct Provider {
    answer: Mutex<Result<String, String>>,
    asked: AtomicUsize,
}

impl Provider {
    fn with(answer: Result<Value, &str>) -> Arc<Self> {
        let answer = answer.map(|set| set.to_string()).map_err(str::to_owned);
        Arc::new(Self { answer: Mutex::new(answer), asked: AtomicUsize::new(0) })
    }

    fn now_says(&self, answer: Result<Value, &str>) {
        let answer = answer.map(|set| set.to_string()).map_err(str::to_owned);
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeySource for Provider {
    async fn fetch(&self) -> Result<String, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answer.lock().unwrap().clone()
    }
}

/// The public keys of these ids.
fn set(ids: &[&str]) -> Value {
    let mut all: Value = serde_json::from_str(PUBLIC).unwrap();
    let keys = all["keys"].as_array_mut().unwrap();
    keys.retain(|key| ids.contains(&key["kid"].as_str().unwrap()));
    all
}

fn claims() -> Value {
    json!({"sub": "alice", "exp": in_an_hour()})
}

fn signed(algorithm: Algorithm, id: Option<&str>, claims: &Value) -> String {
    let key = match algorithm {
        Algorithm::RS256 | Algorithm::RS512 | Algorithm::PS256 => EncodingKey::from_rsa_der(RSA),
        Algorithm::ES256 => EncodingKey::from_ec_der(EC),
        _ => EncodingKey::from_ed_der(ED),
    };
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, &key).unwrap()
}

/// Signed with a shared secret, under the name of a public key.
fn shared(secret: &[u8], id: Option<&str>) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
}

async fn world_of(provider: &Arc<Provider>) -> World {
    let setup = Setup { jwks: Some(provider.clone()), ..Setup::default() };
    let world = World::with(setup).await;
    world.handle("alice").await;
    world
}

async fn status(world: &World, token: &str) -> u16 {
    world.get("/v2/handles/alice").bearer(token).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_says_how_it_signs() {
    let provider = Provider::with(Ok(set(&["rsa", "ec", "ed"])));
    let world = world_of(&provider).await;
    use Algorithm::{ES256, EdDSA, PS256, RS256, RS512};
    for (algorithm, id, expected) in [
        (RS256, Some("rsa"), 200),
        (ES256, Some("ec"), 200),
        (EdDSA, Some("ed"), 200),
        (EdDSA, None, 200),
        // Another key, another algorithm of the same key, and keys that nobody knows.
        (RS256, Some("ec"), 401),
        (ES256, Some("ed"), 401),
        (RS512, Some("rsa"), 401),
        (PS256, Some("rsa"), 401),
        (RS256, Some("unknown"), 401),
    ] {
        let token = signed(algorithm, id, &claims());
        assert_eq!(status(&world, &token).await, expected, "{algorithm:?} by {id:?}");
    }
    // The shared secret goes on beside the set, and what is public is no shared secret.
    assert_eq!(status(&world, &token("alice")).await, 200);
    let public: Value = serde_json::from_str(PUBLIC).unwrap();
    let modulus = public["keys"][0]["n"].as_str().unwrap();
    let raw = BASE64_URL_SAFE_NO_PAD.decode(modulus).unwrap();
    let json = public["keys"][0].to_string();
    for secret in [modulus.as_bytes(), &raw, json.as_bytes(), PUBLIC.as_bytes(), b""] {
        for id in [Some("rsa"), None] {
            assert_eq!(status(&world, &shared(secret, id)).await, 401, "HS256 by a public key");
        }
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = part(&json!({"alg": "none", "kid": "rsa"}));
    assert_eq!(status(&world, &format!("{unsigned}.{}.", part(&claims()))).await, 401);
    let mut forged = signed(RS256, Some("rsa"), &claims());
    let place = forged.len() - 8;
    let other = if forged.as_bytes()[place] == b'A' { "B" } else { "A" };
    forged.replace_range(place..=place, other);
    assert_eq!(status(&world, &forged).await, 401);
    let expired = json!({"sub": "alice", "exp": in_an_hour() - 7_200});
    let expired = signed(RS256, Some("rsa"), &expired);
    let seen = world.get("/v2/handles/alice").bearer(expired).send().await;
    seen.problem(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_without_a_use_here_are_passed_over() {
    let mut keys = set(&["rsa", "ec", "ed"]);
    keys["keys"][0]["use"] = json!("enc");
    keys["keys"][1]["alg"] = json!("ES384");
    let more = json!([
        {"kid": "secret", "kty": "oct", "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode("public")},
        {"kid": "strange", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        "nonsense",
    ]);
    keys["keys"].as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
    let world = world_of(&Provider::with(Ok(keys))).await;
    assert_eq!(status(&world, &signed(Algorithm::EdDSA, Some("ed"), &claims())).await, 200);
    assert_eq!(status(&world, &signed(Algorithm::RS256, Some("rsa"), &claims())).await, 401);
    assert_eq!(status(&world, &signed(Algorithm::ES256, Some("ec"), &claims())).await, 401);
    assert_eq!(status(&world, &shared(b"public", Some("secret"))).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_without_a_restart() {
    let provider = Provider::with(Ok(set(&["rsa"])));
    let world = world_of(&provider).await;
    let (old, new) = (
        signed(Algorithm::RS256, Some("rsa"), &claims()),
        signed(Algorithm::EdDSA, Some("ed"), &claims()),
    );
    for _ in 0..3 {
        assert_eq!(status(&world, &old).await, 200);
    }
    assert_eq!(provider.asked(), 1, "the set is kept");
    // A key that is not known is looked for, yet not for every token that names one.
    provider.now_says(Ok(set(&["rsa", "ed"])));
    for _ in 0..3 {
        assert_eq!(status(&world, &new).await, 401);
    }
    assert_eq!(provider.asked(), 1);
    world.engine.clock().advance(30_000);
    assert_eq!(status(&world, &new).await, 200);
    assert_eq!(status(&world, &old).await, 200);
    assert_eq!(provider.asked(), 2);
    // Many at once ask once.
    world.engine.clock().advance(30_000);
    let strange = signed(Algorithm::ES256, Some("ec"), &claims());
    let many = (0..8).map(|_| status(&world, &strange));
    assert_eq!(futures::future::join_all(many).await, [401; 8]);
    assert_eq!(provider.asked(), 3);
    // A withdrawn key goes when the set has become old.
    provider.now_says(Ok(set(&["ed"])));
    world.engine.clock().advance(600_000);
    assert_eq!(status(&world, &old).await, 200, "it is read again beside the request");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while status(&world, &old).await == 200 {
        assert!(std::time::Instant::now() < deadline, "the withdrawn key stays");
    }
    assert_eq!(status(&world, &new).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_keys_stay_good_while_the_provider_is_away() {
    let provider = Provider::with(Err("no route to host"));
    let world = world_of(&provider).await;
    let alice = signed(Algorithm::ES256, Some("ec"), &claims());
    let seen = world.get("/v2/handles/alice").bearer(&alice).send().await;
    seen.problem(503, "unavailable");
    assert!(seen.header("retry-after").is_some());
    // It comes back soon, and goes away again for long.
    provider.now_says(Ok(set(&["ec"])));
    world.engine.clock().advance(2_000);
    assert_eq!(status(&world, &alice).await, 200);
    for answer in [Err("no route to host"), Ok(json!("<html>"))] {
        provider.now_says(answer);
        world.engine.clock().advance(86_400_000);
        for _ in 0..3 {
            assert_eq!(status(&world, &alice).await, 200);
        }
        let strange = signed(Algorithm::EdDSA, Some("ed"), &claims());
        assert_eq!(status(&world, &strange).await, 401);
    }
}

/// All keys are withdrawn at once: by an empty set, or one without any that can be used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_set_ends_its_keys() {
    let symmetric = json!({"keys": [{"kty": "oct", "kid": "ec", "k": "AAAA"}]});
    for empty in [json!({"keys": []}), symmetric] {
        let provider = Provider::with(Ok(set(&["ec"])));
        let world = world_of(&provider).await;
        let alice = signed(Algorithm::ES256, Some("ec"), &claims());
        assert_eq!(status(&world, &alice).await, 200);
        provider.now_says(Ok(empty));
        world.engine.clock().advance(600_000);
        assert_eq!(status(&world, &alice).await, 200, "it is read again beside the request");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while status(&world, &alice).await == 200 {
            assert!(std::time::Instant::now() < deadline, "the withdrawn key stays");
        }
        provider.now_says(Ok(set(&["ec"])));
        world.engine.clock().advance(30_000);
        assert_eq!(status(&world, &alice).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_looked_for_for_tokens_that_name_none() {
    let provider = Provider::with(Ok(set(&["rsa"])));
    let world = world_of(&provider).await;
    assert_eq!(status(&world, &signed(Algorithm::RS256, None, &claims())).await, 200);
    provider.now_says(Ok(set(&["rsa", "ed"])));
    let new = signed(Algorithm::EdDSA, None, &claims());
    assert_eq!((status(&world, &new).await, provider.asked()), (401, 1));
    world.engine.clock().advance(30_000);
    assert_eq!((status(&world, &new).await, provider.asked()), (200, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_of_the_platform_come_from_the_configured_issuer() {
    let provider = Provider::with(Ok(set(&["ed"])));
    let issuer = Some("https://id.example".to_owned());
    let setup = Setup { issuer, jwks: Some(provider), ..Setup::default() };
    let world = World::with(setup).await;
    for (iss, roles, expected) in [
        (json!("https://id.example"), json!(["platform_operator"]), 200),
        (json!("https://id.example"), json!(["platform_admin"]), 200),
        (json!("https://id.example"), json!(["operator", "admin"]), 403),
        (json!("https://evil.example"), json!(["platform_admin"]), 401),
        (Value::Null, json!(["platform_admin"]), 401),
    ] {
        let mut claims = json!({"sub": "olga", "exp": in_an_hour(), "roles": roles});
        if !iss.is_null() {
            claims["iss"] = iss.clone();
        }
        let token = signed(Algorithm::EdDSA, Some("ed"), &claims);
        let seen = world.get("/v2/operator/audit-log").bearer(token).send().await;
        assert_eq!(seen.status, expected, "{iss} {roles}: {}", seen.text);
    }
}
