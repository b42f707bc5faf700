//! Checks that the pages of the book agree with the code.
//!
//! Every command, file, test and page that a page names must exist. A block of code is checked
//! according to its kind:
//! - ```` ```rust ```` is a doc test of the chapter or module whose front page has the block.
//! - ```` ```rust,ignore ```` is an excerpt. The line before it is
//!   `<!-- excerpt: stage1-echo/src/server.rs -->`. Each line of the block must be in that file, in
//!   this order. A line `// ...` stands for lines left out.
//! - ```` ```diff ```` shows how one file becomes another. The line before it is
//!   `<!-- diff: FILE1 FILE2 -->`. Lines with `-` must be in the first file, lines with `+` in the
//!   second, and other lines in both. A line `...` stands for lines left out.
//! - ```` ```text ```` after `<!-- scoreboard: threads, polling -->` is what `attack`
//!   prints about each of these servers.
//! - ```` ```console ```` is a transcript. The test runs it. A line `$ ...` is a command. A line that
//!   ends with `⏎` is typed. `^D` ends the input, and `^C` ends the program. All other lines are
//!   output. The blocks of a section share a server, and run in order. A block after
//!   `<!-- terminal: 2 -->` continues the last block of that terminal. Times, ports and error numbers
//!   may differ. Port 3000 stands for the port of the section's server, port 4000 for that of `tap`.
//! - ```` ```sh ```` is not run. Only what its commands name must exist.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use std::{env, fs, io, thread};

use support::DEADLINE;

/// The chapters, each with its page.
const CHAPTERS: [(&str, &str); 5] = [
    ("stage1-echo", "docs/1-echo.md"),
    ("stage2-select", "docs/2-select.md"),
    ("stage3-gui-stub", "docs/3-gui-stub.md"),
    ("stage4-threads", "docs/4-threads.md"),
    ("stage5-group", "docs/5-group.md"),
];

/// The reference page of chapter 1, with the file that makes it the front page of a module.
const REFERENCE: (&str, &str) = ("stage1-echo/src/lib.rs", "docs/sockets.md");

/// The further pages of chapter 5, each with the module whose front page it is.
const FURTHER: [(&str, &str); 5] = [
    ("stage5-group/src/message.rs", "docs/messages.md"),
    ("stage5-group/src/message.rs", "docs/protocol.md"),
    ("stage5-group/src/server/room.rs", "docs/room.md"),
    ("stage5-group/src/server/group.rs", "docs/slow-members.md"),
    ("stage5-group/src/server.rs", "docs/threads-or-polling.md"),
];

/// How many lines a further page may have, so that it can be read in one evening.
const MAX_FURTHER: usize = 250;

/// What a chapter's page consists of, in this order.
const SECTIONS: [&str; 7] = [
    "See it",
    "The idea",
    "The code",
    "What std does not give you",
    "What still goes wrong",
    "Exercises",
    "The diff",
];

/// The address that the pages show. A test has its own, and its output is read as if it had this.
const SHOWN: &str = "127.0.0.1:3000";

/// The example that shows the bytes between a client and a server. It has two addresses.
const TAP: &str = "tap";

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are in the workspace")
}

/// The files with this ending in a folder of the workspace and the folders in it, with `/`.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("is a folder") {
        let entry = entry.expect("can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path.trim_start_matches("./").to_owned());
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The message for a student whose chapter differs from its page.
const CHANGED: &str = "\
    If you have changed a chapter to solve an exercise, it is expected to differ from its page.\n\
    Use `cargo exercises` and the chapter's own tests, for example `cargo test -p stage1-echo`.";

/// Fails if anything is wrong, and lists all of it.
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{CHANGED}\n\n{}\n", wrong.join("\n"));
}

// The pages, taken apart.

struct Page {
    path: String,
    blocks: Vec<Block>,
    /// The lines that are in no block, with their numbers.
    prose: Vec<(usize, String)>,
}

struct Block {
    /// The number of its opening line.
    line: usize,
    kind: String,
    /// The text of an HTML comment on the line before, for example `excerpt: FILE`.
    note: String,
    /// How many headings stand before it.
    section: usize,
    lines: Vec<String>,
}

