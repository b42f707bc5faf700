//! `cargo exercises` shows which exercises are solved, and which one is next.
//!
//! Each exercise has a heading on a page of the book, for example `### 2.1 The server is full (20
//! minutes)`. Its tests are the functions `exercise_1_...` in `tests/stage2_exercises.rs`. An
//! exercise is solved if all its tests pass. Exercises without a test are in a list of their own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io, thread};

const USAGE: &str = "usage: cargo exercises [CHAPTER.EXERCISE]\n\
    without a number: which exercises are solved, and which one is next\n\
    with a number, for example 2.1: run its tests, and show what failed\n";

const SOLUTIONS: &str = "docs/solutions/README.md";

/// The width of the screen, in columns.
const WIDTH: usize = 80;

struct Chapter {
    number: u32,
    title: String,
    /// Its package, for example `stage1-echo`.
    package: String,
    exercises: Vec<Exercise>,
}

#[derive(Debug, PartialEq)]
struct Exercise {
    chapter: u32,
    number: u32,
    title: String,
    page: String,
    /// The names of its tests.
    tests: Vec<String>,
}

/// The result of running tests.
#[derive(Debug, Default, PartialEq)]
struct Report {
    passed: Vec<String>,
    /// The names of the tests that failed, each with the message of its panic.
    failed: Vec<(String, String)>,
    /// The first error of the compiler, if no test has run.
    error: Option<String>,
}

impl Exercise {
    fn name(&self) -> String {
        format!("{}.{}", self.chapter, self.number)
    }

    fn is_solved(&self, report: &Report) -> bool {
        self.tests.iter().all(|test| report.passed.contains(test))
    }
}

