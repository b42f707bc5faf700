//! Picks the role: the server, a client, or both in one terminal.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{env, thread};

use stage5_group::server::{self, Engine};
use stage5_group::{client, names};

const NAME: &str = env!("CARGO_PKG_NAME");

/// Loopback: only this machine gets in, until somebody asks for `0.0.0.0:3000`.
const ADDRESS: &str = "127.0.0.1:3000";

/// What the command line asks for.
struct Options {
    role: Role,
    address: String,
    engine: Engine,
    name: String,
    plain: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
    Both,
}

fn main() -> ExitCode {
    let words = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    let usage = format!(
        "usage: {NAME} server [HOST:PORT] [--engine threads|select]\n       \
         {NAME} client [HOST:PORT] [--name NAME] [--plain]\n       \
         {NAME} [any of these]\n\
         server: host the group at HOST:PORT, {ADDRESS} unless told\n\
         client: join the group there; --plain does without the window\n\
         neither: host it there if nobody does, then join, in one terminal\n"
    );
    let words: Vec<String> = words.collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        let _ = io::stdout().write_all(usage.as_bytes());
        return ExitCode::SUCCESS;
    }
    let Some(options) = parse(&words) else {
        let _ = io::stderr().write_all(usage.as_bytes());
        return ExitCode::from(2);
    };
    let result = match options.role {
        Role::Server => serve(&options),
        Role::Client => connect(&options.address).and_then(|stream| talk(stream, &options)),
        Role::Both => host_or_join(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "{NAME}: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` where it asks for nothing that there is.
fn parse(words: &[String]) -> Option<Options> {
    let mut words = words.iter().map(String::as_str).peekable();
    let role = match words.peek() {
        Some(&"server") => Role::Server,
        Some(&"client") => Role::Client,
        _ => Role::Both,
    };
    if role != Role::Both {
        words.next();
    }
    let (mut address, mut engine, mut name, mut plain) = (None, None, None, false);
    while let Some(word) = words.next() {
        match word {
            "--engine" if role != Role::Client && engine.is_none() => {
                engine = Some(match words.next()? {
                    "threads" => Engine::Threads,
                    "select" => Engine::Select,
                    _ => return None,
                });
            }
            "--name" if role != Role::Server && name.is_none() => {
                name = Some(
                    words
                        .next()
                        .filter(|name| !name.trim().is_empty())?
                        .to_owned(),
                );
            }
            "--plain" if role != Role::Server => plain = true,
            _ if address.is_none() && is_address(word) => address = Some(word.to_owned()),
            _ => return None,
        }
    }
    Some(Options {
        role,
        address: address.unwrap_or_else(|| ADDRESS.to_owned()),
        engine: engine.unwrap_or(Engine::Threads),
        name: name.unwrap_or_else(|| names::pick().to_owned()),
        plain,
    })
}

/// Whether this reads `HOST:PORT`; whether there is such a host is another question.
fn is_address(word: &str) -> bool {
    word.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn listen(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn connect(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address).map_err(|error| format!("cannot connect to {address}: {error}"))
}

fn serve(options: &Options) -> Result<(), String> {
    let listener = listen(&options.address)?;
    server::serve(listener, options.engine, log).map_err(|error| error.to_string())
}

/// Prints a line of the server's log, on a thread of its own: a pager, or a terminal that `Ctrl-S`
/// has stopped, holds up whoever writes to it, and that must not be the group. What is more than
/// such a reader ever looks at is left out.
fn log(line: &str) {
    static LOG: LazyLock<SyncSender<String>> = LazyLock::new(|| {
        let (log, lines) = sync_channel::<String>(10_000);
        thread::spawn(move || {
            for line in lines {
                // Not `println!`, which panics when nobody reads standard output any more.
                let _ = writeln!(io::stdout(), "{line}");
            }
        });
        log
    });
    let _ = LOG.try_send(line.to_owned());
}

fn talk(stream: TcpStream, options: &Options) -> Result<(), String> {
    client::chat(stream, &options.name, options.plain).map_err(|error| error.to_string())
}

/// Joins the group at the address; where there is none, hosts it on a thread of its own first.
fn host_or_join(options: &Options) -> Result<(), String> {
    let address = &options.address;
    if let Ok(stream) = TcpStream::connect(address) {
        return talk(stream, options);
    }
    let listener = listen(address).map_err(|why| format!("nobody is at {address}, and {why}"))?;
    let here = listener.local_addr().map_err(|error| error.to_string())?;
    let _ = writeln!(io::stdout(), "hosting at {here}");
    let engine = options.engine;
    // The log would come between the lines of the conversation.
    thread::spawn(move || server::serve(listener, engine, |_| ()));
    talk(connect(&here.to_string())?, options)
}
