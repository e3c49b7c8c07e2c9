//! A shop as a router of the simulator: every choice is the production decision, every outcome is told to the brain as
//! the monitor tells it.

use std::time::Duration;

use domain::brain::{Brain, Exploration, Params};
use domain::channel::Channel;
use domain::channels::{Channels, Configuration};
use domain::decision::{Desk, Query, Shop, attempt_key, decide};
use domain::id::ChannelId;
use domain::limit::Limits;
use domain::outcome_event::{OutcomeEvent, OutcomeId};
use domain::payment::Attributes;
use domain::policy::Policy;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use simulator::drive::{Ask, Choice, Router, Told};
use simulator::world::World;

/// When a scenario begins: noon of a Monday in China, 2026-01-05T12:00+08:00, as in the tests of a policy.
const BEGINNING: Timestamp = Timestamp::constant(1_767_585_600, 0);

/// A shop that routes the payments of a scenario.
pub(super) struct ShopRouter {
    shop: Shop,
    brain: Brain,
    limits: Limits,
    rng: StdRng,
    /// The channels of the scenario, by place.
    ids: Vec<ChannelId>,
}

impl ShopRouter {
    /// A shop that has learnt nothing yet. It waits for a channel as long as the scenario says.
    ///
    /// # Errors
    /// When the limits or channels of `configuration` are not good, which loading has checked.
    pub(super) fn open(
        configuration: &Configuration,
        policy: &Policy,
        world: &World,
    ) -> anyhow::Result<Self> {
        let mut brain = Brain::new(Params::default());
        let configuration = Configuration {
            channels: patient(&configuration.channels, world)?,
            ..configuration.clone()
        };
        let limits = Limits::new(configuration.limits.clone())?;
        Ok(Self {
            shop: Shop::open(configuration, policy.clone(), &mut brain),
            brain,
            limits,
            rng: StdRng::seed_from_u64(world.seed()),
            ids: world.channels().map(|(_, channel)| channel.id.clone()).collect(),
        })
    }
}

/// `channels` with the time limits of `world`.
fn patient(channels: &Channels, world: &World) -> anyhow::Result<Channels> {
    let timed = |channel: &Channel| {
        let index = world.index_of(&channel.id);
        let simulated = index.and_then(|index| world.channel(index));
        Channel {
            timeout_ms: simulated.map_or(channel.timeout_ms, |simulated| simulated.timeout_ms),
            ..channel.clone()
        }
    };
    Ok(Channels::new(
        channels.iter().map(|(_, channel)| timed(channel)).collect(),
    )?)
}

impl Router for ShopRouter {
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
        let attributes = Attributes {
            attempt_no: ask.attempt_no,
            ..ask.payment.clone()
        };
        // Channels that were tried are no candidates of the second attempt. There are no receipts: the simulator's
        // shop asks again only when nothing was charged.
        let candidates = ask
            .candidates
            .iter()
            .filter_map(|index| self.ids.get(index.place()));
        let candidates: Vec<ChannelId> = candidates.cloned().collect();
        let query = Query {
            attributes: &attributes,
            candidates: &candidates,
            exclude: &[],
            portable_to: &[],
            previous: &[],
            order_expires_at: None,
        };
        let mut desk = Desk {
            brain: &mut self.brain,
            limits: &mut self.limits,
        };
        let decision = decide(&self.shop, &mut desk, &query, time(ask.now), &mut self.rng);
        let chosen = self.shop.channels.get(decision.targets.first()?.channel)?;
        let is_chosen =
            |index: &&simulator::world::ChannelIndex| self.ids.get(index.place()) == Some(&chosen.id);
        Some(Choice {
            channel: *ask.candidates.iter().find(is_chosen)?,
            explores: decision.exploration != Exploration::None,
        })
    }

    fn outcome(&mut self, told: &Told<'_>) {
        let Some(channel) = self.ids.get(told.channel.place()) else {
            return;
        };
        let payment = told.payment;
        let latency = told.now.saturating_sub(told.submitted_at).as_millis();
        let key = attempt_key(&payment.merchant, &payment.payment, told.attempt_no);
        let event = OutcomeEvent {
            // Every outcome is told once, so that any name of its own will do.
            id: OutcomeId(key),
            channel: channel.clone(),
            method: payment.method.clone(),
            issuer: payment.issuer.clone(),
            band: payment.band(),
            class: told.class,
            corrects: None,
            key,
            attempt_no: told.attempt_no,
            decided_at: time(told.submitted_at),
            started_at: time(told.submitted_at),
            received_at: time(told.now),
            latency_ms: u32::try_from(latency).unwrap_or(u32::MAX),
        };
        event.teach(&mut self.brain);
    }
}

/// The moment `since` after the beginning.
fn time(since: Duration) -> Timestamp {
    BEGINNING.checked_add(since).unwrap_or(Timestamp::MAX)
}
