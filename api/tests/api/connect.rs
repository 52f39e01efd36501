//! Connected accounts: what is missing in plain words, and links to the dashboard.

use serde_json::{Value, json};
use workflows::{
    Timestamp,
    stripe::{Account, RequirementError, Requirements},
};

use crate::{
    on_both,
    stripe::event,
    world::{CONNECT_SECRET, World, token},
};

pub const STATUS: &str = "/v2/handles/alice/connect/status";
pub const ONBOARD: &str = "/v2/handles/alice/connect/onboarding";
pub const DASHBOARD: &str = "/v2/handles/alice/connect/dashboard-link";
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
    let left = "SELECT count(*) AS number FROM login_link";
    assert_eq!(world.number(left).await, 0);
    let noted = "SELECT count(*) AS number FROM audit_log \
                 WHERE action = 'connect.dashboard' AND actor = 'alice'";
    assert_eq!(world.number(noted).await, 2, "who looked at the money is known");
    let run = format!("/v2/runs/{}/history", first["runId"].as_str().unwrap());
    let history = world.get(run).bearer(alice()).send().await.expect(200).to_string();
    assert!(history.contains("LoginLinkCreated"), "{history}");

    *world.stripe.refusing.lock().unwrap() = Some("api_error");
    let refused = world.post(DASHBOARD).bearer(alice()).send().await;
    let problem = refused.problem(502, "stripe_refused");
    assert!(problem["detail"].as_str().unwrap().contains("api_error"), "{problem}");

    // One that nobody comes for is gone soon.
    let insert = "INSERT INTO login_link (id, handle_id, url, created_at) \
                  SELECT id, id, 'https://late.test', 1 FROM handle";
    let db = world.engine.database().write();
    entities::statement::execute(db, insert, vec![]).await.unwrap();
    assert_eq!(world.number(left).await, 1);
    world.engine.sweep(&engine::wake::NoWakeups).await.unwrap();
    assert_eq!(world.number(left).await, 0);
}

async fn nothing_is_sold_where_the_platform_has_paused_the_account(world: World) {
    world.seller("alice").await;
    let requirements = Requirements {
        disabled_reason: Some("platform_paused".to_owned()),
        ..Requirements::default()
    };
    let paused = Account { payouts_enabled: false, requirements, ..enabled() };
    *world.stripe.said.lock().unwrap() = Some(paused);
    world.connect_event("evt_1", "account.updated").await;
    let status = world.connect_status().await;
    assert_eq!(status["status"], "RESTRICTED");
    let blockers: Vec<_> = status["blockers"].as_array().unwrap().iter().collect();
    let codes: Vec<_> = blockers.iter().map(|blocker| &blocker["code"]).collect();
    assert_eq!(codes, ["account_disabled", "payouts_paused"]);
    assert_eq!(blockers[0]["message"], "The platform has paused the account.");
    for blocker in blockers {
        assert_eq!(blocker["effect"], "NO_SALES", "{blocker}");
    }
}

async fn a_company_is_asked_for_a_document_of_its_own(world: World) {
    world.seller("alice").await;
    let currently_due = ["company.verification.document", "individual.verification.document"];
    let requirements = Requirements {
        currently_due: currently_due.map(str::to_owned).to_vec(),
        ..Requirements::default()
    };
    *world.stripe.said.lock().unwrap() = Some(Account { requirements, ..enabled() });
    world.connect_event("evt_1", "account.updated").await;
    let status = world.connect_status().await;
    let codes: Vec<_> =
        status["blockers"].as_array().unwrap().iter().map(|blocker| &blocker["code"]).collect();
    assert_eq!(codes, ["business_document", "identity_document"]);
}

}