impl Page {
    fn read(path: &str) -> Self {
        let text = read(path);
        let (mut blocks, mut prose) = (Vec::new(), Vec::new());
        let (mut open, mut note, mut section) = (None::<Block>, String::new(), 0);
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            match open.take() {
                Some(block) if line.trim() == "```" => blocks.push(block),
                Some(mut block) => {
                    block.lines.push(line.to_owned());
                    open = Some(block);
                }
                None => {
                    if let Some(kind) = line.trim().strip_prefix("```") {
                        open = Some(Block {
                            line: number,
                            kind: kind.to_owned(),
                            note: note.clone(),
                            section,
                            lines: Vec::new(),
                        });
                    } else {
                        section += usize::from(line.starts_with('#'));
                        prose.push((number, line.to_owned()));
                    }
                    let comment = line
                        .strip_prefix("<!-- ")
                        .and_then(|line| line.strip_suffix(" -->"));
                    comment.unwrap_or_default().clone_into(&mut note);
                }
            }
        }
        assert!(open.is_none(), "{path} ends within a block");
        Self {
            path: path.to_owned(),
            blocks,
            prose,
        }
    }

    fn blocks(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }

    fn headings(&self) -> impl Iterator<Item = &str> {
        let lines = self.prose.iter().filter(|(_, line)| line.starts_with('#'));
        lines.map(|(_, line)| line.trim_start_matches('#').trim())
    }

    /// The parts of the prose in single backquotes.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.prose.iter();
        lines.flat_map(|(number, line)| {
            let spans = line.split('`').skip(1).step_by(2);
            spans.map(|span| (*number, span))
        })
    }

    /// The commands of its blocks and of its prose.
    fn commands(&self) -> Vec<(usize, &str)> {
        let mut commands: Vec<(usize, &str)> =
            self.code().filter(|(_, code)| code.contains(' ')).collect();
        for block in &self.blocks {
            for (number, line) in (block.line + 1..).zip(&block.lines) {
                match block.kind.as_str() {
                    "sh" => commands.push((number, line)),
                    "console" => commands.extend(line.strip_prefix("$ ").map(|c| (number, c))),
                    _ => {}
                }
            }
        }
        commands
    }
}

fn pages() -> Vec<Page> {
    let mut paths = files("docs", ".md");
    paths.push("README.md".to_owned());
    paths.iter().map(|path| Page::read(path)).collect()
}

// What the pages show of the code.

