//! Listening.

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Parts, routes};

/// Serves the API on `listener` until `stop` is cancelled and every call is answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, parts: Parts, stop: CancellationToken) -> std::io::Result<()> {
    // Small answers must not wait for more to send.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is served with delays: {error}");
        }
    });
    axum::serve(listener, routes(parts))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
