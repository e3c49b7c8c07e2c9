//! The admin listener: metrics, and the probes of an orchestrator.
//!
//! *Live* means that the runtime answers, whatever stands around it. *Ready* means that this process is set up and not
//! stopping; a store that is down does not make it unready, or all replicas would leave at the same moment.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metric::{self, Metrics};
use crate::setup::Service;

/// Whether the process may be sent calls: every named condition holds.
#[derive(Clone, Debug)]
pub struct Readiness {
    conditions: Arc<watch::Sender<BTreeMap<&'static str, bool>>>,
}

impl Readiness {
    /// Ready as soon as each of `conditions` has been met. None is, to begin with.
    #[must_use]
    pub fn until(conditions: &[&'static str]) -> Self {
        let unmet = conditions.iter().map(|name| (*name, false)).collect();
        Self {
            conditions: Arc::new(watch::Sender::new(unmet)),
        }
    }

    /// Says whether condition `name` holds. One that was not there is added: `set("not_stopping", false)`.
    pub fn set(&self, name: &'static str, met: bool) {
        self.conditions
            .send_if_modified(|conditions| conditions.insert(name, met) != Some(met));
    }

    /// Whether all conditions hold.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.borrow().values().all(|met| *met)
    }

    /// Waits until the process is ready or not, as `wanted`; for those who tell others.
    pub async fn reached(&self, wanted: bool) {
        let mut conditions = self.conditions.subscribe();
        // The sender is `self`, so that the wait ends by the condition only.
        let _reached = conditions
            .wait_for(|conditions| conditions.values().all(|met| *met) == wanted)
            .await;
    }

    fn report(&self) -> Report {
        let conditions = self.conditions.borrow().clone();
        Report {
            ready: conditions.values().all(|met| *met),
            conditions,
        }
    }
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Report {
    ready: bool,
    conditions: BTreeMap<&'static str, bool>,
}

/// Decides by the `authorization` header of a call whether it may read metrics and version. The probes themselves are
/// open: an orchestrator has no token, and learns nothing but yes or no.
#[derive(Clone)]
pub struct Readers(Arc<Admits>);

/// Whether an `authorization` header is accepted; `None` where the call has none.
type Admits = dyn Fn(Option<&str>) -> bool + Send + Sync;

impl Readers {
    /// Those whose header `admits` accepts.
    pub fn of(admits: impl Fn(Option<&str>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(admits))
    }

    fn admit(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(header::AUTHORIZATION);
        (self.0)(header.and_then(|header| header.to_str().ok()))
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

/// What the admin listener tells.
#[derive(Clone, Debug)]
pub struct Probes {
    /// Who is speaking.
    pub service: Service,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether calls may come.
    pub readiness: Readiness,
    /// Who may read metrics and version.
    pub readers: Readers,
}

/// The routes `/metrics`, `/livez`, `/readyz` and `/version`.
pub fn routes(probes: Probes) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
        .with_state(probes)
}

async fn metrics(State(probes): State<Probes>, headers: HeaderMap) -> Response {
    if !probes.readers.admit(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, probes.metrics.render()).into_response()
}

async fn readyz(State(probes): State<Probes>) -> impl IntoResponse {
    let report = probes.readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

async fn version(State(probes): State<Probes>, headers: HeaderMap) -> Response {
    if !probes.readers.admit(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(probes.service).into_response()
}

/// Serves the admin listener until `stop` is cancelled; keeps the metrics tidy meanwhile.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, probes: Probes, stop: CancellationToken) -> io::Result<()> {
    let metrics = probes.metrics.clone();
    // Small answers, written at once: waiting to fill a segment would only delay them.
    let listener = listener.tap_io(|connection| {
        let _slower_at_worst = connection.set_nodelay(true);
    });
    let server = axum::serve(listener, routes(probes)).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        ended = async { server.await } => ended,
        () = tidy(metrics) => Ok(()),
    }
}

async fn tidy(metrics: Metrics) {
    let mut interval = tokio::time::interval(metric::UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        metrics.upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_admin_listener_answers_and_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::until(&["configuration", "first_snapshot"]);
        let probes = Probes {
            service: Service {
                name: "payroute-test",
                version: "1.2.3",
            },
            metrics: metric::of(|| metrics::gauge!(metric::PANIC).set(1.0)),
            readiness: readiness.clone(),
            readers: Readers::of(|header| header != Some("Bearer wrong")),
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, probes, stop.clone()));

        assert!(
            ask(address, "/metrics")
                .await
                .contains("\npayroute_panic_mode 1\n")
        );
        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let version = ask(address, "/version").await;
        assert!(
            version.ends_with(r#"{"name":"payroute-test","version":"1.2.3"}"#),
            "{version}"
        );

        readiness.set("configuration", true);
        let unready = ask(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(
            unready
                .ends_with(r#"{"ready":false,"conditions":{"configuration":true,"first_snapshot":false}}"#),
            "{unready}"
        );
        readiness.set("first_snapshot", true);
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        readiness.set("not_stopping", false);
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));

        stop.cancel();
        // That nobody answers there any more cannot be asked: another test may listen on the port by now.
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn those_who_wait_learn_of_both_turns() {
        let readiness = Readiness::until(&["configuration"]);
        let follower = readiness.clone();
        let turns = tokio::spawn(async move {
            follower.reached(true).await;
            let turned = follower.is_ready();
            follower.set("not_stopping", false);
            follower.reached(false).await;
            (turned, follower.is_ready())
        });
        readiness.set("configuration", true);
        assert_eq!(turns.await.unwrap(), (true, false));
    }
}
