//! The snapshot, and what the log and the metrics say of it.

use domain::brain::{Event, Scope, State, Transition};
use domain::breaker_state::BreakerState;
use domain::snapshot::HealthSnapshot;
use domain::window::View;
use metrics::{counter, gauge};
use telemetry::metric;

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
        let shown = self.channels.iter().filter_map(|id| {
            let health = health.iter().find(|health| health.channel == *id)?;
            Some((id.clone(), breaker::view(health, now)))
        });
        let snapshot = HealthSnapshot::take(self.seq, now, &self.windows, shown);
        measure(&snapshot);
        self.live.publish(snapshot);
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
