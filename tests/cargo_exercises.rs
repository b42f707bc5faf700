//! Tests of `cargo exercises`, in a small workspace of two chapters.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Chapter 1 has a solved, an open and an untested exercise. Chapter 2 does not compile.
const FILES: [(&str, &str); 9] = [
    (
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"stage1-one\", \"stage2-two\"]\n",
    ),
    ("stage1-one/src/lib.rs", ""),
    ("stage2-two/src/lib.rs", "this is not Rust\n"),
    (
        "docs/1-one.md",
        "# 1 One: the first\n\n### 1.1 Solved (5 minutes)\n",
    ),
    (
        "docs/1-2-more.md",
        "# More\n\n### 1.2 Open (5 minutes)\n\n### 1.3 Watched (5 minutes, nothing to write)\n",
    ),
    (
        "docs/2-two.md",
        "# 2 Two: the second\n\n### 2.1 Broken (5 minutes)\n",
    ),
    (
        "tests/stage1_exercises.rs",
        "#[test]\n#[ignore]\nfn exercise_1_two_and_two_are_four() {\n    assert_eq!(2 + 2, 4);\n}\n\
         #[test]\n#[ignore]\nfn exercise_2_a_reason_is_shown() {\n    panic!(\"this is the reason\");\n}\n",
    ),
    (
        "tests/stage2_exercises.rs",
        "#[test]\n#[ignore]\nfn exercise_1_two() {}\n",
    ),
    ("tests/Cargo.toml", ""),
];

fn workspace(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        let folder = path.parent().expect("is in a folder");
        fs::create_dir_all(folder).expect("can be made");
        fs::write(path, text).expect("can be written");
    };
    for (path, text) in FILES {
        write(path, text);
    }
    for (number, name) in [(1, "one"), (2, "two")] {
        let manifest = format!(
            "[package]\nname = \"stage{number}-{name}\"\nedition = \"2024\"\n\
             [[test]]\nname = \"stage{number}_exercises\"\n\
             path = \"../tests/stage{number}_exercises.rs\"\n"
        );
        write(&format!("stage{number}-{name}/Cargo.toml"), &manifest);
    }
    root
}

/// Runs `cargo exercises` there. Returns its exit status and its output.
fn exercises(root: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_exercises"))
        .args(arguments)
        .env("CARGO_MANIFEST_DIR", root.join("tests"))
        .env("CARGO_TARGET_DIR", root.join("target"))
        .output()
        .expect("starts");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("is text");
    (output.status.code().expect("no signal ended it"), text)
}

#[test]
fn the_overview_shows_a_line_for_each_chapter_and_the_next_exercise() {
    let (status, text) = exercises(&workspace("overview"), &[]);
    let expected = "Running 3 tests. This can take a minute.

chapter   solved    open
1 One     1.1       1.2
2 Two     does not compile: error: expected one of `!` or `::`, found `is`

1 of 3 solved.

The next one: 1.2 Open (5 minutes)
  read  docs/1-2-more.md
  run   cargo exercises 1.2

stage2-two does not compile. To see why:
  cargo test -p stage2-two --test stage2_exercises --no-run

Without a test: 1.3
";
    // The compiler may change its message, so that line is not compared.
    let is_compared = |line: &&str| !line.contains("does not compile: error");
    let shown: Vec<&str> = text.lines().filter(is_compared).collect();
    let expected: Vec<&str> = expected.lines().filter(is_compared).collect();
    assert_eq!(shown, expected, "{text}");
    assert!(
        text.contains("\n2 Two     does not compile: error"),
        "{text}"
    );
    assert_eq!(status, 0);
}

#[test]
fn the_report_on_one_exercise_shows_what_failed() {
    let root = workspace("one");
    let (status, text) = exercises(&root, &["1.2"]);
    let expected = "1.2 Open (5 minutes)

FAILED  a reason is shown
        this is the reason

Open. Its text is in docs/1-2-more.md, a solution in docs/solutions/README.md.
";
    assert_eq!((status, text.as_str()), (1, expected));
    let (status, text) = exercises(&root, &["1.1"]);
    let expected = "1.1 Solved (5 minutes)

passed  two and two are four

Solved. The tests of the chapter must still pass: cargo test -p stage1-one
";
    assert_eq!((status, text.as_str()), (0, expected));
    let (status, text) = exercises(&root, &["1.3"]);
    assert_eq!(status, 0);
    assert!(text.contains("It has no test."), "{text}");
    let (status, text) = exercises(&root, &["2.1"]);
    assert_eq!(status, 1);
    assert!(
        text.contains("The chapter does not compile: error"),
        "{text}"
    );
    assert!(text.contains("cargo test -p stage2-two"), "{text}");
}

#[test]
fn wrong_arguments_print_the_usage_and_end_with_status_2() {
    let root = workspace("usage");
    for arguments in [&["9.9"][..], &["1.1", "1.2"]] {
        let (status, text) = exercises(&root, arguments);
        assert_eq!(status, 2, "{text}");
        assert!(text.contains("usage: cargo exercises"), "{text}");
    }
}

#[test]
fn a_folder_without_a_book_causes_one_sentence_and_status_1() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
    let (status, text) = exercises(&root, &[]);
    assert_eq!(status, 1, "{text}");
    assert!(
        text.starts_with("exercises: cannot read the book: "),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}
