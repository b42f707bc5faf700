// If a link is defined twice, the first definition counts. The first file defines the links for
// `cargo doc`.
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
