// The first definition of a link counts: here the pages are those of `cargo doc`.
#![doc = include_str!("../../docs/rustdoc-links.txt")]
#![doc = include_str!("../../docs/3-gui-stub.md")]

pub mod text;
pub mod window;
