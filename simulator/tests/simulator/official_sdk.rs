//! Stripe's official SDK for Python, unmodified, pointed at the simulator: `tests/sdk` has what it does.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use crate::support::Sim;

/// A Python in whose environment `tests/sdk/requirements.txt` is installed.
const PYTHON: &str = "SLUICE_TEST_STRIPE_SDK";

/// Set where nothing may be skipped.
const REQUIRE: &str = "SLUICE_TEST_REQUIRE_SERVERS";

/// Longer than the whole conversation takes; shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(180);

fn python() -> Option<PathBuf> {
    let python = std::env::var_os(PYTHON).map(PathBuf::from);
    if python.is_none() {
        assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set and {PYTHON} is not");
        // Not `eprintln!`, which nobody sees when the test passes.
        let skipped = format!("SKIPPED: no official Stripe SDK, since {PYTHON} is not set\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
    python
}

#[tokio::test]
async fn the_official_sdk_gets_what_stripe_promises() {
    let Some(python) = python() else {
        return;
    };
    let sim = Sim::start().await;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/sdk/official_sdk.py");
    let conversation = Command::new(&python)
        .arg(script)
        .arg(sim.running.url())
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, conversation)
        .await
        .expect("the SDK is still talking")
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}", python.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("all as promised"), "{said}\n{complained}");
}
