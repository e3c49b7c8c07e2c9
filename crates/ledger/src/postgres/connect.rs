//! How the server is reached, and what each connection is told.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::failure::silent;
use crate::error::OpenError;

/// How long a call waits for a connection. A caller of the router has a second or two.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that was idle may take to show that it is alive. Several of a server that fell silent are
/// found out within the time that a call waits.
const ALIVE_TIMEOUT: Duration = Duration::from_millis(400);

/// How long the server may work on a statement of a batch or a look-up, in milliseconds. They take a few.
const STATEMENT_MS: &str = "5000";

/// How long a statement may wait for a lock, in milliseconds: less than it may take.
const LOCK_MS: &str = "2000";

/// How long a connection may hold a transaction open without using it, in milliseconds: a router that was stopped in the
/// middle of one must not keep the names that others wait for.
const IDLE_IN_TRANSACTION_MS: &str = "10000";

/// How long a migration or the housekeeping may wait for another one, in milliseconds.
const LONG_LOCK_MS: &str = "60000";

/// A server, and how to log in there.
#[derive(Clone)]
pub(super) struct Server {
    options: PgConnectOptions,
}

impl Server {
    /// The server at `url`; nothing is asked of it yet.
    pub(super) fn at(url: &str) -> Result<Self, OpenError> {
        // The parser's complaint may repeat a part of the address: it is not passed on.
        let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::BadAddress)?;
        Ok(Self {
            options: options
                .application_name("payroute")
                // Compiling a statement takes longer than any of ours runs.
                .options([
                    ("jit", "off"),
                    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS),
                ]),
        })
    }

    /// Connections for batches and look-ups.
    pub(super) async fn pool(&self, connections: u32) -> Result<PgPool, OpenError> {
        let options = self.options.clone().options([
            ("statement_timeout", STATEMENT_MS),
            ("lock_timeout", LOCK_MS),
            // All that is asked here is found by an index. A plan is kept for long: one that was made while a partition
            // was empty must not read it from end to end when it is full.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let connecting = pool_options(connections).connect_with(options);
        timeout(ACQUIRE_TIMEOUT * 2, connecting)
            .await
            .map_err(|_| self.unreachable(silent("connect")))?
            .map_err(|error| self.unreachable(error))
    }

    /// One connection that is used for a single thing and waits for nothing for long.
    pub(super) fn listening_pool(&self) -> PgPool {
        pool_options(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone())
    }

    /// A connection for work that may take long: no statement of it is cut short by the server.
    pub(super) async fn worker(&self) -> Result<PgConnection, OpenError> {
        let options = self.options.clone().options([("lock_timeout", LONG_LOCK_MS)]);
        timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&options))
            .await
            .map_err(|_| self.unreachable(silent("connect")))?
            .map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, source: impl std::error::Error + Send + Sync + 'static) -> OpenError {
        OpenError::Unreachable {
            ledger: self.to_string(),
            source: Arc::new(source),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.options.get_database().unwrap_or_default();
        match self.options.get_socket() {
            Some(socket) => write!(f, "postgres://{}/{database}", socket.display()),
            None => write!(
                f,
                "postgres://{}:{}/{database}",
                self.options.get_host(),
                self.options.get_port()
            ),
        }
    }
}

fn pool_options(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The driver's own test has no end of its own: one silent connection would take all of a call's time.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                timeout(ALIVE_TIMEOUT, connection.ping())
                    .await
                    .unwrap_or(Err(sqlx::Error::PoolTimedOut))
                    .map(|()| true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Acknowledged means on the disk, also on a server that is set up otherwise.
                sqlx::query(
                    "select set_config('synchronous_commit', 'on', false) \
                     where current_setting('synchronous_commit') = 'off'",
                )
                .execute(connection)
                .await
                .map(drop)
            })
        })
}
