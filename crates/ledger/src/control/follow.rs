//! Hearing of changes: at once where the store tells, and by looking where it does not.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::control::Control;
use metrics::gauge;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::ControlStore;
use crate::error::LedgerError;
use crate::metric;

/// How often a follower looks when it hears nothing.
pub const POLL: Duration = Duration::from_secs(1);

/// How long a look may take: a store that is stopped in the middle does not hang up.
const LOOK: Duration = Duration::from_secs(5);

/// Follows a control state.
#[derive(Debug)]
pub struct Follower {
    store: Arc<dyn ControlStore>,
    news: Option<watch::Receiver<u64>>,
    seen: u64,
    /// When the store last answered; at first, when the follower was made.
    looked_at: Instant,
    is_down: bool,
}

impl Follower {
    /// A follower who has seen revision `seen`, 0 for none.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, seen: u64) -> Self {
        Self {
            news: Some(store.revisions()),
            store,
            seen,
            looked_at: Instant::now(),
            is_down: false,
        }
    }

    /// Waits for another revision than the one seen last, and returns it whole. A store that does not answer changes
    /// nothing, and a state that cannot be read is passed over until there is another one; both are told in the log.
    ///
    /// May be dropped while it waits; nothing is lost then.
    pub async fn next(&mut self) -> Control {
        loop {
            let looked = timeout(LOOK, self.look()).await;
            gauge!(metric::CONTROL_AGE).set(self.looked_at.elapsed().as_secs_f64());
            match looked {
                Ok(Ok(Some(control))) => return control,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => self.down(&error),
                Err(slow) => self.down(&slow),
            }
            self.wait().await;
        }
    }

    fn down(&mut self, why: &dyn Error) {
        if !self.is_down {
            tracing::warn!(error = %why, "the configuration cannot be looked at, the last one stays: {why}");
        }
        self.is_down = true;
    }

    async fn look(&mut self) -> Result<Option<Control>, LedgerError> {
        let revision = self.store.revision().await?;
        let control = if revision == self.seen {
            None
        } else {
            match self.store.control().await {
                Err(LedgerError::Corrupt {
                    table,
                    field,
                    problem,
                }) => {
                    metrics::counter!(metric::CONTROL_REFUSED).increment(1);
                    tracing::error!(
                        revision,
                        "revision {revision} of the configuration cannot be read, the last one stays: \
                         `{field}` of `{table}`: {problem}"
                    );
                    self.seen = revision;
                    None
                }
                answer => answer?,
            }
        };
        if std::mem::take(&mut self.is_down) {
            tracing::info!("the configuration can be looked at again");
        }
        self.looked_at = Instant::now();
        match &control {
            Some(control) => self.seen = control.revision,
            // The store was emptied: whatever comes next is new, also when it counts up to what was seen before.
            None if revision == 0 => self.seen = 0,
            None => {}
        }
        Ok(control)
    }

    async fn wait(&mut self) {
        let Some(news) = &mut self.news else {
            return sleep(POLL).await;
        };
        tokio::select! {
            () = sleep(POLL) => {}
            heard = news.changed() => {
                if heard.is_err() {
                    // Nobody tells any more; without this the wait would never be one again.
                    self.news = None;
                }
            }
        }
    }
}
