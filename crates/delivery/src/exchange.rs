//! One HTTP exchange: a request out, an answer back, all within one deadline.
//!
//! A connection is made for each message and closed after it: messages are few, and a fresh connection has no
//! state that a hostile or broken receiver could have spoilt. Redirects are not followed, proxies not used, bodies
//! not decompressed; of an answer at most 16 kB of headers and 64 kB of body are read.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::guard::{Forbidden, Guard};
use crate::resolve::{Resolve, SystemResolver};
use crate::tls::Tls;
use crate::wire::Request;

/// The whole of an exchange, from the look-up of the name to the last byte read.
const DEADLINE: Duration = Duration::from_secs(15);
/// For a connection to one of several addresses, so that a dead one leaves time for the next.
const CONNECT: Duration = Duration::from_secs(4);
/// Addresses that are tried.
const ADDRESSES: usize = 3;
/// Body that is read of an answer.
const BODY_BYTES: usize = 64 * 1024;
/// Head that is read of an answer.
const HEAD_BYTES: usize = 16 * 1024;
/// Headers that are read of an answer.
const HEADERS: usize = 64;
/// Who we are.
const USER_AGENT: &str = concat!("Payroute/", env!("CARGO_PKG_VERSION"));

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The `retry-after` header as sent.
    pub retry_after: Option<String>,
    /// The body, or its first 64 kB, or what had come when the connection broke or time was up.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The address is not spoken to; nothing was sent.
    #[error("the address guard refuses")]
    Forbidden(#[from] Forbidden),
    /// An address that cannot be written in a request; nothing was sent.
    #[error("the address cannot be written in a request")]
    Target(#[source] http::uri::InvalidUri),
    /// The name has no address.
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// No secure connection: an unknown or wrong certificate, or not TLS at all.
    #[error("cannot agree on TLS")]
    Tls(#[source] io::Error),
    /// The receiver does not speak HTTP, or the connection broke before it had answered.
    #[error("the exchange broke")]
    Http(#[source] hyper::Error),
    /// The deadline passed before the head of an answer had come.
    #[error("no answer in time")]
    TimedOut,
}

/// Sends requests.
#[derive(Clone, Debug)]
pub struct Exchange {
    guard: Guard,
    tls: Tls,
    resolver: Arc<dyn Resolve>,
    deadline: Duration,
}

impl Exchange {
    /// An exchange over the system's resolver, with a deadline of 15 s.
    #[must_use]
    pub fn new(guard: Guard, tls: Tls) -> Self {
        Self {
            guard,
            tls,
            resolver: Arc::new(SystemResolver),
            deadline: DEADLINE,
        }
    }

    /// Resolves names by `resolver`.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Ends every exchange after `deadline`, which must be shorter than the lease on the message.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long an exchange may take.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sends `request` and reads the answer.
    ///
    /// # Errors
    /// When there is no answer. After [`ExchangeError::Http`] and [`ExchangeError::TimedOut`] it is unknown whether the
    /// receiver has acted on the request; with all others nothing of it was sent.
    pub async fn run(&self, request: Request) -> Result<Answer, ExchangeError> {
        let until = Instant::now() + self.deadline;
        let sent = async {
            let stream = self.connect(&request).await?;
            if request.url.scheme() == "https" {
                let host = request.url.host_str().unwrap_or_default();
                let stream = self.tls.connect(host, stream).await.map_err(ExchangeError::Tls)?;
                converse(stream, request, until).await
            } else {
                converse(stream, request, until).await
            }
        };
        timeout_at(until, sent)
            .await
            .unwrap_or(Err(ExchangeError::TimedOut))
    }

    /// A connection to an address of the request's host that the guard has passed: to the address itself, so that
    /// no second look-up can give another.
    async fn connect(&self, request: &Request) -> Result<TcpStream, ExchangeError> {
        let port = self.guard.check_url(&request.url)?;
        let addresses = self.addresses(request).await?;
        let mut last = ExchangeError::TimedOut;
        for address in addresses.into_iter().take(ADDRESSES) {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match tokio::time::timeout(CONNECT, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = ExchangeError::Connect(error),
                Err(_) => last = ExchangeError::TimedOut,
            }
        }
        Err(last)
    }

    /// The addresses of the request's host that may be spoken to; at least one.
    async fn addresses(&self, request: &Request) -> Result<Vec<IpAddr>, ExchangeError> {
        let found = match request.url.host() {
            Some(url::Host::Ipv4(address)) => vec![address.into()],
            Some(url::Host::Ipv6(address)) => vec![address.into()],
            Some(url::Host::Domain(name)) => {
                let found = self.resolver.resolve(name).await;
                found.map_err(ExchangeError::Unresolved)?
            }
            None => return Err(Forbidden::NoHost.into()),
        };
        let mut passed = Vec::new();
        let mut refused = None;
        for address in found {
            match self.guard.check_address(address) {
                Ok(()) => passed.push(address),
                Err(forbidden) => refused = Some(forbidden),
            }
        }
        match (passed.is_empty(), refused) {
            (false, _) => Ok(passed),
            (true, Some(forbidden)) => Err(forbidden.into()),
            (true, None) => Err(ExchangeError::Unresolved(io::ErrorKind::NotFound.into())),
        }
    }
}

/// Speaks HTTP/1.1 over `stream`. Everything lives in this future: dropped at the deadline, it closes the socket.
async fn converse<S>(stream: S, request: Request, until: Instant) -> Result<Answer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = in_origin_form(request).map_err(ExchangeError::Target)?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(ExchangeError::Http)?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(ExchangeError::Http)?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get(header::RETRY_AFTER);
        Ok(Answer {
            status: head.status,
            retry_after: retry_after.and_then(|value| value.to_str().ok().map(str::to_owned)),
            body: read(body, until).await,
        })
    };
    tokio::pin!(talk);
    tokio::select! {
        biased;
        answer = &mut talk => answer,
        // The connection may end before the last of the body was taken out of it.
        _ = connection => talk.await,
    }
}

/// Reads a body up to its limit. A body that breaks off or takes too long is what had come of it: the status
/// stands, and who needs the body finds it unreadable.
async fn read(mut body: Incoming, until: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A moment before the deadline of the whole, so that the status is not lost with the body.
    let until = until.checked_sub(Duration::from_millis(50)).unwrap_or(until);
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        let room = BODY_BYTES - bytes.len();
        bytes.extend(data.iter().take(room));
        if bytes.len() == BODY_BYTES {
            break;
        }
    }
    bytes
}

/// The request as HTTP/1.1 writes it to the server itself: path and query, and the host in a header.
fn in_origin_form(request: Request) -> Result<http::Request<Full<Bytes>>, http::uri::InvalidUri> {
    let mut target = request.url.path().to_owned();
    if let Some(query) = request.url.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut host = request.url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = request.url.port() {
        host = format!("{host}:{port}");
    }
    let mut built = http::Request::new(Full::new(Bytes::from(request.body)));
    *built.method_mut() = http::Method::POST;
    *built.uri_mut() = target.parse()?;
    *built.headers_mut() = request.headers;
    let headers = built.headers_mut();
    if let Ok(host) = HeaderValue::from_str(&host) {
        headers.insert(header::HOST, host);
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(built)
}
