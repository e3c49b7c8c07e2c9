//! One outcome: into the windows, and to the brain.

use domain::outcome::OutcomeClass;
use domain::outcome_event::OutcomeEvent;
use domain::window::{Place, Recorded, Revision, Sample};
use jiff::Timestamp;
use metrics::counter;
use telemetry::metric;

use crate::Monitor;

impl Monitor {
    /// Counts `events`, in their order.
    pub(crate) fn count(&mut self, events: &[OutcomeEvent]) {
        let now = self.clock.now();
        for event in events {
            // An outcome is never counted before the time it was received at.
            self.count_one(event, now.max(event.received_at));
        }
    }

    /// Counts `event` as of `now`.
    pub(crate) fn count_one(&mut self, event: &OutcomeEvent, now: Timestamp) {
        let place = Place {
            channel: &event.channel,
            method: &event.method,
            issuer: event.issuer.as_deref(),
        };
        let recorded = match event.corrects {
            Some(from) => {
                let revision = Revision {
                    at: event.received_at,
                    from,
                    to: event.class,
                };
                self.windows.revise(place, revision, now)
            }
            None => self.windows.record(place, sample(event), now),
        };
        if recorded == Recorded::Late {
            counter!(metric::LATE).increment(1);
        }
        self.live.with_brain(|brain| event.teach(brain));
        if event.corrects.is_none() {
            let labels = [
                ("channel", event.channel.to_string()),
                ("class", event.class.as_str().to_owned()),
            ];
            counter!(metric::OUTCOMES, &labels).increment(1);
        }
    }
}

/// The outcome as windows count it.
pub(crate) fn sample(event: &OutcomeEvent) -> Sample {
    Sample {
        at: event.received_at,
        class: event.class,
        // How long somebody waited in vain is not how long the channel takes.
        latency_ms: (event.class != OutcomeClass::Timeout).then_some(event.latency_ms),
    }
}