#[test]
fn every_rust_block_is_a_doc_test_or_an_excerpt() {
    let mut wrong = Vec::new();
    for page in pages() {
        let front_pages = CHAPTERS.iter().chain(&FURTHER).chain([&REFERENCE]);
        let mut front_pages = front_pages.map(|(_, path)| *path);
        let is_compiled = front_pages.any(|path| path == page.path);
        for block in &page.blocks {
            let here = format!("{}:{}", page.path, block.line);
            match block.kind.as_str() {
                "rust" if !is_compiled => {
                    wrong.push(format!(
                        "{here}: nothing compiles this page's `rust` blocks"
                    ));
                }
                "rust,ignore" if !block.note.starts_with("excerpt: ") => {
                    wrong.push(format!(
                        "{here}: which file is this from? (`excerpt: FILE`)"
                    ));
                }
                "diff" if !block.note.starts_with("diff: ") => {
                    wrong.push(format!(
                        "{here}: between which files? (`diff: FILE1 FILE2`)"
                    ));
                }
                "rust" | "rust,ignore" | "diff" | "console" | "sh" | "text" | "json" | "toml" => {}
                kind => wrong.push(format!("{here}: nothing checks blocks of kind {kind:?}")),
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_chapter_has_its_page_as_its_front_page() {
    for (chapter, page) in CHAPTERS {
        let include = format!("#![doc = include_str!(\"../../{page}\")]");
        let lib = read(&format!("{chapter}/src/lib.rs"));
        assert!(lib.contains(&include), "{chapter}/src/lib.rs: {include}");
        let page = Page::read(page);
        let headings = page.headings().filter(|text| SECTIONS.contains(text));
        assert_eq!(headings.collect::<Vec<_>>(), SECTIONS, "{}", page.path);
    }
}

#[test]
fn the_reference_page_is_the_front_page_of_a_module() {
    let (file, page) = REFERENCE;
    let include = format!("#[doc = include_str!(\"../../{page}\")]\npub mod ");
    assert!(read(file).contains(&include), "{file}: {include}");
}

#[test]
fn every_further_page_is_the_front_page_of_its_module() {
    for (module, path) in FURTHER {
        let source = read(module);
        // From the folder of the module to that of the workspace.
        let up = "../".repeat(module.matches('/').count());
        for included in [path, MODULE_LINKS, CRATE_LINKS] {
            let include = format!("#![doc = include_str!(\"{up}{included}\")]");
            assert!(source.contains(&include), "{module}: {include}");
        }
        let lines = read(path).lines().count();
        assert!(lines <= MAX_FURTHER, "{path} has {lines} lines");
    }
}

#[test]
fn every_excerpt_is_what_its_file_says() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks("rust,ignore") {
            let Some(path) = block.note.strip_prefix("excerpt: ") else {
                continue;
            };
            if !root().join(path).is_file() {
                wrong.push(format!("{}:{}: no file {path}", page.path, block.line));
                continue;
            }
            let file = read(path);
            let file: Vec<&str> = file.lines().collect();
            let mut from = 0;
            for run in block.lines.split(|line| line.trim() == "// ...") {
                let run: Vec<&str> = run.iter().map(String::as_str).collect();
                let run = flush_left(&run);
                let mut places = (from..=file.len().saturating_sub(run.len()))
                    .filter(|&at| flush_left(&file[at..at + run.len()]) == run);
                match places.next() {
                    Some(at) => from = at + run.len(),
                    None => wrong.push(format!(
                        "{}:{}: not in {path}, or not in this order:\n{}\n",
                        page.path,
                        block.line,
                        run.join("\n")
                    )),
                }
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_diff_is_between_its_two_files() {
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks("diff") {
            let here = format!("{}:{}", page.path, block.line);
            let Some((old, new)) = block
                .note
                .strip_prefix("diff: ")
                .and_then(|files| files.split_once(' '))
            else {
                continue;
            };
            for (sign, path) in [("-", old), ("+", new)] {
                if !root().join(path).is_file() {
                    wrong.push(format!("{here}: no file {path}"));
                    continue;
                }
                let file = read(path);
                let file: Vec<&str> = file.lines().collect();
                let mut from = 0;
                for run in block.lines.split(|line| line == "...") {
                    let run: Vec<&str> = run.iter().filter_map(|line| side(line, sign)).collect();
                    let mut places = (from..=file.len().saturating_sub(run.len()))
                        .filter(|&at| file.get(at..at + run.len()) == Some(&run[..]));
                    match places.next() {
                        Some(at) => from = at + run.len(),
                        None => wrong.push(format!(
                            "{here}: not in {path}, or not in this order:\n{}\n",
                            run.join("\n")
                        )),
                    }
                }
            }
        }
    }
    assert_none(&wrong);
}

/// The line of a diff, if it is in the file whose own lines have this sign. An empty line of both
/// files may lack the space before it.
fn side<'a>(line: &'a str, sign: &str) -> Option<&'a str> {
    match line.strip_prefix(sign).or(line.strip_prefix(' ')) {
        Some(text) => Some(text),
        None => Some(line).filter(|line| line.is_empty()),
    }
}

/// The lines without the indentation that they have in common.
fn flush_left<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let full = lines.iter().filter(|line| !line.trim().is_empty());
    let common = full.map(|line| line.len() - line.trim_start().len()).min();
    let cut = |line: &&'a str| line.get(common.unwrap_or(0)..).unwrap_or("");
    lines.iter().map(cut).collect()
}

// What the pages show of the programs.

#[test]
fn every_transcript_is_what_the_programs_print() {
    let pages = pages();
    let wrong = thread::scope(|scope| {
        let runs = pages
            .iter()
            .map(|page| scope.spawn(|| run_page(page)))
            .collect::<Vec<_>>();
        let wrong = runs.into_iter().map(|run| run.join().expect("no panic"));
        wrong.flatten().collect::<Vec<String>>()
    });
    assert_none(&wrong);
}

fn run_page(page: &Page) -> Vec<String> {
    let mut sections: BTreeMap<usize, Vec<&Block>> = BTreeMap::new();
    for block in page.blocks("console") {
        sections.entry(block.section).or_default().push(block);
    }
    let runs = sections.values().map(|blocks| run_section(blocks));
    let wrong = runs.filter_map(Result::err);
    wrong
        .map(|(line, what)| format!("{}:{line}: {what}", page.path))
        .collect()
}

/// Runs the transcripts of a section in order. The error has the number of a line on the page.
fn run_section(blocks: &[&Block]) -> Result<(), (usize, String)> {
    let mut scene = Scene {
        port: None,
        tap_port: None,
        terminals: BTreeMap::new(),
    };
    for block in blocks {
        let name = match block.note.strip_prefix("terminal: ") {
            Some(name) => name.to_owned(),
            None => format!("line {}", block.line),
        };
        for (number, line) in (block.line + 1..).zip(&block.lines) {
            scene
                .step(&name, number, line)
                .map_err(|what| (number, what))?;
        }
        // A block without a command continues the transcript of a running program. First, the
        // program must have shown what the page says so far.
        let continues = !block.lines.iter().any(|line| line.starts_with("$ "));
        if let Some(terminal) = scene.terminals.get_mut(&name).filter(|_| continues) {
            terminal.catch_up(scene.port)?;
        }
    }
    scene.end()
}

/// The terminals of one section.
struct Scene {
    /// The port of its server, in place of 3000.
    port: Option<u16>,
    /// The port of its `tap`, in place of 4000.
    tap_port: Option<u16>,
    terminals: BTreeMap<String, Terminal>,
}

/// A program, and what it has shown that has not been compared yet.
struct Terminal {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    is_server: bool,
    /// Whether it is between the clients and the server.
    is_tap: bool,
    /// Whether its first line has been compared. The first line of a server says where it listens.
    has_shown: bool,
    /// The lines of a server's log that may come later, with their numbers on the page.
    later: Vec<(usize, String)>,
    /// The number of its last line on the page.
    line: usize,
}

impl Scene {
    fn step(&mut self, name: &str, number: usize, line: &str) -> Result<(), String> {
        if let Some(command) = line.strip_prefix("$ ") {
            if let Some(before) = self.terminals.remove(name) {
                before.end(self.port).map_err(|(_, what)| what)?;
            }
            let terminal = self.start(command, number)?;
            self.terminals.insert(name.to_owned(), terminal);
            return Ok(());
        }
        let terminal = self.terminals.get_mut(name);
        let terminal = terminal.ok_or("the terminal has no command yet")?;
        let is_first = !terminal.has_shown;
        terminal.line = number;
        if let Some(typed) = line.strip_suffix('⏎') {
            let typed = match typed.strip_prefix("> ") {
                Some(typed) => {
                    terminal.expect_prompt()?;
                    typed
                }
                None => typed,
            };
            let stdin = terminal.stdin.as_mut().ok_or("its input has ended")?;
            let typed = format!("{}\n", typed.strip_suffix(' ').unwrap_or(typed));
            return stdin
                .write_all(typed.as_bytes())
                .map_err(|error| format!("nobody reads what is typed: {error}"));
        }
        match line {
            "^D" => terminal.stdin = None,
            "^C" => {
                terminal.catch_up(self.port).map_err(|(_, what)| what)?;
                terminal.kill();
            }
            line if terminal.is_server && !is_first => {
                terminal.later.push((number, line.to_owned()));
            }
            line => {
                terminal.has_shown = true;
                let shown = terminal.line()?.unwrap_or_default();
                for prefix in ["listening on 127.0.0.1:", "hosting at 127.0.0.1:"] {
                    let Some(port) = shown.strip_prefix(prefix) else {
                        continue;
                    };
                    if terminal.is_tap {
                        let port = port.split(',').next().unwrap_or_default();
                        self.tap_port = port.parse().ok();
                    } else {
                        self.port = port.parse().ok();
                    }
                }
                compare(line, &shown, self.port)?;
            }
        }
        Ok(())
    }

    /// Starts a command, with the binaries in place of `cargo run`, and an address of its own.
    fn start(&mut self, command: &str, line: usize) -> Result<Terminal, String> {
        let mut words = command.split(' ').peekable();
        let mut line_to_run: Vec<String> = Vec::new();
        let (mut is_server, mut is_tap) = (false, false);
        while let Some(word) = words.next() {
            if word != "cargo" || words.peek() != Some(&"run") {
                line_to_run.push(self.with_own_port(word));
                continue;
            }
            let package = words.by_ref().skip_while(|&word| word != "-p").nth(1);
            let package = package.ok_or("`cargo run` has no `-p PACKAGE`")?;
            let example = words.next_if_eq(&"--example").and_then(|_| words.next());
            let program = example.map_or_else(|| binary(package), example_binary);
            line_to_run.push(program.display().to_string());
            words.next_if_eq(&"--");
            if example == Some(TAP) {
                while words.next_if(|word| word.contains(':')).is_some() {}
                let port = *self.port.get_or_insert_with(unused_port);
                line_to_run.push(format!("127.0.0.1:0 127.0.0.1:{port}"));
                (is_server, is_tap) = (true, true);
                continue;
            }
            let role = words.next_if(|&word| word == "server" || word == "client");
            line_to_run.extend(role.map(str::to_owned));
            // The steps of chapter 5 are servers, too.
            let is_step = example.is_some_and(|name| name.starts_with("step"));
            is_server = role == Some("server") || is_step;
            // Each simple command gets the section's address, unless it names one.
            let rest: Vec<&str> = words.clone().collect();
            let rest = rest
                .split(|word| ["|", "&", ";", "}", ")"].contains(word))
                .next();
            let rest = rest.unwrap_or_default();
            let has_address = rest
                .iter()
                .any(|word| word.contains(':') || *word == "--help");
            if !has_address && package != "stage3-gui-stub" {
                if role == Some("client") {
                    self.port.get_or_insert_with(unused_port);
                }
                line_to_run.push(format!("127.0.0.1:{}", self.port.unwrap_or(0)));
            }
        }
        let line_to_run = line_to_run.join(" ");
        let plain = !line_to_run.contains(['|', ';', '&', '<', '>', '(', '{', '$', '\'', '"']);
        let mut program = if plain {
            let mut words = line_to_run.split(' ');
            let mut program = Command::new(words.next().unwrap_or_default());
            program.args(words);
            program
        } else {
            let mut bash = Command::new("bash");
            bash.args(["-c", &line_to_run]);
            bash
        };
        let (mut reader, writer) = io::pipe().map_err(|error| error.to_string())?;
        let errors = writer.try_clone().map_err(|error| error.to_string())?;
        program.current_dir(root()).env("LC_ALL", "C");
        program.stdin(Stdio::piped()).stdout(writer).stderr(errors);
        let child = program.spawn();
        let mut child = child.map_err(|error| format!("{line_to_run}: {error}"))?;
        // The command also holds the writing end of the pipe. With it open, the reader would wait
        // forever.
        drop(program);
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut chunk) {
                let _ = sender.send(chunk[..length].to_vec());
            }
        });
        Ok(Terminal {
            stdin: child.stdin.take(),
            child,
            output,
            unread: Vec::new(),
            is_server,
            is_tap,
            has_shown: false,
            later: Vec::new(),
            line,
        })
    }

    fn with_own_port(&mut self, word: &str) -> String {
        let (shown, port) = if word.contains("3000") {
            (3000, *self.port.get_or_insert_with(unused_port))
        } else if let Some(port) = self.tap_port.filter(|_| word.contains("4000")) {
            (4000, port)
        } else {
            return word.to_owned();
        };
        ["127.0.0.1:", "/dev/tcp/127.0.0.1/"]
            .iter()
            .fold(word.to_owned(), |word, host| {
                word.replace(&format!("{host}{shown}"), &format!("{host}{port}"))
            })
    }

    /// Ends the clients, then `tap`, then the servers. Fails if one of them has shown more than the
    /// page says.
    fn end(self) -> Result<(), (usize, String)> {
        let mut terminals: Vec<Terminal> = self.terminals.into_values().collect();
        terminals.sort_by_key(|terminal| (terminal.is_server, !terminal.is_tap));
        for terminal in terminals {
            terminal.end(self.port)?;
        }
        Ok(())
    }
}

