//! Connected accounts: what is missing in plain words, links on demand, and coming back from Stripe.

use serde_json::{Value, json};
use workflows::{
    Timestamp,
    id::HandleId,
    refresh_token,
    stripe::{Account, RequirementError, Requirements},
};

use crate::{
    on_both,
    stripe::event,
    world::{CONNECT_SECRET, World, keys, token},
};

pub const STATUS: &str = "/v2/handles/alice/connect/status";
pub const ONBOARD: &str = "/v2/handles/alice/connect/onboarding";
const DASHBOARD: &str = "/v2/handles/alice/connect/dashboard-link";
/// 3 May 2030, noon.
const THIRD_OF_MAY: i64 = 1_904_040_000;

impl World {
    pub async fn connect_status(&self) -> Value {
        self.get(STATUS).bearer(token("alice")).send().await.expect(200)
    }

    /// Stripe says on the connect endpoint that something happened to alice's account.
    pub async fn connect_event(&self, id: &str, kind: &str) {
        let account = self.connect_status().await["accountId"].clone();
        let mut told = event(id, kind, json!({"id": "x_1", "object": "thing"}));
        told["account"] = account;
        let path = "/v2/public/stripe/connect-webhook";
        self.signed(path, CONNECT_SECRET, &told).await.expect(200);
        self.settle().await;
    }
}

/// An account that may sell.
pub fn enabled() -> Account {
    Account {
        charges_enabled: true,
        payouts_enabled: true,
        details_submitted: true,
        transfers_active: true,
        ..Account::default()
    }
}

