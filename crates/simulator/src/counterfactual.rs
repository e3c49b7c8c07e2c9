//! What would have happened without a router: every payment on its one fixed channel, as a shop with one contract per
//! method has it. No second attempt, no query: what was not answered in time is lost.

use std::sync::Arc;

use domain::outcome::OutcomeClass;

use crate::shopper::Shopper;
use crate::world::{ChannelIndex, Load, Visit, World};

/// The outcome of a payment on its fixed channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterfact {
    /// The channel.
    pub channel: ChannelIndex,
    /// What the shop would have seen.
    pub class: OutcomeClass,
}

/// A shop without a router. Shoppers must be shown to it in the order of their arrival, because a channel with a
/// capacity looks at its load.
#[derive(Debug)]
pub struct FixedChannels {
    world: Arc<World>,
    order: Vec<ChannelIndex>,
    loads: Vec<Load>,
}

impl FixedChannels {
    /// Each payment goes to the first channel of `order` that takes it.
    #[must_use]
    pub fn in_order(world: Arc<World>, order: Vec<ChannelIndex>) -> Self {
        let loads = vec![Load::default(); world.channels().len()];
        Self { world, order, loads }
    }

    /// Each payment goes to the first channel of the scenario that takes it.
    #[must_use]
    pub fn as_listed(world: Arc<World>) -> Self {
        let order = world.channels().map(|(index, _)| index).collect();
        Self::in_order(world, order)
    }

    /// What would have become of this shopper's payment; `None` when no channel takes it.
    pub fn outcome(&mut self, shopper: &Shopper) -> Option<Counterfact> {
        let takes = |index: &ChannelIndex| {
            let channel = self.world.channel(*index);
            channel.is_some_and(|channel| channel.takes(&shopper.payment))
        };
        let channel = self.order.iter().copied().find(takes)?;
        let load_tps = self.loads.get_mut(channel.place())?.arrive(shopper.arrives_at);
        let fate = self.world.fate(&Visit {
            channel,
            payment: &shopper.payment,
            attempt_no: 1,
            at: shopper.arrives_at,
            load_tps,
        });
        let (_, class) = fate.seen_within(self.world.timeout(channel));
        Some(Counterfact { channel, class })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::provider::Providers;
    use crate::shopper::Arrivals;

    #[test]
    fn it_is_what_a_caller_sees_who_really_goes_there() {
        let busy = "  - {channel: beta, kind: {busy: {capacity_tps: 20}}, start_s: 50, end_s: 90}\ntraffic:";
        let world = fixture::changed(1, "traffic:", busy);
        for (channel, settings) in world.channels() {
            let timeout = world.timeout(channel);
            let mut fixed = FixedChannels::in_order(Arc::clone(&world), vec![channel]);
            let mut providers = Providers::of(Arc::clone(&world));
            for shopper in Arrivals::of(Arc::clone(&world)) {
                let key = shopper.payment.payment.as_str();
                let submission = providers.submit(channel, key, &shopper.payment, shopper.arrives_at);
                let in_time = submission.answer.filter(|answer| answer.after <= timeout);
                let live = in_time.map_or(OutcomeClass::Timeout, |answer| answer.class);
                let told = fixed.outcome(&shopper).unwrap();
                assert_eq!(told.class, live, "{key} on {}", settings.id);
            }
        }
    }

    #[test]
    fn without_a_router_an_outage_loses_every_payment() {
        let world = fixture::world(1);
        let mut fixed = FixedChannels::as_listed(Arc::clone(&world));
        for shopper in Arrivals::of(world) {
            let told = fixed.outcome(&shopper).unwrap();
            assert_eq!(told.channel.place(), 0);
            if (40..80).contains(&shopper.arrives_at.as_secs()) {
                assert_ne!(told.class, OutcomeClass::Success);
            }
        }
    }
}