impl Terminal {
    /// Waits for more output. Returns false at its end.
    fn wait(&mut self, deadline: Instant) -> Result<bool, String> {
        match self
            .output
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(bytes) => self.unread.extend(bytes),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(false),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let unread = String::from_utf8_lossy(&self.unread);
                return Err(format!(
                    "the program does not print this line; its unread output is {unread:?}"
                ));
            }
        }
        Ok(true)
    }

    /// The next line, or `None` at the end.
    fn line(&mut self) -> Result<Option<String>, String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if !self.wait(deadline)? {
                let rest = String::from_utf8_lossy(&self.unread).trim_end().to_owned();
                self.unread.clear();
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            }
        }
    }

    fn expect_prompt(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        while self.unread.len() < 2 {
            if !self.wait(deadline)? {
                return Err("the program has ended instead of prompting".to_owned());
            }
        }
        let shown: Vec<u8> = self.unread.drain(..2).collect();
        match shown.as_slice() {
            b"> " => Ok(()),
            shown => {
                let shown = [shown, &self.unread].concat();
                let shown = String::from_utf8_lossy(&shown).into_owned();
                Err(format!("no prompt, but {shown:?}"))
            }
        }
    }

    /// Waits until the program has shown what the page says.
    fn catch_up(&mut self, port: Option<u16>) -> Result<(), (usize, String)> {
        for (number, line) in std::mem::take(&mut self.later) {
            let shown = self.line().map_err(|what| (number, what))?;
            compare(&line, &shown.unwrap_or_default(), port).map_err(|what| (number, what))?;
        }
        Ok(())
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        // Its sockets are closed only when it has ended.
        let _ = self.child.wait();
    }

    /// Ends the program. A server is killed. Another program must end by itself after the end of
    /// input.
    fn end(mut self, port: Option<u16>) -> Result<(), (usize, String)> {
        self.stdin = None;
        if self.is_server {
            self.catch_up(port)?;
            self.kill();
        }
        let at = self.line;
        match self.line().map_err(|what| (at, what))? {
            None => Ok(()),
            Some(more) => Err((at, format!("the program continues with\n{more}"))),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port at which no program listens.
fn unused_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("is bound").port()
}

fn compare(page: &str, shown: &str, port: Option<u16>) -> Result<(), String> {
    let own = format!("127.0.0.1:{}", port.unwrap_or(3000));
    let (page, shown) = (mask(page), mask(&shown.replace(&own, SHOWN)));
    if page == shown {
        return Ok(());
    }
    Err(format!(
        "the page and the program differ:\n  {page}\n  {shown}"
    ))
}

/// The line without the parts that differ between two runs: times, ports and the numbers of errors.
fn mask(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line.trim_end();
    while let Some(c) = rest.chars().next() {
        let stamp = rest.get(..26).filter(|text| is_ctime(text));
        let stamp = stamp.or_else(|| rest.get(..21).filter(|text| is_strftime(text)));
        let tap = tap_time(rest).filter(|_| masked.is_empty());
        let number = |prefix: &str| {
            let digits = rest.strip_prefix(prefix)?;
            Some(prefix.len() + digits.bytes().take_while(u8::is_ascii_digit).count())
        };
        let (length, mask) = if let Some(stamp) = stamp {
            (stamp.len(), "[TIME]")
        } else if let Some(length) = tap {
            (length, "#N TIME s")
        } else if rest.starts_with(SHOWN) {
            (SHOWN.len(), SHOWN)
        } else if let Some(length) = number("127.0.0.1:") {
            (length, "127.0.0.1:PORT")
        } else if let Some(length) = number("os error ") {
            (length, "os error N")
        } else {
            (c.len_utf8(), &rest[..c.len_utf8()])
        };
        masked.push_str(mask);
        rest = &rest[length..];
    }
    masked
}

/// The length of the beginning of a line of `tap`, for example `#1   0.812 s`.
fn tap_time(line: &str) -> Option<usize> {
    let (start, _) = line.strip_prefix('#')?.split_once(" s  ")?;
    let (number, seconds) = start.split_once(' ')?;
    number.parse::<usize>().ok()?;
    seconds.trim_start().parse::<f64>().ok()?;
    Some(1 + start.len() + 2)
}

/// The text, with `0` for each digit and `a` for each letter.
fn shape(text: &str) -> String {
    let kind = |c: char| match c {
        '0'..='9' => '0',
        'a'..='z' | 'A'..='Z' => 'a',
        _ => c,
    };
    text.chars().map(kind).collect()
}

fn is_ctime(text: &str) -> bool {
    shape(text).replace("aaa  0", "aaa 00") == "[aaa aaa 00 00:00:00 0000]"
}

fn is_strftime(text: &str) -> bool {
    shape(text) == "[0000-00-00 00:00:00]"
}

/// The binary of a chapter.
fn binary(package: &str) -> PathBuf {
    programs().join(format!("{package}{}", env::consts::EXE_SUFFIX))
}

/// The program of `examples/NAME.rs`.
fn example_binary(name: &str) -> PathBuf {
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    programs().join("examples").join(name)
}

/// The folder of all programs, built in the profile of this test.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let test = env::current_exe().expect("a test knows where it is");
        let folder = test.ancestors().nth(2).expect("it is in target/debug/deps");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--locked"])
            .args(["--bins", "--examples"])
            .args(["--profile", profile, "--target-dir"])
            .arg(folder.parent().expect("is in a folder"))
            .current_dir(root())
            .status()
            .expect("cargo starts");
        assert!(status.success(), "cargo build fails");
        folder.to_owned()
    })
}

