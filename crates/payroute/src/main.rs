//! The `payroute` command.
fn main() {}
