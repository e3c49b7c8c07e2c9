//! From one evaluation of an alert to the next.

use jiff::{SignedDuration, Timestamp};

use super::dimension::Scope;
use super::instance::{Clock, Instance, ReadError, State};
use super::judge::{Judgement, judge};
use super::observation::Reading;
use super::rule::Rule;
use super::transition::{Change, Resolution, Transition};

/// After so long without an evaluation nobody knows whether a check held all the time: its clock begins anew.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(1);

/// How much too early an evaluation may come to find that a check has held for its time: nobody wakes at the very
/// moment, and waiting for the next one would tell everybody a whole period later.
const EARLY: SignedDuration = SignedDuration::from_millis(100);

/// The alert of `rule` about `scope` after `reading`, and what has happened to it since `before`.
#[must_use]
pub(super) fn step(
    rule: &Rule,
    scope: &Scope,
    reading: &Reading,
    before: Option<Instance>,
    now: Timestamp,
) -> (Instance, Vec<Transition>) {
    let mut instance = before.unwrap_or_else(|| Instance::new(rule, scope, now));
    instance.severity = rule.severity;
    instance.labels = rule.labels_of(scope);
    instance.evaluated_at = now;
    let mut step = Step {
        rule,
        instance,
        now,
        transitions: Vec::new(),
    };
    match reading {
        Reading::Known(seen) => {
            let judgement = judge(rule, seen, now);
            step.read_back();
            // An alert that fires and hears of nothing is not told to be well.
            if judgement.is_quiet && step.instance.state.is_active() {
                step.lose_data();
            } else {
                step.data_back();
            }
            step.instance.measured = judgement.measured;
            step.advance(&judgement);
        }
        Reading::NoData => {
            step.read_back();
            step.lose_data();
            step.know_nothing();
        }
        Reading::Error(message) => {
            step.fail_to_read(message);
            step.know_nothing();
        }
    }
    if step.instance.flaps.settle(now) {
        step.note(Change::Steady);
    }
    (step.instance, step.transitions)
}

/// Ends an alert whatever was measured. What happened; `None` when it was over, or had not begun.
#[must_use]
pub(super) fn end(instance: &mut Instance, by: Resolution, now: Timestamp) -> Option<Transition> {
    let change = match instance.state {
        State::Inactive | State::Resolved { .. } => return None,
        State::Pending { .. } => {
            instance.state = State::Inactive;
            Change::Cancelled
        }
        State::Firing { since: firing_since } | State::Recovering { firing_since, .. } => {
            instance.state = State::Resolved {
                at: now,
                firing_since,
                by,
            };
            Change::Resolved { by }
        }
    };
    instance.clocks.clear();
    Some(Transition {
        fingerprint: instance.fingerprint.clone(),
        generation: instance.generation,
        at: now,
        change,
        measured: instance.measured,
    })
}

struct Step<'a> {
    rule: &'a Rule,
    instance: Instance,
    now: Timestamp,
    transitions: Vec<Transition>,
}

impl Step<'_> {
    fn advance(&mut self, judgement: &Judgement) {
        let ripe_since = self.wind(judgement);
        let is_crossed = !judgement.held.is_empty();
        match self.instance.state {
            State::Inactive | State::Resolved { .. } if is_crossed => match ripe_since {
                Some(since) => self.fire(since),
                None => self.become_pending(),
            },
            State::Pending { .. } => match ripe_since {
                Some(since) => self.fire(since),
                None if is_crossed => {}
                None => {
                    self.instance.state = State::Inactive;
                    self.note(Change::Cancelled);
                }
            },
            State::Firing { since } if judgement.is_clear => {
                self.instance.state = State::Recovering {
                    since: self.now,
                    firing_since: since,
                };
                self.note(Change::Recovering);
            }
            State::Recovering { since, .. } => self.recover(judgement, since),
            State::Inactive | State::Resolved { .. } | State::Firing { .. } => {}
        }
    }

    /// Winds the clocks of the checks. Since when the line is crossed, when one of them held for long enough.
    fn wind(&mut self, judgement: &Judgement) -> Option<Timestamp> {
        let now = self.now;
        let held: Vec<_> = judgement
            .held
            .iter()
            .filter_map(|place| self.rule.checks.get(*place))
            .map(|check| (check.to_string(), check.hold))
            .collect();
        let clocks = &mut self.instance.clocks;
        clocks.retain(|name, _| held.iter().any(|(held, _)| held == name));
        let mut is_ripe = false;
        for (name, hold) in held {
            let clock = clocks.entry(name).or_insert(Clock {
                since: now,
                seen_at: now,
            });
            if now.duration_since(clock.seen_at) > LONGEST_GAP {
                clock.since = now;
            }
            clock.seen_at = now;
            is_ripe |= now.duration_since(clock.since).saturating_add(EARLY) >= hold;
        }
        let since = clocks.values().map(|clock| clock.since).min();
        since.filter(|_| is_ripe)
    }

    fn become_pending(&mut self) {
        self.instance.state = State::Pending { since: self.now };
        self.note(Change::Pending);
    }

    fn fire(&mut self, since: Timestamp) {
        self.instance.generation = self.instance.generation.saturating_add(1);
        self.instance.acknowledged = None;
        self.instance.state = State::Firing { since };
        self.note(Change::Fired);
        self.count_flap(true);
    }

    fn recover(&mut self, judgement: &Judgement, since: Timestamp) {
        if !judgement.is_clear {
            self.relapse();
            if !judgement.held.is_empty() {
                self.count_flap(false);
            }
            return;
        }
        let keep = self.instance.flaps.kept(self.rule.keep_firing_for);
        if self.now.duration_since(since) >= keep {
            self.transitions
                .extend(end(&mut self.instance, Resolution::Recovered, self.now));
        }
    }

    fn relapse(&mut self) {
        if let State::Recovering { firing_since, .. } = self.instance.state {
            self.instance.state = State::Firing { since: firing_since };
            self.note(Change::Relapsed);
        }
    }

    fn count_flap(&mut self, anew: bool) {
        if self.instance.flaps.fired(anew, self.now) {
            self.note(Change::Flapping);
        }
    }

    /// Without knowledge nothing begins and nothing ends; and what only seemed over may not be.
    fn know_nothing(&mut self) {
        self.relapse();
    }

    fn lose_data(&mut self) {
        if self.instance.no_data_since.is_none() {
            self.instance.no_data_since = Some(self.now);
            if self.instance.state.is_active() {
                self.note(Change::DataLost);
            }
        }
    }

    fn data_back(&mut self) {
        if self.instance.no_data_since.take().is_some() && self.instance.state.is_active() {
            self.note(Change::DataBack);
        }
    }

    fn fail_to_read(&mut self, message: &str) {
        let since = self.instance.error.as_ref().map(|error| error.since);
        self.instance.error = Some(ReadError {
            since: since.unwrap_or(self.now),
            message: message.into(),
        });
        if since.is_none() && self.instance.state.is_active() {
            self.note(Change::ReadFailed);
        }
    }

    fn read_back(&mut self) {
        if self.instance.error.take().is_some() && self.instance.state.is_active() {
            self.note(Change::ReadBack);
        }
    }

    fn note(&mut self, change: Change) {
        self.transitions.push(Transition {
            fingerprint: self.instance.fingerprint.clone(),
            generation: self.instance.generation,
            at: self.now,
            change,
            measured: self.instance.measured,
        });
    }
}