fn main() -> ExitCode {
    let args = env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    // `cargo run` says which package this is. The workspace is the folder around it.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).parent().unwrap_or(Path::new("."));
    let chapters = match read_chapters(root) {
        Ok(chapters) => chapters,
        Err(error) => {
            complain(&format!("exercises: cannot read the book: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    match args.as_slice() {
        [] => {
            overview(root, &chapters);
            ExitCode::SUCCESS
        }
        [help] if help == "--help" || help == "-h" => {
            say(USAGE);
            ExitCode::SUCCESS
        }
        [name] => {
            let mut all = chapters.iter().flat_map(|chapter| {
                let exercises = chapter.exercises.iter();
                exercises.map(move |exercise| (chapter, exercise))
            });
            if let Some((chapter, exercise)) = all.find(|(_, exercise)| exercise.name() == *name) {
                return one(root, chapter, exercise);
            }
            complain(&format!("exercises: there is no exercise {name}\n{USAGE}"));
            ExitCode::from(2)
        }
        _ => {
            complain(USAGE);
            ExitCode::from(2)
        }
    }
}

/// Prints a text. `print!` would panic when standard output is closed.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Runs all tests, and shows a line for each chapter, and the next exercise.
fn overview(root: &Path, chapters: &[Chapter]) {
    let tests = chapters.iter().flat_map(|chapter| &chapter.exercises);
    let count = tests.map(|exercise| exercise.tests.len()).sum::<usize>();
    say(&format!(
        "Running {count} tests. This can take a minute.\n\n{}\n",
        header(chapters)
    ));
    let reports: Vec<Report> = thread::scope(|scope| {
        // Cargo compiles one chapter after the other, but their tests run at the same time.
        let runs: Vec<_> = chapters
            .iter()
            .map(|chapter| scope.spawn(|| run(root, chapter, "exercise_")))
            .collect();
        let runs = runs.into_iter().zip(chapters);
        runs.map(|(run, chapter)| {
            let report = run.join().expect("no thread panics");
            say(&format!("{}\n", row(chapters, chapter, &report)));
            report
        })
        .collect()
    });
    say(&format!("\n{}", summary(chapters, &reports)));
}

/// Runs the tests of one exercise, and shows what failed.
fn one(root: &Path, chapter: &Chapter, exercise: &Exercise) -> ExitCode {
    say(&format!("{} {}\n\n", exercise.name(), exercise.title));
    if exercise.tests.is_empty() {
        let page = &exercise.page;
        say(&wrap(
            &format!("It has no test. Its text is in {page}, its answer in {SOLUTIONS}."),
            "",
        ));
        return ExitCode::SUCCESS;
    }
    let filter = format!("exercise_{}_", exercise.number);
    let report = run(root, chapter, &filter);
    say(&details(chapter, exercise, &report));
    if exercise.is_solved(&report) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

// The book.

fn read_chapters(root: &Path) -> io::Result<Vec<Chapter>> {
    let mut pages = Vec::new();
    for path in sorted(&root.join("docs"))? {
        if path.extension().is_some_and(|ending| ending == "md") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            pages.push((format!("docs/{name}"), fs::read_to_string(&path)?));
        }
    }
    let mut chapters = Vec::new();
    for path in sorted(root)? {
        let package = path.file_name().unwrap_or_default().to_string_lossy();
        let number = package
            .strip_prefix("stage")
            .and_then(|rest| rest.split('-').next());
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            continue;
        };
        let file = root.join(format!("tests/stage{number}_exercises.rs"));
        let tests = test_names(&fs::read_to_string(file)?);
        let title = pages
            .iter()
            .find_map(|(_, text)| chapter_title(text, number));
        let mut exercises: Vec<Exercise> = pages
            .iter()
            .flat_map(|(page, text)| parse_page(page, text))
            .filter(|exercise| exercise.chapter == number)
            .collect();
        exercises.sort_by_key(|exercise| exercise.number);
        for exercise in &mut exercises {
            let prefix = format!("exercise_{}_", exercise.number);
            let own = tests.iter().filter(|test| test.starts_with(&prefix));
            exercise.tests = own.cloned().collect();
        }
        chapters.push(Chapter {
            number,
            title: title.unwrap_or_else(|| package.clone().into_owned()),
            package: package.into_owned(),
            exercises,
        });
    }
    Ok(chapters)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

/// The lines of a page that are not in a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("```").step_by(2);
    parts.flat_map(str::lines)
}

/// The title of this chapter, if this is its page: `# 2 Select: many clients, one thread` is
/// `2 Select`.
fn chapter_title(text: &str, number: u32) -> Option<String> {
    let prefix = format!("# {number} ");
    let heading = prose(text).find(|line| line.starts_with(&prefix))?;
    let title = heading.trim_start_matches("# ").split(':').next()?;
    Some(title.trim().to_owned())
}

/// The exercises of a page, still without their tests.
fn parse_page(page: &str, text: &str) -> Vec<Exercise> {
    let headings = prose(text).filter_map(|line| line.strip_prefix("### "));
    let exercises = headings.filter_map(|heading| {
        let (name, title) = heading.split_once(' ')?;
        let (chapter, number) = name.split_once('.')?;
        Some(Exercise {
            chapter: chapter.parse().ok()?,
            number: number.parse().ok()?,
            title: title.trim().to_owned(),
            page: page.to_owned(),
            tests: Vec::new(),
        })
    });
    exercises.collect()
}

fn test_names(source: &str) -> Vec<String> {
    let functions = source.lines().filter_map(|line| line.strip_prefix("fn "));
    let names = functions.filter_map(|rest| rest.split('(').next());
    let tests = names.filter(|name| name.starts_with("exercise_"));
    tests.map(str::to_owned).collect()
}

// The tests.

/// Runs the tests of a chapter whose names begin with this.
fn run(root: &Path, chapter: &Chapter, filter: &str) -> Report {
    let tests = format!("stage{}_exercises", chapter.number);
    let output = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["test", "--package", &chapter.package, "--test", &tests])
        .args([filter, "--", "--ignored"])
        .current_dir(root)
        .env("RUST_BACKTRACE", "0")
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => parse_report(
            &String::from_utf8_lossy(&output.stdout),
            &String::from_utf8_lossy(&output.stderr),
        ),
        Err(error) => Report {
            error: Some(format!("cargo does not start: {error}")),
            ..Report::default()
        },
    }
}

/// Reads what `cargo test` has printed on standard output and standard error.
fn parse_report(output: &str, errors: &str) -> Report {
    let mut report = Report::default();
    if !output.contains("\nrunning ") {
        let error = errors.lines().find(|line| line.starts_with("error"));
        report.error = Some(error.unwrap_or("error: the tests did not run").to_owned());
        return report;
    }
    for line in output.lines() {
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|line| line.split_once(" ... "))
        else {
            continue;
        };
        let name = name.to_owned();
        if result == "ok" {
            report.passed.push(name);
        } else {
            let message = failure_message(output, &name);
            report.failed.push((name, message));
        }
    }
    report
}

