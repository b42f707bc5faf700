// The first definition of a link counts: here the pages are those of `cargo doc`.
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/5-group.md")]

pub mod client;
pub mod clock;
mod json;
pub mod limits;
pub mod message;
pub mod names;
pub mod readiness;
pub mod server;
pub mod text;
pub mod window;
