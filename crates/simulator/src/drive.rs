//! Plays a world against a router: a plain loop over arrivals and answers, without threads and without waiting.
//!
//! The shop in it behaves as Payroute's client does: after a definite failure it asks for another channel; after a
//! timeout it first asks the provider what became of the attempt, and tries again only when nothing was charged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use domain::outcome::OutcomeClass;
use domain::payment::Attributes;

use crate::fate::Fate;
use crate::shopper::{Arrivals, Shopper};
use crate::world::{ChannelIndex, Load, Visit, World};

/// A question for a channel.
#[derive(Debug)]
pub struct Ask<'a> {
    /// When it is asked, since the start of the scenario.
    pub now: Duration,
    /// The payment. Its own `attempt_no` stays 1.
    pub payment: &'a Attributes,
    /// Which attempt it is for, from 1.
    pub attempt_no: u32,
    /// The channels that take the payment and have not been tried, in the order of the scenario. Never empty.
    pub candidates: &'a [ChannelIndex],
    world: &'a World,
    loads: &'a [Load],
}

impl Ask<'_> {
    /// The true probability of success on `channel`. Not for routers that want to be measured.
    pub(crate) fn success_probability(&self, channel: ChannelIndex) -> f64 {
        let load = self.loads.get(channel.place()).copied().unwrap_or_default();
        self.world.success_probability(&Visit {
            channel,
            payment: self.payment,
            attempt_no: self.attempt_no,
            at: self.now,
            load_tps: load.at(self.now) + 1.0,
        })
    }
}

/// The answer of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// One of the candidates.
    pub channel: ChannelIndex,
    /// Whether it was chosen to learn something and not because it is thought best.
    pub explores: bool,
}

/// What became of an attempt, as the shop saw it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// When the shop knew.
    pub now: Duration,
    /// The payment.
    pub payment: &'a Attributes,
    /// Which attempt it was, from 1.
    pub attempt_no: u32,
    /// Where it went.
    pub channel: ChannelIndex,
    /// When it was submitted.
    pub submitted_at: Duration,
    /// What the shop saw within the channel's timeout.
    pub class: OutcomeClass,
}

/// Something that chooses channels.
pub trait Router {
    /// The channel for an attempt; `None` to give the payment up.
    fn route(&mut self, ask: &Ask<'_>) -> Option<Choice>;

    /// What became of an attempt. Called in the order in which the shop gets to know.
    fn outcome(&mut self, told: &Told<'_>);
}

/// How the shop goes on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Attempts per payment, the first one included.
    pub max_attempts: u32,
    /// From knowing of a failure to the next submit.
    pub gap: Duration,
    /// How long after a timeout the shop keeps asking what became of the attempt, before it lets the customer go.
    pub patience: Duration,
}

impl Default for Failover {
    /// One more attempt after 50 ms, and 5 s of patience: a customer who stands at a till. Ours.
    fn default() -> Self {
        Self {
            max_attempts: 2,
            gap: Duration::from_millis(50),
            patience: Duration::from_secs(5),
        }
    }
}

/// A world with its shoppers: what every router is shown.
#[derive(Debug)]
pub struct Stage {
    /// The world.
    pub world: Arc<World>,
    /// Its shoppers in the order of their arrival.
    pub shoppers: Vec<Shopper>,
}

impl Stage {
    /// `world` with all who come.
    #[must_use]
    pub fn of(world: Arc<World>) -> Self {
        let shoppers = Arrivals::of(Arc::clone(&world)).collect();
        Self { world, shoppers }
    }
}

/// How one payment went.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// When the shopper came.
    pub at: Duration,
    /// Channels tried, in order.
    pub tried: Vec<ChannelIndex>,
    /// The probability of success at the first attempt on the best channel.
    pub best: f64,
    /// The same on the channel that was chosen; 0 when none was.
    pub chosen: f64,
    /// Whether the first attempt explored.
    pub explored: bool,
    /// Whether the first attempt was answered with success in time.
    pub first_succeeded: bool,
    /// Whether the shop got its money in the end, by whichever attempt, and knows it.
    pub paid: bool,
}

/// Plays `stage` against `router`. The result has one entry per shopper, in order.
pub fn play(stage: &Stage, router: &mut (impl Router + ?Sized), failover: Failover) -> Vec<Played> {
    let mut player = Player {
        stage,
        router,
        failover,
        loads: vec![Load::default(); stage.world.channels().len()],
        due: BinaryHeap::new(),
        sequence: 0,
        played: Vec::with_capacity(stage.shoppers.len()),
        candidates: Vec::new(),
    };
    for (number, shopper) in stage.shoppers.iter().enumerate() {
        player.run_until(Some(shopper.arrives_at));
        player.played.push(Played {
            at: shopper.arrives_at,
            tried: Vec::new(),
            best: 0.0,
            chosen: 0.0,
            explored: false,
            first_succeeded: false,
            paid: false,
        });
        player.attempt(number, 1, shopper.arrives_at);
    }
    player.run_until(None);
    player.played
}

