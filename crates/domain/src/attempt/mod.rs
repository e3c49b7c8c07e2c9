//! The life of an attempt, from its creation to the last word on its money, and what follows from a failed one.
//!
//! The one rule behind everything here: while an attempt may have charged, no other attempt of its payment is made.

mod delays;
mod event;
mod next_step;
pub mod payment;
mod profile;
mod query_plan;
mod state;
mod transition;

pub use delays::{Delays, InvalidDelays, MAX_DELAY_MS, MAX_DELAYS};
pub use event::{Claim, Event, Source};
pub use next_step::{Limits, NextStep, OrderNumber, Situation, next_step};
pub(crate) use profile::family;
pub use profile::{FinalSource, ProviderProfile};
pub use query_plan::QueryPlan;
pub(crate) use query_plan::after;
pub use state::{Standing, State};
pub use transition::{Refused, next};
