//! The numbers of the routing brain, with their defaults.
//!
//! Times are in seconds, weights and evidence in natural log-odds, shares between 0 and 1 unless said. The
//! defaults were found by simulation over many scenarios; they are meant to hold for every merchant, so there is
//! rarely a reason to change one.

use serde::{Deserialize, Serialize};

use super::rules::Rules;

/// Everything the brain can be tuned with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The estimate of success per channel and segment.
    pub estimate: Estimate,
    /// What counts as a sudden change of quality.
    pub change: Change,
    /// How response times are learnt.
    pub latency: Latency,
    /// What an attempt without an answer says.
    pub silence: Silence,
    /// The sequential test that trips a breaker.
    pub evidence: Evidence,
    /// Probing and the way back.
    pub recovery: Recovery,
    /// The answer to a channel that says it has too much to do.
    pub busy: Busy,
    /// When several breakers mean one cause.
    pub correlation: Correlation,
    /// What is spent on finding out.
    pub exploration: Exploration,
    /// The configured rules of practice, beside the sequential test.
    pub rules: Rules,
    /// Bounds on memory.
    pub limits: Limits,
}

/// One level of the hierarchical estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Standard deviation of a node around its parents, in log-odds: small values shrink sparse cells harder.
    pub deviation: f64,
    /// How fast a node may move, as variance per second: this is the forgetting.
    pub drift: f64,
}

impl Level {
    const fn new(deviation: f64, drift: f64) -> Self {
        Self { deviation, drift }
    }

    /// The variance of a node about which nothing is known.
    pub(super) fn variance(self) -> f64 {
        self.deviation * self.deviation
    }
}

/// The hierarchical logistic model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Estimate {
    /// Log-odds of success of a payment about which nothing is known.
    pub prior: f64,
    /// Levels of the payment's own terms: all, method, method x issuer, segment.
    pub base: [Level; 4],
    /// Levels of the channel's terms: channel, x method, x issuer, x method x issuer, x segment.
    pub channel: [Level; 5],
    /// Weight of a failover attempt; a first attempt has weight 1.
    pub failover_weight: f64,
    /// Least curvature p(1 - p) of one outcome, so that certain cells go on learning.
    pub min_curvature: f64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            prior: 2.4,
            base: [
                Level::new(1.0, 1e-5),
                Level::new(0.5, 1e-5),
                Level::new(0.4, 1e-5),
                Level::new(0.3, 5e-6),
            ],
            channel: [
                Level::new(0.5, 5e-5),
                Level::new(0.35, 1e-5),
                Level::new(0.30, 1e-5),
                Level::new(0.20, 5e-6),
                Level::new(0.15, 2e-6),
            ],
            failover_weight: 0.5,
            min_curvature: 0.02,
        }
    }
}

/// Declared changes of quality, and the doubt that follows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Length of the fast window, in outcomes.
    pub window: f64,
    /// The likelihood ratio n KL(seen || expected) above which a change is declared.
    pub threshold: f64,
    /// Least number of outcomes in the window.
    pub min_outcomes: f64,
    /// Largest jump.
    pub max_jump: f64,
    /// Distance from the remembered level above which doubt grows.
    pub doubt_gap: f64,
    /// Distance from the remembered level within which it is forgotten.
    pub forget_gap: f64,
    /// Distance below the slow level above which doubt grows without a declared change.
    pub slow_gap: f64,
    /// How long a degradation is expected to last.
    pub expected_duration_s: f64,
    /// Time constant with which remembered and slow levels follow the weight.
    pub memory_s: f64,
    /// Outcomes of a channel during which its slow levels follow at once.
    pub settling_outcomes: u32,
    /// A jump this recent is undone when a breaker of its channel trips: it was the outage, not the quality.
    pub undo_s: f64,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            window: 60.0,
            threshold: 8.0,
            min_outcomes: 5.0,
            max_jump: 4.0,
            doubt_gap: 0.3,
            forget_gap: 0.25,
            slow_gap: 0.4,
            expected_duration_s: 600.0,
            memory_s: 7_200.0,
            settling_outcomes: 500,
            undo_s: 30.0,
        }
    }
}

