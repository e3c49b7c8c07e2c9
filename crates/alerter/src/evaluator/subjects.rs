//! What alerts can be about, by the configuration and the health snapshot.

use std::collections::BTreeMap;

use domain::alert::{Beside, Dimension, Metric, Scope};
use domain::breaker_state::BreakerState;
use domain::id::ChannelId;
use domain::snapshot::HealthSnapshot;
use jiff::{SignedDuration, Timestamp};
use stats::redis::reader::{Board, Freshness};
use tokio::time::Instant;

/// How old a health snapshot may be before it says nothing about now.
const STALE: SignedDuration = SignedDuration::from_mins(1);

/// The scope of `channel`, which is told apart with its provider.
fn scope(channel: &str, providers: &BTreeMap<String, String>) -> Option<Scope> {
    let provider = providers.get(channel)?;
    Some(
        Scope::overall()
            .with(Dimension::Provider, provider)
            .with(Dimension::Channel, channel),
    )
}

/// Whether `scope` is about a channel or a provider that the configuration no longer has.
pub(super) fn is_gone(scope: &Scope, providers: &BTreeMap<String, String>) -> bool {
    let channel = scope.get(Dimension::Channel);
    let provider = scope.get(Dimension::Provider);
    match (channel, provider) {
        (Some(channel), _) => !providers.contains_key(channel),
        (None, Some(provider)) => providers.values().all(|known| known != provider),
        (None, None) => false,
    }
}

/// What the health snapshot says beside counted outcomes: nothing of channels, when it is old.
pub(super) fn beside(
    snapshot: &HealthSnapshot,
    providers: &BTreeMap<String, String>,
    now: Timestamp,
) -> Beside {
    let mut beside = Beside::default();
    let age = now.duration_since(snapshot.as_of).max(SignedDuration::ZERO);
    // A process that has just begun knows no snapshot, and so no age of one.
    if snapshot.seq > 0 || !snapshot.channels.is_empty() {
        let secs = u64::try_from(age.as_secs()).unwrap_or(0);
        beside
            .gauges
            .insert((Metric::SnapshotAge, Scope::overall()), secs);
    }
    if age > STALE {
        return beside;
    }
    for health in &snapshot.channels {
        let Some(scope) = scope(health.channel.as_str(), providers) else {
            continue;
        };
        let is_down = matches!(
            health.breaker.state,
            BreakerState::Tripped | BreakerState::Probing
        );
        beside
            .gauges
            .insert((Metric::ChannelDown, scope.clone()), u64::from(is_down));
        beside
            .streaks
            .insert(scope, (health.failure_streak, health.timeout_streak));
    }
    beside
}

/// Takes out the streaks of channels that nobody has counted lately. In their place a health snapshot shows what this
/// process has seen itself, which may be nothing: no streak at all would look like a recovery.
pub(super) fn forget_old(beside: &mut Beside, board: &Board, now: Instant) {
    beside.streaks.retain(|scope, _| {
        let channel = scope
            .get(Dimension::Channel)
            .and_then(|name| ChannelId::new(name).ok());
        channel.is_some_and(|channel| board.freshness(&channel, now) <= Freshness::LastKnown)
    });
}
