//! What can go wrong with a payment or with the client itself.

use std::io;
use std::path::PathBuf;

use tonic::Status;

/// Why a payment could not be taken to a conclusion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// No router answered in time, and nothing was submitted: use a channel of your own choice, or try again.
    #[error("no router answered in time: {}", .0.message())]
    Unanswered(#[source] Status),
    /// Payroute refused the call, and nothing was submitted.
    #[error("the router refused the call: {}", .0.message())]
    Refused(#[source] Status),
    /// As many outcomes as may be kept wait to be delivered: nothing is submitted whose outcome could be lost.
    #[error("{capacity} outcomes wait to be delivered, and no more are kept")]
    Full {
        /// How many are kept.
        capacity: usize,
    },
    /// The journal did not take the attempt, so it was not submitted.
    #[error("the journal of outcomes cannot be written")]
    Journal(#[source] io::Error),
    /// The client was closed before anything was submitted.
    #[error("the client is closed")]
    Closed,
    /// The attempt was reported before, by another call for the same payment, with another content: look the payment
    /// up, and use one payment for one order.
    #[error("attempt `{attempt_id}` was reported before with another content")]
    Conflict {
        /// The attempt.
        attempt_id: String,
    },
    /// The caller's own code panicked in the middle of the payment. What was submitted was reported as unknown.
    #[error("the payment broke off: the caller's own code panicked, or its runtime ended")]
    Broken,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nobody to ask.
    #[error("no router to ask")]
    NoRouter,
    /// An address is none.
    #[error("`{address}` is not an address; expected HOST:PORT, http://HOST:PORT or https://HOST:PORT")]
    Address {
        /// The address.
        address: String,
    },
    /// The bearer token cannot stand in a header.
    #[error("the token does not fit into a header")]
    Token,
    /// A certificate or key is none.
    #[error("the TLS settings are not good")]
    Tls(#[source] tonic::transport::Error),
    /// A setting is out of its range.
    #[error("`{setting}` {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The journal cannot be opened.
    #[error("the journal `{}` cannot be opened", path.display())]
    Journal {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The failure catalogue does not load: a mistake of this release.
    #[error("the failure catalogue does not load")]
    Catalogue(#[source] domain::catalogue::InvalidCatalogue),
    /// There is no runtime to work in.
    #[error("a client is made inside a tokio runtime")]
    NoRuntime,
}
