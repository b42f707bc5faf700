//! Picks the role: the server, a client, or both in one terminal.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::{env, thread};

use stage4_threads::{client, server};

const NAME: &str = env!("CARGO_PKG_NAME");

/// Loopback: only this machine gets in, until somebody asks for `0.0.0.0:3000`.
const ADDRESS: &str = "127.0.0.1:3000";

fn main() -> ExitCode {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let usage = format!(
        "usage: {NAME} [server|client] [HOST:PORT]\n\
         server: serve at HOST:PORT, {ADDRESS} unless told\n\
         client: talk to the server there\n\
         neither: serve there if nobody does, then talk, in one terminal\n"
    );
    let (role, rest) = match words.split_first() {
        Some((role, rest)) if role == "server" || role == "client" => (role.as_str(), rest),
        _ => ("", words.as_slice()),
    };
    let address = match rest {
        [] => ADDRESS,
        [address] if is_address(address) => address,
        [word] if word == "--help" || word == "-h" => {
            let _ = io::stdout().write_all(usage.as_bytes());
            return ExitCode::SUCCESS;
        }
        _ => {
            let _ = io::stderr().write_all(usage.as_bytes());
            return ExitCode::from(2);
        }
    };
    let result = match role {
        "server" => serve(address),
        "client" => connect(address).and_then(talk),
        _ => host_or_join(address),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "{NAME}: {sentence}");
            ExitCode::FAILURE
        }
    }
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

fn serve(address: &str) -> Result<(), String> {
    // Not `println!`, which panics when nobody reads standard output any more.
    let log = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    server::serve(&listen(address)?, log).map_err(|error| error.to_string())
}

fn talk(stream: TcpStream) -> Result<(), String> {
    client::chat(stream).map_err(|error| error.to_string())
}

/// Joins the server at the address; where none answers, starts one on a thread of its own first.
fn host_or_join(address: &str) -> Result<(), String> {
    if let Ok(stream) = TcpStream::connect(address) {
        return talk(stream);
    }
    let listener = listen(address).map_err(|why| format!("nobody is at {address}, and {why}"))?;
    let here = listener.local_addr().map_err(|error| error.to_string())?;
    let _ = writeln!(io::stdout(), "hosting at {here}");
    // The log would come between the lines of the conversation.
    thread::spawn(move || server::serve(&listener, |_| ()));
    talk(connect(&here.to_string())?)
}
