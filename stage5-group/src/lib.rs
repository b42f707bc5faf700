#![doc = include_str!("../../docs/5-group.md")]