fn field(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

on_both! {

async fn what_will_be_missing_is_said_in_plain_words_with_its_date(world: World) {
    world.seller("alice").await;
    let due = Requirements {
        currently_due: field("external_account"),
        eventually_due: field("individual.id_number"),
        current_deadline: Some(Timestamp::from_secs(THIRD_OF_MAY)),
        ..Requirements::default()
    };
    *world.stripe.said.lock().unwrap() = Some(Account { requirements: due, ..enabled() });
    world.connect_event("evt_1", "capability.updated").await;
    let status = world.connect_status().await;
    assert_eq!(status["status"], "CONNECTED", "it may still sell");
    assert_eq!(status["requirements"]["eventuallyDue"], json!(["individual.id_number"]));
    assert_eq!(status["requirements"]["currentDeadline"], "2030-05-03T12:00:00Z");
    assert_eq!(
        status["blockers"],
        json!([{
            "code": "bank_account",
            "field": "external_account",
            "message": "Stripe still needs a bank account or card to pay out to.",
            "action": "Open a new onboarding link and give it.",
            "deadline": "2030-05-03T12:00:00Z",
            "effect": "NO_SALES_AFTER_DEADLINE",
            "consequence": "Payouts and new sales stop on 3 May 2030."
        }])
    );
    world.page("alice", "guide").await;
}

async fn what_stripe_did_not_accept_is_asked_for_again(world: World) {
    world.seller("alice").await;
    let due = Requirements {
        currently_due: field("individual.verification.document"),
        past_due: field("individual.verification.document"),
        errors: vec![RequirementError {
            requirement: "individual.verification.document".to_owned(),
            code: "verification_document_too_blurry".to_owned(),
            reason: "The photo is too blurry.".to_owned(),
        }],
        disabled_reason: Some("requirements.past_due".to_owned()),
        ..Requirements::default()
    };
    let restricted = Account { payouts_enabled: false, requirements: due, ..enabled() };
    *world.stripe.said.lock().unwrap() = Some(restricted);
    world.connect_event("evt_1", "account.updated").await;
    let status = world.connect_status().await;
    assert_eq!(status["status"], "RESTRICTED");
    assert_eq!(status["requirements"]["errors"][0]["code"], "verification_document_too_blurry");
    let codes: Vec<_> =
        status["blockers"].as_array().unwrap().iter().map(|blocker| &blocker["code"]).collect();
    assert_eq!(codes, ["identity_document", "payouts_paused"]);
    assert_eq!(
        status["blockers"][0]["message"],
        "Stripe did not accept a photo of an identity document: The photo is too blurry."
    );
    assert_eq!(status["blockers"][0]["effect"], "NO_SALES");

    // The same is said to whoever publishes, field by field.
    let body = json!({"slug": "new", "title": "N", "mode": "PAID", "priceCents": 500});
    let pages = "/v2/handles/alice/pages";
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
    let publish = world.post(format!("{pages}/new/publish")).bearer(token("alice")).send().await;
    let problem = publish.problem(409, "connect_not_ready");
    assert_eq!(problem["blockers"], status["blockers"]);
    assert_eq!(problem["errors"][0]["field"], "individual.verification.document");
    assert!(problem["detail"].as_str().unwrap().contains("too blurry"), "{problem}");
    // What is not paid for may be published.
    let body = json!({"slug": "free", "title": "F", "mode": "PUBLIC"});
    world.post(pages).bearer(token("alice")).json(body).send().await.expect(201);
    let path = format!("{pages}/free/publish");
    world.post(path).bearer(token("alice")).send().await.expect(200);
}

async fn the_rejected_are_asked_for_nothing(world: World) {
    world.seller("alice").await;
    let requirements = Requirements {
        currently_due: field("individual.id_number"),
        disabled_reason: Some("rejected.terms_of_service".to_owned()),
        ..Requirements::default()
    };
    let rejected = Account { details_submitted: true, requirements, ..Account::default() };
    *world.stripe.said.lock().unwrap() = Some(rejected);
    world.connect_event("evt_1", "account.updated").await;
    let status = world.connect_status().await;
    assert_eq!(status["status"], "REJECTED");
    assert_eq!(status["blockers"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["blockers"][0]["code"], "rejected");
    let alice = || token("alice");
    world.post(ONBOARD).bearer(alice()).send().await.problem(409, "connect_rejected");
    world.post(DASHBOARD).bearer(alice()).send().await.problem(409, "connect_rejected");
    assert_eq!(world.stripe.made("link"), 1, "no link was made for nothing");
}

async fn a_link_to_the_dashboard_is_made_when_asked_for_and_kept_nowhere(world: World) {
    world.handle("alice").await;
    let alice = || token("alice");
    let before = world.post(DASHBOARD).bearer(alice()).send().await;
    let problem = before.problem(409, "connect_not_ready");
    assert_eq!(problem["blockers"][0]["code"], "onboarding_not_started");
    world.post(ONBOARD).bearer(alice()).send().await.expect(200);
    world.settle().await;
    let during = world.post(DASHBOARD).bearer(alice()).send().await;
    let problem = during.problem(409, "connect_not_ready");
    assert_eq!(problem["blockers"][0]["code"], "onboarding_unfinished");
    assert_eq!(world.stripe.made("login link"), 0);

    *world.stripe.connected.lock().unwrap() = true;
    world.connect_event("evt_1", "account.updated").await;
    let (first, second) = tokio::join!(
        world.post(DASHBOARD).bearer(alice()).send(),
        world.post(DASHBOARD).bearer(alice()).send(),
    );
    let (first, second) = (first.expect(200), second.expect(200));
    assert_ne!(first["url"], second["url"], "single use: each has its own");
    let url = first["url"].as_str().unwrap();
    assert!(url.starts_with("https://connect.stripe.test/express/"), "{url}");
    world.settle().await;
    for table in ["history", "inbox"] {
        let sql = format!(
            "SELECT count(*) AS number FROM {table} WHERE event LIKE '%stripe.test/express%'"
        );
        assert_eq!(world.number(&sql).await, 0, "{table} keeps no secret");
    }
    assert_eq!(world.number("SELECT count(*) AS number FROM login_link").await, 0);
    let run = format!("/v2/runs/{}/history", first["runId"].as_str().unwrap());
    let history = world.get(run).bearer(alice()).send().await.expect(200).to_string();
    assert!(history.contains("LoginLinkCreated"), "{history}");

    *world.stripe.refusing.lock().unwrap() = Some("api_error");
    let refused = world.post(DASHBOARD).bearer(alice()).send().await;
    let problem = refused.problem(502, "stripe_refused");
    assert!(problem["detail"].as_str().unwrap().contains("api_error"), "{problem}");
}

async fn who_comes_back_from_the_form_goes_on_to_where_they_are_wanted(world: World) {
    world.handle("alice").await;
    let wish = json!({"returnUrl": "https://alice.example/settings?tab=pay&x=1"});
    world.post(ONBOARD).bearer(token("alice")).json(wish).send().await.expect(200);
    world.settle().await;
    *world.stripe.connected.lock().unwrap() = true;
    // Stripe sends the creator to us first: the account is read without waiting for a webhook.
    let urls = world.stripe.urls.lock().unwrap().pop().unwrap();
    let path = urls.return_url.strip_prefix("http://localhost:8080").unwrap().to_owned();
    let back = world.get(path).send().await;
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
    let urls = world.stripe.urls.lock().unwrap().pop().unwrap();
    let path = urls.refresh_url.strip_prefix("http://localhost:8080").unwrap().to_owned();
    assert!(path.contains(refresh_token::PLACEHOLDER), "{path}");

    // What the worker puts into the address when it has the link made.
    let handle = world.get("/v2/handles/alice").bearer(token("alice")).send().await.expect(200);
    let handle: HandleId = handle["id"].as_str().unwrap().parse().unwrap();
    let now = Timestamp::from_millis(world.engine.clock().local_millis());
    let proof = refresh_token::mint(&keys(), handle, now);
    let with = |proof: &str| path.replace(refresh_token::PLACEHOLDER, proof);
    let fresh = world.get(with(&proof)).send().await;
    assert_eq!(fresh.status, 303, "{}", fresh.text);
    let link = fresh.header("location").unwrap();
    assert!(link.starts_with("https://connect.stripe.test/setup/"), "{link}");
    assert_ne!(first["url"], link);
    let again = world.stripe.urls.lock().unwrap().pop().unwrap();
    assert_eq!(again, urls, "it leads back to the same places");

    // Whoever cannot prove that they had the link gets none.
    let links = world.stripe.made("link");
    let old = refresh_token::mint(&keys(), handle, now.plus(-refresh_token::LIFETIME));
    for forged in ["", "1.2", &proof.replacen('1', "2", 1), &old] {
        let seen = world.get(with(forged)).send().await;
        assert_eq!(seen.status, 200, "{forged}");
        assert!(seen.text.contains("This link is used up"), "{}", seen.text);
    }
    world.settle().await;
    assert_eq!(world.stripe.made("link"), links);
}

}
