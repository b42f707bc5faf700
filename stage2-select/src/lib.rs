#![doc = include_str!("../../docs/2-select.md")]

pub mod client;
pub mod clock;
pub mod readiness;
pub mod server;
