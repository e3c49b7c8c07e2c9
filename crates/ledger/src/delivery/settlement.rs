//! What became of a try.

use std::time::Duration;

use uuid::Uuid;

use super::NewDelivery;

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The receiver has it.
    Done,
    /// It is to be tried again.
    Retry {
        /// Not before so much time has passed.
        wait: Duration,
        /// Whether the receiver may have it all the same: its answer was lost.
        uncertain: bool,
    },
    /// It is given up.
    Dead {
        /// Whether the receiver may have it all the same.
        uncertain: bool,
    },
    /// It is not sent any more, since it has become pointless. No attempt is counted.
    Superseded,
    /// It was not tried: somebody else may claim it at once, and no attempt is counted.
    Released,
}

/// What became of a try, for all the deliveries that were in it. Written in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The lease under which they were claimed.
    pub token: Uuid,
    /// The deliveries.
    pub ids: Vec<Uuid>,
    /// How it ended.
    pub end: End,
    /// The HTTP status of the answer, when one came.
    pub status: Option<u16>,
    /// Why it was not delivered, without an address or a secret.
    pub error: Option<String>,
    /// By which key the receiver was spoken to, where later messages of the same order key must go by the same.
    pub credential: Option<String>,
    /// The receiver that is to get each of them too, with what waits behind it in the same order.
    pub fallback: Option<String>,
    /// Further deliveries that this one leads to.
    pub also: Vec<NewDelivery>,
}

impl Settlement {
    /// A settlement of `ids` under `token` that says nothing more than how it ended.
    #[must_use]
    pub const fn of(token: Uuid, ids: Vec<Uuid>, end: End) -> Self {
        Self {
            token,
            ids,
            end,
            status: None,
            error: None,
            credential: None,
            fallback: None,
            also: Vec::new(),
        }
    }
}
