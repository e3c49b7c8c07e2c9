//! The connection to one router, and whether it can be relied on at the moment.

use std::time::Duration;

use parking_lot::Mutex;
use proto::v1::routing_service_client::RoutingServiceClient;
use tokio::time::{Instant, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use super::Hurry;
use crate::error::BuildError;
use crate::port::may_pass;
use crate::settings::{Connecting, Tls};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// A router that is idle is asked for a sign of life this often, so that a machine that went away is noticed before a
/// payment needs it.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// How long that sign may take.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);

/// A router that did not answer is asked last for so long, and longer each time in a row.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(16);

/// A client of one router.
pub(crate) type RoutingClient = RoutingServiceClient<InterceptedService<Channel, Bearer>>;

/// Carries the bearer token with every call, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Carries `token`, or nothing.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub(crate) fn of(token: Option<&str>) -> Result<Self, BuildError> {
        let Some(token) = token else {
            return Ok(Self(None));
        };
        let header = format!("Bearer {}", token.trim()).parse();
        let mut header: MetadataValue<Ascii> = header.map_err(|_| BuildError::Token)?;
        header.set_sensitive(true);
        Ok(Self(Some(header)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A rest after a call that was not answered.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    length: Duration,
}

/// A connection to a router.
#[derive(Debug)]
pub(super) struct Way {
    address: String,
    client: RoutingClient,
    /// Until when it is asked last; `None` while it answers.
    rest: Mutex<Option<Rest>>,
}

impl Way {
    pub(super) fn to(address: &str, connecting: &Connecting) -> Result<Self, BuildError> {
        let wrong = || BuildError::Address {
            address: address.to_owned(),
        };
        let (scheme, host) = match address.split_once("://") {
            Some((scheme @ ("http" | "https"), host)) => (scheme, host),
            Some(_) => return Err(wrong()),
            None if connecting.tls.is_some() => ("https", address),
            None => ("http", address),
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{host}")).map_err(|_| wrong())?;
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_WITHIN)
            .keep_alive_while_idle(true);
        if scheme == "https" {
            let tls = connecting.tls.as_ref();
            let config = tls.map_or_else(|| ClientTlsConfig::new().with_enabled_roots(), Tls::config);
            endpoint = endpoint.tls_config(config).map_err(BuildError::Tls)?;
        }
        let bearer = Bearer::of(connecting.token.as_deref())?;
        Ok(Self {
            address: address.to_owned(),
            client: RoutingServiceClient::with_interceptor(endpoint.connect_lazy(), bearer),
            rest: Mutex::new(None),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn client(&self) -> RoutingClient {
        self.client.clone()
    }

    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rest.lock().is_some_and(|rest| rest.until > now)
    }

    /// It is about to be asked: while it has not answered after a rest, it rests for everybody else.
    pub(super) fn try_out(&self, now: Instant, answer_within: Duration) {
        if let Some(rest) = self.rest.lock().as_mut() {
            rest.until = rest.until.max(now + answer_within);
        }
    }

    /// Begins a rest. Says whether it answered before.
    pub(super) fn rest(&self) -> bool {
        let mut rest = self.rest.lock();
        let length = rest.map_or(REST, |rest| (rest.length * 2).min(LONGEST_REST));
        let until = Instant::now() + length;
        rest.replace(Rest { until, length }).is_none()
    }

    /// Waits for the answer to a call, and remembers whether there was one in good time.
    pub(super) async fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
        hurry: Hurry,
    ) -> Result<T, Status> {
        let mut asking = Asking {
            way: self,
            since: Some(Instant::now()),
            slow_after: hurry.hedge_after,
        };
        let answer = timeout(hurry.answer_within, call).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        asking.since = None;
        let address = &self.address;
        match &answer {
            Err(status) if may_pass(status) => {
                let (code, message) = (status.code(), status.message());
                if self.rest() {
                    tracing::warn!(address, ?code, "{address} does not answer: {message}");
                }
            }
            Ok(_) | Err(_) => {
                if self.rest.lock().take().is_some() {
                    tracing::info!(address, "{address} answers again");
                }
            }
        }
        answer.map(Response::into_inner)
    }
}

/// A call under way. One that is dropped without an answer after a while was too slow: somebody else answered.
struct Asking<'w> {
    way: &'w Way,
    since: Option<Instant>,
    slow_after: Duration,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let slow = self.since.is_some_and(|since| since.elapsed() >= self.slow_after);
        if slow && self.way.rest() {
            let address = &self.way.address;
            tracing::warn!(address, "{address} is slow");
        }
    }
}
