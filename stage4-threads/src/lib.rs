#![doc = include_str!("../../docs/4-threads.md")]
