//! Picks the role: the server, a client, or both in one terminal.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{env, thread};

use stage5_group::server::{self, Engine};
use stage5_group::{client, names};

const NAME: &str = env!("CARGO_PKG_NAME");

/// The loopback address: only programs on this machine can connect to it.
const ADDRESS: &str = "127.0.0.1:3000";

/// What the command line asks for.
struct Options {
    address: String,
    engine: Engine,
    name: String,
    plain: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let usage = format!(
        "usage: {NAME} server [HOST:PORT] [--engine threads|polling]\n       \
         {NAME} client [HOST:PORT] [--name NAME] [--plain]\n       \
         {NAME} [any of these]\n\
         server: host the group at HOST:PORT (default: {ADDRESS})\n\
         client: join the group there; --plain works in lines, without the window\n\
         neither: host the group there if no server answers, then join it\n"
    );
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        let _ = io::stdout().write_all(usage.as_bytes());
        return ExitCode::SUCCESS;
    }
    let (role, rest) = match args.split_first() {
        Some((role, rest)) if role == "server" || role == "client" => (role.as_str(), rest),
        _ => ("", args.as_slice()),
    };
    let Some(options) = parse(role, rest) else {
        let _ = io::stderr().write_all(usage.as_bytes());
        return ExitCode::from(2);
    };
    let result = match role {
        "server" => serve(&options),
        "client" => connect(&options.address).and_then(|stream| talk(stream, &options)),
        _ => host_or_join(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "{NAME}: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the rest of the command line. Returns `None` if something in it is wrong.
fn parse(role: &str, args: &[String]) -> Option<Options> {
    let mut address = None;
    let mut options = Options {
        address: String::new(),
        engine: Engine::Threads,
        name: names::pick().to_owned(),
        plain: false,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--engine" if role != "client" => {
                options.engine = match args.next()? {
                    "threads" => Engine::Threads,
                    "polling" => Engine::Polling,
                    _ => return None,
                };
            }
            "--name" if role != "server" => {
                let name = args.next().filter(|name| !name.trim().is_empty())?;
                name.clone_into(&mut options.name);
            }
            "--plain" if role != "server" => options.plain = true,
            _ if is_address(arg) && address.is_none() => address = Some(arg.to_owned()),
            _ => return None,
        }
    }
    options.address = address.unwrap_or_else(|| ADDRESS.to_owned());
    Some(options)
}

/// Whether the argument has the form `HOST:PORT`. The host need not exist.
fn is_address(arg: &str) -> bool {
    arg.rsplit_once(':')
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

/// Prints a line of the server's log, on its own thread. A program that writes to a pager, or to a
/// terminal stopped with `Ctrl-S`, must wait. The group must not wait. If too many lines wait to be
/// printed, further lines are dropped.
fn log(line: &str) {
    static LOG: LazyLock<SyncSender<String>> = LazyLock::new(|| {
        let (log, lines) = sync_channel::<String>(10_000);
        thread::spawn(move || {
            for line in lines {
                // `println!` would panic when standard output is closed.
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

/// Joins the group at the address. If no server answers, hosts the group first, on its own thread.
fn host_or_join(options: &Options) -> Result<(), String> {
    let address = &options.address;
    if let Ok(stream) = join(address) {
        return talk(stream, options);
    }
    let listener =
        listen(address).map_err(|why| format!("no server answers at {address}; {why}"))?;
    let here = listener.local_addr().map_err(|error| error.to_string())?;
    let _ = writeln!(io::stdout(), "hosting at {here}");
    let engine = options.engine;
    // This server has no log, because the log would appear within the conversation.
    thread::spawn(move || server::serve(listener, engine, |_| ()));
    let stream = join(&here.to_string()).map_err(|error| error.to_string())?;
    talk(stream, options)
}

/// Connects to a server that may be on this machine. A server at an unspecified address, such as
/// `0.0.0.0:3000`, listens at every address of its machine. On Windows a client cannot connect to
/// the unspecified address, so it connects to the loopback address instead.
fn join(address: &str) -> io::Result<TcpStream> {
    let reachable = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    };
    let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.map(reachable).collect();
    TcpStream::connect(&addresses[..])
}
