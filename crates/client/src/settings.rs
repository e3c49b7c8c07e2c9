//! What a client is set to, and how it is made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::client::Client;
use crate::error::BuildError;
use crate::observer::{Observer, Silent};
use crate::routers::Hurry;

/// How long a router may take: see [`ClientBuilder`].
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const HEDGE_AFTER: Duration = Duration::from_millis(50);
const ROUTE_WITHIN: Duration = Duration::from_secs(2);
const FAILOVER_WITHIN: Duration = Duration::from_millis(500);
const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
const CAPACITY: usize = 10_000;

/// The shortest time in which a failure can be reported, a next channel found and its submit begun.
const LEAST_FAILOVER: Duration = Duration::from_millis(50);

/// How routers are reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connecting {
    pub(crate) routers: Vec<String>,
    pub(crate) token: Option<String>,
    pub(crate) tls: Option<Tls>,
}

/// TLS to the routers.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    ca: Option<Certificate>,
    identity: Option<Identity>,
    domain: Option<String>,
}

impl Tls {
    /// Certificates that the usual public authorities have signed are believed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only certificates that this authority (PEM) has signed are believed.
    #[must_use]
    pub fn authority(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca = Some(Certificate::from_pem(pem));
        self
    }

    /// Shows this certificate with this key (PEM both), where routers ask for one.
    #[must_use]
    pub fn identity(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity::from_pem(certificate, key));
        self
    }

    /// Expects this name in the routers' certificates, instead of that in their address.
    #[must_use]
    pub fn domain(mut self, name: impl Into<String>) -> Self {
        self.domain = Some(name.into());
        self
    }

    pub(crate) fn config(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new();
        let config = match &self.ca {
            Some(ca) => config.ca_certificate(ca.clone()),
            None => config.with_enabled_roots(),
        };
        let config = match &self.identity {
            Some(identity) => config.identity(identity.clone()),
            None => config,
        };
        match &self.domain {
            Some(domain) => config.domain_name(domain),
            None => config,
        }
    }
}

/// When an open outcome is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// As the answer says: the provider's own.
    Provider,
    /// Every so long, so often.
    Every(Duration, u32),
}

/// How payments are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) route_within: Duration,
    pub(crate) failover_within: Duration,
    pub(crate) confirm_within: Duration,
    pub(crate) schedule: Schedule,
}

/// Where outcomes are kept until they are acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    pub(crate) capacity: usize,
    pub(crate) journal: Option<PathBuf>,
}

/// A client that is being set up. At least one router is required.
#[derive(Clone, Debug)]
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    pub(crate) connecting: Connecting,
    pub(crate) hurry: Hurry,
    pub(crate) manner: Manner,
    pub(crate) keeping: Keeping,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            connecting: Connecting::default(),
            hurry: Hurry {
                hedge_after: HEDGE_AFTER,
                answer_within: ANSWER_WITHIN,
            },
            manner: Manner {
                route_within: ROUTE_WITHIN,
                failover_within: FAILOVER_WITHIN,
                confirm_within: CONFIRM_WITHIN,
                schedule: Schedule::Provider,
            },
            keeping: Keeping {
                capacity: CAPACITY,
                journal: None,
            },
            observer: Arc::new(Silent),
        }
    }
}

impl ClientBuilder {
    /// Adds a router: `HOST:PORT`, or with `http://` or `https://` before. Any router serves any call; an address that
    /// is given several times has as many connections.
    pub fn router(mut self, address: impl Into<String>) -> Self {
        self.connecting.routers.push(address.into());
        self
    }

    /// Adds several routers.
    pub fn routers<T: Into<String>>(mut self, addresses: impl IntoIterator<Item = T>) -> Self {
        self.connecting
            .routers
            .extend(addresses.into_iter().map(Into::into));
        self
    }

    /// The bearer token of this caller, where routers ask for one; it needs the scope `call`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.connecting.token = Some(token.into());
        self
    }

    /// Connects by TLS with these settings. An address with `https://` is connected to by TLS in any case.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.connecting.tls = Some(tls);
        self
    }

    /// Asks another router as well when one has not answered after this time; 50 ms when not given.
    pub const fn hedge_after(mut self, time: Duration) -> Self {
        self.hurry.hedge_after = time;
        self
    }

    /// Gives a router up that has not answered a call within this time; 2 s when not given.
    pub const fn answer_within(mut self, time: Duration) -> Self {
        self.hurry.answer_within = time;
        self
    }

    /// How long the first Route of a payment may take, over all routers and repetitions; 2 s when not given.
    pub const fn route_within(mut self, time: Duration) -> Self {
        self.manner.route_within = time;
        self
    }

    /// How much time may pass from knowing of a failure to the start of the next submit; 500 ms when not given. After
    /// it the customer is asked instead.
    pub const fn failover_within(mut self, time: Duration) -> Self {
        self.manner.failover_within = time;
        self
    }

    /// How long `pay` waits for an unknown outcome to be settled before it says that it is confirming; 500 ms when not
    /// given.
    pub const fn confirm_within(mut self, time: Duration) -> Self {
        self.manner.confirm_within = time;
        self
    }

    /// Asks for open outcomes every `pause`, `times` at most, instead of on the provider's schedule: for simulated
    /// providers, which have no time and mind no haste.
    pub const fn query_every(mut self, pause: Duration, times: u32) -> Self {
        self.manner.schedule = Schedule::Every(pause, times);
        self
    }

    /// How many attempts may be under way or wait for their outcomes to be delivered; 10 000 when not given. At that
    /// bound no payment is begun, because its outcome could be lost.
    pub const fn capacity(mut self, attempts: usize) -> Self {
        self.keeping.capacity = attempts;
        self
    }

    /// Keeps attempts and undelivered outcomes in this file, so that they outlive a crash of the process: the next
    /// client with the same file delivers what was not, and reports as unknown what was submitted and never heard of. One
    /// process has the file at a time.
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.keeping.journal = Some(path.into());
        self
    }

    /// Tells `observer` of every outcome that is told, acknowledged or refused.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Makes the client. It connects when it is needed; a router that is down is no error.
    ///
    /// # Errors
    /// When a setting is not good, the journal cannot be opened, or there is no tokio runtime.
    pub fn build(self) -> Result<Client, BuildError> {
        let setting = |setting, problem| Err(BuildError::Setting { setting, problem });
        if self.keeping.capacity == 0 || self.keeping.capacity > tokio::sync::Semaphore::MAX_PERMITS {
            return setting(
                "capacity",
                "must be above zero, and a number that fits into memory",
            );
        }
        if self.manner.failover_within < LEAST_FAILOVER {
            return setting(
                "failover_within",
                "is below 50 ms, in which no next channel can be found",
            );
        }
        if self.hurry.answer_within.is_zero() || self.manner.route_within.is_zero() {
            return setting("answer_within", "and `route_within` must be above zero");
        }
        Client::make(self)
    }
}
