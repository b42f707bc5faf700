//! Tests of the rules for the whole workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of the chapters, in order.
const STAGES: [&str; 5] = [
    "stage1-echo",
    "stage2-select",
    "stage3-gui-stub",
    "stage4-threads",
    "stage5-group",
];

/// The files that later chapters copy without a change, and the numbers of the chapters that have
/// them.
const SHARED: [(&str, &[usize]); 11] = [
    ("src/clock.rs", &[1, 2, 4, 5]),
    ("src/client.rs", &[1, 2]),
    ("src/readiness.rs", &[2, 4, 5]),
    ("src/server.rs", &[2, 4]),
    ("src/window.rs", &[3, 4, 5]),
    ("src/window/input.rs", &[3, 4, 5]),
    ("src/window/keyboard.rs", &[3, 4, 5]),
    ("src/window/screen.rs", &[3, 4, 5]),
    ("src/window/terminal.rs", &[3, 4, 5]),
    ("src/text.rs", &[3, 4, 5]),
    ("benches/measure/mod.rs", &[2, 5]),
];

/// The message for a student whose chapter differs from another one.
const CHANGED: &str = "\
    If you have changed a chapter to solve an exercise, it is expected to differ from the others.\n\
    Use `cargo exercises` and the chapter's own tests, for example `cargo test -p stage1-echo`.";

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests are in a folder of the workspace")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files with this ending in a folder and the folders in it.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("is a folder") {
        let path = entry.expect("can be read").path();
        let name = path
            .file_name()
            .expect("has a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The manifests ask for no other package.
#[test]
fn rand_in_the_last_chapter_is_the_only_dependency() {
    let manifests = files(&root(), "Cargo.toml");
    assert_eq!(manifests.len(), STAGES.len() + 2, "{manifests:?}");
    for manifest in manifests {
        let mut table = String::new();
        for line in read(&manifest).lines().map(str::trim) {
            if line.starts_with('[') {
                table = line.trim_matches(['[', ']']).to_owned();
            } else if table.contains("dependencies") && !line.is_empty() && !line.starts_with('#') {
                let is_rand = line.split(['=', '.', ' ']).next() == Some("rand");
                let is_last = manifest.ends_with("stage5-group/Cargo.toml");
                let here = manifest.display();
                assert!(
                    is_rand && is_last && table == "dependencies",
                    "{here}: {line}"
                );
            }
            assert!(
                !table.contains("dependencies."),
                "{}: [{table}]",
                manifest.display()
            );
        }
    }
}

/// The lock file agrees. For each package of the workspace it lists the packages that this one uses
/// directly.
#[test]
fn the_lock_file_has_no_other_dependency() {
    let lock = read(&root().join("Cargo.lock"));
    for package in lock.split("[[package]]").skip(1) {
        let field = |key: &str| package.lines().find_map(|line| line.strip_prefix(key));
        let name = field("name = ").expect("has a name").trim_matches('"');
        let is_member = field("source = ").is_none();
        let needed: Vec<&str> = package
            .lines()
            .filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","))
            .collect();
        let allowed: &[&str] = if name == "stage5-group" {
            &["rand"]
        } else {
            &[]
        };
        assert!(!is_member || needed == allowed, "{name} needs {needed:?}");
    }
}

#[test]
fn no_file_contains_unsafe_or_extern() {
    let words = ["un".to_owned() + "safe", "ex".to_owned() + "tern"];
    for path in files(&root(), ".rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let mut parts = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            let found = parts.find(|part| words.iter().any(|word| word == part));
            assert!(found.is_none(), "{}:{}: {line}", path.display(), number + 1);
        }
    }
    assert!(read(&root().join("Cargo.toml")).contains("unsafe_code = \"forbid\""));
    for stage in STAGES {
        let manifest = read(&root().join(stage).join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{stage}");
    }
}

#[test]
fn no_chapter_uses_another_chapter() {
    for stage in STAGES {
        let own = stage.replace('-', "_");
        for path in files(&root().join(stage), ".rs") {
            let text = read(&path);
            let other = STAGES.map(|other| other.replace('-', "_"));
            let other = other
                .iter()
                .find(|&other| *other != own && text.contains(other.as_str()));
            assert_eq!(other, None, "{}", path.display());
        }
    }
}

#[test]
fn shared_files_are_identical_in_all_chapters() {
    for (name, stages) in SHARED {
        let copies = stages
            .iter()
            .map(|&stage| root().join(STAGES[stage - 1]).join(name));
        let copies: Vec<(PathBuf, String)> =
            copies.map(|path| (path.clone(), read(&path))).collect();
        for (path, text) in &copies[1..] {
            assert!(
                *text == copies[0].1,
                "{CHANGED}\n\n{} differs from {}",
                path.display(),
                copies[0].0.display()
            );
        }
    }
}

/// If files of two chapters have the same name, they are either copies, or they teach different
/// things. Files that are almost the same are a mistake.
#[test]
fn files_of_the_same_name_are_identical_or_clearly_different() {
    let mut by_name: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for stage in STAGES {
        for path in files(&root().join(stage).join("src"), ".rs") {
            let name = path
                .file_name()
                .expect("has a name")
                .to_string_lossy()
                .into_owned();
            by_name.entry(name).or_default().push(path);
        }
    }
    // In these two, only the names of crates and modules may differ.
    by_name.remove("main.rs");
    by_name.remove("lib.rs");
    for paths in by_name.values() {
        for (index, path) in paths.iter().enumerate() {
            for other in &paths[..index] {
                let (text, before) = (read(path), read(other));
                let new = text
                    .lines()
                    .filter(|&line| !before.lines().any(|old| old == line));
                let new = new.count();
                let both = format!("{} and {}", other.display(), path.display());
                assert!(
                    text == before || new > 6,
                    "{CHANGED}\n\n{both} differ by only {new} lines"
                );
            }
        }
    }
}
