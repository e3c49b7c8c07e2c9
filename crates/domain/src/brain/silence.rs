//! What the silence of an attempt says, by its age: why a dead channel is left long before its first timeout.

use serde::{Deserialize, Serialize};

use super::evidence::Sign;
use super::evidence::Usual;
use super::flights::Flight;
use super::latency::Latency;
use super::narrow::single;
use super::params::{Evidence, Silence};

/// The stage at which an attempt has provisionally timed out.
pub(super) const TIMED_OUT: u8 = 7;

/// How likely an answered attempt of a healthy channel is still silent at each stage.
const STILL_SILENT: [f64; 7] = [0.8125, 0.6875, 0.5, 0.1875, 0.0625, 0.01, 0.005];

/// The share of attempts whose callers never report how they ended, for one channel x method.
///
/// A customer who leaves the cashier is not the channel's fault, so silence counts for less where it is usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Abandonment {
    share: f32,
    attempts: u32,
}

impl Abandonment {
    /// Learns from an attempt that ended.
    pub(super) fn learn(&mut self, abandoned: bool, params: &Silence) {
        self.attempts = self.attempts.saturating_add(1);
        let rate = params.abandoned_rate.max(1.0 / f64::from(self.attempts));
        let share = f64::from(self.share);
        let target = if abandoned { 1.0 } else { 0.0 };
        self.share = single(share + rate * (target - share));
    }

    /// The share of attempts that are never reported, between 0 and 1.
    pub(super) fn share(self) -> f64 {
        f64::from(self.share)
    }
}

/// The ages at which an attempt passes its stages, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stages {
    steps: Option<[f64; 6]>,
    timeout: f64,
}

impl Stages {
    /// From what is known about the answers of a channel x method; `limit` is its configured time limit or 0.
    pub(super) fn new(latency: &Latency, limit: f64, params: &Silence) -> Self {
        let percentiles = latency.percentiles();
        let [.., tail] = percentiles;
        let steps = (latency.answers() >= params.min_answers)
            .then(|| percentiles.map(|percentile| percentile * params.margin));
        let timeout = if latency.answers() > 0 {
            params.timeout_factor * tail
        } else if limit > 0.0 {
            limit
        } else {
            params.unknown_timeout_s
        };
        Self {
            steps,
            timeout: timeout.max(params.min_timeout_s),
        }
    }

    /// The age of a provisional timeout, in seconds.
    pub(super) const fn timeout(&self) -> f64 {
        self.timeout
    }

    /// The stage that an attempt of `age` has reached, at least `stage`.
    pub(super) fn reached(&self, stage: u8, age: f64) -> u8 {
        // Ages come from sums of seconds; a billionth must not cost an appointment.
        let age = age + 1e-9;
        if age >= self.timeout {
            return TIMED_OUT;
        }
        let passed = self
            .steps
            .map_or(0, |steps| steps.iter().take_while(|step| age >= **step).count());
        stage.max(u8::try_from(passed).unwrap_or(0))
    }

    /// The age at which an attempt at `stage` has to be looked at again.
    pub(super) fn next(&self, stage: u8) -> f64 {
        let step = self
            .steps
            .and_then(|steps| steps.get(usize::from(stage)).copied());
        step.map_or(self.timeout, |step| step.min(self.timeout))
    }
}

/// The cumulative evidence of an attempt that is silent at `stage`.
///
/// With a share `a` of attempts that are never reported, silence is likelier on a healthy channel too:
/// ln((e^v S (1 - a) + a) / (S (1 - a) + a)), which is v when a is 0.
pub(super) fn evidence_of(
    stage: u8,
    usual: Usual,
    abandoned: Abandonment,
    silence: &Silence,
    evidence: &Evidence,
) -> f64 {
    let Some(index) = usize::from(stage).checked_sub(1) else {
        return 0.0;
    };
    let full = silence
        .steps
        .get(index)
        .copied()
        .unwrap_or_else(|| usual.ratio(Sign::Technical, evidence));
    let share = abandoned.share();
    if share <= 0.0 {
        return full;
    }
    let silent = STILL_SILENT.get(index).copied().unwrap_or(0.005) * (1.0 - share);
    ((full.exp() * silent + share) / (silent + share)).ln()
}

/// When `flight` is taken as abandoned by its caller, in seconds since the brain's beginning.
pub(super) fn abandoned_at(flight: &Flight, params: &Silence) -> f64 {
    let after = if flight.limit > 0.0 {
        (2.0 * flight.limit + params.abandoned_grace_s).min(params.abandoned_after_s)
    } else {
        params.abandoned_after_s
    };
    flight.sent + after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::params;

    fn usual() -> Usual {
        Usual::new(0.92, 0.01, &Evidence::default())
    }

    #[test]
    fn the_longer_an_attempt_is_silent_the_more_it_says() {
        let said = [0, 1, 2, 3, 4, 5, 6, TIMED_OUT].map(|stage| {
            evidence_of(
                stage,
                usual(),
                Abandonment::default(),
                &Silence::default(),
                &Evidence::default(),
            )
        });
        assert!(said.is_sorted() && said[0].abs() < 1e-9 && said[7] > 4.0);
    }

    #[test]
    fn silence_says_less_where_callers_often_never_report() {
        let mut abandoned = Abandonment::default();
        for round in 0..1_000 {
            abandoned.learn(round % 3 == 0, &Silence::default());
        }
        let said = evidence_of(
            TIMED_OUT,
            usual(),
            abandoned,
            &Silence::default(),
            &Evidence::default(),
        );
        assert!(said > 0.0 && said < 1.5, "{said}");
    }

    #[test]
    fn percentiles_are_trusted_only_after_enough_answers() {
        let mut latency = Latency::default();
        for _ in 0..59 {
            latency.learn(1.0, &params::Latency::default());
        }
        let stages = Stages::new(&latency, 8.0, &Silence::default());
        assert_eq!(stages.reached(0, stages.timeout() * 0.99), 0);
        assert_eq!(stages.reached(0, stages.timeout()), TIMED_OUT);
        latency.learn(1.0, &params::Latency::default());
        let stages = Stages::new(&latency, 8.0, &Silence::default());
        assert!(stages.reached(0, stages.timeout() * 0.99) > 0);
    }

    #[test]
    fn a_channel_that_never_answered_times_out_at_its_configured_limit() {
        let stages = Stages::new(&Latency::default(), 8.0, &Silence::default());
        assert!((stages.timeout() - 8.0).abs() < 1e-9);
    }
}
