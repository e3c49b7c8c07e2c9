//! What the services of one process share: the brain, and the health snapshot.

use std::sync::Arc;

use domain::brain::Brain;
use domain::snapshot::HealthSnapshot;
use parking_lot::Mutex;
use tokio::sync::watch;

/// The living state. The router asks the brain and the monitor feeds it; the lock is held for microseconds and never
/// across an await, because [`Live::with_brain`] takes a plain function.
#[derive(Debug)]
pub struct Live {
    brain: Mutex<Brain>,
    snapshot: watch::Sender<Arc<HealthSnapshot>>,
}

impl Live {
    /// A state that starts with `brain` and `snapshot`.
    #[must_use]
    pub fn new(brain: Brain, snapshot: HealthSnapshot) -> Self {
        Self {
            brain: Mutex::new(brain),
            snapshot: watch::Sender::new(Arc::new(snapshot)),
        }
    }

    /// Does `work` with the brain, while nobody else does.
    pub fn with_brain<T>(&self, work: impl FnOnce(&mut Brain) -> T) -> T {
        work(&mut self.brain.lock())
    }

    /// The latest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<HealthSnapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Publishes a snapshot. One that is not newer than the present one is left aside: health never moves back.
    pub fn publish(&self, snapshot: HealthSnapshot) {
        self.snapshot.send_if_modified(|present| {
            let newer = snapshot.seq > present.seq;
            if newer {
                *present = Arc::new(snapshot);
            }
            newer
        });
    }

    /// Follows the snapshots as they are published.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<HealthSnapshot>> {
        self.snapshot.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use domain::brain::Params;
    use domain::window::Windows;
    use jiff::Timestamp;

    use super::*;

    fn snapshot(seq: u64) -> HealthSnapshot {
        HealthSnapshot::take(seq, Timestamp::UNIX_EPOCH, &Windows::default(), [])
    }

    #[test]
    fn health_never_moves_back() {
        let live = Live::new(Brain::new(Params::default()), snapshot(0));
        let mut seen = live.watch();
        let mut shown = Vec::new();
        for seq in [2, 1, 2, 3] {
            live.publish(snapshot(seq));
            shown.push((live.snapshot().seq, seen.has_changed().unwrap()));
            seen.mark_unchanged();
        }
        assert_eq!(shown, [(2, true), (2, false), (2, false), (3, true)]);
    }

    #[test]
    fn who_watches_sees_the_latest_snapshot() {
        let live = Live::new(Brain::new(Params::default()), snapshot(0));
        let mut seen = live.watch();
        live.publish(snapshot(1));
        live.publish(snapshot(2));
        assert_eq!(seen.borrow_and_update().seq, 2);
    }
}
