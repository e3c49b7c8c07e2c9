//! A running process: its tasks, and the order in which they end.

use std::net::SocketAddr;
use std::time::Duration;

use telemetry::probes::{Probes, Readiness};
use telemetry::shutdown::{DEADLINE, Drain};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The condition that turns when the process begins to stop.
const NOT_STOPPING: &str = "not_stopping";

/// A process that runs.
pub(crate) struct Running {
    /// Where it answers, by what the operator is told it is.
    pub(crate) addresses: Vec<(&'static str, SocketAddr)>,
    readiness: Readiness,
    /// Cancelled when one of the tasks ends.
    ended: CancellationToken,
    stages: Vec<Stage>,
}

/// Tasks that are asked to stop together, and are done before the next stage is asked.
struct Stage {
    name: &'static str,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// How long they may take; `None`: as long as the whole process may.
    patience: Option<Duration>,
}

impl Running {
    /// A process without tasks, ready when `readiness` says so.
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self {
            addresses: Vec::new(),
            readiness,
            ended: CancellationToken::new(),
            stages: Vec::new(),
        }
    }

    /// Begins a stage: the tasks spawned from now on stop after those before, all within `patience`.
    pub(crate) fn stage(&mut self, name: &'static str, patience: Option<Duration>) {
        self.stages.push(Stage {
            name,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
            patience,
        });
    }

    /// Runs the task that `make` makes of the token that tells it to stop, in the present stage. When it ends
    /// unasked, the process has failed.
    pub(crate) fn spawn<F>(&mut self, make: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.stages.is_empty() {
            self.stage("tasks", None);
        }
        let Some(stage) = self.stages.last_mut() else {
            return;
        };
        let task = make(stage.stop.clone());
        let ended = self.ended.clone().drop_guard();
        stage.tasks.push(tokio::spawn(async move {
            let _ended = ended;
            task.await;
        }));
    }

    /// Serves probes and metrics on `listener`, in the present stage.
    pub(crate) fn serve_probes(&mut self, listener: TcpListener, probes: Probes) {
        self.spawn(|stop| async move {
            if let Err(error) = telemetry::probes::serve(listener, probes, stop).await {
                tracing::error!(%error, "the admin listener ended: {error}");
            }
        });
    }

    /// Waits until a task ends by itself, which it does only when it has failed.
    pub(crate) async fn failed(&self) {
        self.ended.cancelled().await;
    }

    /// Stops stage by stage.
    ///
    /// # Errors
    /// When it takes longer than [`DEADLINE`].
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.readiness.set(NOT_STOPPING, false);
        let mut drain = Drain::new();
        for stage in self.stages {
            drain = drain.then(stage.name, stage.end());
        }
        drain.within(DEADLINE).await?;
        Ok(())
    }
}

impl Stage {
    async fn end(self) {
        self.stop.cancel();
        let all = async {
            for task in self.tasks {
                let _ended = task.await;
            }
        };
        let Some(patience) = self.patience else {
            return all.await;
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            let (name, waited) = (self.name, patience.as_secs());
            tracing::warn!("{name} did not end within {waited} s and are given up");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stages_end_in_their_order_and_a_stuck_one_is_given_up() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut running = Running::new(Readiness::until(&[]));
        for (name, patience) in [("calls", Some(Duration::from_secs(1))), ("ledger", None)] {
            running.stage(name, patience);
            let done = Arc::clone(&done);
            running.spawn(|stop| async move {
                stop.cancelled().await;
                done.lock().unwrap().push(name);
            });
            if patience.is_some() {
                running.spawn(|_| std::future::pending());
            }
        }
        running.stop().await.unwrap();
        assert_eq!(*done.lock().unwrap(), ["calls", "ledger"]);
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_is_a_failure() {
        let mut running = Running::new(Readiness::until(&[]));
        running.spawn(|_| async {});
        running.failed().await;
    }
}
