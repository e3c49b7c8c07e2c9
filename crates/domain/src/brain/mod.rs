//! The routing brain: which channel is likeliest to succeed now, learnt from every outcome and every silence.
//!
//! A hierarchical estimate of success per channel and segment that forgets ([`Params`] has its numbers),
//! sequential breakers that also hear attempts without an answer, incidents that several channels share, and a
//! small budget of exploration. Time and chance are arguments: the same state, question and generator give the
//! same answer, so what routes in production is what simulation measures.
//!
//! Ties are broken by the order of the candidates.

mod allowance;
mod ask;
mod base;
mod breaker;
mod budget;
mod change;
mod checkpoint;
mod choose;
mod configure;
mod contender;
mod deed;
mod draw;
mod estimate;
mod evidence;
mod explore;
mod fleet;
mod flights;
mod health;
mod incident;
mod intern;
mod journal;
mod latency;
mod listen;
mod member;
mod narrow;
mod node;
mod normal;
mod params;
mod peers;
mod rebase;
mod rules;
mod scope;
mod silence;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod trail;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use ask::{Adaptive, Ask, Candidate, Choice, Exploration, Generation, Mode, NoChoice, Outcome, Ranked};
pub use checkpoint::{Checkpoint, SCHEMA, UnknownSchema};
pub use deed::{Answered, Deed, Dispatched, Lane};
pub use flights::Origin;
pub use health::{ChannelHealth, Event, Scope, ScopeHealth, Transition};
pub use intern::{NO_ISSUER, OTHER, Segment};
pub use member::Forced;
pub use params::{
    Busy, Change, Correlation, Estimate, Evidence, Exploration as ExplorationParams, Latency, Level, Limits,
    Params, Recovery, Silence,
};
pub use rules::{ErrorRate, Rules, Timeouts};
pub use state::{Reason, State};

use crate::amount_band::AmountBand;
use crate::id::ChannelId;
use base::Base;
use budget::Budget;
use fleet::Fleet;
use flights::Flights;
use incident::Suspicion;
use intern::Interner;
use journal::Journal;
use member::Member;
use table::Table;

/// A channel's dense number within one [`Brain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelIx(pub(in crate::brain) u16);

impl ChannelIx {
    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What was learnt, and the state of every breaker. See the module's documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Brain {
    #[serde(skip)]
    params: Arc<Params>,
    /// Where the brain's seconds begin.
    beginning: Option<Timestamp>,
    /// The latest time it was given, in its seconds.
    now: f64,
    names: Interner,
    members: Vec<Member>,
    base: Base,
    flights: Flights,
    methods: Table<Suspicion>,
    issuers: Table<Suspicion>,
    budget: Budget,
    #[serde(skip)]
    log: VecDeque<Transition>,
    /// The longest time between two calls, in seconds, where somebody calls regularly.
    #[serde(skip)]
    heartbeat: Option<f64>,
    /// What it did, for its peers to hear; `None` when it has none.
    #[serde(skip)]
    journal: Option<Journal>,
    #[serde(skip)]
    fleet: Fleet,
}

impl Brain {
    /// A brain that knows nothing yet.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self {
            beginning: None,
            now: 0.0,
            names: Interner::new(&params.limits),
            members: Vec::new(),
            base: Base::new(&params.estimate),
            flights: Flights::new(params.limits.in_flight),
            methods: Table::new(Suspicion::default()),
            issuers: Table::new(Suspicion::default()),
            budget: Budget::new(),
            log: VecDeque::new(),
            heartbeat: None,
            journal: None,
            fleet: Fleet::default(),
            params: Arc::new(params),
        }
    }

    /// Sets the channels that are configured. What was learnt about a channel is kept by its name, also while it
    /// is not configured. Channels beyond 65 536 are ignored.
    pub fn set_channels(&mut self, channels: &[ChannelId]) {
        for member in &mut self.members {
            member.configured = channels.contains(&member.id);
        }
        for id in channels {
            let full = u16::try_from(self.members.len()).is_err();
            if full || self.channel_ix(id).is_some() {
                continue;
            }
            if !self.members.is_empty() {
                self.budget.grant(self.params.exploration.start_tokens);
            }
            self.members.push(Member::new(id.clone(), &self.params));
        }
    }

    /// The number of channel `id`, if it was ever set.
    #[must_use]
    pub fn channel_ix(&self, id: &ChannelId) -> Option<ChannelIx> {
        let index = self.members.iter().position(|member| member.id == *id)?;
        u16::try_from(index).ok().map(ChannelIx)
    }

    /// The name of channel `ix`.
    #[must_use]
    pub fn channel_id(&self, ix: ChannelIx) -> Option<&ChannelId> {
        self.members.get(ix.index()).map(|member| &member.id)
    }

    /// The segment of a payment by `method`, with `issuer` if it has one, in `band`. New names are learnt up to
    /// the caps of [`Limits`]; the rest folds into [`OTHER`].
    pub fn segment(&mut self, method: &str, issuer: Option<&str>, band: AmountBand) -> Segment {
        self.names.segment(method, issuer, band)
    }

    /// Lets time pass until `now`: everything that has become due happens, in its order. Every other call that
    /// takes a time does this first. Time never runs backwards.
    pub fn advance(&mut self, now: Timestamp) {
        let now = self.seconds(now);
        self.advance_to(now);
    }

    /// Decides by hand about a channel until `until`; `None` takes the decision back.
    pub fn force(&mut self, channel: ChannelIx, forced: Option<Forced>, until: Timestamp) {
        if let Some(member) = self.members.get_mut(channel.index()) {
            member.forced = forced.map(|forced| (forced, until));
        }
    }

    /// The transitions since the last call, oldest first; bounded by [`Limits::transitions`], the oldest go first.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.log.drain(..).collect()
    }

    /// How many attempts are waiting for their answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The estimated probability that a payment of `segment` succeeds on `channel`; `None` for an unknown channel.
    #[must_use]
    pub fn success_estimate(&self, channel: ChannelIx, segment: Segment) -> Option<f64> {
        let member = self.members.get(channel.index())?;
        Some(node::sigmoid(
            self.base.score(segment) + member.quality.mean(segment),
        ))
    }

    fn advance_to(&mut self, now: f64) {
        if let Some(heartbeat) = self.heartbeat {
            let missed = now - self.now - heartbeat;
            if missed > 0.0 {
                self.flights.excuse(missed);
            }
        }
        let heard_until = self.fleet.heard_until(now);
        while let Some((key, flight, at)) = self.flights.pop_due(heard_until) {
            self.grow_old(key, flight, at);
        }
        self.now = self.now.max(now);
    }

    fn seconds(&mut self, at: Timestamp) -> f64 {
        let beginning = *self.beginning.get_or_insert(at);
        at.duration_since(beginning).as_secs_f64()
    }

    fn timestamp(&self, seconds: f64) -> Timestamp {
        let beginning = self.beginning.unwrap_or(Timestamp::UNIX_EPOCH);
        SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|elapsed| beginning.checked_add(elapsed).ok())
            .unwrap_or(beginning)
    }
}
