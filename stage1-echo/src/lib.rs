// The first definition of a link counts: here the pages are those of `cargo doc`.
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/1-echo.md")]

pub mod client;
pub mod clock;
pub mod server;

// A further page of the chapter. The module has no code.
/// [1-echo]: ../index.html
/// [2-select]: ../../stage2_select/index.html
/// [4-threads]: ../../stage4_threads/index.html
///
#[doc = include_str!("../../docs/sockets.md")]
pub mod sockets {}
