//! The snapshot, and what the log and the metrics say of it.

use domain::brain::{Event, Scope, State, Transition};
use domain::breaker_state::BreakerState;
use domain::id::ChannelId;
use domain::snapshot::{ChannelRow, HealthSnapshot};
use domain::window::{Segment, View};
use jiff::Timestamp;
use metrics::{counter, gauge};
use stats::redis::reader::Freshness;
use telemetry::metric;
use tokio::time::Instant;

use crate::{Monitor, breaker};

impl Monitor {
    /// Lets the brain's timers run and publishes what is known now.
    pub(crate) fn publish(&mut self) {
        let now = self.clock.now();
        let (health, transitions) = self.live.with_brain(|brain| {
            brain.advance(now);
            (brain.health(), brain.take_transitions())
        });
        transitions.iter().for_each(log);
        self.windows.slide(now);
        self.seq += 1;
        let shown = health
            .iter()
            .map(|health| (self.row(&health.channel, now), breaker::view(health, now)));
        let snapshot = HealthSnapshot::assemble(self.seq, now, shown);
        measure(&snapshot);
        self.live.publish(snapshot);
    }
}

impl Monitor {
    /// What is known of a channel: what all processes together have counted, or, when that is too old to go by, what
    /// this one has.
    fn row(&self, channel: &ChannelId, now: Timestamp) -> ChannelRow {
        let shared = self.shared.as_ref().and_then(|board| {
            let (board, now) = (board.lock(), Instant::now());
            let known = board.freshness(channel, now) <= Freshness::LastKnown;
            known.then(|| board.row(channel, now)).flatten()
        });
        shared.unwrap_or_else(|| {
            let window = self.windows.window(channel, Segment::Overall);
            ChannelRow::of(channel.clone(), window, now)
        })
    }
}

fn measure(snapshot: &HealthSnapshot) {
    for channel in &snapshot.channels {
        let name = channel.channel.to_string();
        for state in BreakerState::ALL {
            let labels = [("channel", name.clone()), ("state", state.as_str().to_owned())];
            gauge!(metric::BREAKER_STATE, &labels).set(f64::from(u8::from(channel.breaker.state == state)));
        }
        for view in View::ALL {
            let Some(rate) = channel.view(view).technical_success else {
                continue;
            };
            let labels = [("channel", name.clone()), ("window", view.as_str().to_owned())];
            gauge!(metric::SUCCESS_RATIO, &labels).set(f64::from(rate.basis_points()) / 10_000.0);
        }
    }
}

fn log(transition: &Transition) {
    match &transition.event {
        Event::Breaker {
            channel,
            from,
            to,
            reason,
        } => {
            let (from, to, reason) = (from.as_str(), to.as_str(), reason.as_str());
            let part = part(&transition.scope);
            counter!(metric::BREAKER_TRANSITIONS, "channel" => channel.to_string(), "to" => to, "reason" => reason)
                .increment(1);
            if to == State::Tripped.as_str() {
                tracing::warn!(%channel, part, from, reason, "channel {channel}{part} tripped: {reason}");
            } else {
                tracing::info!(%channel, part, from, to, reason, "channel {channel}{part} is {to}: {reason}");
            }
        }
        Event::IncidentBegan => {
            let part = part(&transition.scope);
            tracing::warn!(part, "an incident began on several channels:{part}");
        }
        Event::IncidentEnded => {
            let part = part(&transition.scope);
            tracing::info!(part, "the incident ended:{part}");
        }
    }
}

fn part(scope: &Scope) -> String {
    match scope {
        Scope::Channel => String::new(),
        Scope::Method(method) => format!(" (method {method})"),
        Scope::Issuer(issuer) => format!(" (issuer {issuer})"),
    }
}
