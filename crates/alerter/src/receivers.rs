//! The receivers of the configuration, ready to be sent to.

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::exchange::Exchange;
use delivery::receiver::Receiver;
use delivery::sender::Sender;
use parking_lot::Mutex;

/// Every receiver, by its name.
#[derive(Debug, Default)]
pub struct Receivers {
    senders: BTreeMap<String, Arc<Sender>>,
    emergency: Option<String>,
    watchdog: Option<String>,
    /// Names that something waits for and nobody has: of receivers that were taken out of the configuration.
    strangers: Mutex<Vec<String>>,
}

/// Why receivers cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceivers {
    /// Two of one name.
    #[error("there are two receivers of the name `{0}`")]
    Twice(String),
    /// A fallback that is not there.
    #[error("receiver `{receiver}` falls back to `{fallback}`, which is not there")]
    NoFallback {
        /// The receiver.
        receiver: String,
        /// What it names.
        fallback: String,
    },
    /// A receiver that falls back to itself.
    #[error("receiver `{0}` falls back to itself")]
    OwnFallback(String),
    /// An emergency receiver that is not there.
    #[error("the emergency receiver `{0}` is not there")]
    NoEmergency(String),
    /// A receiver of signs of life that is not there.
    #[error("the watchdog `{0}` is not there")]
    NoWatchdog(String),
}

impl Receivers {
    /// Receivers that are sent to by `exchange`; `emergency` is the one that is told when the ledger is gone, and what
    /// has no fallback of its own.
    ///
    /// # Errors
    /// When names do not fit together.
    pub fn new(
        receivers: Vec<Receiver>,
        exchange: &Arc<Exchange>,
        emergency: Option<String>,
    ) -> Result<Self, InvalidReceivers> {
        let mut senders = BTreeMap::new();
        for receiver in receivers {
            let name = receiver.name.clone();
            let sender = Sender::new(receiver, Arc::clone(exchange));
            if senders.insert(name.clone(), Arc::new(sender)).is_some() {
                return Err(InvalidReceivers::Twice(name));
            }
        }
        for (name, sender) in &senders {
            match &sender.receiver().fallback {
                Some(fallback) if fallback == name => {
                    return Err(InvalidReceivers::OwnFallback(name.clone()));
                }
                Some(fallback) if !senders.contains_key(fallback) => {
                    return Err(InvalidReceivers::NoFallback {
                        receiver: name.clone(),
                        fallback: fallback.clone(),
                    });
                }
                _ => {}
            }
        }
        match emergency {
            Some(name) if !senders.contains_key(&name) => Err(InvalidReceivers::NoEmergency(name)),
            emergency => Ok(Self {
                senders,
                emergency,
                watchdog: None,
                strangers: Mutex::default(),
            }),
        }
    }

    /// The same, and `watchdog`, when one is named, gets a sign of life every minute.
    ///
    /// # Errors
    /// When it is not there.
    pub fn watched_by(mut self, watchdog: Option<String>) -> Result<Self, InvalidReceivers> {
        match watchdog {
            Some(name) if !self.senders.contains_key(&name) => Err(InvalidReceivers::NoWatchdog(name)),
            watchdog => {
                self.watchdog = watchdog;
                Ok(self)
            }
        }
    }

    /// The receiver that gets signs of life, when there is one.
    #[must_use]
    pub fn watchdog(&self) -> Option<&str> {
        self.watchdog.as_deref()
    }

    /// The sender to `receiver`.
    #[must_use]
    pub fn sender(&self, receiver: &str) -> Option<&Arc<Sender>> {
        self.senders.get(receiver)
    }

    /// The receiver that is told when `receiver` does not take something: its fallback, else the emergency receiver.
    #[must_use]
    pub fn stand_in(&self, receiver: &str) -> Option<&str> {
        let own = self
            .senders
            .get(receiver)
            .and_then(|sender| sender.receiver().fallback.as_deref());
        own.or(self.emergency.as_deref()).filter(|name| *name != receiver)
    }

    /// The sender to the emergency receiver, when there is one.
    #[must_use]
    pub fn emergency(&self) -> Option<&Arc<Sender>> {
        self.senders.get(self.emergency.as_deref()?)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.senders.keys().map(String::as_str)
    }

    /// Names that something waits for although no receiver has them.
    pub(crate) fn strangers(&self) -> Vec<String> {
        self.strangers.lock().clone()
    }

    /// Remembers such names.
    pub(crate) fn expect_strangers(&self, names: Vec<String>) {
        *self.strangers.lock() = names;
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }
}
