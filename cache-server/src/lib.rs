//! The relay as a program: offers its origins' streams to many viewers, takes pushed ones.
//!
//! ```text
//! cli    flags, their defaults and help
//! relay  starts every long-lived task and owns the shutdown
//! ```

pub mod cli;
pub mod relay;