struct Player<'a, R: ?Sized> {
    stage: &'a Stage,
    router: &'a mut R,
    failover: Failover,
    loads: Vec<Load>,
    due: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    played: Vec<Played>,
    candidates: Vec<ChannelIndex>,
}

/// Something that will happen. Ordered by time, and among equals by the order in which it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    sequence: u64,
    shopper: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Seen {
        attempt_no: u32,
        channel: ChannelIndex,
        submitted_at: Duration,
        class: OutcomeClass,
        next: Next,
    },
    Attempt {
        attempt_no: u32,
    },
}

/// What the shop does once it has seen an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// It is over, with or without the money.
    Over { paid: bool },
    /// Another attempt at this time.
    Again { at: Duration },
}

impl<R: Router + ?Sized> Player<'_, R> {
    /// Lets everything happen that is due before `until`, or everything there is.
    fn run_until(&mut self, until: Option<Duration>) {
        while let Some(Reverse(next)) = self.due.peek() {
            if until.is_some_and(|until| next.at > until) {
                return;
            }
            let Some(Reverse(due)) = self.due.pop() else {
                return;
            };
            match due.what {
                What::Seen { .. } => self.seen(due),
                What::Attempt { attempt_no } => self.attempt(due.shopper, attempt_no, due.at),
            }
        }
    }

    fn attempt(&mut self, number: usize, attempt_no: u32, now: Duration) {
        let world = &*self.stage.world;
        let (Some(shopper), Some(played)) = (self.stage.shoppers.get(number), self.played.get_mut(number))
        else {
            return;
        };
        self.candidates.clear();
        self.candidates.extend(
            world
                .taking(&shopper.payment)
                .filter(|channel| !played.tried.contains(channel)),
        );
        if self.candidates.is_empty() {
            return;
        }
        let ask = Ask {
            now,
            payment: &shopper.payment,
            attempt_no,
            candidates: &self.candidates,
            world,
            loads: &self.loads,
        };
        let choice = self.router.route(&ask);
        let choice = choice.filter(|choice| self.candidates.contains(&choice.channel));
        if attempt_no == 1 {
            let rates = self
                .candidates
                .iter()
                .map(|channel| ask.success_probability(*channel));
            played.best = rates.fold(0.0, f64::max);
            played.chosen = choice.map_or(0.0, |choice| ask.success_probability(choice.channel));
            played.explored = choice.is_some_and(|choice| choice.explores);
        }
        let Some(Choice { channel, .. }) = choice else {
            return;
        };
        played.tried.push(channel);
        let Some(load) = self.loads.get_mut(channel.place()) else {
            return;
        };
        let visit = Visit {
            channel,
            payment: &shopper.payment,
            attempt_no,
            at: now,
            load_tps: load.arrive(now),
        };
        let fate = world.fate(&visit);
        let (after, class) = fate.seen_within(world.timeout(channel));
        let next = self.next(&fate, after, class, now);
        let what = What::Seen {
            attempt_no,
            channel,
            submitted_at: now,
            class,
            next,
        };
        self.plan(now + after, number, what);
    }

    /// What the shop will do that sees `class` after `after` of an attempt submitted at `now`.
    fn next(&self, fate: &Fate, after: Duration, class: OutcomeClass, now: Duration) -> Next {
        let earliest = after + self.failover.gap;
        let again = |after: Duration| Next::Again { at: now + after };
        match class {
            OutcomeClass::Success => Next::Over { paid: true },
            OutcomeClass::Refusal => Next::Over { paid: false },
            OutcomeClass::Timeout => {
                let settled = fate.settled_after().unwrap_or(Duration::ZERO);
                if settled > after + self.failover.patience {
                    Next::Over { paid: false }
                } else if fate.charged_after().is_some() {
                    Next::Over { paid: true }
                } else {
                    again(earliest.max(settled))
                }
            }
            OutcomeClass::SoftDecline
            | OutcomeClass::TechnicalFailure
            | OutcomeClass::Busy
            | OutcomeClass::Maintenance
            | OutcomeClass::IssuerUnavailable => again(earliest),
        }
    }

    fn seen(&mut self, due: Due) {
        let What::Seen {
            attempt_no,
            channel,
            submitted_at,
            class,
            next,
        } = due.what
        else {
            return;
        };
        let (Some(shopper), Some(played)) = (
            self.stage.shoppers.get(due.shopper),
            self.played.get_mut(due.shopper),
        ) else {
            return;
        };
        played.first_succeeded |= attempt_no == 1 && class.is_success();
        self.router.outcome(&Told {
            now: due.at,
            payment: &shopper.payment,
            attempt_no,
            channel,
            submitted_at,
            class,
        });
        match next {
            Next::Over { paid } => played.paid = paid,
            Next::Again { at } if attempt_no < self.failover.max_attempts => {
                let attempt_no = attempt_no + 1;
                self.plan(at, due.shopper, What::Attempt { attempt_no });
            }
            Next::Again { .. } => {}
        }
    }

    fn plan(&mut self, at: Duration, shopper: usize, what: What) {
        self.sequence += 1;
        self.due.push(Reverse(Due {
            at,
            sequence: self.sequence,
            shopper,
            what,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::provider::Providers;
    use crate::routers::{Split, StaticPriority};

    /// Writes down what it is asked and told, and goes by a fixed order.
    struct Scribe {
        order: StaticPriority,
        asked: Vec<(Duration, u32, usize)>,
        told: Vec<(Duration, Duration)>,
    }

    impl Scribe {
        fn of(world: &World) -> Self {
            Self {
                order: StaticPriority::as_listed(world),
                asked: Vec::new(),
                told: Vec::new(),
            }
        }
    }

    impl Router for Scribe {
        fn route(&mut self, ask: &Ask<'_>) -> Option<Choice> {
            self.asked.push((ask.now, ask.attempt_no, ask.candidates.len()));
            self.order.route(ask)
        }

        fn outcome(&mut self, told: &Told<'_>) {
            self.told.push((told.submitted_at, told.now));
        }
    }

    #[test]
    fn the_same_world_and_router_play_the_same() {
        let stage = Stage::of(fixture::world(2));
        let run = || play(&stage, &mut Split::seventy_twenty_ten(), Failover::default());
        assert_eq!(run(), run());
    }

    #[test]
    fn time_only_goes_forward() {
        let stage = Stage::of(fixture::world(2));
        let mut scribe = Scribe::of(&stage.world);
        play(&stage, &mut scribe, Failover::default());
        assert!(scribe.asked.is_sorted_by_key(|asked| asked.0));
        assert!(scribe.told.is_sorted_by_key(|told| told.1));
        assert!(scribe.told.iter().all(|(submitted_at, now)| submitted_at < now));
    }

    #[test]
    fn every_attempt_is_told_once_and_tried_channels_are_no_candidates() {
        let stage = Stage::of(fixture::world(2));
        let mut scribe = Scribe::of(&stage.world);
        let played = play(&stage, &mut scribe, Failover::default());
        let attempts: usize = played.iter().map(|one| one.tried.len()).sum();
        assert_eq!((scribe.told.len(), scribe.asked.len()), (attempts, attempts));
        assert!(attempts > stage.shoppers.len());
        let candidates = |attempt_no: u32| 4 - usize::try_from(attempt_no).unwrap();
        assert!(scribe.asked.iter().all(|asked| asked.2 == candidates(asked.1)));
        assert!(scribe.asked.iter().all(|asked| asked.1 <= 2));
    }

    #[test]
    fn a_first_attempt_meets_the_fate_that_the_world_tells() {
        let stage = Stage::of(fixture::world(3));
        let played = play(&stage, &mut Split::seventy_twenty_ten(), Failover::default());
        for (shopper, one) in stage.shoppers.iter().zip(&played) {
            let fate = stage.world.fate(&fixture::visit(one.tried[0], shopper, one.at));
            let (_, class) = fate.seen_within(stage.world.timeout(one.tried[0]));
            assert_eq!(one.first_succeeded, class.is_success());
        }
    }

    #[test]
    fn a_shop_that_asks_before_it_tries_again_charges_nobody_twice() {
        let stage = Stage::of(fixture::world(4));
        let mut providers = Providers::of(Arc::clone(&stage.world));
        let mut router = StaticPriority::as_listed(&stage.world);
        let played = play(&stage, &mut router, Failover::default());
        for (shopper, one) in stage.shoppers.iter().zip(&played) {
            for (attempt_no, channel) in (1..).zip(&one.tried) {
                let payment = Attributes {
                    attempt_no,
                    ..shopper.payment.clone()
                };
                // Where the second attempt falls in time does not matter here: the other channels have no events.
                let key = format!("{}-{attempt_no}", payment.payment);
                providers.submit(*channel, &key, &payment, one.at);
            }
        }
        let paid = |payment: &domain::id::PaymentId| {
            let place = stage
                .shoppers
                .iter()
                .position(|shopper| shopper.payment.payment == *payment);
            played[place.unwrap()].paid
        };
        let audit = providers.audit(Duration::from_mins(10), |_, payment| paid(payment));
        assert_eq!(audit.double_charges, 0);
        assert_eq!(
            audit.charged_payments,
            played.iter().filter(|one| one.paid).count()
        );
        assert_eq!(audit.charged_without_order, 0);
    }

    #[test]
    fn one_attempt_is_all_when_no_more_are_allowed() {
        let stage = Stage::of(fixture::world(2));
        let once = Failover {
            max_attempts: 1,
            ..Failover::default()
        };
        let mut router = StaticPriority::as_listed(&stage.world);
        let played = play(&stage, &mut router, once);
        assert!(played.iter().all(|one| one.tried.len() == 1));
    }

    #[test]
    fn a_router_that_gives_up_sells_nothing() {
        struct Never;
        impl Router for Never {
            fn route(&mut self, _: &Ask<'_>) -> Option<Choice> {
                None
            }
            fn outcome(&mut self, _: &Told<'_>) {
                panic!("nothing was tried");
            }
        }
        let stage = Stage::of(fixture::world(2));
        let played = play(&stage, &mut Never, Failover::default());
        assert!(
            played
                .iter()
                .all(|one| !one.paid && one.tried.is_empty() && one.chosen.abs() < 1e-9)
        );
    }
}
