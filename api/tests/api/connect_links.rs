//! Links to Stripe's form: whose they are, who gets another, and coming back from Stripe.

use std::time::Duration;

use serde_json::{Value, json};
use workflows::{Timestamp, effect::LinkRequest, id::HandleId, refresh_token};

use crate::{
    client::Seen,
    connect::ONBOARD,
    on_both,
    world::{Setup, World, keys, operator_token, token},
};

const LOG: &str = "/v2/handles/alice/audit-log";

impl World {
    async fn handle_id(&self) -> HandleId {
        let handle = self.get("/v2/handles/alice").bearer(token("alice")).send().await.expect(200);
        handle["id"].as_str().unwrap().parse().unwrap()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.engine.clock().local_millis())
    }

    /// What the worker puts into the addresses when it has a link made.
    async fn proof(&self, request: &LinkRequest) -> String {
        let at = request.proven_at.unwrap_or(self.now());
        refresh_token::mint(&keys(), self.handle_id().await, &request.subject, at)
    }

    fn newest_request(&self) -> LinkRequest {
        self.stripe.requests.lock().unwrap().last().unwrap().clone()
    }

    /// Where Stripe sends a creator whose link was used, and those who come back from the form.
    async fn addresses(&self, proof: &str) -> (String, String) {
        let urls = self.stripe.urls.lock().unwrap().last().unwrap().clone();
        let path = |url: String| {
            assert!(url.contains(refresh_token::PLACEHOLDER), "{url}");
            let url = url.replace(refresh_token::PLACEHOLDER, proof);
            url.strip_prefix("http://localhost:8080").unwrap().to_owned()
        };
        (path(urls.refresh_url), path(urls.return_url))
    }

    /// Two requests for a link that are heard at once.
    async fn two_at_once(&self) -> (Seen, Seen) {
        let waiting = "SELECT count(*) AS number FROM inbox \
                       WHERE source_id LIKE 'onboard:%' AND status = 'PENDING'";
        let (first, second, ()) = tokio::join!(
            self.post(ONBOARD).bearer(token("alice")).send(),
            self.post(ONBOARD).bearer(token("alice")).send(),
            async {
                while self.number(waiting).await < 2 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.settle().await;
            }
        );
        if first.status == 200 { (first, second) } else { (second, first) }
    }
}