/// Stochastic approximation of response time quantiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Step of the first answers: `first_step / (answers + 8)`.
    pub first_step: f64,
    /// Smallest step.
    pub min_step: f64,
    /// Largest step.
    pub max_step: f64,
    /// Step of the 99th percentile.
    pub tail_step: f64,
    /// Spread of the starting quantiles: log standard deviation.
    pub start_deviation: f64,
    /// The starting 99th percentile, as a multiple of the first answer.
    pub start_tail: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            first_step: 4.0,
            min_step: 0.02,
            max_step: 0.4,
            tail_step: 0.3,
            start_deviation: 0.5,
            start_tail: 3.2,
        }
    }
}

/// What silence adds to the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Silence {
    /// Cumulative evidence of an attempt older than the 19th, 31st, 50th, 81st, 94th and 99th percentile.
    pub steps: [f64; 6],
    /// Evidence of an attempt that was just sent: one that is alive has not failed at once.
    pub alive: f64,
    /// Each percentile is multiplied by this before it counts as passed.
    pub margin: f64,
    /// Answers seen before the percentiles are trusted.
    pub min_answers: u32,
    /// An attempt older than this many times the 99th percentile has provisionally timed out.
    pub timeout_factor: f64,
    /// Least age of a provisional timeout.
    pub min_timeout_s: f64,
    /// Provisional timeout of a channel that has never answered and gave no limit of its own.
    pub unknown_timeout_s: f64,
    /// An attempt that is not reported within this is taken as abandoned by its caller.
    pub abandoned_after_s: f64,
    /// With a known time limit, abandoned after twice the limit plus this.
    pub abandoned_grace_s: f64,
    /// Weight of one attempt in the share that callers abandon.
    pub abandoned_rate: f64,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            steps: [0.12, 0.23, 0.44, 1.20, 2.09, 3.18],
            alive: -0.16,
            margin: 1.0,
            min_answers: 60,
            timeout_factor: 2.0,
            min_timeout_s: 0.4,
            unknown_timeout_s: 10.0,
            abandoned_after_s: 600.0,
            abandoned_grace_s: 60.0,
            abandoned_rate: 0.005,
        }
    }
}

/// The cumulative sum test of "down" against "as usual".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Evidence at which a breaker trips.
    pub trip: f64,
    /// Evidence above which nothing else is concluded from failures.
    pub alarm: f64,
    /// Success rate of a channel that is down.
    pub down_success: f64,
    /// Share of soft declines of a channel that is down.
    pub down_soft: f64,
    /// Share of technical failures of a channel that is down.
    pub down_technical: f64,
    /// Most that one technical failure adds.
    pub max_technical: f64,
    /// Smallest and largest expected failure rate.
    pub failure_rate: [f64; 2],
    /// Least distance of the expected failure rate above the technical one.
    pub min_soft_rate: f64,
    /// The technical failure rate of a channel about which nothing is known.
    pub technical_prior: f64,
    /// Smallest and largest technical failure rate.
    pub technical_rate: [f64; 2],
    /// Weight of one outcome in the technical failure rate.
    pub technical_step: f64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            trip: 12.0,
            alarm: 4.2,
            down_success: 0.15,
            down_soft: 0.25,
            down_technical: 0.60,
            max_technical: 4.2,
            failure_rate: [0.03, 0.6],
            min_soft_rate: 0.02,
            technical_prior: 0.01,
            technical_rate: [0.003, 0.06],
            technical_step: 0.0005,
        }
    }
}

/// Probes and the ramp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// Wait from the trip to the first probe.
    pub first_wait_s: f64,
    /// The same after a maintenance code.
    pub maintenance_wait_s: f64,
    /// Factor of the wait after each failed probe.
    pub wait_growth: f64,
    /// Longest wait.
    pub max_wait_s: f64,
    /// A trip this soon after the return is a relapse, which doubles wait and longest wait.
    pub relapse_within_s: f64,
    /// Most doublings.
    pub max_relapses: u8,
    /// Share of the scope's payments that may go to probes, beyond the first one.
    pub probe_share: f64,
    /// However few payments there are, this often one may go to a probe, in seconds: a share of one payment a second
    /// would not pay for a probe in five minutes, and a shop that small must not wait so long for its channel.
    pub probe_every_s: f64,
    /// A payment whose method usually answers this many times slower than the channel's fastest is a poor probe.
    pub slow_probe_factor: f64,
    /// Such a payment is used only when the probe is overdue by this.
    pub slow_probe_after_s: f64,
    /// Successful probes before the ramp.
    pub probes_to_pass: u8,
    /// First step of the ramp: the share of payments let through.
    pub ramp_start: f64,
    /// Factor between steps.
    pub ramp_growth: f64,
    /// Successes needed at each step.
    pub ramp_successes: u32,
    /// Least time at each step.
    pub ramp_step_s: f64,
    /// Evidence at the start of the ramp, as a share of what trips.
    pub ramp_evidence: f64,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            first_wait_s: 1.0,
            maintenance_wait_s: 3.0,
            wait_growth: 1.4,
            max_wait_s: 15.0,
            relapse_within_s: 60.0,
            max_relapses: 4,
            probe_share: 0.003,
            probe_every_s: 60.0,
            slow_probe_factor: 2.0,
            slow_probe_after_s: 5.0,
            probes_to_pass: 2,
            ramp_start: 0.25,
            ramp_growth: 2.5,
            ramp_successes: 4,
            ramp_step_s: 0.3,
            ramp_evidence: 0.4,
        }
    }
}

