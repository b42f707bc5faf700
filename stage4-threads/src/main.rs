//! Picks the role: the server, a client, or both in one terminal.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::{env, thread};

use stage4_threads::{client, server};

const NAME: &str = env!("CARGO_PKG_NAME");

/// The loopback address: only programs on this machine can connect to it.
const ADDRESS: &str = "127.0.0.1:3000";

fn main() -> ExitCode {
    let args: Vec<String> = env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let usage = format!(
        "usage: {NAME} [server|client] [HOST:PORT]\n\
         server: serve clients at HOST:PORT (default: {ADDRESS})\n\
         client: connect to the server at HOST:PORT\n\
         neither: start a server there if none answers, then connect to it\n"
    );
    let (role, rest) = match args.split_first() {
        Some((role, rest)) if role == "server" || role == "client" => (role.as_str(), rest),
        _ => ("", args.as_slice()),
    };
    let address = match rest {
        [] => ADDRESS,
        [address] if is_address(address) => address,
        [arg] if arg == "--help" || arg == "-h" => {
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

fn serve(address: &str) -> Result<(), String> {
    // `println!` would panic when standard output is closed.
    let log = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    server::serve(&listen(address)?, log).map_err(|error| error.to_string())
}

fn talk(stream: TcpStream) -> Result<(), String> {
    client::chat(stream).map_err(|error| error.to_string())
}

/// Joins the server at the address. If none answers, starts one first, on its own thread.
fn host_or_join(address: &str) -> Result<(), String> {
    if let Ok(stream) = join(address) {
        return talk(stream);
    }
    let listener =
        listen(address).map_err(|why| format!("no server answers at {address}; {why}"))?;
    let here = listener.local_addr().map_err(|error| error.to_string())?;
    let _ = writeln!(io::stdout(), "hosting at {here}");
    // This server has no log, because the log would appear within the conversation.
    thread::spawn(move || server::serve(&listener, |_| ()));
    let stream = join(&here.to_string()).map_err(|error| error.to_string())?;
    talk(stream)
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
