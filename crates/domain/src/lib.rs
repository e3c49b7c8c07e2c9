//! The rules of Payroute as plain functions over plain data.
//!
//! Nothing here is asynchronous, touches a file or a socket, logs, or reads a clock: time and randomness
//! are arguments. What routes in production is therefore exactly what tests, replay and simulation run.

pub mod alert;
pub mod amount_band;
pub mod attempt;
pub mod brain;
pub mod breaker_state;
pub mod bucket;
pub mod card_number;
pub mod catalogue;
pub mod channel;
pub mod channels;
pub mod clock;
pub mod compensation;
pub mod control;
pub mod country;
pub mod decision;
pub mod diagnostic;
pub mod document;
pub mod eligibility;
pub mod id;
pub mod limit;
pub mod money;
mod named;
pub mod network_retry;
pub mod notice;
pub mod outcome;
pub mod outcome_event;
pub mod payment;
pub mod policy;
pub mod replica;
pub mod report;
pub mod runbook;
pub mod snapshot;
pub mod success_rate;
pub mod suspension;
pub mod window;