// What the pages name.

#[test]
fn everything_that_a_command_names_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (number, command) in page.commands() {
            let option = command.starts_with("--").then(|| {
                let words: Vec<&str> = command.split_whitespace().collect();
                check_arguments("stage5-group", &words)
            });
            for problem in problems(command).into_iter().chain(option.flatten()) {
                wrong.push(format!("{}:{number}: {command}: {problem}", page.path));
            }
        }
    }
    assert_none(&wrong);
}

/// What is wrong with the `cargo` commands in this line.
fn problems(line: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let line = line.split(" # ").next().unwrap_or_default();
    for command in line.split(['|', ';', '(', ')', '{', '}']) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let Some(at) = words.iter().position(|&word| word == "cargo") else {
            continue;
        };
        let end = words[at..].iter().position(|&word| word == "--");
        let end = end.map(|end| at + end);
        let (cargo, program) =
            words[at + 1..].split_at(end.map_or(words.len(), |end| end) - at - 1);
        let program = program.get(1..).unwrap_or_default();
        let after = |flag: &str| {
            let at = cargo.iter().position(|&word| word == flag)?;
            cargo.get(at + 1).copied()
        };
        // An example may run `cargo` itself, as `attack` does.
        if program.contains(&"cargo") {
            problems.extend(self::problems(&program.join(" ")));
        }
        let package = after("-p");
        if package.is_some_and(|package| !root().join(package).join("Cargo.toml").is_file()) {
            problems.push(format!("no package {package:?}"));
            continue;
        }
        let manifest = package.map(|package| read(&format!("{package}/Cargo.toml")));
        let has = |text: &str| manifest.as_ref().is_some_and(|all| all.contains(text));
        let example = after("--example");
        match cargo.first() {
            Some(&"exercises") => {
                let number = cargo.get(1).copied().unwrap_or_default();
                let heading = format!("{number} ");
                let mut pages = pages().into_iter();
                if !number.is_empty()
                    && !pages.any(|page| page.headings().any(|text| text.starts_with(&heading)))
                {
                    problems.push(format!("no exercise {number}"));
                }
            }
            Some(&"run") => match package {
                Some(package) if example.is_some() => {
                    let path = format!("{package}/examples/{}", example.unwrap_or_default());
                    let exists = |end: &str| root().join(path.clone() + end).is_file();
                    if !exists(".rs") && !exists("/main.rs") {
                        problems.push(format!("there is no {path}.rs"));
                    }
                }
                Some(package) => problems.extend(check_arguments(package, program)),
                None => problems.push("`cargo run` has no `-p PACKAGE`".to_owned()),
            },
            Some(&"bench") if !has("[[bench]]") => problems.push("no benchmark".to_owned()),
            Some(&"test") => {
                if let Some(name) = after("--test")
                    && !has(&format!("name = \"{name}\""))
                {
                    problems.push(format!("no test file {name}"));
                }
                let filter = package.and_then(|package| {
                    let at = cargo.iter().position(|&word| word == package)?;
                    cargo.get(at + 1).filter(|word| !word.starts_with('-'))
                });
                if let Some(filter) = filter
                    && !functions().iter().any(|name| name.contains(filter))
                {
                    problems.push(format!("no test is called {filter}"));
                }
            }
            Some(&("bench" | "build" | "clippy" | "doc" | "fmt" | "install" | "tree")) => {}
            other => problems.push(format!("unknown: cargo {other:?}")),
        }
    }
    problems
}

