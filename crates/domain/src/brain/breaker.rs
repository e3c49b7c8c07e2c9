//! The breaker of one scope: a state machine fed by evidence, probes and the ramp.
//!
//! `Healthy -> Tripped -> Probing -> Ramping -> Healthy`. Attempts sent before the last trip, or before the start
//! of the ramp, are stragglers: their outcomes change nothing here, except that a late success brings the next
//! probe forward.

use serde::{Deserialize, Serialize};

use super::narrow::single;
use super::params::{Evidence, Recovery};
use super::state::{Reason, State};
use super::trail::Trail;

/// Whether failures were seen on one value or on several, since the evidence was last 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Spread {
    #[default]
    Nothing,
    One(u16),
    Several,
}

impl Spread {
    fn add(&mut self, value: u16) {
        *self = match *self {
            Self::Nothing => Self::One(value),
            Self::One(seen) if seen == value => Self::One(seen),
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

/// A probe that is out: which attempt, and when it counts as lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Probe {
    key: u64,
    deadline: f64,
}

/// How a probe, or other traffic of a tripped scope, came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The channel worked.
    Passed,
    /// It refused without a reason: not proof that it works, nor that it does not.
    Unclear,
    /// It failed, or was silent.
    Failed,
    /// The answer says nothing.
    Void,
}

/// The breaker of one scope.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Breaker {
    state: State,
    since: f64,
    reason: Option<Reason>,
    trail: Trail,
    issuers: Spread,
    methods: Spread,
    /// The last trip, or minus infinity: attempts sent before it are stragglers.
    tripped_at: f64,
    /// The start of the last ramp, or minus infinity.
    ramped_at: f64,
    relapses: u8,
    wait: f64,
    probe_at: f64,
    probe: Option<Probe>,
    follow_up: bool,
    probes: u32,
    payments: u32,
    passed: u8,
    level: f64,
    level_since: f64,
    level_successes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Healthy,
            since: f64::NEG_INFINITY,
            reason: None,
            trail: Trail::new(0.0),
            issuers: Spread::Nothing,
            methods: Spread::Nothing,
            tripped_at: f64::NEG_INFINITY,
            ramped_at: f64::NEG_INFINITY,
            relapses: 0,
            wait: 0.0,
            probe_at: 0.0,
            probe: None,
            follow_up: false,
            probes: 0,
            payments: 0,
            passed: 0,
            level: 1.0,
            level_since: 0.0,
            level_successes: 0,
        }
    }
}

impl Breaker {
    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// When the state began, in seconds; minus infinity if it never changed.
    pub(super) const fn since(&self) -> f64 {
        self.since
    }

    /// Why the breaker last tripped.
    pub(super) const fn last_trip(&self) -> Option<Reason> {
        self.reason
    }

    /// The evidence for "down", at least 0.
    pub(super) fn evidence(&self) -> f64 {
        self.trail.sum().0
    }

    /// When the attempts that the evidence comes from began to be sent, in seconds.
    pub(super) fn suspect_since(&self) -> f64 {
        self.trail.sum().1
    }

    pub(super) const fn tripped_at(&self) -> f64 {
        self.tripped_at
    }

    /// Tripped or probing: closed to ordinary payments.
    pub(super) const fn is_shut(&self) -> bool {
        matches!(self.state, State::Tripped | State::Probing)
    }

    /// The share of payments let through: 1 healthy, 0 shut, between in the ramp.
    pub(super) const fn allowance(&self) -> f64 {
        match self.state {
            State::Healthy => 1.0,
            State::Tripped | State::Probing => 0.0,
            State::Ramping => self.level,
        }
    }

    /// Whether an attempt sent at `sent` speaks about the present, and not about the time before a trip or ramp.
    pub(super) const fn hears(&self, sent: f64) -> bool {
        sent >= self.tripped_at && sent >= self.ramped_at
    }

    /// Whether an attempt was sent before the last trip.
    pub(super) const fn is_straggler(&self, sent: f64) -> bool {
        sent < self.tripped_at
    }

