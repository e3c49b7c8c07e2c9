//! What the configuration tells the brain, and what it may be asked without deciding anything.

use std::sync::Arc;

use jiff::Timestamp;

use super::ask::Ranked;
use super::member::Forced;
use super::node::sigmoid;
use super::rules::Rules;
use super::state::State;
use super::{Brain, ChannelIx, Segment};

impl Brain {
    /// Sets the rules that stand beside the sequential test.
    pub fn set_rules(&mut self, rules: Rules) {
        Arc::make_mut(&mut self.params).rules = rules;
    }

    /// What is known of a channel for payments of `segment`, without choosing anything. A channel that was never set
    /// counts as the average one.
    #[must_use]
    pub fn ranked(&self, channel: ChannelIx, segment: Segment) -> Ranked {
        let member = self.members.get(channel.index());
        Ranked {
            channel,
            success: self
                .success_estimate(channel, segment)
                .unwrap_or_else(|| sigmoid(self.base.score(segment))),
            state: member.map_or(State::Healthy, |member| member.state(segment)),
        }
    }
    /// Whether `channel` takes payments of `segment` at `now`, as far as breakers and what was decided by hand go: not
    /// shut, probes aside, unless forced in, and not forced out.
    #[must_use]
    pub fn takes(&self, channel: ChannelIx, segment: Segment, now: Timestamp) -> bool {
        let Some(member) = self.members.get(channel.index()) else {
            return false;
        };
        match member.forced_at(now) {
            Some(Forced::Out) => false,
            Some(Forced::In | Forced::ObserveOnly) => true,
            None => !member.is_shut(segment),
        }
    }
}
