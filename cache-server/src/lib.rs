//! The relay as a program: offers its origins' streams to many viewers, takes pushed ones.
//!
//! ```text
//! cli    flags, their defaults and help
//! store  recordings on a disk
//! chores what can be done with them by hand: list, verify, remove, prefetch, export
//! rooms  people who watch together
//! cinema films of a folder, and those that people add
//! relay  starts every long-lived task and owns the shutdown
//! ```

pub mod chores;
mod cinema;
pub mod cli;
pub mod relay;
pub mod rooms;
pub mod store;
