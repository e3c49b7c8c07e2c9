//! One channel of a world with what happens to it: here luck becomes fate.

use std::time::Duration;

use domain::outcome::OutcomeClass;

use super::Visit;
use crate::chance::{Chance, Topic};
use crate::fate::{Delivery, Fate, Work};
use crate::number;
use crate::scenario::channel::{Channel, Code};
use crate::scenario::event::{Event, Kind};

/// The share of answerless attempts that never reached the provider; the others hang inside. Ours: callers must cope
/// with both, so both are common.
const SWALLOWED_SHARE: f64 = 0.5;
/// A channel that refuses at the door is quicker than one that works: this much of its usual time. Ours.
const DOOR_SHARE: f64 = 0.2;
/// Money moves between these shares of the time to the answer, so that a query in between meets an attempt in work.
const CHARGED_FROM: f64 = 0.4;
const CHARGED_UNTIL: f64 = 0.9;
/// The second copy of an answer comes between these many seconds after the first. Ours.
const COPY_FROM_S: f64 = 0.05;
const COPY_SPREAD_S: f64 = 0.95;

/// A channel with what happens to it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) channel: Channel,
    /// With their numbers in the scenario, which their luck hangs on.
    pub(super) events: Vec<(u64, Event)>,
}

/// The luck that an attempt meets.
pub(super) struct Lucks {
    /// The same on every channel: the customer's own.
    pub(super) payment: Chance,
    /// This attempt's on this channel.
    pub(super) attempt: Chance,
}

