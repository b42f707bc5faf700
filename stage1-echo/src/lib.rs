// If a link is defined twice, the first definition counts. The first file defines the links for
// `cargo doc`.
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/1-echo.md")]

pub mod client;
pub mod clock;
pub mod server;

// The reference page of this chapter. The module has no code.
#[doc = include_str!("../../docs/rustdoc-links-1.txt")]
#[doc = include_str!("../../docs/sockets.md")]
pub mod sockets {}
