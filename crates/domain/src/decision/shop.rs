//! What a shop routes by.

use crate::brain::{self, Brain, ChannelIx};
use crate::channels::{ChannelIndex, Channels, Configuration};
use crate::limit;
use crate::policy::{BreakerRules, Policy};
use crate::suspension::Suspension;

/// The configuration of a shop: read by every decision, never changed, replaced whole.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The channels.
    pub channels: Channels,
    /// The suspensions, past and future ones included.
    pub suspensions: Vec<Suspension>,
    /// The limits; what they have counted is kept elsewhere.
    pub limits: Vec<limit::Rule>,
    /// The policy, loaded for these channels.
    pub policy: Policy,
    /// The brain's number for each channel, by place.
    known_as: Vec<Option<ChannelIx>>,
}

impl Shop {
    /// A shop whose channels and breaker rules are made known to `brain`, which keeps what it has learnt of channels
    /// that it knew before.
    #[must_use]
    pub fn open(configuration: Configuration, policy: Policy, brain: &mut Brain) -> Self {
        let Configuration {
            channels,
            suspensions,
            limits,
        } = configuration;
        let ids: Vec<_> = channels.iter().map(|(_, channel)| channel.id.clone()).collect();
        brain.set_channels(&ids);
        brain.set_rules(rules(policy.breaker_rules()));
        Self {
            known_as: ids.iter().map(|id| brain.channel_ix(id)).collect(),
            channels,
            suspensions,
            limits,
            policy,
        }
    }

    /// The brain's number for a channel.
    #[must_use]
    pub fn known_as(&self, index: ChannelIndex) -> Option<ChannelIx> {
        self.known_as.get(index.get()).copied().flatten()
    }

    /// The channel that the brain knows by `ix`.
    #[must_use]
    pub fn index_of(&self, ix: ChannelIx) -> Option<ChannelIndex> {
        let place = self.known_as.iter().position(|known| *known == Some(ix))?;
        ChannelIndex::new(place)
    }
}

/// The policy's breaker rules in the brain's units. Maintenance needs no rule: it always takes a channel out.
fn rules(configured: BreakerRules) -> brain::Rules {
    brain::Rules {
        timeouts: configured.timeouts.map(|rule| brain::Timeouts {
            of_last: rule.of_last,
            at_least: rule.at_least,
        }),
        error_rate: configured.error_rate.map(|rule| brain::ErrorRate {
            above: f64::from(rule.above_bp) / 10_000.0,
            window_s: f64::from(rule.window_s),
            min_outcomes: rule.min_volume,
        }),
        trip_on_busy: configured.codes.busy,
    }
}