    /// Adds what an attempt sent at `sent` says; less than 0 takes doubt back. What is known to have failed, as
    /// (method, issuer), widens the spread.
    pub(super) fn add(&mut self, sent: f64, evidence: f64, failed: Option<(u16, u16)>, cap: f64) {
        self.trail.add(sent, evidence);
        let sum = self.evidence();
        if sum > cap {
            self.trail.lower(sum - cap);
        }
        self.widen(sum, failed);
    }

    /// Takes off evidence that something else explains.
    pub(super) fn lower(&mut self, evidence: f64) {
        self.trail.lower(evidence);
        self.widen(self.evidence(), None);
    }

    fn widen(&mut self, evidence: f64, failed: Option<(u16, u16)>) {
        if evidence <= 0.0 {
            self.issuers = Spread::Nothing;
            self.methods = Spread::Nothing;
        } else if let Some((method, issuer)) = failed {
            self.methods.add(method);
            self.issuers.add(issuer);
        }
    }

    /// Whether the evidence is enough to trip.
    pub(super) fn is_convinced(&self, params: &Evidence) -> bool {
        matches!(self.state, State::Healthy | State::Ramping) && self.evidence() >= params.trip
    }

    /// Whether the failures are seen with more than one issuer, or there is none other.
    pub(super) const fn spans_issuers(&self, known: usize) -> bool {
        known < 2 || matches!(self.issuers, Spread::Several)
    }

    /// Whether the failures are seen with more than one method, or there is none other.
    pub(super) const fn spans_methods(&self, known: usize) -> bool {
        known < 2 || matches!(self.methods, Spread::Several)
    }

    /// Trips, for `reason`; the first probe is due after a wait that grows with relapses.
    pub(super) fn trip(&mut self, now: f64, reason: Reason, recovery: &Recovery) {
        let relapsed = match self.state {
            State::Healthy => now - self.since < recovery.relapse_within_s && self.tripped_at.is_finite(),
            State::Tripped | State::Probing | State::Ramping => true,
        };
        self.relapses = if relapsed {
            self.relapses.saturating_add(1).min(recovery.max_relapses)
        } else {
            0
        };
        let first = if reason == Reason::Maintenance {
            recovery.maintenance_wait_s
        } else {
            recovery.first_wait_s
        };
        self.wait = first * self.stretch();
        self.state = State::Tripped;
        self.since = now;
        self.reason = Some(reason);
        self.trail = Trail::new(0.0);
        self.issuers = Spread::Nothing;
        self.methods = Spread::Nothing;
        self.tripped_at = now;
        self.probe_at = now + self.wait;
        self.probe = None;
        self.follow_up = false;
        self.probes = 0;
        self.payments = 0;
        self.passed = 0;
    }

    fn stretch(&self) -> f64 {
        f64::from(1_u32.checked_shl(u32::from(self.relapses)).unwrap_or(1))
    }

    /// Goes back to healthy as if nothing had been, because the cause lay elsewhere.
    pub(super) fn reset(&mut self, now: f64) {
        let (tripped_at, ramped_at) = (self.tripped_at, self.ramped_at);
        *self = Self {
            since: now,
            reason: self.reason,
            tripped_at,
            ramped_at,
            ..Self::default()
        };
    }

    /// Counts a payment that the scope would have taken: probes are a share of them.
    pub(super) fn count_payment(&mut self) {
        self.payments = self.payments.saturating_add(1);
    }

    /// Whether a probe may be sent now.
    pub(super) fn wants_probe(&self, now: f64, recovery: &Recovery) -> bool {
        if !self.is_shut() || self.probe.is_some() || now < self.probe_at {
            return false;
        }
        let by_share = recovery.probe_share * f64::from(self.payments);
        let by_time = (now - self.tripped_at).max(0.0) / recovery.probe_every_s;
        let budget = 1.0 + by_share.max(by_time);
        self.follow_up || f64::from(self.probes) + 1.0 <= budget
    }

