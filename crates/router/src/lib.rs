//! The routing service: which channel a payment goes to, and what to do after it.
//!
//! [`routing::Routing`] does the work, call by call; [`service`] speaks gRPC for it; [`server`] listens.
//! [`adopt`] follows what operators change.

pub mod adopt;
pub mod attempt_key;
mod auth;
mod claims;
pub mod control_file;
pub mod error;
pub mod guarded;
mod headers;
pub mod health;
mod meter;
pub mod notice;
mod observe;
mod open_attempt;
pub mod papers;
mod payment;
pub mod relay;
pub mod replica;
mod report;
mod resolve;
mod route;
pub mod routing;
pub mod server;
pub mod service;
mod speech;
pub mod token;
pub mod watch;
