#![doc = include_str!("../../docs/4-threads.md")]

pub mod client;
pub mod clock;
pub mod readiness;
pub mod server;
pub mod text;
pub mod window;
