//! Stopping: the first signal begins an orderly end, the second one ends at once.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long an orderly end may take. Orchestrators wait for 10 to 30 s before they kill.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Exit code of a process that was told twice to stop: 128 and the number of SIGINT, as shells have it.
const TOLD_TWICE: i32 = 130;

/// Makes SIGTERM and SIGINT cancel the token that it gives; a second signal ends the process there and then.
///
/// # Errors
/// When the operating system does not let the process listen for signals.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await;
        info!("{name} received, stopping");
        stop.cancel();
        let name = next(&mut terminate, &mut interrupt).await;
        warn!("{name} received while stopping, leaving at once");
        std::process::exit(TOLD_TWICE);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// A step of stopping, begun when it is its turn.
type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is to be done to stop, in its order: servers finish their calls before the ledger they write to is closed.
#[must_use = "nothing is stopped until it is run"]
#[derive(Default)]
pub struct Drain {
    steps: Vec<(&'static str, Step)>,
}

/// The deadline came before everything was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopping took too long, given up at: {}", steps.join(", "))]
pub struct Unfinished {
    /// The step that was running, and those that were not begun.
    pub steps: Vec<&'static str>,
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.steps.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

impl Drain {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `step`, to be begun when those before it are done. A failure is the step's own to log.
    pub fn then(mut self, name: &'static str, step: impl Future<Output = ()> + Send + 'static) -> Self {
        self.steps.push((name, Box::pin(step)));
        self
    }

    /// Does all steps within `limit` in total.
    ///
    /// # Errors
    /// When the limit is over before the last step is done; the rest is dropped.
    pub async fn within(self, limit: Duration) -> Result<(), Unfinished> {
        let deadline = Instant::now() + limit;
        let mut steps = self.steps.into_iter();
        while let Some((name, step)) = steps.next() {
            if timeout_at(deadline, step).await.is_err() {
                let rest = steps.map(|(name, _)| name);
                return Err(Unfinished {
                    steps: std::iter::once(name).chain(rest).collect(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn a_signal_cancels_the_token() {
        let token = on_signal().unwrap();
        assert!(!token.is_cancelled());
        let told = std::process::Command::new("kill")
            .args(["-TERM", &std::process::id().to_string()])
            .status();
        assert!(told.unwrap().success());
        token.cancelled().await;
    }

    #[tokio::test]
    async fn steps_are_done_one_after_the_other() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let step = |name: &'static str, pauses: usize| {
            let done = Arc::clone(&done);
            async move {
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                done.lock().unwrap().push(name);
            }
        };
        let drain = Drain::new()
            .then("server", step("server", 9))
            .then("ledger", step("ledger", 0));
        drain.within(DEADLINE).await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["server", "ledger"]);
    }

    #[tokio::test]
    async fn what_was_not_done_in_time_is_named() {
        let drain = Drain::new()
            .then("probes", async {})
            .then("server", std::future::pending())
            .then("ledger", async {});
        let unfinished = drain.within(Duration::ZERO).await.unwrap_err();
        assert_eq!(
            unfinished.to_string(),
            "stopping took too long, given up at: server, ledger"
        );
    }
}
