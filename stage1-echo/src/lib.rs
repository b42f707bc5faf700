#![doc = include_str!("../../docs/1-echo.md")]

pub mod client;
pub mod clock;
pub mod server;