/// The message of the panic of a test that failed.
fn failure_message(output: &str, name: &str) -> String {
    let block = output.split(&format!("---- {name} stdout ----\n")).nth(1);
    let block = block.unwrap_or_default();
    let block = block.split("\n---- ").next().unwrap_or_default();
    let block = block.split("\nfailures:\n").next().unwrap_or_default();
    let panics = block
        .lines()
        .skip_while(|line| !line.contains("panicked at "));
    let message = panics
        .skip(1)
        .take_while(|line| !line.starts_with("note: ") && !line.starts_with("thread '"));
    let message: Vec<&str> = message.collect();
    message.join("\n").trim().to_owned()
}

// The screen.

/// The widths of the columns "chapter" and "solved".
fn columns(chapters: &[Chapter]) -> (usize, usize) {
    let title = chapters.iter().map(|chapter| chapter.title.chars().count());
    let names = chapters.iter().map(|chapter| {
        let exercises = chapter.exercises.iter();
        let tested = exercises.filter(|exercise| !exercise.tests.is_empty());
        tested.map(|exercise| exercise.name().len() + 1).sum()
    });
    let title = title.max().unwrap_or(0).max("chapter".len());
    (title + 3, names.max().unwrap_or(0).max("solved".len()) + 2)
}

fn header(chapters: &[Chapter]) -> String {
    let (title, solved) = columns(chapters);
    format!("{:title$}{:solved$}open", "chapter", "solved")
}

/// The line of a chapter.
fn row(chapters: &[Chapter], chapter: &Chapter, report: &Report) -> String {
    let (title, width) = columns(chapters);
    let start = format!("{:title$}", chapter.title);
    if let Some(error) = &report.error {
        let line = format!("{start}does not compile: {error}");
        return line.chars().take(WIDTH).collect();
    }
    let tested = chapter
        .exercises
        .iter()
        .filter(|exercise| !exercise.tests.is_empty());
    let (solved, open): (Vec<&Exercise>, Vec<&Exercise>) =
        tested.partition(|exercise| exercise.is_solved(report));
    let line = format!("{start}{:width$}{}", names(&solved), names(&open));
    line.trim_end().to_owned()
}

fn names(exercises: &[&Exercise]) -> String {
    let names: Vec<String> = exercises.iter().map(|exercise| exercise.name()).collect();
    names.join(" ")
}

/// The text below the chapters: how many exercises are solved, which one is next, and which have no
/// test.
fn summary(chapters: &[Chapter], reports: &[Report]) -> String {
    let all = chapters.iter().zip(reports).flat_map(|(chapter, report)| {
        let exercises = chapter.exercises.iter();
        exercises.map(move |exercise| (exercise, report))
    });
    let (tested, untested): (Vec<_>, Vec<_>) =
        all.partition(|(exercise, _)| !exercise.tests.is_empty());
    let solved = tested
        .iter()
        .filter(|(exercise, report)| exercise.is_solved(report));
    let mut text = format!("{} of {} solved.\n", solved.count(), tested.len());
    let mut open = tested
        .iter()
        .filter(|(exercise, report)| report.error.is_none() && !exercise.is_solved(report));
    if let Some((next, _)) = open.next() {
        let name = next.name();
        text += &format!(
            "\nThe next one: {name} {}\n  read  {}\n  run   cargo exercises {name}\n",
            next.title, next.page
        );
    }
    for (chapter, report) in chapters.iter().zip(reports) {
        if report.error.is_some() {
            text += &format!("\n{} does not compile. To see why:\n", chapter.package);
            text += &format!("  {}\n", compile_command(chapter));
        }
    }
    let untested: Vec<&Exercise> = untested.iter().map(|(exercise, _)| *exercise).collect();
    if !untested.is_empty() {
        let line = format!("\nWithout a test: {}", names(&untested));
        text += &wrap(&line, "  ");
    }
    text
}

