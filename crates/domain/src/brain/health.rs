//! The brain's state as people and machines read it: per channel, and as a list of what changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::member::{Forced, Part};
use super::state::{Reason, State};
use super::{Brain, ChannelIx};
use crate::id::ChannelId;

/// What a breaker or an incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A whole channel.
    Channel,
    /// One method.
    Method(Box<str>),
    /// One issuer.
    Issuer(Box<str>),
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A breaker of a channel changed its state.
    Breaker {
        /// Whose breaker.
        channel: ChannelId,
        /// The state before.
        from: State,
        /// The state after.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// The scope fails on several channels: an incident of the issuer or method began.
    IncidentBegan,
    /// The incident ended.
    IncidentEnded,
}

/// One breaker that is not simply healthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScopeHealth {
    /// Which one.
    pub scope: Scope,
    /// Its state.
    pub state: State,
    /// Since when; `None` if it never changed.
    pub since: Option<Timestamp>,
    /// Share of payments that its ramp lets through, between 0 and 1.
    pub allowance: f64,
    /// Evidence for "down", as a share of what trips; 0 is none.
    pub evidence: f64,
    /// When it last tripped: outcomes of earlier decisions do not change it.
    pub tripped_at: Option<Timestamp>,
    /// Why it last tripped.
    pub last_trip: Option<Reason>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelHealth {
    /// Which one.
    pub channel: ChannelId,
    /// Its own breaker.
    pub breaker: ScopeHealth,
    /// Breakers of its methods and issuers that are not healthy.
    pub scopes: Vec<ScopeHealth>,
    /// Share of payments it gets after "busy" answers, between 0 and 1.
    pub busy_allowance: f64,
    /// Log-odds of its success relative to other channels, all segments together.
    pub quality: f64,
    /// Outcomes learnt from.
    pub outcomes: u32,
    /// What was decided by hand, and until when.
    pub forced: Option<(Forced, Timestamp)>,
}

/// A change of one breaker's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) part: Part,
    /// Before and after.
    pub(super) states: [State; 2],
    pub(super) reason: Reason,
}

impl Brain {
    /// The health of every configured channel, as of the latest time the brain was given.
    #[must_use]
    pub fn health(&self) -> Vec<ChannelHealth> {
        let configured = self.members.iter().filter(|member| member.configured);
        configured
            .map(|member| {
                let methods = member.methods.iter().map(|(number, breaker)| {
                    let name = u16::try_from(number).map_or("", |number| self.names.method_name(number));
                    (Scope::Method(name.into()), breaker)
                });
                let issuers = member.issuers.iter().map(|(number, breaker)| {
                    let name = u16::try_from(number).map_or("", |number| self.names.issuer_name(number));
                    (Scope::Issuer(name.into()), breaker)
                });
                ChannelHealth {
                    channel: member.id.clone(),
                    breaker: self.scope_health(Scope::Channel, &member.breaker),
                    scopes: methods
                        .chain(issuers)
                        .filter(|(_, breaker)| breaker.state() != State::Healthy)
                        .map(|(scope, breaker)| self.scope_health(scope, breaker))
                        .collect(),
                    busy_allowance: member.allowance.at(self.now, &self.params.busy),
                    quality: member.quality.level(),
                    outcomes: member.quality.outcomes(),
                    forced: member
                        .forced
                        .filter(|(_, until)| self.timestamp(self.now) < *until),
                }
            })
            .collect()
    }

    /// Issuers and methods with an incident, and since when.
    #[must_use]
    pub fn incidents(&self) -> Vec<(Scope, Timestamp)> {
        let methods = self.methods.iter().filter_map(|(number, suspicion)| {
            let name = self.names.method_name(u16::try_from(number).ok()?);
            Some((Scope::Method(name.into()), self.timestamp(suspicion.since()?)))
        });
        let issuers = self.issuers.iter().filter_map(|(number, suspicion)| {
            let name = self.names.issuer_name(u16::try_from(number).ok()?);
            Some((Scope::Issuer(name.into()), self.timestamp(suspicion.since()?)))
        });
        methods.chain(issuers).collect()
    }

    fn scope_health(&self, scope: Scope, breaker: &Breaker) -> ScopeHealth {
        let time = |seconds: f64| seconds.is_finite().then(|| self.timestamp(seconds));
        ScopeHealth {
            scope,
            state: breaker.state(),
            since: time(breaker.since()),
            allowance: breaker.allowance(),
            evidence: breaker.evidence() / self.params.evidence.trip,
            tripped_at: time(breaker.tripped_at()),
            last_trip: breaker.last_trip(),
        }
    }

    /// Notes a breaker's change of state for the log, if it is one.
    pub(super) fn note(&mut self, at: f64, channel: ChannelIx, shift: Shift) {
        let Some(channel) = self.channel_id(channel).cloned() else {
            return;
        };
        let Shift {
            part,
            states: [from, to],
            reason,
        } = shift;
        if from != to {
            let event = Event::Breaker {
                channel,
                from,
                to,
                reason,
            };
            self.log_event(at, self.scope_of(part), event);
        }
    }

    /// Notes an event for the log; the oldest makes room.
    pub(super) fn log_event(&mut self, at: f64, scope: Scope, event: Event) {
        if self.log.len() >= self.params.limits.transitions {
            self.log.pop_front();
        }
        let at = self.timestamp(at);
        self.log.push_back(Transition { at, scope, event });
    }
}
