//! The senders behind every outgoing message: alert pages, compensation events and customer notices.
//!
//! A library without a store. Whoever has something to say keeps an outbox; this crate turns a message and a
//! receiver into bytes ([`mod@format`], [`sign`]), puts them on the wire ([`exchange`]) past the address guard
//! ([`guard`]), and judges the answer by the vendor's own criterion ([`judge`]), which is seldom the status alone.
//! When to try again ([`retry`]) and when to say several things at once ([`throttle`]) are plain functions.

pub mod digest;
pub mod exchange;
pub mod format;
pub mod guard;
pub mod judge;
pub mod locale;
pub mod message;
pub mod network;
pub mod receiver;
pub mod resolve;
pub mod retry;
pub mod secret;
pub mod sender;
pub mod sign;
pub mod throttle;
pub mod tls;
mod token;
pub mod wire;