fn compile_command(chapter: &Chapter) -> String {
    let Chapter {
        package, number, ..
    } = chapter;
    format!("cargo test -p {package} --test stage{number}_exercises --no-run")
}

/// The result of each test of an exercise, and what to do next.
fn details(chapter: &Chapter, exercise: &Exercise, report: &Report) -> String {
    if let Some(error) = &report.error {
        let command = compile_command(chapter);
        let line = wrap(&format!("The chapter does not compile: {error}"), "");
        return format!("{line}To see why: {command}\n");
    }
    let mut text = String::new();
    for test in &exercise.tests {
        let prefix = format!("exercise_{}_", exercise.number);
        let sentence = test.trim_start_matches(&prefix).replace('_', " ");
        if report.passed.contains(test) {
            text += &wrap(&format!("passed  {sentence}"), "        ");
            continue;
        }
        text += &wrap(&format!("FAILED  {sentence}"), "        ");
        let failure = report.failed.iter().find(|(name, _)| name == test);
        let message = failure.map_or("It did not run to its end.", |(_, message)| message);
        for line in message.lines() {
            text += &wrap(&format!("        {line}"), "        ");
        }
    }
    let Exercise { page, .. } = exercise;
    text += &if exercise.is_solved(report) {
        let command = format!("cargo test -p {}", chapter.package);
        format!("\nSolved. The tests of the chapter must still pass: {command}\n")
    } else {
        format!("\nOpen. Its text is in {page}, a solution in {SOLUTIONS}.\n")
    };
    text
}

