//! Opens the window. There is no network yet: the window shows what it sends.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use stage3_gui_stub::window::{Event, Window};

const NAME: &str = env!("CARGO_PKG_NAME");

fn main() -> ExitCode {
    let usage = format!("usage: {NAME}\nopens the chat window; it takes no arguments\n");
    match env::args_os().nth(1) {
        None => {}
        Some(arg) if arg == "--help" || arg == "-h" => {
            let _ = io::stdout().write_all(usage.as_bytes());
            return ExitCode::SUCCESS;
        }
        Some(_) => {
            let _ = io::stderr().write_all(usage.as_bytes());
            return ExitCode::from(2);
        }
    }
    let window = Window::new("Rust聊天群", false);
    let mut output = window.output();
    let ended = window.mainloop(|event| match event {
        Event::Send(text) => output.insert(text.as_bytes()),
        Event::Close => output.destroy(),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}
