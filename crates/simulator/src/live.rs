//! The simulated providers in running time: real, or as many times faster as one likes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::{MerchantId, PaymentId};
use domain::payment::Attributes;
use tokio::time::Instant;

use crate::provider::{Answer, Audit, Providers, QueryResult, Reversal};
use crate::scenario::quantity::Positive;
use crate::world::{ChannelIndex, World};

/// How long a query or a reversal takes, in the time of the scenario. Ours: a look-up at the provider.
const LOOK_UP: Duration = Duration::from_millis(30);

/// A thousandth of real time. Slower has no use and could exceed what a duration holds.
const SLOWEST: f64 = 1e-3;

/// How the time of the scenario runs beside the time of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    started_at: Instant,
    speed: f64,
}

impl Pace {
    /// The scenario starts now and runs `speed` times faster than the machine's clock.
    #[must_use]
    pub fn starting_now(speed: Positive) -> Self {
        Self {
            started_at: Instant::now(),
            speed: speed.get().max(SLOWEST),
        }
    }

    /// How far the scenario is.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.started_at.elapsed().mul_f64(self.speed)
    }

    /// Waits until the scenario has come to `at`.
    pub async fn wait_until(&self, at: Duration) {
        tokio::time::sleep_until(self.started_at + at.div_f64(self.speed)).await;
    }

    /// Waits for `time` of the scenario.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time.div_f64(self.speed)).await;
    }
}

/// The providers of a world in running time. Cheap to clone; all clones share the books.
#[derive(Clone, Debug)]
pub struct LiveProviders {
    pace: Pace,
    world: Arc<World>,
    providers: Arc<Mutex<Providers>>,
}

impl LiveProviders {
    /// Providers for `world` that have seen nothing yet.
    #[must_use]
    pub fn new(world: Arc<World>, pace: Pace) -> Self {
        Self {
            pace,
            providers: Arc::new(Mutex::new(Providers::of(Arc::clone(&world)))),
            world,
        }
    }

    /// The world they work in.
    #[must_use]
    pub const fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// How time runs.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Submits an attempt and waits for its answer, as [`Providers::submit`] describes it. When none comes it waits
    /// for ever: the caller brings its own timeout. Dropping the future changes nothing at the provider.
    pub async fn submit(&self, channel: ChannelIndex, attempt_key: &str, payment: &Attributes) -> Answer {
        let now = self.pace.now();
        let submission = self.books().submit(channel, attempt_key, payment, now);
        let Some(answer) = submission.answer else {
            return std::future::pending().await;
        };
        self.pace.wait_until(now + answer.after).await;
        if self.books().is_closed(channel, attempt_key) {
            return std::future::pending().await;
        }
        answer
    }

    /// Asks what became of an attempt, as [`Providers::query`] describes it.
    pub async fn query(&self, channel: ChannelIndex, attempt_key: &str) -> QueryResult {
        self.pace.wait(LOOK_UP).await;
        let now = self.pace.now();
        self.books().query(channel, attempt_key, now)
    }

    /// Takes an attempt back, as [`Providers::reverse`] describes it.
    pub async fn reverse(&self, channel: ChannelIndex, attempt_key: &str, payment: &Attributes) -> Reversal {
        self.pace.wait(LOOK_UP).await;
        let now = self.pace.now();
        self.books().reverse(channel, attempt_key, payment, now)
    }

    /// Counts the true charges as of now, as [`Providers::audit`] describes it.
    #[must_use]
    pub fn audit(&self, ordered: impl Fn(&MerchantId, &PaymentId) -> bool) -> Audit {
        let now = self.pace.now();
        self.books().audit(now, ordered)
    }

    fn books(&self) -> MutexGuard<'_, Providers> {
        // The books are never left half-written, so those of a thread that died are as good as any.
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::shopper::Arrivals;
    use domain::outcome::OutcomeClass;

    fn live(speed: f64) -> LiveProviders {
        LiveProviders::new(
            fixture::world(9),
            Pace::starting_now(Positive::new(speed).unwrap()),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_as_long_as_the_world_says() {
        let live = live(1.0);
        let world = Arc::clone(live.world());
        let (channel, _) = world.channels().next().unwrap();
        for shopper in Arrivals::of(Arc::clone(&world)).take(50) {
            let before = live.pace().now();
            let fate = world.fate(&fixture::visit(channel, &shopper, before));
            let Some((after, class)) = fate.answer() else {
                continue;
            };
            let answer = live
                .submit(channel, shopper.payment.payment.as_str(), &shopper.payment)
                .await;
            let took = live.pace().now().saturating_sub(before);
            assert_eq!(answer.class, class);
            assert!(
                took >= after && took < after + Duration::from_millis(5),
                "{took:?} {after:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_accelerated_scenario_takes_less_of_the_machines_time() {
        let live = live(10.0);
        let started = Instant::now();
        live.pace().wait_until(Duration::from_mins(1)).await;
        let took = started.elapsed();
        assert!((6.0..6.1).contains(&took.as_secs_f64()), "{took:?}");
        assert!(live.pace().now() >= Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_leaves_the_caller_to_its_timeout_and_the_query_finds_the_charge() {
        let live = live(1.0);
        let world = Arc::clone(live.world());
        let (channel, _) = world.channels().next().unwrap();
        live.pace().wait_until(Duration::from_mins(1)).await;
        let now = live.pace().now();
        let lost = Arrivals::of(Arc::clone(&world))
            .find(|shopper| {
                world
                    .fate(&fixture::visit(channel, shopper, now))
                    .charged_after()
                    .is_some()
            })
            .unwrap();
        let submit = live.submit(channel, "key", &lost.payment);
        assert!(
            tokio::time::timeout(Duration::from_secs(30), submit)
                .await
                .is_err()
        );
        assert_eq!(live.query(channel, "key").await, QueryResult::Paid);
        assert_eq!(live.audit(|_, _| false).charged_without_order, 1);
        assert_eq!(
            live.reverse(channel, "key", &lost.payment).await,
            Reversal::Reversed
        );
        assert_eq!(live.query(channel, "key").await, QueryResult::NotPaid);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_stop_the_charge() {
        let live = live(1.0);
        let world = Arc::clone(live.world());
        let (channel, _) = world.channels().next().unwrap();
        let shopper = Arrivals::of(Arc::clone(&world))
            .find(|shopper| {
                let fate = world.fate(&fixture::visit(channel, shopper, Duration::ZERO));
                matches!(fate.answer(), Some((_, OutcomeClass::Success)))
            })
            .unwrap();
        let submit = live.submit(channel, "key", &shopper.payment);
        assert!(
            tokio::time::timeout(Duration::from_millis(1), submit)
                .await
                .is_err()
        );
        live.pace().wait(Duration::from_secs(5)).await;
        assert_eq!(live.query(channel, "key").await, QueryResult::Paid);
    }
}
