#![doc = include_str!("../../docs/3-gui-stub.md")]

pub mod text;
pub mod window;
