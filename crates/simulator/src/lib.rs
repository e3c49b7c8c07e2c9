//! Simulated payment channels and shoppers: for the demo, for `payroute simulate`, for tests and benchmarks.
//!
//! A [`Scenario`](scenario::Scenario) and a seed make a [`World`](world::World): a pure function that knows what
//! happens to any attempt, anywhere, at any time. It has no state and no order, so that the same world can run in two
//! ways: live under tokio, in real or accelerated time ([`live`]), and as a plain loop over events that plays an hour
//! in a second ([`drive`]). It also says what would have happened elsewhere ([`counterfactual`]), and
//! lets several replicas play as they do in production ([`fleet`]).
//!
//! [`provider`] keeps the true charges. Whether a shop charged somebody twice is counted there, and never assumed.

pub mod brains;
pub mod chance;
pub mod counterfactual;
pub mod drive;
pub mod fate;
#[cfg(test)]
mod fixture;
pub mod fleet;
pub mod live;
pub mod measure;
mod number;
pub mod plot;
pub mod provider;
pub mod report;
pub mod routers;
pub mod scenario;
pub mod shopper;
pub mod world;
