//! What happens to channels in a scenario: outages, brown-outs and the rest, with a beginning and an end.

use std::time::Duration;

use domain::id::ChannelId;
use domain::outcome::OutcomeClass;
use domain::payment::Attributes;
use serde::Deserialize;

use super::channel::listed;
use super::quantity::{Positive, Probability, Seconds};

/// Something that happens to one channel, or to all, for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The channel; all of them when it is left out.
    #[serde(default)]
    pub channel: Option<ChannelId>,
    /// What happens.
    pub kind: Kind,
    /// When it begins.
    pub start_s: Seconds,
    /// When it begins to end: from then on it fades over `ramp_out_s`.
    pub end_s: Seconds,
    /// How long it takes to reach full strength.
    #[serde(default)]
    pub ramp_in_s: Seconds,
    /// How long it takes to fade.
    #[serde(default)]
    pub ramp_out_s: Seconds,
    /// Payment methods it concerns; empty is all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Issuers it concerns; empty is all.
    #[serde(default)]
    pub issuers: Vec<String>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// Nothing gets through.
    Outage {
        /// The share of attempts that get no answer; the others get an error.
        #[serde(default = "seventy_percent")]
        timeouts: Probability,
    },
    /// Part of the attempts fail.
    BrownOut {
        /// The share of attempts that fail because of it.
        severity: Probability,
        /// The share of those that get no answer.
        #[serde(default = "thirty_percent")]
        timeouts: Probability,
        /// The share of those that are refused without a reason; the rest get an error.
        #[serde(default = "never")]
        soft_declines: Probability,
    },
    /// The channel answers that it is closed.
    Maintenance,
    /// One bank does not answer the channel.
    IssuerOutage {
        /// The bank.
        issuer: String,
        /// The share of its payments that fail.
        #[serde(default = "always")]
        severity: Probability,
    },
    /// Answers take longer.
    Slow {
        /// How many times longer.
        factor: Positive,
    },
    /// The payment is worked on as ever, and its answer never comes.
    LostAnswers {
        /// The share of attempts that this happens to.
        share: Probability,
    },
    /// The answer comes twice.
    DuplicateAnswers {
        /// The share of answers that this happens to.
        share: Probability,
    },
    /// The channel takes so much and no more; what is above is told that it is busy.
    Busy {
        /// Payments per second that it takes.
        capacity_tps: Positive,
    },
}

const fn seventy_percent() -> Probability {
    Probability::percent(70)
}
const fn thirty_percent() -> Probability {
    Probability::percent(30)
}
const fn never() -> Probability {
    Probability::NEVER
}
const fn always() -> Probability {
    Probability::ALWAYS
}

/// How an event makes attempts fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Killing {
    /// The share of attempts that fail because of it, at full strength.
    pub severity: f64,
    /// The share of those that get no answer.
    pub timeouts: f64,
    /// The share of those that are refused without a reason.
    pub soft_declines: f64,
    /// What the rest is told.
    pub otherwise: OutcomeClass,
}

impl Kind {
    /// The name in plain words, for reports and plots.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Outage { .. } => "outage",
            Self::BrownOut { .. } => "brown-out",
            Self::Maintenance => "maintenance",
            Self::IssuerOutage { .. } => "issuer outage",
            Self::Slow { .. } => "slow answers",
            Self::LostAnswers { .. } => "lost answers",
            Self::DuplicateAnswers { .. } => "duplicate answers",
            Self::Busy { .. } => "busy",
        }
    }

    /// How it makes attempts fail; `None` for what changes an attempt without failing it, and for a capacity, which
    /// depends on the load.
    #[must_use]
    pub fn killing(&self) -> Option<Killing> {
        let plain = Killing {
            severity: 1.0,
            timeouts: 0.0,
            soft_declines: 0.0,
            otherwise: OutcomeClass::TechnicalFailure,
        };
        match self {
            Self::Outage { timeouts } => Some(Killing {
                timeouts: timeouts.get(),
                ..plain
            }),
            Self::BrownOut {
                severity,
                timeouts,
                soft_declines,
            } => Some(Killing {
                severity: severity.get(),
                timeouts: timeouts.get(),
                soft_declines: soft_declines.get(),
                ..plain
            }),
            Self::Maintenance => Some(Killing {
                otherwise: OutcomeClass::Maintenance,
                ..plain
            }),
            Self::IssuerOutage { severity, .. } => Some(Killing {
                severity: severity.get(),
                otherwise: OutcomeClass::IssuerUnavailable,
                ..plain
            }),
            Self::Slow { .. }
            | Self::LostAnswers { .. }
            | Self::DuplicateAnswers { .. }
            | Self::Busy { .. } => None,
        }
    }
}

impl Event {
    /// How strong it is at `at`, 0 to 1: it rises over `ramp_in_s` from its start and fades over `ramp_out_s` from its
    /// end.
    #[must_use]
    pub fn strength(&self, at: Duration) -> f64 {
        let (at, start, end) = (at.as_secs_f64(), self.start_s.get(), self.end_s.get());
        let (rise, fade) = (self.ramp_in_s.get(), self.ramp_out_s.get());
        if at < start || at >= end + fade {
            return 0.0;
        }
        let risen = if at < start + rise {
            (at - start) / rise
        } else {
            1.0
        };
        let left = if at >= end { 1.0 - (at - end) / fade } else { 1.0 };
        risen.min(left)
    }

    /// Whether it concerns `payment` on the channel that it happens to.
    #[must_use]
    pub fn matches(&self, payment: &Attributes) -> bool {
        let issuer = payment.issuer.as_deref();
        let bank = match &self.kind {
            Kind::IssuerOutage { issuer: down, .. } => issuer == Some(down),
            Kind::Outage { .. }
            | Kind::BrownOut { .. }
            | Kind::Maintenance
            | Kind::Slow { .. }
            | Kind::LostAnswers { .. }
            | Kind::DuplicateAnswers { .. }
            | Kind::Busy { .. } => true,
        };
        bank && listed(&self.methods, Some(&payment.method)) && listed(&self.issuers, issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(yaml: &str) -> Event {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn strength(event: &Event, tenths: u64) -> f64 {
        event.strength(Duration::from_millis(tenths * 100))
    }

    #[test]
    fn an_event_rises_holds_and_fades() {
        let event = event("{kind: maintenance, start_s: 10, end_s: 20, ramp_in_s: 2, ramp_out_s: 4}");
        for (tenths, expected) in [
            (99, 0.0),
            (110, 0.5),
            (120, 1.0),
            (199, 1.0),
            (220, 0.5),
            (240, 0.0),
        ] {
            assert!(
                (strength(&event, tenths) - expected).abs() < 1e-9,
                "at {tenths} tenths"
            );
        }
    }

    #[test]
    fn an_event_without_ramps_begins_and_ends_at_once() {
        let event = event("{kind: {outage: {}}, start_s: 10, end_s: 20}");
        assert!((strength(&event, 100) - 1.0).abs() < 1e-9);
        assert!(strength(&event, 200).abs() < 1e-9);
    }

    #[test]
    fn a_kind_with_an_unknown_field_is_refused() {
        let parsed: Result<Event, _> =
            serde_saphyr::from_str("{kind: {slow: {factr: 2}}, start_s: 1, end_s: 2}");
        assert!(parsed.unwrap_err().to_string().contains("factr"));
    }
}
