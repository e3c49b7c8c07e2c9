//! The fleet's time: what the ledger's server shows, carried on by the machine's monotonic clock.
//!
//! Processes compare times with each other: when an outcome was received, until when a token is good, how old evidence
//! is. A machine whose clock is an hour off would have all of its outcomes counted as late, and a step of its clock
//! would move every deadline. So all of them go by one clock, which they have anyway, and by their own only while they
//! have never heard of it.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};
use ledger::Outbox;
use metrics::gauge;
use parking_lot::RwLock;
use telemetry::metric;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often the ledger's server is asked. A machine that was suspended, whose monotonic clock stood still, is right
/// again after this long.
const PERIOD: Duration = Duration::from_secs(5);

/// What two clocks may differ by for no reason at all: below this, time goes on as it went and never steps.
const TOLERANCE: SignedDuration = SignedDuration::from_millis(50);

/// How far the machine's clock may be off before people are told.
const NOTABLE: SignedDuration = SignedDuration::from_secs(2);

/// A clock that goes by that of the ledger's server.
#[derive(Debug, Default)]
pub(super) struct FleetClock {
    /// Read on every call, written when a clock was moved.
    heard: RwLock<Option<Heard>>,
}

/// What the server showed, and when that was by the machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Heard {
    shown: Timestamp,
    at: Instant,
}

impl Heard {
    /// What the server shows at `at`, as far as can be told from here.
    fn carried_to(self, at: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(at.saturating_duration_since(self.at)).unwrap_or_default();
        self.shown.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

impl Clock for FleetClock {
    fn now(&self) -> Timestamp {
        let heard = *self.heard.read();
        heard.map_or_else(|| SystemClock.now(), |heard| heard.carried_to(Instant::now()))
    }
}

impl FleetClock {
    /// Takes what the server `shown` in answer to a question between `asked` and `answered`. Small differences are the
    /// network's, and change nothing: a clock that steps back a little is worse than one that is a little wrong.
    fn hear(&self, shown: Timestamp, asked: Instant, answered: Instant) {
        let half = answered.saturating_duration_since(asked) / 2;
        let news = Heard {
            shown,
            at: asked + half,
        };
        let unsure = SignedDuration::try_from(half).unwrap_or_default() + TOLERANCE;
        let mut heard = self.heard.write();
        let agrees = heard.is_some_and(|heard| {
            let expected = heard.carried_to(news.at);
            expected.duration_since(shown).abs() <= unsure
        });
        if !agrees {
            *heard = Some(news);
        }
    }

    /// Asks `ledger` once; leaves the time as it goes when there is no answer.
    pub(super) async fn ask(&self, ledger: &impl Outbox) {
        let asked = Instant::now();
        match ledger.time().await {
            Ok(shown) => self.hear(shown, asked, Instant::now()),
            Err(error) => tracing::debug!(%error, "the ledger's server does not tell the time: {error}"),
        }
    }

    /// Asks `ledger` again and again until `stop` is cancelled, and tells when the machine's own clock is wrong.
    pub(super) async fn follow(self: Arc<Self>, ledger: Arc<impl Outbox>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.ask(&*ledger).await;
            let off = SystemClock.now().duration_since(self.now());
            gauge!(metric::CLOCK_OFFSET).set(off.as_secs_f64());
            let wrong = off.abs() > NOTABLE;
            if wrong && !told {
                let secs = off.as_secs();
                tracing::warn!(
                    secs,
                    "this machine's clock is {secs} s off the ledger's, which is gone by instead"
                );
            }
            told = wrong;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
    }

    /// Hears `shown` in answer to a question that took `took_ms`, just now.
    fn hear(clock: &FleetClock, shown: Timestamp, took_ms: u64) {
        let now = Instant::now();
        clock.hear(
            shown,
            now.checked_sub(Duration::from_millis(took_ms)).unwrap(),
            now,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_what_the_server_showed_and_what_has_passed_since() {
        tokio::time::advance(Duration::from_mins(1)).await;
        let clock = FleetClock::default();
        hear(&clock, at(0), 0);
        tokio::time::advance(Duration::from_millis(1_234)).await;
        assert_eq!(clock.now(), at(1_234));
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_way_there_and_back_is_added() {
        tokio::time::advance(Duration::from_mins(1)).await;
        let clock = FleetClock::default();
        hear(&clock, at(0), 400);
        assert_eq!(clock.now(), at(200));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_network_may_have_done_moves_nothing() {
        tokio::time::advance(Duration::from_mins(1)).await;
        let clock = FleetClock::default();
        hear(&clock, at(0), 0);
        for (shown, took_ms) in [(-49, 0), (49, 0), (-240, 400), (0, 20)] {
            hear(&clock, at(shown), took_ms);
            assert_eq!(clock.now(), at(0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_clock_was_moved_is_followed() {
        tokio::time::advance(Duration::from_mins(1)).await;
        let clock = FleetClock::default();
        hear(&clock, at(0), 0);
        hear(&clock, at(3_600_000), 10);
        assert_eq!(clock.now(), at(3_600_005));
        hear(&clock, at(-3_600_000), 10);
        assert_eq!(clock.now(), at(-3_599_995));
    }
}
