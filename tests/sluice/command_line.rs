//! The command line, as people and scripts use it: what it prints, what it refuses, and how it ends.

use std::{path::Path, time::Duration};

use entities::{Database, audit_log, database::PoolSize};
use sea_orm::ConnectionTrait;
use serde_json::Value;
use uuid::Uuid;
use workflows::{checkout::Checkout, id::RunId, workflow::Workflow};

use crate::{
    installation::Installation,
    process::{Environment, Process, free_address, run, said, sluice},
    servers::Postgres,
};

/// How long a refusal may take, on a machine that does much else.
const SOON: Duration = Duration::from_secs(60);
/// The grace period that the tests configure, and a little.
const GRACE: (&str, Duration) = ("5", Duration::from_secs(15));
/// Nobody listens there.
const NOWHERE: &str = "redis://127.0.0.1:9";
const NO_STRIPE: &str = "http://127.0.0.1:9";

/// Settings that would do for any of the processes, over a file.
fn settings(directory: &Path) -> Environment {
    let data = directory.join("data");
    std::fs::create_dir_all(&data).unwrap();
    vec![
        ("DATABASE_URL", format!("sqlite://{}", data.join("sluice.db").display())),
        ("REDIS_URL", NOWHERE.to_owned()),
        ("STRIPE_API_BASE", NO_STRIPE.to_owned()),
        ("SLUICE_DATA_DIR", data.display().to_string()),
        ("SLUICE_BIND", free_address().to_string()),
        ("SLUICE_SIMULATOR_BIND", free_address().to_string()),
        ("SLUICE_GRACE_SECONDS", GRACE.0.to_owned()),
    ]
}

/// The same, over a current schema.
fn migrated(directory: &Path) -> Environment {
    let environment = settings(directory);
    let migrated = run(&environment, &["migrate", "up"]);
    assert!(migrated.status.success(), "{}", said(&migrated));
    environment
}

/// With one variable set, or taken away.
fn with(environment: &Environment, variable: &'static str, value: Option<&str>) -> Environment {
    let mut changed = environment.clone();
    changed.retain(|(name, _)| *name != variable);
    changed.extend(value.map(|value| (variable, value.to_owned())));
    changed
}

/// What a command says that must refuse to run.
async fn refusal(environment: &Environment, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start("refusal", sluice(environment, arguments), directory.path());
    let status = process.ended(SOON).await;
    assert!(!status.success(), "{arguments:?} was to refuse\n{}", process.tail());
    process.log()
}

async fn refuses_naming(environment: &Environment, arguments: &[&str], names: &[&str]) {
    let log = refusal(environment, arguments).await;
    for name in names {
        assert!(log.contains(name), "{arguments:?} does not say {name}:\n{log}");
    }
}

#[test]
fn the_demo_tells_one_json_object_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let told = run(&settings(directory.path()), &["demo", "--json"]);
    assert!(told.status.success(), "{}", said(&told));
    let lines = String::from_utf8(told.stdout).unwrap();
    let steps: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(steps.iter().all(|step| step["ok"] == true), "{lines}");
    assert_eq!(steps.last().unwrap()["step"], "checked");
    assert!(steps.len() > 10, "{lines}");
}

#[test]
fn the_schema_goes_up_and_down() {
    let directory = tempfile::tempdir().unwrap();
    let environment = settings(directory.path());
    let migrate = |direction| {
        let migrated = run(&environment, &["migrate", direction]);
        assert!(migrated.status.success(), "{}", said(&migrated));
        let lines = String::from_utf8(migrated.stdout).unwrap();
        let of = |status: &str| lines.lines().filter(|line| line.starts_with(status)).count();
        (of("applied"), of("pending"))
    };
    let (none, all) = migrate("status");
    assert_eq!(none, 0);
    assert_eq!(migrate("up"), (all, 0));
    assert_eq!(migrate("down"), (all - 1, 1));
    assert_eq!(migrate("status"), (all - 1, 1));
    assert_eq!(migrate("up"), (all, 0));
    let checked = run(&environment, &["check"]);
    assert!(checked.status.success() && said(&checked).contains("clean"), "{}", said(&checked));
}