/// Breaks a line at spaces so that it fits the screen. Further lines begin with this indentation.
fn wrap(line: &str, indent: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    let mut start = "";
    loop {
        let room = WIDTH - start.len();
        let end = rest.char_indices().nth(room).map(|(at, _)| at);
        // A word that is longer than the screen stays whole.
        let cut = end.and_then(|end| {
            let words = rest.len() - rest.trim_start().len();
            let space = rest[..end].rfind(' ').filter(|&at| at > words);
            space.or_else(|| rest[end..].find(' ').map(|at| end + at))
        });
        let Some(cut) = cut else {
            return text + start + rest + "\n";
        };
        text += &format!("{start}{}\n", &rest[..cut]);
        rest = &rest[cut + 1..];
        start = indent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# 2 Select: many clients\n\
        ```sh\n### 2.7 In a block\n```\n\
        ### Not an exercise\n\
        ### 2.1 The server is full (20 minutes)\n\
        ### 2.4 Count the calls (20 minutes, nothing to write)\n";

    const OUTPUT: &str = "\nrunning 3 tests\n\
        test exercise_1_a_part ... ok\n\
        test exercise_2_a_part ... FAILED\n\
        test exercise_2_another ... FAILED\n\
        \nfailures:\n\n\
        ---- exercise_2_a_part stdout ----\n\
        something printed\n\n\
        thread 'exercise_2_a_part' (7) panicked at tests/stage2_exercises.rs:1:5:\n\
        no line \"x\" in [\n    \"y\",\n]\n\
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n\
        ---- exercise_2_another stdout ----\n\n\
        thread 'exercise_2_another' (8) panicked at tests/stage2_exercises.rs:2:5:\n\
        it is late\n\n\
        \nfailures:\n    exercise_2_a_part\n    exercise_2_another\n\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored\n";

    fn exercise(number: u32, tests: &[&str]) -> Exercise {
        Exercise {
            chapter: 2,
            number,
            title: "A title (20 minutes)".to_owned(),
            page: "docs/2-select.md".to_owned(),
            tests: tests.iter().map(|&test| test.to_owned()).collect(),
        }
    }

    fn chapter() -> Chapter {
        Chapter {
            number: 2,
            title: "2 Select".to_owned(),
            package: "stage2-select".to_owned(),
            exercises: vec![
                exercise(1, &["exercise_1_a_part"]),
                exercise(2, &["exercise_2_a_part", "exercise_2_another"]),
                exercise(3, &[]),
            ],
        }
    }

    fn broken() -> Report {
        parse_report(
            "",
            "warning: x\nerror[E0425]: cannot find value `y`\nerror: two\n",
        )
    }

    #[test]
    fn the_numbered_headings_of_a_page_are_its_exercises() {
        let found = parse_page("docs/2-select.md", PAGE);
        let found: Vec<(String, &str)> = found
            .iter()
            .map(|exercise| (exercise.name(), exercise.title.as_str()))
            .collect();
        let expected = [
            ("2.1".to_owned(), "The server is full (20 minutes)"),
            (
                "2.4".to_owned(),
                "Count the calls (20 minutes, nothing to write)",
            ),
        ];
        assert_eq!(found, expected);
        assert_eq!(chapter_title(PAGE, 2).as_deref(), Some("2 Select"));
        assert_eq!(chapter_title(PAGE, 1), None);
    }

    #[test]
    fn the_functions_that_begin_with_exercise_are_the_tests() {
        let source = "fn server() {}\n#[test]\nfn exercise_1_a_part() {\n}\n";
        assert_eq!(test_names(source), ["exercise_1_a_part"]);
    }

    #[test]
    fn a_report_has_the_message_of_each_test_that_failed() {
        let report = parse_report(OUTPUT, "");
        assert_eq!(report.passed, ["exercise_1_a_part"]);
        let failed = [
            ("exercise_2_a_part", "no line \"x\" in [\n    \"y\",\n]"),
            ("exercise_2_another", "it is late"),
        ];
        let failed = failed.map(|(name, message)| (name.to_owned(), message.to_owned()));
        assert_eq!(report.failed, failed);
        assert_eq!(report.error, None);
    }

    #[test]
    fn a_chapter_that_does_not_compile_has_the_first_error() {
        let error = "error[E0425]: cannot find value `y`";
        assert_eq!(broken().error.as_deref(), Some(error));
    }

    #[test]
    fn an_exercise_is_solved_if_all_its_tests_pass() {
        let report = parse_report(OUTPUT, "");
        let chapter = chapter();
        let chapters = std::slice::from_ref(&chapter);
        assert_eq!(header(chapters), "chapter    solved    open");
        assert_eq!(row(chapters, &chapter, &report), "2 Select   2.1       2.2");
        let text = summary(chapters, &[report]);
        let expected = "1 of 2 solved.\n\n\
            The next one: 2.2 A title (20 minutes)\n  \
            read  docs/2-select.md\n  \
            run   cargo exercises 2.2\n\n\
            Without a test: 2.3\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_chapter_that_does_not_compile_is_named_and_does_not_hide_the_others() {
        let chapters = [chapter(), chapter()];
        let reports = [broken(), parse_report(OUTPUT, "")];
        let line = row(&chapters, &chapters[0], &reports[0]);
        assert_eq!(
            line,
            "2 Select   does not compile: error[E0425]: cannot find value `y`"
        );
        let text = summary(&chapters, &reports);
        assert!(text.starts_with("1 of 4 solved."), "{text}");
        assert!(text.contains("The next one: 2.2"), "{text}");
        let command = "cargo test -p stage2-select --test stage2_exercises --no-run";
        assert!(text.contains(command), "{text}");
    }

    #[test]
    fn the_details_show_the_message_of_each_failed_test() {
        let (chapter, report) = (chapter(), parse_report(OUTPUT, ""));
        let text = details(&chapter, &chapter.exercises[1], &report);
        let expected = "FAILED  a part\n        no line \"x\" in [\n            \"y\",\n        ]\n\
            FAILED  another\n        it is late\n\n\
            Open. Its text is in docs/2-select.md, a solution in docs/solutions/README.md.\n";
        assert_eq!(text, expected);
        let text = details(&chapter, &chapter.exercises[0], &report);
        assert!(text.contains("Solved. "), "{text}");
        let text = details(&chapter, &chapter.exercises[0], &broken());
        assert!(
            text.starts_with("The chapter does not compile: error[E0425]"),
            "{text}"
        );
    }

    #[test]
    fn long_lines_are_wrapped_at_spaces() {
        let text = wrap(&"word ".repeat(30), "    ");
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with("    word"))
        );
        assert_eq!(text.split_whitespace().count(), 30);
        let long = "x".repeat(200);
        assert_eq!(wrap(&long, "    "), format!("{long}\n"));
        assert_eq!(wrap(&format!("{long} y"), "  "), format!("{long}\n  y\n"));
        assert_eq!(wrap("short", "  "), "short\n");
    }
}
