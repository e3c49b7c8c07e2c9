//! The scenario, played once or again and again, in front of routers that are real.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use domain::id::PaymentId;
use parking_lot::Mutex;
use simulator::live::{LiveProviders, Pace};
use simulator::scenario::Scenario;
use simulator::scenario::quantity::Positive;
use simulator::shopper::{Arrivals, Shopper};
use simulator::world::World;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use crate::checkout::door::{self, Door};
use crate::checkout::{Checkout, End};

/// How long payments that are under way may take once nobody comes any more. A channel's time limit, its queries, and a
/// router or ledger that comes back meanwhile have room in it.
const GRACE: Duration = Duration::from_secs(30);

/// What is played.
#[derive(Clone, Debug)]
pub(super) struct Play {
    /// The scenario of each round.
    pub(super) scenario: Scenario,
    /// The world of the first round; those of the following count up from it.
    pub(super) seed: u64,
    /// Whether one round follows the other until somebody stops it.
    pub(super) again: bool,
    /// What the names of the payments begin with at Payroute, so that those of another run are others.
    pub(super) run: String,
}

/// Where it is played.
#[derive(Clone)]
pub(super) struct Stage {
    /// Payroute.
    pub(super) payroute: Client,
    /// Where it is counted.
    pub(super) tally: Arc<Tally>,
}

/// One round: channels with books of their own, and the payments that the shop holds for paid.
#[derive(Clone)]
struct Round {
    stage: Stage,
    providers: LiveProviders,
    paid: Arc<Mutex<HashSet<PaymentId>>>,
}

impl Stage {
    /// Plays until the last shopper is served, or `stop` is cancelled and the grace is over.
    pub(super) async fn play(self, play: Play, stop: CancellationToken) {
        let door = Door::until(stop.clone());
        let over = CancellationToken::new();
        let mut rounds = JoinSet::new();
        for seed in play.seed.. {
            let world = Arc::new(World::new(play.scenario.clone(), seed));
            let round = self.round(Arc::clone(&world));
            let pace = round.providers.pace();
            let serve = |shopper| round.clone().serve(shopper, play.run.clone());
            let under_way = door.admit(Arrivals::of(world), pace, serve).await;
            // The next round begins at the end of this one, which some payments outlast.
            tokio::select! {
                () = stop.cancelled() => {}
                () = pace.wait_until(play.scenario.duration()) => {}
            }
            rounds.spawn(round.finish(under_way, over.clone()));
            while rounds.try_join_next().is_some() {}
            if !play.again || stop.is_cancelled() {
                break;
            }
        }
        over.cancel();
        while rounds.join_next().await.is_some() {}
        self.payroute.close(GRACE).await;
    }

    fn round(&self, world: Arc<World>) -> Round {
        Round {
            stage: self.clone(),
            providers: LiveProviders::new(world, Pace::starting_now(Positive::ONE)),
            paid: Arc::default(),
        }
    }
}

impl Round {
    /// Serves one shopper, whose payment's name begins with `run` at Payroute.
    async fn serve(self, shopper: Shopper, run: String) {
        self.stage.tally.arrive();
        let end = match PaymentId::new(format!("{run}-{}", shopper.payment.payment)) {
            Ok(name) => self.checkout(name).serve(&shopper.payment).await.0,
            // Both parts are short, so this never is.
            Err(_) => End::Unrouted,
        };
        if end == End::Paid {
            self.paid.lock().insert(shopper.payment.payment);
        }
        self.stage.tally.end(end);
    }

    fn checkout(&self, name: PaymentId) -> Checkout {
        Checkout {
            payroute: self.stage.payroute.clone(),
            providers: self.providers.clone(),
            notes: Arc::clone(&self.stage.tally) as _,
            name,
        }
    }

    /// Waits for the last payments, and looks into the channels' books.
    async fn finish(self, under_way: JoinSet<()>, over: CancellationToken) {
        let grace = async {
            over.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        door::finish(under_way, grace).await;
        let paid = self.paid.lock();
        self.stage
            .tally
            .audit(self.providers.audit(|_, payment| paid.contains(payment)));
    }
}
