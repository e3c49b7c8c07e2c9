//! What the brain knows about one channel.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::allowance::Allowance;
use super::breaker::Breaker;
use super::estimate::Quality;
use super::evidence::{Sign, TechnicalRate, Usual};
use super::intern::Segment;
use super::latency::Latency;
use super::params::Params;
use super::rules::Memory;
use super::silence::{Abandonment, Stages};
use super::state::State;
use super::table::Table;
use crate::id::ChannelId;

/// Somebody's decision about a channel's breaker, with an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    /// Never selected, in panic either.
    Out,
    /// Selected as if its breakers were healthy; they are left as they are.
    In,
    /// Its breakers go on as usual and are shown, but keep no payment away.
    ObserveOnly,
}

/// One of the three breakers of a cell, in the order in which evidence is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Issuer(u16),
    Method(u16),
    Channel,
}

impl Part {
    /// Whether payments of `segment` belong to it.
    pub(super) const fn concerns(self, segment: Segment) -> bool {
        match self {
            Self::Issuer(issuer) => issuer == segment.issuer,
            Self::Method(method) => method == segment.method,
            Self::Channel => true,
        }
    }
}

/// A channel: its estimate, breakers, response times and limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: ChannelId,
    /// Whether it is still configured; what was learnt is kept in any case.
    pub(super) configured: bool,
    pub(super) quality: Quality,
    pub(super) technical: TechnicalRate,
    pub(super) breaker: Breaker,
    pub(super) methods: Table<Breaker>,
    pub(super) issuers: Table<Breaker>,
    pub(super) ways: Table<Way>,
    pub(super) allowance: Allowance,
    pub(super) rules: Memory,
    pub(super) answered_at: f64,
    pub(super) revisited_at: f64,
    pub(super) forced: Option<(Forced, Timestamp)>,
}

/// What is known about one method of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) latency: Latency,
    pub(super) abandonment: Abandonment,
    pub(super) asked_at: f64,
}

impl Member {
    /// A channel about which nothing is known.
    pub(super) fn new(id: ChannelId, params: &Params) -> Self {
        Self {
            id,
            configured: true,
            quality: Quality::new(&params.estimate),
            technical: TechnicalRate::new(&params.evidence),
            breaker: Breaker::default(),
            methods: Table::new(Breaker::default()),
            issuers: Table::new(Breaker::default()),
            ways: Table::new(Way {
                latency: Latency::default(),
                abandonment: Abandonment::default(),
                asked_at: f64::NEG_INFINITY,
            }),
            allowance: Allowance::default(),
            rules: Memory::default(),
            answered_at: f64::NEG_INFINITY,
            revisited_at: f64::NEG_INFINITY,
            forced: None,
        }
    }

    /// The three parts of a cell, issuer first.
    pub(super) const fn parts(segment: Segment) -> [Part; 3] {
        [
            Part::Issuer(segment.issuer),
            Part::Method(segment.method),
            Part::Channel,
        ]
    }

    pub(super) fn part(&self, part: Part) -> &Breaker {
        match part {
            Part::Issuer(issuer) => self.issuers.at(usize::from(issuer)),
            Part::Method(method) => self.methods.at(usize::from(method)),
            Part::Channel => &self.breaker,
        }
    }

    pub(super) fn part_mut(&mut self, part: Part) -> &mut Breaker {
        match part {
            Part::Issuer(issuer) => self.issuers.at_mut(usize::from(issuer)),
            Part::Method(method) => self.methods.at_mut(usize::from(method)),
            Part::Channel => &mut self.breaker,
        }
    }

    /// The worst state of the three breakers of `segment`.
    pub(super) fn state(&self, segment: Segment) -> State {
        let states = Self::parts(segment).map(|part| self.part(part).state());
        let worst = |state: &State| match state {
            State::Healthy => 0,
            State::Ramping => 1,
            State::Probing => 2,
            State::Tripped => 3,
        };
        states.into_iter().max_by_key(worst).unwrap_or_default()
    }

    /// Whether a breaker of `segment` is shut.
    pub(super) fn is_shut(&self, segment: Segment) -> bool {
        Self::parts(segment).iter().any(|part| self.part(*part).is_shut())
    }

    /// The share of payments of `segment` let through: breakers and busy allowance together.
    pub(super) fn share(&self, segment: Segment, now: f64, params: &Params) -> f64 {
        let breakers: f64 = Self::parts(segment)
            .iter()
            .map(|part| self.part(*part).allowance())
            .product();
        breakers * self.allowance.at(now, &params.busy)
    }

    /// The breakers that probes of `segment` would test: the channel's if it is shut, else the others that are.
    pub(super) fn shut_parts(&self, segment: Segment) -> impl Iterator<Item = Part> + use<> {
        let channel = self.breaker.is_shut();
        let method = !channel && self.part(Part::Method(segment.method)).is_shut();
        let issuer = !channel && self.part(Part::Issuer(segment.issuer)).is_shut();
        [
            issuer.then_some(Part::Issuer(segment.issuer)),
            method.then_some(Part::Method(segment.method)),
            channel.then_some(Part::Channel),
        ]
        .into_iter()
        .flatten()
    }

    /// The highest evidence of the three breakers.
    pub(super) fn evidence(&self, segment: Segment) -> f64 {
        Self::parts(segment)
            .iter()
            .map(|part| self.part(*part).evidence())
            .fold(0.0, f64::max)
    }

    /// Whether all three breakers are healthy.
    pub(super) fn is_healthy(&self, segment: Segment) -> bool {
        self.state(segment) == State::Healthy
    }

    /// What is usual for a payment that succeeds with probability `success`.
    pub(super) fn usual(&self, success: f64, params: &Params) -> Usual {
        Usual::new(success, self.technical.value(), &params.evidence)
    }

    /// Learns the technical failure rate while nothing is wrong.
    pub(super) fn learn_technical(&mut self, sign: Sign, segment: Segment, params: &Params) {
        if self.is_healthy(segment) && self.evidence(segment) < params.evidence.alarm {
            self.technical.learn(sign, &params.evidence);
        }
    }

    /// The ages at which an attempt of `segment` passes its stages of silence.
    pub(super) fn stages(&self, segment: Segment, limit: f64, params: &Params) -> Stages {
        Stages::new(
            &self.ways.at(segment.method_index()).latency,
            limit,
            &params.silence,
        )
    }

    /// Whether answers of the segment's method take much longer than those of the channel's fastest.
    pub(super) fn is_slow(&self, segment: Segment, params: &Params) -> bool {
        let median = |way: &Way| (way.latency.answers() > 0).then(|| way.latency.median());
        let fastest = self
            .ways
            .iter()
            .filter_map(|(_, way)| median(way))
            .fold(f64::INFINITY, f64::min);
        let own = median(self.ways.at(segment.method_index())).unwrap_or(f64::INFINITY);
        own > params.recovery.slow_probe_factor * fastest
    }

    /// What was decided by hand, if it still holds at `now`.
    pub(super) fn forced_at(&self, now: Timestamp) -> Option<Forced> {
        self.forced
            .filter(|(_, until)| now < *until)
            .map(|(forced, _)| forced)
    }
}
