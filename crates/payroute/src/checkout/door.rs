//! The door of the shop: who comes in when, and how many at once.

use std::sync::Arc;

use simulator::live::Pace;
use simulator::shopper::Shopper;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Most payments under way at once. An outage of the demo holds some 150.
const MOST: usize = 2_000;

/// Lets shoppers in as they arrive, and not more at once than the shop can serve: at that bound they queue outside.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    seats: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Door {
    /// A door that shuts when `stop` is cancelled.
    pub(crate) fn until(stop: CancellationToken) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(MOST)),
            stop,
        }
    }

    /// Lets `shoppers` in at the times of `pace` and begins to `serve` each of them. Returns when nobody comes any more
    /// or the door has shut, with those who are still being served.
    pub(crate) async fn admit<F>(
        &self,
        shoppers: impl Iterator<Item = Shopper>,
        pace: Pace,
        mut serve: impl FnMut(Shopper) -> F,
    ) -> JoinSet<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        for shopper in shoppers {
            let arrives_at = shopper.arrives_at;
            let seat = async {
                pace.wait_until(arrives_at).await;
                Arc::clone(&self.seats).acquire_owned().await
            };
            let seat = tokio::select! {
                () = self.stop.cancelled() => break,
                seat = seat => seat,
            };
            while under_way.try_join_next().is_some() {}
            let served = serve(shopper);
            under_way.spawn(async move {
                served.await;
                drop(seat);
            });
        }
        under_way
    }
}

/// Waits until all are served or the `grace` is over; whoever is not served by then is sent away.
pub(crate) async fn finish(mut under_way: JoinSet<()>, grace: impl Future<Output = ()>) {
    tokio::select! {
        () = grace => {}
        () = async { while under_way.join_next().await.is_some() {} } => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use simulator::scenario::Scenario;
    use simulator::scenario::quantity::Positive;
    use simulator::scenario::shipped::SHIPPED;
    use simulator::shopper::Arrivals;
    use simulator::world::World;

    use super::*;

    fn shoppers() -> Arrivals {
        let scenario = Scenario::from_yaml(SHIPPED[0].yaml).unwrap();
        Arrivals::of(Arc::new(World::new(scenario, 1)))
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_served_at_their_time() {
        let expected = shoppers().count();
        let served = Arc::new(AtomicUsize::new(0));
        let door = Door::until(CancellationToken::new());
        let pace = Pace::starting_now(Positive::ONE);
        let under_way = door
            .admit(shoppers(), pace, |shopper| {
                let served = Arc::clone(&served);
                async move {
                    assert!(pace.now() >= shopper.arrives_at);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
            .await;
        finish(under_way, tokio::time::sleep(Duration::from_secs(1))).await;
        assert_eq!(served.load(Ordering::Relaxed), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_let_in_beyond_the_bound_or_after_the_door_has_shut() {
        let stop = CancellationToken::new();
        let door = Door::until(stop.clone());
        let pace = Pace::starting_now(Positive::ONE);
        let shut = async {
            pace.wait_until(Duration::from_secs(50)).await;
            stop.cancel();
        };
        let stuck = door.admit(shoppers(), pace, |_| std::future::pending());
        let (under_way, ()) = tokio::join!(stuck, shut);
        assert_eq!(under_way.len(), MOST);
        finish(under_way, tokio::time::sleep(Duration::from_secs(1))).await;
        assert!(pace.now() < Duration::from_secs(52));
    }
}
