//! `payroute referee`: the production routing code behind three HTTP calls, for a simulator to play against.
//!
//! A tool for tests. It keeps nothing, asks for no credentials, and therefore refuses any address but loopback.
//! Time comes from the calls (simulated clock) or from an injected clock (accelerated real time).

mod game;
mod pace;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use domain::catalogue::Catalogue;
use domain::clock::{SharedClock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use game::{BadCall, Game};

/// What the calls share: the game that is being played, and the clock for real-time play.
#[derive(Clone)]
struct Table {
    game: Arc<Mutex<Option<Game>>>,
    catalogue: Arc<Catalogue>,
    clock: SharedClock,
    replicas: usize,
}

impl Table {
    fn game(&self) -> MutexGuard<'_, Option<Game>> {
        self.game.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that could not be answered.
type Refusal = (StatusCode, Json<Value>);

/// Serves the three calls on `addr`, by `replicas` that share what they see, until the process ends.
///
/// # Errors
/// When `addr` is not a loopback address, or cannot be listened on.
pub(crate) async fn serve(addr: SocketAddr, replicas: usize, out: &mut impl Write) -> anyhow::Result<()> {
    ensure!(
        addr.ip().is_loopback(),
        "the referee listens on loopback only, not on {addr}"
    );
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}"))?;
    writeln!(out, "referee on {}", listener.local_addr()?)?;
    out.flush()?;
    let listener = listener.tap_io(|stream| {
        // Small answers on one connection: without this each waits for the other side's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::warn!(%error, "cannot switch off delayed sending");
        }
    });
    let catalogue = Arc::new(Catalogue::built_in()?);
    axum::serve(listener, router(catalogue, Arc::new(SystemClock), replicas))
        .await
        .context("the referee stopped")
}

fn router(catalogue: Arc<Catalogue>, clock: SharedClock, replicas: usize) -> Router {
    let table = Table {
        game: Arc::new(Mutex::new(None)),
        catalogue,
        clock,
        replicas,
    };
    Router::new()
        .route("/v1/reset", post(reset))
        .route("/v1/route", post(route))
        .route("/v1/outcome", post(outcome))
        .with_state(table)
}

async fn reset(State(table): State<Table>, Json(call): Json<wire::Reset>) -> Result<Json<Value>, Refusal> {
    let game = Game::new(
        &call,
        Arc::clone(&table.catalogue),
        Arc::clone(&table.clock),
        table.replicas,
    )
    .map_err(|error| refused(&error))?;
    *table.game() = Some(game);
    Ok(Json(json!({"ok": true})))
}

async fn route(
    State(table): State<Table>,
    Json(call): Json<wire::Route>,
) -> Result<Json<wire::Routed>, Refusal> {
    let mut game = table.game();
    let game = game.as_mut().ok_or_else(|| refused(&BadCall::NotReset))?;
    game.route(&call).map(Json).map_err(|error| refused(&error))
}

async fn outcome(
    State(table): State<Table>,
    Json(call): Json<wire::Outcome>,
) -> Result<Json<Value>, Refusal> {
    let mut game = table.game();
    let game = game.as_mut().ok_or_else(|| refused(&BadCall::NotReset))?;
    game.outcome(&call).map_err(|error| refused(&error))?;
    Ok(Json(json!({"ok": true})))
}

fn refused(error: &BadCall) -> Refusal {
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        Json(json!({"error": error.to_string()})),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_address_but_loopback_is_refused() {
        let error = serve("0.0.0.0:0".parse().unwrap(), 1, &mut Vec::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("loopback only"), "{error}");
    }
}
