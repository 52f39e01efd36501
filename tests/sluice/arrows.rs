//! Which crate may know which, as the architecture says: arrows point down only. Read from what cargo itself
//! knows, so that a forbidden arrow fails here and not in a review.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What each crate may depend on within the workspace.
const ARROWS: &[(&str, &[&str])] = &[
    ("sluice", &["api", "engine", "entities", "migration", "simulator", "workers", "workflows"]),
    ("api", &["engine", "entities", "workflows"]),
    ("workers", &["engine", "entities", "workflows"]),
    ("engine", &["entities", "workflows"]),
    ("workflows", &[]),
    ("entities", &[]),
    ("migration", &[]),
    ("simulator", &[]),
];

/// What the pure crate must not know, however indirectly: no runtime, no database, no network.
const NOT_PURE: &[&str] =
    &["tokio", "sea-orm", "sqlx", "sqlx-core", "reqwest", "hyper", "poem", "redis"];

/// Files in which addresses of somebody's own machine have no place.
const READ_BY_OTHERS: &[&str] = &["rs", "md", "toml", "yml", "yaml", "html", "txt"];

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn said(command: &mut Command) -> String {
    let output = command.current_dir(workspace()).output().expect("a command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn cargo(arguments: &[&str]) -> String {
    said(Command::new(env!("CARGO")).args(arguments))
}

#[test]
fn arrows_point_down_only() {
    let metadata = cargo(&["metadata", "--format-version", "1", "--offline", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |package: &Value| package["name"].as_str().expect("a name").to_owned();
    let members: BTreeSet<_> = packages.iter().map(name).collect();
    let mut found = BTreeMap::new();
    for package in packages {
        let depends: BTreeSet<_> = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            // Those for tests may point anywhere.
            .filter(|dependency| dependency["kind"] != "dev")
            .map(name)
            .filter(|dependency| members.contains(dependency))
            .collect();
        found.insert(name(package), depends);
    }
    let allowed: BTreeMap<_, BTreeSet<_>> = ARROWS
        .iter()
        .map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        allowed.keys().collect::<Vec<_>>(),
        "a crate has come or gone: say what it may know"
    );
    for (from, to) in &found {
        let forbidden: Vec<_> = to.difference(&allowed[from]).collect();
        assert!(forbidden.is_empty(), "{from} must not know {forbidden:?}");
    }
}

#[test]
fn workflows_are_pure() {
    let tree = cargo(&[
        "tree",
        "--package",
        "workflows",
        "--edges",
        "normal",
        "--offline",
        "--prefix",
        "none",
    ]);
    let known: BTreeSet<_> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let impure: Vec<_> = NOT_PURE.iter().filter(|name| known.contains(*name)).collect();
    assert!(impure.is_empty(), "workflows know {impure:?}");
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    if !workspace().join(".git").exists() {
        eprintln!("SKIPPED: without the repository nobody knows which files are meant for others");
        return;
    }
    let listed = said(Command::new("git").args(["ls-files", "-z"]));
    let places = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/ho", "me/"].concat()];
    let mut found = Vec::new();
    for file in listed.split('\0').map(Path::new) {
        let extension = file.extension().and_then(|extension| extension.to_str());
        if !extension.is_some_and(|extension| READ_BY_OTHERS.contains(&extension)) {
            continue;
        }
        // A file that was deleted and not committed is still listed.
        let Ok(text) = std::fs::read_to_string(workspace().join(file)) else { continue };
        for place in places.iter().filter(|place| text.contains(place.as_str())) {
            found.push(format!("{} names {place}", file.display()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
