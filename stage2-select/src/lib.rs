// The first definition of a link counts: here the pages are those of `cargo doc`.
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/2-select.md")]

pub mod client;
pub mod clock;
pub mod readiness;
pub mod server;
