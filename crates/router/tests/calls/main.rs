//! The routing service in one process: a real ledger in a temporary folder, a clock that is moved by hand, and calls as a
//! checkout makes them.

#![cfg(test)]

mod adoption;
mod credentials;
mod failover_rule;
mod guarded;
mod notices;
mod outage;
mod outcomes;
mod resolutions;
mod routes;
mod shop;
mod wire;