on_both! {

async fn who_comes_back_from_the_form_goes_on_to_where_they_are_wanted(world: World) {
    world.handle("alice").await;
    let wish = json!({"returnUrl": "https://alice.example/settings?tab=pay&x=1"});
    world.post(ONBOARD).bearer(token("alice")).json(wish).send().await.expect(200);
    world.settle().await;
    *world.stripe.connected.lock().unwrap() = true;
    // Whoever never had a link goes on, too, but has nothing read at Stripe and nothing written.
    let rows = world.rows().await;
    for forged in ["", "1.2"] {
        let back = world.get(world.addresses(forged).await.1).send().await;
        assert_eq!(back.status, 303);
        assert_eq!(back.header("location"), Some("https://alice.example/settings?tab=pay&x=1"));
    }
    assert_eq!(world.rows().await, rows);
    assert_ne!(world.connect_status().await["status"], "CONNECTED");
    // Stripe sends the creator to us first: the account is read without waiting for a webhook.
    let proof = world.proof(&world.newest_request()).await;
    let back = world.get(world.addresses(&proof).await.1).send().await;
    assert_eq!(back.status, 303);
    assert_eq!(back.header("location"), Some("https://alice.example/settings?tab=pay&x=1"));
    world.settle().await;
    assert_eq!(world.connect_status().await["status"], "CONNECTED");
}

async fn who_comes_back_with_a_used_link_gets_a_fresh_one(world: World) {
    world.handle("alice").await;
    let wish = json!({"returnUrl": "/thanks"});
    let first = world.post(ONBOARD).bearer(token("alice")).json(wish).send().await.expect(200);
    world.settle().await;
    let urls = world.stripe.urls.lock().unwrap().last().unwrap().clone();
    let proof = world.proof(&world.newest_request()).await;
    let fresh = world.get(world.addresses(&proof).await.0).send().await;
    assert_eq!(fresh.status, 303, "{}", fresh.text);
    let link = fresh.header("location").unwrap();
    assert!(link.starts_with("https://connect.stripe.test/setup/"), "{link}");
    assert_ne!(first["url"], link);
    let again = world.stripe.urls.lock().unwrap().last().unwrap().clone();
    assert_eq!(again, urls, "it leads back to the same places");
    let log = world.get(LOG).bearer(token("alice")).send().await.expect(200);
    assert_eq!(log["data"][0]["action"], "connect.refresh");
    assert_eq!(log["data"][0]["actor"], "alice by a used link");

    // Whoever cannot prove that they had the link gets none.
    let old = LinkRequest {
        subject: "alice".to_owned(),
        proven_at: Some(world.now().plus(-refresh_token::LIFETIME)),
        ..LinkRequest::default()
    };
    let strangers = LinkRequest { subject: "eve".to_owned(), ..LinkRequest::default() };
    let (old, strangers) = (world.proof(&old).await, world.proof(&strangers).await);
    world.gets_no_link(&["", "1.2", &proof.replacen('1', "2", 1), &old, &strangers]).await;
}

// Every link counts from the one that somebody who was signed in asked for.
async fn used_links_do_not_lead_on_for_ever(world: World) {
    world.handle("alice").await;
    world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    let mut proof = world.proof(&world.newest_request()).await;
    for _ in 0..3 {
        world.engine.clock().advance(7 * Timestamp::HOUR);
        let fresh = world.get(world.addresses(&proof).await.0).send().await;
        assert_eq!(fresh.status, 303, "{}", fresh.text);
        world.settle().await;
        proof = world.proof(&world.newest_request()).await;
    }
    world.engine.clock().advance(4 * Timestamp::HOUR);
    world.gets_no_link(&[&proof]).await;
}

async fn who_was_taken_out_comes_back_in_by_no_link(world: World) {
    world.handle("alice").await;
    world.member("alice", "bob", "owner").await;
    world.post(ONBOARD).bearer(token("bob")).send().await.expect(200);
    world.settle().await;
    let proof = world.proof(&world.newest_request()).await;
    let (refresh, back) = world.addresses(&proof).await;
    world.get(&refresh).send().await.expect(303);
    let set = json!({"subject": "bob", "role": "operator"});
    let members = "/v2/handles/alice/members";
    world.post(members).bearer(token("alice")).json(set).send().await.expect(200);
    world.gets_no_link(&[&proof]).await;
    let remove = world.call("DELETE", format!("{members}/bob")).bearer(token("alice"));
    remove.send().await.expect(200);
    world.gets_no_link(&[&proof]).await;
    let rows = world.rows().await;
    world.get(&back).send().await.expect(200);
    assert_eq!(world.rows().await, rows, "nothing is read");
}

async fn a_used_link_makes_no_account(world: World) {
    world.handle("alice").await;
    let link = world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    let proof = world.proof(&world.newest_request()).await;
    let (refresh, _) = world.addresses(&proof).await;
    let account = link["accountId"].as_str().unwrap().to_owned();
    world.stripe.gone.lock().unwrap().push(account);
    world.connect_event("evt_1", "account.application.deauthorized").await;
    assert_eq!(world.connect_status().await["status"], "DISCONNECTED");
    let seen = world.get(&refresh).send().await;
    assert_eq!(seen.status, 200);
    assert!(seen.text.contains("Start the onboarding again"), "{}", seen.text);
    world.settle().await;
    assert_eq!(world.stripe.made("account"), 1);
    assert_eq!(world.connect_status().await["status"], "DISCONNECTED");
}

async fn of_two_who_ask_at_once_each_is_told_the_truth(world: World) {
    world.handle("alice").await;
    world.stop_working().await;
    // Neither while the account is made, nor while a link is.
    for links in [1, 3] {
        let (got, lost) = world.two_at_once().await;
        assert!(got.expect(200)["url"].is_string());
        lost.problem(409, "superseded");
        world.settle().await;
        assert_eq!((world.stripe.made("account"), world.stripe.made("link")), (1, links));
    }
}

async fn why_there_is_no_link_is_said_until_there_is_one(world: World) {
    world.handle("alice").await;
    world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    *world.stripe.refusing.lock().unwrap() = Some("url_invalid");
    let refused = world.post(ONBOARD).bearer(token("alice")).send().await;
    let problem = refused.problem(502, "stripe_refused");
    assert_eq!(problem["detail"], "refused: url_invalid");
    // The account is read after it, and reading it says nothing about the link.
    world.settle().await;
    world.connect_event("evt_1", "account.updated").await;
    assert_eq!(world.connect_status().await["failure"], "refused: url_invalid");
    *world.stripe.refusing.lock().unwrap() = None;
    world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    assert_eq!(world.connect_status().await["failure"], Value::Null);
}

// Stripe's own words may quote parts of the platform's key.
async fn what_stripe_says_is_for_the_platforms_people(world: World) {
    world.handle("alice").await;
    *world.stripe.refusing.lock().unwrap() = Some("sk_test_abc");
    let refused = world.post(ONBOARD).bearer(token("alice")).send().await;
    let problem = refused.problem(502, "stripe_refused").to_string();
    assert!(!problem.contains("sk_test"), "{problem}");
    world.settle().await;
    let status = world.connect_status().await;
    assert!(status["failure"].is_string() && !status.to_string().contains("sk_test"), "{status}");

    // What is tried again, too.
    *world.stripe.refusing.lock().unwrap() = None;
    *world.stripe.unwell.lock().unwrap() = Some("Invalid API Key provided: sk_test_abc");
    world.post(ONBOARD).bearer(token("alice")).send().await.expect(200);
    world.settle().await;
    let run = format!("/v2/runs/{}", status["runId"].as_str().unwrap());
    let errors = async |token: String| {
        let run = world.get(&run).bearer(token).send().await.expect(200);
        let effects = run["effects"].as_array().unwrap().clone();
        effects.into_iter().filter_map(|effect| effect["lastError"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let hers = errors(token("alice")).await;
    assert_eq!(hers, ["Stripe did not do it: the platform's operators see why"]);
    assert_eq!(errors(operator_token()).await, ["Invalid API Key provided: sk_test_abc"]);
}

}

impl World {
    async fn gets_no_link(&self, proofs: &[&str]) {
        let links = self.stripe.made("link");
        for proof in proofs {
            let seen = self.get(self.addresses(proof).await.0).send().await;
            assert_eq!(seen.status, 200, "{proof}");
            assert!(seen.text.contains("This link is used up"), "{}", seen.text);
        }
        self.settle().await;
        assert_eq!(self.stripe.made("link"), links);
    }
}

/// Nobody has to give up a key because Stripe was slow.
async fn a_link_that_took_too_long_is_had_by_asking_again(world: World) {
    world.handle("alice").await;
    world.stop_working().await;
    let ask = |key: &'static str| world.post(ONBOARD).bearer(token("alice")).key(key).send();
    let early = ask("k1").await;
    assert_eq!(early.expect(202)["url"], Value::Null);
    world.settle().await;
    let got = ask("k1").await.expect(200);
    assert!(got["url"].is_string(), "{got}");
    assert_eq!(ask("k1").await.expect(200), got, "it is kept from now on");
    assert_eq!(world.stripe.made("link"), 1);
    // Whoever waits for another is not given the one before.
    let later = ask("k2").await.expect(202);
    assert_eq!((&later["url"], &later["expiresAt"]), (&Value::Null, &Value::Null));
    world.settle().await;
    let other = ask("k2").await.expect(200);
    assert!(other["url"].is_string() && other["url"] != got["url"], "{other}");
    let noted = "SELECT count(*) AS number FROM audit_log WHERE action = 'connect.onboard'";
    assert_eq!(world.number(noted).await, 2, "asking again is the same deed");
}

fn impatient() -> Setup {
    Setup { answer_within: Duration::from_millis(200), ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_took_too_long_is_had_by_asking_again_on_sqlite() {
    a_link_that_took_too_long_is_had_by_asking_again(World::with(impatient()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_took_too_long_is_had_by_asking_again_on_postgres() {
    if let Some(world) = World::postgres_with(impatient()).await {
        a_link_that_took_too_long_is_had_by_asking_again(world).await;
    }
}
