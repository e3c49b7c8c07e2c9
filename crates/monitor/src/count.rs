//! One outcome: into the windows, and to the brain.

use domain::brain;
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
        // A correction says what became of the payment. What the channel did at the time, it has done: the brain
        // has heard the silence already.
        if event.corrects.is_none() {
            self.tell_brain(event);
            let labels = [
                ("channel", event.channel.to_string()),
                ("class", event.class.as_str().to_owned()),
            ];
            counter!(metric::OUTCOMES, &labels).increment(1);
        }
    }

    fn tell_brain(&self, event: &OutcomeEvent) {
        self.live.with_brain(|brain| {
            let Some(channel) = brain.channel_ix(&event.channel) else {
                return;
            };
            let segment = brain.segment(&event.method, event.issuer.as_deref(), event.band);
            let outcome = brain::Outcome {
                key: event.key,
                channel,
                segment,
                class: event.class,
                latency_ms: f64::from(event.latency_ms),
                dispatched_at: event.started_at,
                attempt_no: event.attempt_no,
                generation: Some(brain::Generation(event.decided_at)),
            };
            brain.outcome(event.received_at, &outcome);
        });
    }
}

fn sample(event: &OutcomeEvent) -> Sample {
    Sample {
        at: event.received_at,
        class: event.class,
        // How long somebody waited in vain is not how long the channel takes.
        latency_ms: (event.class != OutcomeClass::Timeout).then_some(event.latency_ms),
    }
}