#[tokio::test]
async fn the_schema_goes_up_and_down_on_postgresql() {
    let Some(postgres) = Postgres::create().await else { return };
    let environment = vec![("DATABASE_URL", postgres.url())];
    for direction in ["up", "down", "up", "status"] {
        let migrated = run(&environment, &["migrate", direction]);
        assert!(migrated.status.success(), "migrate {direction}: {}", said(&migrated));
    }
}

#[test]
fn the_document_is_yaml() {
    let printed = run(&Vec::new(), &["openapi"]);
    assert!(printed.status.success(), "{}", said(&printed));
    let document = String::from_utf8(printed.stdout).unwrap();
    assert!(document.starts_with("openapi: 3"), "{}", document.lines().next().unwrap_or_default());
    assert!(document.contains("\n  /v2/public/stripe/webhook:\n"));
}

#[tokio::test]
async fn no_token_is_minted_beside_a_live_key() {
    let live = vec![("STRIPE_SECRET_KEY", "sk_live_of_the_tests".to_owned())];
    let log = refusal(&live, &["token", "--sub", "alice"]).await;
    assert!(log.contains("live key") && log.contains("STRIPE_SECRET_KEY"), "{log}");
    assert!(!log.contains("sk_live_of_the_tests"), "the key itself has no place in a log: {log}");
    let minted = run(&Vec::new(), &["token", "--sub", "alice"]);
    assert_eq!(String::from_utf8(minted.stdout).unwrap().trim().split('.').count(), 3);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let environment = migrated(directory.path());
    for command in ["api", "worker"] {
        for variable in ["DATABASE_URL", "REDIS_URL"] {
            let missing = with(&environment, variable, None);
            refuses_naming(&missing, &[command], &[variable, "is not set"]).await;
        }
        // Neither Stripe nor a simulator: nobody starts that by oversight.
        let missing = with(&environment, "STRIPE_API_BASE", None);
        refuses_naming(&missing, &[command], &["STRIPE_SECRET_KEY", "is not set"]).await;
        let live = with(&environment, "STRIPE_SECRET_KEY", Some("sk_live_of_the_tests"));
        refuses_naming(&live, &[command], &["SLUICE_SECRET", "is not set"]).await;
    }
    let live = with(&environment, "STRIPE_SECRET_KEY", Some("sk_live_of_the_tests"));
    refuses_naming(&live, &["serve"], &["SLUICE_SECRET", "is not set"]).await;
    let secret = with(&live, "SLUICE_SECRET", Some("a-secret"));
    refuses_naming(&secret, &["api"], &["SLUICE_JWT_SECRET", "is not set"]).await;
    // Real money: tokens of one issuer, for one audience.
    let signed = with(&secret, "SLUICE_JWT_SECRET", Some("another-secret"));
    for command in ["api", "serve"] {
        refuses_naming(&signed, &[command], &["SLUICE_JWT_ISSUER", "is not set"]).await;
        let issued = with(&signed, "SLUICE_JWT_ISSUER", Some("https://id.example"));
        refuses_naming(&issued, &[command], &["SLUICE_JWT_AUDIENCE", "is not set"]).await;
        let http = with(&secret, "SLUICE_JWKS", Some("http://id.example/jwks.json"));
        refuses_naming(&http, &[command], &["SLUICE_JWKS", "https://"]).await;
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let environment = migrated(directory.path());
    let no_keys = directory.path().join("no-keys.json");
    std::fs::write(&no_keys, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
    let no_keys = no_keys.display().to_string();
    let unusable: &[(&str, &str, &[&str])] = &[
        ("SLUICE_JWKS", "/nowhere/keys.json", &["api", "serve"]),
        ("SLUICE_JWKS", &no_keys, &["api", "serve"]),
        ("SLUICE_JWKS", "ftp://id.example/keys", &["api", "serve"]),
        ("SLUICE_PLATFORM_FEE_BPS", "10000", &["api", "serve"]),
        ("SLUICE_PLATFORM_FEE_BPS", "5%", &["api", "serve"]),
        ("SLUICE_PLANS", "PRO", &["api", "worker", "serve"]),
        (
            "SLUICE_PLANS",
            r#"{"PRO":{"paidPages":false},"FREE":{"paidPages":true}}"#,
            &["api", "worker", "serve"],
        ),
        ("SLUICE_TRUSTED_PROXIES", "everybody", &["api", "serve"]),
        ("SLUICE_WRITES_PER_MINUTE", "0", &["api", "serve"]),
        ("SMTP_URL", "ftp://x", &["worker", "serve"]),
        ("SLUICE_MAIL_FROM", "nobody", &["worker", "serve"]),
        ("STRIPE_API_BASE", "nonsense", &["api", "worker", "serve"]),
        ("SLUICE_BIND", "nowhere", &["api", "serve"]),
        ("DATABASE_URL", "mysql://root@localhost/x", &["api", "worker", "serve"]),
        ("REDIS_URL", "http://localhost", &["api", "worker", "serve"]),
    ];
    for (variable, value, commands) in unusable {
        let environment = with(&environment, variable, Some(value));
        for command in *commands {
            refuses_naming(&environment, &[command], &[variable]).await;
        }
    }
}

#[tokio::test]
async fn what_an_operator_does_is_in_the_audit_log() {
    let directory = tempfile::tempdir().unwrap();
    let environment = with(&migrated(directory.path()), "USER", Some("olga"));
    let acts: &[&[&str]] = &[
        &["operate", "pause", "mail", "--reason", "the mail server is down"],
        &["operate", "--reason", " ", "resume", "mail"],
    ];
    for act in acts {
        let done = run(&environment, act);
        assert!(done.status.success(), "{}", said(&done));
    }
    // What there is not is not acted on, and not noted.
    assert!(!run(&environment, &["operate", "retry-message", "7"]).status.success());
    let url = format!("sqlite://{}", directory.path().join("data/sluice.db").display());
    let database = Database::open(&url, PoolSize(2)).await.unwrap();
    let log = audit_log::list_any_handle(database.read(), Uuid::max(), 10).await.unwrap();
    let told = |entry: &audit_log::AuditEntry| {
        let (actor, action) = (entry.actor.clone(), entry.action.clone());
        (actor, action, entry.target.clone(), entry.reason.clone())
    };
    let line = |action: &str, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        ("operator:olga".to_owned(), action.to_owned(), "mail".to_owned(), reason)
    };
    assert_eq!(
        log.iter().map(told).collect::<Vec<_>>(),
        [line("queue.resume", None), line("queue.pause", Some("the mail server is down")),]
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let environment = migrated(directory.path());
    let taken = free_address();
    let _listening = std::net::TcpListener::bind(taken).unwrap();
    let environment = with(&environment, "SLUICE_BIND", Some(&taken.to_string()));
    for command in ["api", "serve"] {
        refuses_naming(&environment, &[command], &["SLUICE_BIND", &taken.to_string()]).await;
    }
}

#[tokio::test]
async fn an_old_schema_is_not_worked_on() {
    let directory = tempfile::tempdir().unwrap();
    let environment = settings(directory.path());
    for command in ["api", "worker", "check", "replay", "recompute-earnings"] {
        refuses_naming(&environment, &[command], &["sluice migrate up"]).await;
    }
}

/// Earnings that are not what the ledger comes to are told, and mended only when that is asked for.
#[tokio::test]
async fn earnings_that_differ_are_told_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let environment = migrated(directory.path());
    let recompute = |arguments: &[&str]| {
        let arguments = [&["recompute-earnings"], arguments].concat();
        let done = run(&environment, &arguments);
        (done.status.success(), said(&done))
    };
    let (clean, said) = recompute(&[]);
    assert!(clean && said.contains("the earnings of 0 handles"), "{said}");
    let address = environment.iter().find(|(name, _)| *name == "DATABASE_URL").unwrap().1.clone();
    let database = Database::open(&address, PoolSize(2)).await.unwrap();
    let handle = Uuid::now_v7();
    let sql = format!(
        "INSERT INTO earnings (handle_id, page_id, campaign, currency, day, gross, platform_fee, \
         processor_fee, refunded, net, available) \
         VALUES (x'{}', x'{}', '', 'USD', 20000, 7, 0, 0, 0, 7, 0)",
        handle.simple(),
        Uuid::now_v7().simple()
    );
    database.write().execute_unprepared(&sql).await.unwrap();
    let (clean, said) = recompute(&[]);
    let told = "earned 7 gross and 7 net in USD by the rollup, 0 and 0 by the ledger";
    assert!(!clean && said.contains(told) && said.contains("1 differences"), "{said}");
    let (clean, said) = recompute(&["--repair", "--reason", "made up"]);
    assert!(clean && said.contains("1 differences repaired"), "{said}");
    let noted = audit_log::list(database.read(), handle, Uuid::max(), 10).await.unwrap();
    let [noted] = &noted[..] else { panic!("{noted:?}") };
    assert_eq!(
        (noted.action.as_str(), noted.reason.as_deref()),
        ("earnings.rewrite", Some("made up"))
    );
    let (clean, said) = recompute(&[]);
    assert!(clean, "{said}");
}

#[tokio::test]
async fn serve_and_its_parts_end_when_they_are_asked_to() {
    let installation = Installation::empty().await;
    installation.start("serve", &["serve"]);
    installation.wait_until_ready().await;
    let status = installation.terminate("serve", GRACE.1).await;
    assert_eq!(status.code(), Some(0));

    // Redis is nowhere: that is no reason not to work, nor not to end.
    let directory = tempfile::tempdir().unwrap();
    let environment = migrated(directory.path());
    let started = [("worker", "working"), ("api", "the API is at"), ("simulator", "the simulator")];
    for (command, says) in started {
        let process = sluice(&environment, &[command]);
        let mut process = Process::start(command, process, directory.path());
        let deadline = tokio::time::Instant::now() + SOON;
        while !process.log().contains(says) {
            assert!(tokio::time::Instant::now() < deadline, "{}", process.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        process.signal("TERM");
        let status = process.ended(GRACE.1).await;
        assert_eq!(status.code(), Some(0), "{}", process.tail());
    }
}

/// S50: a new release meets runs stored by the old one. It reads them, or refuses to start and says which runs
/// and why.
#[tokio::test]
async fn s50_a_release_that_cannot_read_a_run_refuses_to_start() {
    let installation = Installation::together().await;
    let subject = Uuid::now_v7();
    let id = RunId::of(Checkout::NAME, subject);
    let sql = format!(
        "INSERT INTO run (id, workflow, subject, state_name, state, machine_version, version, status, \
         created_at, updated_at) VALUES (x'{}', 'checkout', x'{}', 'Haggling', '{{\"Haggling\":{{}}}}', 0, \
         1, 'ACTIVE', 1, 1)",
        id.0.simple(),
        subject.simple()
    );
    installation.database.write().execute_unprepared(&sql).await.unwrap();
    let url = format!("sqlite://{}", installation.data().join("sluice.db").display());
    let environment = with(&installation.environment, "DATABASE_URL", Some(&url));
    let environment = with(&environment, "REDIS_URL", Some(NOWHERE));
    let environment = with(&environment, "STRIPE_API_BASE", Some(NO_STRIPE));
    for command in ["worker", "serve"] {
        refuses_naming(&environment, &[command], &[&id.to_string(), "cannot read", "Haggling"])
            .await;
    }
}
