//! Word that the control state may have changed.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connect::Server;

/// The channel of the server on which whoever changes the control state says so, in the same transaction.
const CHANNEL: &str = "payroute_control";

/// How long a connection that says nothing is trusted.
const QUIET: Duration = Duration::from_secs(10);

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// How long to wait before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells when the control state may have changed.
///
/// A hint and no more: what is said while the connection is lost is not heard, and a new connection counts as a change
/// for that reason. Look at the state itself now and then all the same.
#[derive(Debug)]
pub struct Changes {
    seen: watch::Receiver<()>,
    listener: JoinHandle<()>,
}

impl Changes {
    /// Listens on a task and a connection of its own, until dropped.
    pub(super) fn watch(server: &Server) -> Self {
        let (told, seen) = watch::channel(());
        let listener = tokio::spawn(listen_for_ever(server.listening_pool(), told));
        Self { seen, listener }
    }

    /// Waits until something may have changed since the last call. Giving up the wait loses nothing.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            // The listener has ended with the runtime: there is nothing more to come.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen_for_ever(pool: PgPool, told: watch::Sender<()>) {
    loop {
        // What it fails with is seen by whoever uses the ledger, who is better placed to speak of it.
        let _lost = listen(&pool, &told).await;
        sleep(PAUSE).await;
    }
}

/// Passes on what is said, until the connection is lost.
async fn listen(pool: &PgPool, told: &watch::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = within(PgListener::connect_with(pool)).await?;
    listener.eager_reconnect(false);
    within(listener.listen(CHANNEL)).await?;
    told.send_replace(());
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(heard) => match heard? {
                Some(_) => {
                    told.send_replace(());
                }
                None => return Ok(()),
            },
            // Silence is what a dead connection sounds like, too.
            Err(_) => within(sqlx::query("select 1").execute(&mut listener))
                .await
                .map(drop)?,
        }
    }
}

async fn within<T>(call: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(LIMIT, call)
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