/// Compares a chapter's arguments with its own usage.
fn check_arguments(package: &str, arguments: &[&str]) -> Option<String> {
    let usage = Command::new(binary(package)).arg("--help").output();
    let usage = usage.expect("the chapter can be run").stdout;
    let usage = String::from_utf8_lossy(&usage);
    let known: Vec<&str> = usage
        .split(|c: char| c.is_whitespace() || "[]|;:,".contains(c))
        .collect();
    let mut arguments = arguments.iter().copied();
    while let Some(word) = arguments.next() {
        let is_known = match word {
            "--help" | "[HOST:PORT]" => true,
            // A redirection.
            word if word.starts_with('>') => true,
            "--engine" => arguments
                .next()
                .is_some_and(|engine| known.contains(&engine)),
            "--name" => known.contains(&word) && arguments.next().is_some(),
            address if address.contains(':') => usage.contains("HOST:PORT"),
            word => known.contains(&word),
        };
        if !is_known {
            return Some(format!("{package} does not know {word}"));
        }
    }
    None
}

#[test]
fn every_file_that_a_page_names_exists() {
    let sources = [files(".", ".rs"), files(".", ".md")].concat();
    let mut wrong = Vec::new();
    for page in pages() {
        let named = page.code().chain(page.commands());
        for (number, word) in named.flat_map(|(number, code)| {
            let words = code.split([' ', '(', ')', '"', '=']);
            words.map(move |word| (number, word.trim_end_matches(['.', ',', ';'])))
        }) {
            let folder = word.split('/').next().unwrap_or_default();
            let is_ours = ["docs", "tests", ".ci"].contains(&folder) || folder.starts_with("stage");
            let is_path = word.contains('/') && is_ours && !word.contains('*');
            let is_source = word.ends_with(".rs") && !word.contains(['/', '*']);
            let exists = if is_path {
                root().join(word).exists()
            } else {
                let name = format!("/{word}");
                !is_source || sources.iter().any(|path| path.ends_with(&name))
            };
            if !exists {
                wrong.push(format!("{}:{number}: there is no {word}", page.path));
            }
        }
    }
    assert_none(&wrong);
}

