//! Following what operators change: every revision of the control state is assembled aside and adopted whole.

use std::path::PathBuf;
use std::sync::Arc;

use domain::control::{Assembled, Control, assemble};
use domain::diagnostic::Diagnostic;
use ledger::control::Follower;
use ledger::metric;
use metrics::{counter, gauge};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::control_file;
use crate::routing::Routing;

/// Why a revision cannot be used here, though whoever wrote it could.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// It does not assemble: a later release wrote it, or its catalogue knows other providers.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Diagnostic>),
    /// Its limits cannot be counted together.
    #[error(transparent)]
    Limits(#[from] domain::limit::InvalidRules),
    /// The process is ending.
    #[error("the process is ending")]
    Ending,
}

/// Brings a routing service to each revision of the control state.
#[derive(Debug)]
pub struct Adopter {
    routing: Arc<Routing>,
    file: Option<Arc<PathBuf>>,
}

impl Adopter {
    /// For `routing`. What was adopted last is kept in `file`, if there is one, for a start without the store.
    #[must_use]
    pub fn new(routing: Arc<Routing>, file: Option<PathBuf>) -> Self {
        Self {
            routing,
            file: file.map(Arc::new),
        }
    }

    /// Adopts every revision that `follower` hears of, until `stop`. One that cannot be used is told in the log and
    /// counted, and the one before it stays.
    pub async fn follow(self, mut follower: Follower, stop: CancellationToken) {
        loop {
            let control = tokio::select! {
                () = stop.cancelled() => return,
                control = follower.next() => control,
            };
            // Begun, it is finished: a revision is adopted before it is kept.
            self.adopt(control).await;
        }
    }

    /// Adopts `control`, and answers whether it could be.
    pub async fn adopt(&self, control: Control) -> bool {
        let revision = control.revision;
        let control = Arc::new(control);
        match self.take(&control).await {
            Ok(()) => {
                tracing::info!(revision, "routing by revision {revision} of the configuration");
                // Metrics are floats; past four thousand million revisions it would stand still.
                gauge!(metric::CONTROL_REVISION).set(f64::from(u32::try_from(revision).unwrap_or(u32::MAX)));
                self.keep(control).await;
                true
            }
            Err(error) => {
                counter!(metric::CONTROL_REFUSED).increment(1);
                tracing::error!(
                    revision,
                    %error,
                    "revision {revision} of the configuration cannot be used, the last one stays: {error}"
                );
                false
            }
        }
    }

    async fn take(&self, control: &Arc<Control>) -> Result<(), Unusable> {
        let assembled = self.assemble(Arc::clone(control)).await?;
        self.routing.adopt(assembled, &control.breakers)?;
        Ok(())
    }

    /// Off the threads that answer calls: a large policy takes a while to check.
    async fn assemble(&self, control: Arc<Control>) -> Result<Assembled, Unusable> {
        let catalogue = self.routing.catalogue.load_full();
        let assembled = spawn_blocking(move || assemble(&control, &catalogue.providers()));
        assembled
            .await
            .map_err(|_| Unusable::Ending)?
            .map_err(Unusable::Invalid)
    }

    /// A file that cannot be written is no reason to route by something else.
    async fn keep(&self, control: Arc<Control>) {
        let Some(file) = self.file.clone() else { return };
        let kept = spawn_blocking(move || control_file::save(&file, &control));
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(%error, "the configuration is not kept for the next start: {error}");
        }
    }
}
