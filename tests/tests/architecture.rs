//! The direction of data is the direction of dependencies: who may know whom, asserted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate of the workspace and those of ours it may depend on. See docs/ARCHITECTURE.md.
const MAY_DEPEND_ON: [(&str, &[&str]); 9] = [
    ("proto", &[]),
    ("media", &["proto"]),
    ("relay", &["proto"]),
    ("library", &["proto", "media", "relay"]),
    ("web", &["proto", "media", "relay", "library"]),
    ("server", &["proto", "media", "relay", "library"]),
    ("cache-server", &["proto", "media", "relay", "library", "web"]),
    ("client", &["proto", "media"]),
    ("tests", &["proto", "media", "relay", "library", "web", "server", "cache-server", "client"]),
];

fn metadata() -> Value {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(manifest)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("a string")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().expect("a list")
}

/// Every crate of the workspace with what it depends on, for building or for its tests, but for
/// itself (proto's tests switch one of its own features on).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = list(&metadata, "packages");
    let names = |package: &Value| {
        let own = text(package, "name").to_owned();
        let all = list(package, "dependencies").iter().map(|d| text(d, "name").to_owned());
        (own.clone(), all.filter(|name| *name != own).collect())
    };
    packages.iter().map(names).collect()
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let found = dependencies();
    let known: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(all, known, "a crate came or went: give it its row in the table");
    for (name, allowed) in MAY_DEPEND_ON {
        for dependency in found[name].iter().filter(|name| all.contains(name.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not know {dependency}");
        }
    }
}

#[test]
fn what_knows_codecs_and_what_knows_sockets_are_apart() {
    let found = dependencies();
    let must_not = [
        ("proto", ["symphonia", "openh264", "socket2", "cpal"]),
        ("media", ["tokio", "socket2", "cpal", "nokhwa"]),
        ("relay", ["symphonia", "openh264", "mp4-atom", "image"]),
    ];
    for (name, foreign) in must_not {
        for dependency in foreign {
            assert!(!found[name].contains(dependency), "{name} must not know {dependency}");
        }
    }
}

#[test]
fn each_folder_holds_the_crate_of_its_name() {
    for package in list(&metadata(), "packages") {
        let folder = Path::new(text(package, "manifest_path")).parent();
        let folder = folder.and_then(Path::file_name).expect("a folder");
        assert_eq!(folder, text(package, "name"));
    }
}
