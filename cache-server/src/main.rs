//! cache-server
fn main() {}