impl Site {
    fn active<'a>(&'a self, visit: &'a Visit<'_>) -> impl Iterator<Item = (u64, &'a Kind, &'a Event, f64)> {
        self.events
            .iter()
            .map(|(number, event)| (*number, &event.kind, event, event.strength(visit.at)))
            .filter(|(_, _, event, strength)| *strength > 0.0 && event.matches(visit.payment))
    }

    /// How many times longer answers take. A slowness that is fading counts in part.
    fn slowness(&self, visit: &Visit<'_>) -> f64 {
        self.active(visit)
            .map(|(_, kind, _, strength)| match kind {
                Kind::Slow { factor } => 1.0 + (factor.get() - 1.0) * strength,
                _ => 1.0,
            })
            .product()
    }

    /// The probabilities of a lost and of a second answer.
    fn postal(&self, visit: &Visit<'_>) -> (f64, f64) {
        let (mut arrives, mut single) = (1.0, 1.0);
        for (_, kind, _, strength) in self.active(visit) {
            match kind {
                Kind::LostAnswers { share } => arrives *= 1.0 - share.get() * strength,
                Kind::DuplicateAnswers { share } => single *= 1.0 - share.get() * strength,
                _ => {}
            }
        }
        (1.0 - arrives, 1.0 - single)
    }

    /// The probability of being turned away because of the load.
    fn turned_away(&self, visit: &Visit<'_>) -> f64 {
        let passes: f64 = self
            .active(visit)
            .map(|(_, kind, _, strength)| match kind {
                Kind::Busy { capacity_tps } if visit.load_tps > capacity_tps.get() => {
                    1.0 - strength * (1.0 - capacity_tps.get() / visit.load_tps)
                }
                _ => 1.0,
            })
            .product();
        1.0 - passes
    }

    pub(super) fn success_probability(&self, visit: &Visit<'_>) -> f64 {
        let spared: f64 = self
            .active(visit)
            .filter_map(|(_, kind, _, strength)| Some(1.0 - kind.killing()?.severity * strength))
            .product();
        let (lost, _) = self.postal(visit);
        let in_time = self.in_time(self.slowness(visit));
        self.channel.success.of(visit.payment)
            * spared
            * (1.0 - lost)
            * (1.0 - self.turned_away(visit))
            * in_time
    }

    /// The probability that an answer comes within the channel's timeout when all take `slowness` times longer.
    fn in_time(&self, slowness: f64) -> f64 {
        let latency = self.channel.latency;
        let limit_ms = f64::from(self.channel.timeout_ms) / slowness;
        if latency.max_ms.is_some_and(|max| max.get() <= limit_ms) {
            return 1.0;
        }
        normal_cdf((limit_ms / latency.median_ms.get()).ln() / latency.sigma.get())
    }

    pub(super) fn fate(&self, luck: &Lucks, visit: &Visit<'_>, refusals: f64) -> Fate {
        let attempt = luck.attempt;
        let (lost, twice) = self.postal(visit);
        let latency = self.latency(attempt, self.slowness(visit));
        if attempt.hits(Topic::Lost, lost) {
            // Worked on as on any other day, outage or not: this is how customers end up charged and not served.
            let class = self.ordinary(luck, visit, refusals);
            return class.map_or_else(
                || self.silent(attempt, latency),
                |class| done(attempt, class, latency, Delivery::Lost),
            );
        }
        if attempt.hits(Topic::Busy, self.turned_away(visit)) {
            return done(attempt, OutcomeClass::Busy, latency * DOOR_SHARE, Delivery::Once);
        }
        let class = match self.killed(attempt, visit) {
            Some(class) => class,
            None => self.ordinary(luck, visit, refusals),
        };
        let delivery = if attempt.hits(Topic::Duplicate, twice) {
            let gap = COPY_FROM_S + COPY_SPREAD_S * attempt.part(1).uniform(Topic::Duplicate);
            Delivery::Twice(number::seconds(gap))
        } else {
            Delivery::Once
        };
        match class {
            None => self.silent(attempt, latency),
            Some(OutcomeClass::Maintenance) => {
                done(attempt, OutcomeClass::Maintenance, latency * DOOR_SHARE, delivery)
            }
            Some(class) => done(attempt, class, latency, delivery),
        }
    }

    /// What the first event that hits the attempt does to it: `Some(None)` is silence, `None` is nothing.
    #[expect(
        clippy::option_option,
        reason = "spared, silenced and answered are three things"
    )]
    fn killed(&self, attempt: Chance, visit: &Visit<'_>) -> Option<Option<OutcomeClass>> {
        self.active(visit).find_map(|(number, kind, _, strength)| {
            let killing = kind.killing()?;
            let luck = attempt.part(number);
            if !luck.hits(Topic::Event, killing.severity * strength) {
                return None;
            }
            let which = luck.uniform(Topic::EventKind);
            if which < killing.timeouts {
                Some(None)
            } else if which < killing.timeouts + killing.soft_declines {
                Some(Some(OutcomeClass::SoftDecline))
            } else {
                Some(Some(killing.otherwise))
            }
        })
    }

    /// What happens on a good day; `None` is silence.
    fn ordinary(&self, luck: &Lucks, visit: &Visit<'_>, refusals: f64) -> Option<OutcomeClass> {
        if luck.payment.hits(Topic::Refusal, refusals) {
            return Some(OutcomeClass::Refusal);
        }
        if luck
            .attempt
            .hits(Topic::Success, self.channel.success.of(visit.payment))
        {
            return Some(OutcomeClass::Success);
        }
        let failures = self.channel.failures;
        let kinds = [
            (Some(OutcomeClass::SoftDecline), failures.soft_declines),
            (Some(OutcomeClass::TechnicalFailure), failures.errors),
            (None, failures.timeouts),
        ];
        let picked = luck
            .attempt
            .pick(Topic::FailureKind, &kinds, |(_, weight)| weight.get());
        picked.and_then(|(class, _)| *class)
    }

    /// Seconds to the answer.
    fn latency(&self, attempt: Chance, slowness: f64) -> f64 {
        let latency = self.channel.latency;
        let usual = latency.median_ms.get() * (latency.sigma.get() * attempt.normal(Topic::Latency)).exp();
        let usual = latency.max_ms.map_or(usual, |max| usual.min(max.get()));
        usual * slowness / 1e3
    }

    fn silent(&self, attempt: Chance, latency_s: f64) -> Fate {
        if attempt.hits(Topic::Arrival, SWALLOWED_SHARE) {
            return Fate(Work::Swallowed);
        }
        let timeout = Duration::from_millis(u64::from(self.channel.timeout_ms));
        Fate(Work::Stuck {
            given_up_after: timeout + number::seconds(latency_s),
        })
    }

    pub(super) fn codes(&self, class: OutcomeClass) -> &[Code] {
        let codes = &self.channel.codes;
        match class {
            OutcomeClass::Success => &codes.success,
            OutcomeClass::Refusal => &codes.refusal,
            OutcomeClass::SoftDecline => &codes.soft_decline,
            OutcomeClass::TechnicalFailure => &codes.technical_failure,
            OutcomeClass::Timeout => &codes.timeout,
            OutcomeClass::Busy => &codes.busy,
            OutcomeClass::Maintenance => &codes.maintenance,
            OutcomeClass::IssuerUnavailable => &codes.issuer_unavailable,
        }
    }
}

fn done(attempt: Chance, class: OutcomeClass, latency_s: f64, delivery: Delivery) -> Fate {
    let moment = CHARGED_FROM + (CHARGED_UNTIL - CHARGED_FROM) * attempt.uniform(Topic::Moment);
    Fate(Work::Done {
        class,
        answered_after: number::seconds(latency_s),
        charged_after: class.is_success().then(|| number::seconds(latency_s * moment)),
        delivery,
    })
}

/// The distribution function of the normal distribution, to 7 digits (Abramowitz and Stegun, 26.2.17).
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if x > 0.0 { 1.0 - tail } else { tail }
}
