//! The Rust SDK: the loop of a payment around the caller's own submit, and what keeps outcomes from getting lost.
#![doc = include_str!("../README.md")]

mod channels;
mod client;
mod conclusion;
mod confirming;
mod courier;
mod course;
mod error;
mod observer;
mod payment;
mod port;
mod routers;
mod settings;
mod submit;

pub use channels::{Channels, Found, Reversal};
pub use client::Client;
pub use conclusion::{Conclusion, Doubt, NotPaid, OfferMethods, Paid, Tried, Unsettled};
pub use confirming::{Confirming, Waiting};
pub use error::{BuildError, PayError};
pub use observer::{Acknowledged, Call, Observer, Subject};
pub use payment::{Payment, PaymentBuilder, Violation, Violations};
pub use proto::v1;
pub use settings::{ClientBuilder, Tls};
pub use submit::{Submit, Submitted, TransportEvent};