/// Allowance of a channel that answers "busy".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Busy {
    /// Factor of the allowance at each busy answer.
    pub factor: f64,
    /// Busy answers closer than this count once.
    pub spacing_s: f64,
    /// Smallest allowance.
    pub floor: f64,
    /// Allowance given back per second.
    pub recovery_per_s: f64,
}

impl Default for Busy {
    fn default() -> Self {
        Self {
            factor: 0.7,
            spacing_s: 0.2,
            floor: 0.05,
            recovery_per_s: 0.04,
        }
    }
}

/// Several breakers, one cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Correlation {
    /// Two methods of one channel tripped within this: the channel is down.
    pub methods_within_s: f64,
    /// Three issuers of one channel tripped within this: the channel is down.
    pub issuers_within_s: f64,
    /// One issuer tripped on two channels, or one method on all, within this: the issuer or method is down.
    pub channels_within_s: f64,
    /// A method or issuer with this share of the channel's evidence trips in its place.
    pub explaining_share: f64,
    /// What stays of the channel's evidence when one of its issuers trips, as a share of what trips.
    pub rest_of_issuer: f64,
    /// The same when one of its methods trips.
    pub rest_of_method: f64,
    /// Successes in a row that end an incident.
    pub successes_to_end: u8,
}

impl Default for Correlation {
    fn default() -> Self {
        Self {
            methods_within_s: 30.0,
            issuers_within_s: 20.0,
            channels_within_s: 60.0,
            explaining_share: 0.75,
            rest_of_issuer: 0.5,
            rest_of_method: 0.7,
            successes_to_end: 3,
        }
    }
}

/// The budget of exploration and what it is spent on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exploration {
    /// Tokens granted at the start for each channel but one.
    pub start_tokens: f64,
    /// Most tokens that are saved up after the start.
    pub max_tokens: f64,
    /// Factor of the standard deviation in the draws of first attempts.
    pub first_factor: f64,
    /// Factor of the standard deviation in the draws of failover attempts.
    pub failover_factor: f64,
    /// Share of the traffic that asks a degraded channel.
    pub revisit_share: f64,
    /// Shortest and longest time between two such questions.
    pub revisit_wait_s: [f64; 2],
    /// A channel x method that was not asked for this long is asked once.
    pub stale_s: f64,
    /// The time is stretched by 1 + gap / this, where gap is how far its success rate is below the leader's.
    pub stale_gap: f64,
}

impl Default for Exploration {
    fn default() -> Self {
        Self {
            start_tokens: 100.0,
            max_tokens: 20.0,
            first_factor: 0.3,
            failover_factor: 1.0,
            revisit_share: 0.005,
            revisit_wait_s: [1.0, 30.0],
            stale_s: 20.0,
            stale_gap: 0.03,
        }
    }
}

/// Bounds on what is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Issuers told apart; the rest is one issuer, `other`.
    pub issuers: u16,
    /// Methods told apart; the rest is one method, `other`.
    pub methods: u16,
    /// Segments (method x issuer x band) with a term of their own; the rest stays at its parents.
    pub segments: u32,
    /// Attempts without an answer that are watched; beyond them silence is not heard.
    pub in_flight: usize,
    /// Transitions kept until they are taken.
    pub transitions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            issuers: 512,
            methods: 64,
            segments: 65_536,
            in_flight: 65_536,
            transitions: 1_024,
        }
    }
}
