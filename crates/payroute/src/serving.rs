//! What serves calls, and what comes after the last one: the same in every mode.

use std::sync::Arc;
use std::time::Duration;

use access::Guard;
use domain::network_retry::Rules;
use ledger::Guards;
use ledger::Writer;
use ledger::attempt::AttemptRecord;
use router::guarded::{ByDefault, Guarding};
use router::server::{self, Services};
use stats::stream::Publisher;
use telemetry::probes::{Probes, Readers};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::running::Running;

/// How long messages under way may take when the process ends, within the time that stopping may take. What is not
/// settled then is sent again, under the same id.
pub(crate) const SENDING: Duration = Duration::from_secs(2);

/// Answers gRPC until told to stop.
pub(crate) async fn grpc(listener: TcpListener, services: Services, stop: CancellationToken) {
    if let Err(error) = server::serve(listener, services, stop).await {
        tracing::error!(%error, "gRPC ended: {error}");
    }
}

/// Answers the control plane until told to stop.
pub(crate) async fn rest(listener: TcpListener, parts: console::Parts, stop: CancellationToken) {
    if let Err(error) = console::serve(listener, parts, stop).await {
        tracing::error!(%error, "the control plane ended: {error}");
    }
}

/// Closes the ledger once nobody writes any more: everything that was accepted is durable then.
pub(crate) async fn close(writer: Writer, stop: CancellationToken) {
    stop.cancelled().await;
    if let Err(error) = writer.close().await {
        tracing::error!(%error, "the ledger was not closed: {error}");
    }
}

/// Hands an outcome to this process's own statistics, at the moment it is durable and whether or not its caller is
/// still there.
pub(crate) fn publish(outcomes: &Publisher, record: &AttemptRecord) {
    let Some(event) = record.outcome() else { return };
    if let Err(error) = outcomes.publish(event) {
        tracing::error!(%error, "an outcome is missing in the statistics until the next start: {error}");
    }
}

/// The probes of a process that `running` is, for those whom `guard` lets read.
pub(crate) fn probes(running: &Running, telemetry: &telemetry::Guard, guard: Guard) -> Probes {
    Probes {
        service: telemetry.service(),
        metrics: telemetry.metrics(),
        readiness: running.readiness().clone(),
        readers: Readers::of(move |header| guard.admit(header, access::Scope::Read).is_ok()),
    }
}

/// What keeps payments from being charged twice, by what `guards` has registered.
pub(crate) fn guarding(guards: Arc<dyn Guards>, by_default: ByDefault) -> anyhow::Result<Guarding> {
    let rules = Rules::built_in().map_err(|found| anyhow::anyhow!("the card networks' rules: {found:?}"))?;
    Ok(Guarding {
        guards,
        by_default,
        rules,
    })
}