    /// When the next probe is due, in seconds.
    pub(super) const fn probe_at(&self) -> f64 {
        self.probe_at
    }

    /// Sends attempt `key` as a probe that counts as lost at `deadline`.
    pub(super) fn send_probe(&mut self, now: f64, key: u64, deadline: f64) {
        self.probe = Some(Probe { key, deadline });
        if !self.follow_up {
            self.probes = self.probes.saturating_add(1);
        }
        self.follow_up = false;
        self.state = State::Probing;
        self.since = now;
    }

    /// Hears that a peer sent attempt `key` at `sent` as a probe. It takes the slot if that is free.
    pub(super) fn hear_probe(&mut self, sent: f64, key: u64, deadline: f64) {
        if !self.is_shut() || self.is_straggler(sent) {
            return;
        }
        if self.probe.is_none() {
            self.send_probe(sent, key, deadline);
        } else {
            self.probes = self.probes.saturating_add(1);
        }
    }

    /// Whether the probe that is out is lost at `now`.
    pub(super) fn is_probe_lost(&self, now: f64) -> bool {
        self.probe.is_some_and(|probe| now >= probe.deadline)
    }

    /// Frees the slot of a lost probe, which counts as failed.
    pub(super) fn lose_probe(&mut self, now: f64, recovery: &Recovery) {
        self.probe = None;
        self.fail(now, recovery.wait_growth, recovery);
    }

    fn fail(&mut self, now: f64, growth: f64, recovery: &Recovery) {
        self.passed = 0;
        self.follow_up = false;
        self.probe_at = now + self.wait;
        self.wait = (self.wait * growth).min(recovery.max_wait_s * self.stretch());
        self.state = State::Tripped;
        self.since = now;
    }

    /// Takes the outcome of attempt `key`, sent after the trip, while shut. Returns whether the ramp began.
    pub(super) fn conclude(&mut self, now: f64, key: u64, verdict: Verdict, recovery: &Recovery) -> bool {
        let is_probe = self.probe.is_some_and(|probe| probe.key == key);
        if is_probe {
            self.probe = None;
        }
        match verdict {
            Verdict::Passed => {
                self.passed = self.passed.saturating_add(1);
                if self.passed >= recovery.probes_to_pass {
                    return true;
                }
                self.follow_up = true;
                self.probe_at = now;
            }
            Verdict::Failed if is_probe => self.fail(now, recovery.wait_growth, recovery),
            Verdict::Unclear if is_probe => self.fail(now, recovery.wait_growth.sqrt(), recovery),
            Verdict::Void if is_probe => self.probe_at = now + self.wait,
            Verdict::Failed | Verdict::Unclear | Verdict::Void => {}
        }
        false
    }

    /// A straggler succeeded: something answers again, so ask soon.
    pub(super) fn hasten(&mut self, now: f64) {
        if self.is_shut() && self.probe.is_none() {
            self.probe_at = self.probe_at.min(now);
        }
    }

    /// Starts the ramp.
    pub(super) fn ramp(&mut self, now: f64, recovery: &Recovery, evidence: &Evidence) {
        self.state = State::Ramping;
        self.since = now;
        self.ramped_at = now;
        self.level = recovery.ramp_start;
        self.level_since = now;
        self.level_successes = 0;
        self.trail = Trail::new(single(recovery.ramp_evidence * evidence.trip));
        self.probe = None;
    }

    /// Counts a success in the ramp. Returns whether the ramp is complete.
    pub(super) fn climb(&mut self, now: f64, recovery: &Recovery) -> bool {
        if self.state != State::Ramping {
            return false;
        }
        self.level_successes = self.level_successes.saturating_add(1);
        if self.level_successes < recovery.ramp_successes || now - self.level_since < recovery.ramp_step_s {
            return false;
        }
        self.level *= recovery.ramp_growth;
        self.level_since = now;
        self.level_successes = 0;
        if self.level < 1.0 {
            return false;
        }
        self.level = 1.0;
        self.state = State::Healthy;
        self.since = now;
        true
    }
}