/// The names of all functions.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(".", ".rs") {
        for line in read(&path).lines() {
            let name = line
                .trim_start()
                .trim_start_matches("pub ")
                .strip_prefix("fn ");
            let name = name.and_then(|rest| rest.split(['(', '<']).next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// A name of four words or more in backquotes is the name of a test. No other name is that long.
#[test]
fn every_test_that_a_page_names_exists() {
    let functions = functions();
    let mut wrong = Vec::new();
    for page in pages() {
        for (number, name) in page.code() {
            let mut characters = name.chars();
            let is_name =
                characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if is_name && name.matches('_').count() >= 3 && !functions.contains(name) {
                wrong.push(format!("{}:{number}: no test {name}", page.path));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for (number, target) in links(&page) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            if file.contains("://") {
                continue;
            }
            let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = match file {
                "" => page.path.clone(),
                file => format!("{folder}/{file}")
                    .trim_start_matches('/')
                    .to_owned(),
            };
            let here = format!("{}:{number}", page.path);
            if !root().join(&path).is_file() {
                wrong.push(format!("{here}: there is no {path}"));
            } else if page.path.starts_with("docs/") && file.contains("..") {
                wrong.push(format!(
                    "{here}: {file} is outside docs/, so it is not in the book"
                ));
            } else if !anchor.is_empty()
                && !Page::read(&path)
                    .headings()
                    .any(|text| slug(text) == anchor)
            {
                wrong.push(format!("{here}: {path} has no heading #{anchor}"));
            }
        }
    }
    assert_none(&wrong);
}

/// Where the links of a chapter's page lead in `cargo doc`.
const CRATE_LINKS: &str = "docs/rustdoc-links.txt";

/// Where the links of a further page lead in `cargo doc`.
const MODULE_LINKS: &str = "docs/rustdoc-links-5.txt";

/// In `cargo doc` a page is another file, so there a link has another target.
#[test]
fn every_link_of_a_chapter_has_a_target_in_cargo_doc() {
    let targets = read(CRATE_LINKS);
    let mut wrong = Vec::new();
    for (chapter, path) in CHAPTERS {
        let include = "#![doc = include_str!(\"../../docs/rustdoc-links.txt\")]";
        let lib = read(&format!("{chapter}/src/lib.rs"));
        assert!(lib.contains(include), "{chapter}/src/lib.rs: {include}");
        wrong.extend(links_without_target(path, &targets));
    }
    for (_, path) in FURTHER {
        wrong.extend(links_without_target(path, &read(MODULE_LINKS)));
    }
    assert_none(&wrong);
}

/// The links of a page that are not defined both on the page and among these targets.
fn links_without_target(path: &str, targets: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let page = Page::read(path);
    for (number, line) in &page.prose {
        for rest in line.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains(".md") {
                wrong.push(format!(
                    "{path}:{number}: write [text][name], not ({target})"
                ));
            }
        }
        for rest in line.split("][").skip(1) {
            let name = rest.split(']').next().unwrap_or_default();
            let definition = format!("[{name}]: ");
            let here = page.prose.iter().any(|(_, l)| l.starts_with(&definition));
            // The target of a picture does not depend on the page.
            let there =
                name.ends_with(".svg") || targets.lines().any(|line| line.starts_with(&definition));
            if !here || !there {
                wrong.push(format!(
                    "{path}:{number}: define [{name}] on the page and for cargo doc"
                ));
            }
        }
    }
    wrong
}

/// In `cargo doc` no file is beside the page, so there a picture's target holds the picture itself.
/// `UPDATE_PICTURES=1 cargo test -p tests --test book pictures` writes these targets.
#[test]
fn the_pictures_in_cargo_doc_are_those_of_the_book() {
    const TARGETS: &str = "docs/rustdoc-links.txt";
    const COMMAND: &str = "UPDATE_PICTURES=1 cargo test -p tests --test book pictures";
    let targets = read(TARGETS);
    let is_picture = |line: &&str| line.contains("]: data:");
    let links = targets.lines().filter(|line| !is_picture(line));
    let pictures = files("docs/images", ".svg");
    let pictures = pictures.iter().map(|path| {
        let name = path.trim_start_matches("docs/images/");
        let data = base64(read(path).as_bytes());
        format!("[{name}]: data:image/svg+xml;base64,{data}")
    });
    let links: Vec<&str> = links.filter(|line| !line.is_empty()).collect();
    let pictures: Vec<String> = pictures.collect();
    // The empty line ends the last definition, because a page may follow.
    let expected = format!("{}\n{}\n\n", links.join("\n"), pictures.join("\n"));
    if env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(root().join(TARGETS), &expected).expect("can be written");
    } else {
        assert!(targets == expected, "{TARGETS} is out of date: {COMMAND}");
    }
}

#[test]
fn every_picture_on_a_page_of_cargo_doc_has_a_name() {
    let mut sources = files(".", ".rs");
    sources.retain(|path| path.contains("/src/"));
    let sources: String = sources.iter().map(|path| read(path)).collect();
    let mut wrong = Vec::new();
    for page in pages() {
        // The page of a crate or of a module.
        if !sources.contains(&format!("/{}\")", page.path)) {
            continue;
        }
        for (number, line) in &page.prose {
            if line.contains("![") && line.contains("](") {
                let here = format!("{}:{number}", page.path);
                wrong.push(format!(
                    "{here}: write ![text][name.svg] and define the name"
                ));
            }
        }
    }
    assert_none(&wrong);
}

/// In most fonts, a Chinese character is not exactly as wide as two other characters.
#[test]
fn no_drawing_contains_wide_characters() {
    let is_box = |c: char| ('\u{2500}'..='\u{257f}').contains(&c);
    let is_wide = |c: char| ('\u{2e80}'..='\u{ffef}').contains(&c) || c >= '\u{1f300}';
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks("text") {
            let mut lines = block.lines.iter();
            if lines.any(|line| line.contains(is_box)) {
                let wide = block.lines.iter().filter(|line| line.contains(is_wide));
                let here = format!("{}:{}", page.path, block.line);
                wrong.extend(wide.map(|line| format!("{here}: {line}: make it an SVG")));
            }
        }
    }
    assert_none(&wrong);
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() {
                char::from(DIGITS[index as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn base64_is_that_of_the_standard() {
    for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
        assert_eq!(base64(text.as_bytes()), expected);
    }
    assert_eq!(base64("业冰蝶".as_bytes()), "5Lia5Yaw6J22");
}

/// The first page of the book is the README. It is in another folder, so its links have other
/// targets.
#[test]
fn every_link_of_the_readme_has_a_target_in_the_book() {
    let first = read("docs/introduction.md");
    assert!(first.contains("{{#include ../README.md}}"));
    let mut wrong = Vec::new();
    for (number, target) in links(&Page::read("README.md")) {
        if let Some(target) = target.strip_prefix("docs/")
            && !first
                .lines()
                .any(|line| line.ends_with(&format!("]: {target}")))
        {
            wrong.push(format!(
                "README.md:{number}: define {target} in docs/introduction.md"
            ));
        }
    }
    for (number, line) in &Page::read("README.md").prose {
        if line.contains("](") {
            wrong.push(format!(
                "README.md:{number}: write [text][name] and define the name"
            ));
        }
    }
    assert_none(&wrong);
}

/// The targets of `[text](target)` and `[name]: target`.
fn links(page: &Page) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in &page.prose {
        // Text in backquotes is not a link.
        let text: String = line.split('`').step_by(2).collect();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            links.push((*number, target.to_owned()));
        }
        if text.starts_with('[')
            && let Some((_, target)) = text.split_once("]: ")
        {
            links.push((*number, target.to_owned()));
        }
    }
    links
}

/// The anchor that a forge and mdBook give a heading.
fn slug(heading: &str) -> String {
    let heading = heading.to_lowercase();
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_summary_lists_every_page() {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: BTreeSet<String> = links(&summary)
        .into_iter()
        .map(|(_, target)| format!("docs/{target}"))
        .collect();
    let mut missing = files("docs", ".md");
    missing.retain(|path| path.matches('/').count() == 1 && !listed.contains(path));
    assert_eq!(
        missing,
        ["docs/SUMMARY.md"],
        "the pages that are not listed"
    );
}
