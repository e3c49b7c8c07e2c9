//! The estimator's task: whoever holds the lease hears the whole fleet and writes checkpoints.
//!
//! A standby takes over from the last checkpoint and the packets since. With no checkpoint of late, or after it was cut
//! off for longer than the log keeps, the brain is taught anew by whoever calls: the ledger knows the last hour.

use std::sync::Arc;
use std::time::Duration;

use domain::brain::Brain;
use domain::clock::SharedClock;
use domain::replica::{Estimator, Position};
use jiff::{SignedDuration, Timestamp};
use metrics::{counter, describe_counter};
use stats::evidence::{EvidenceLog, LogError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The name of the lease.
pub const LEASE: &str = "estimator";

/// How long the lease is held without being renewed.
const LEASE_TTL: Duration = Duration::from_secs(5);

/// How often the log is read.
const EVERY: Duration = Duration::from_millis(250);

/// How often a checkpoint is written, and the lease renewed.
const CHECKPOINT_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// How long a call may take.
const CALL: Duration = Duration::from_secs(1);

/// Packets read in one call.
const BATCH: usize = 512;

/// Who was cut off for longer than this knows less than the ledger.
const TOO_LONG: SignedDuration = SignedDuration::from_secs(10);

/// Checkpoints written.
const CHECKPOINTS: &str = "payroute_estimator_checkpoints_total";
/// Times that this process became the estimator.
const TAKE_OVERS: &str = "payroute_estimator_take_overs_total";

/// Where leases are.
pub trait Leases: Send + Sync {
    /// Takes or renews the lease `name` for `owner` until `ttl` from now. Returns whether it is `owner`'s; somebody else's
    /// lease, or no answer, is none.
    fn lease(&self, name: &str, owner: &str, ttl: Duration) -> impl Future<Output = bool> + Send;
}

/// Where a brain comes from when there is no checkpoint.
pub trait Teacher: Send + Sync {
    /// A brain with the configured channels and rules, taught by the ledger's last hour; as it is new where the ledger
    /// cannot be read.
    fn teach(&self) -> impl Future<Output = Brain> + Send;
}

/// The task of one monitor.
#[derive(Debug)]
pub struct EstimatorTask<L, S, T> {
    log: L,
    leases: S,
    teacher: T,
    owner: String,
    clock: SharedClock,
    held: Option<Held>,
    renew_at: Option<Timestamp>,
}

/// What the holder of the lease has.
#[derive(Debug)]
struct Held {
    estimator: Estimator,
    read_at: Timestamp,
}

impl<L: EvidenceLog, S: Leases, T: Teacher> EstimatorTask<L, S, T> {
    /// A task that holds nothing yet. `owner` names this process among those that want the lease.
    #[must_use]
    pub fn new(log: L, leases: S, teacher: T, owner: String, clock: SharedClock) -> Self {
        describe_counter!(CHECKPOINTS, "Checkpoints of the fleet's brain that were written.");
        describe_counter!(TAKE_OVERS, "Times that this process became the estimator.");
        Self {
            log,
            leases,
            teacher,
            owner,
            clock,
            held: None,
            renew_at: None,
        }
    }

    /// Holds the lease whenever it can, until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.turn().await,
                () = stop.cancelled() => return,
            }
        }
    }

    /// One turn.
    pub async fn turn(&mut self) {
        let now = self.clock.now();
        let due = self.renew_at.is_none_or(|at| now >= at);
        if due {
            self.renew_at = now.checked_add(CHECKPOINT_EVERY).ok();
            if !self.leases.lease(LEASE, &self.owner, LEASE_TTL).await {
                if self.held.take().is_some() {
                    tracing::warn!("the estimator's lease was lost");
                }
                return;
            }
        }
        if let Err(error) = self.work(due).await {
            tracing::debug!(%error, "the evidence log does not answer the estimator");
        }
    }

    async fn work(&mut self, write: bool) -> Result<(), LogError> {
        let now = self.clock.now();
        let cut_off = |held: &Held| now.duration_since(held.read_at) > TOO_LONG;
        if self.held.as_ref().is_some_and(cut_off) {
            self.held = None;
        }
        if self.held.is_none() && write {
            self.held = Some(self.begin().await?);
            counter!(TAKE_OVERS).increment(1);
        }
        let Some(held) = &mut self.held else {
            return Ok(());
        };
        loop {
            let after = held.estimator.follower.position();
            let packets = bounded(self.log.read(after, BATCH)).await?;
            held.read_at = self.clock.now();
            let count = packets.len();
            for (at, packet) in packets {
                held.estimator.read(at, packet, held.read_at);
            }
            if count < BATCH {
                break;
            }
        }
        held.estimator.follower.read_to_end(held.read_at);
        held.estimator.tick(held.read_at);
        if write {
            bounded(self.log.put_checkpoint(&held.estimator.checkpoint(held.read_at))).await?;
            counter!(CHECKPOINTS).increment(1);
        }
        Ok(())
    }

    /// Begins from the checkpoint, if one is of late, and else from what the ledger teaches.
    async fn begin(&self) -> Result<Held, LogError> {
        let asked_at = self.clock.now();
        let stream_now = bounded(self.log.time()).await?;
        // A checkpoint that cannot be read is as good as none.
        let checkpoint = bounded(self.log.checkpoint()).await.ok().flatten();
        let mut estimator = Estimator::new(self.teacher.teach().await);
        estimator.follower.calibrate(asked_at, stream_now);
        let params: Arc<_> = estimator.brain().params();
        let fresh = checkpoint.filter(|found| stream_now.duration_since(found.made_at) <= TOO_LONG);
        let taken = fresh.map(|checkpoint| estimator.take_over(checkpoint, params));
        if matches!(taken, Some(Ok(()))) {
            tracing::info!("this process is the estimator, from the checkpoint of the one before");
        } else {
            let ms = u64::try_from(stream_now.as_millisecond()).unwrap_or(0);
            estimator.follower.skip_to(Position { ms, seq: 0 });
            tracing::info!("this process is the estimator, from what the ledger knows");
        }
        Ok(Held {
            estimator,
            read_at: self.clock.now(),
        })
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer,
        Err(late) => Err(LogError::Store(Box::new(late))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use domain::brain::{Origin, Params};
    use domain::clock::{Clock, ManualClock};
    use domain::id::ChannelId;
    use domain::replica::Packet;
    use stats::evidence::MemoryLog;

    use super::*;

    #[derive(Clone, Default)]
    struct Lease(Arc<AtomicBool>);

    impl Leases for Lease {
        async fn lease(&self, _: &str, _: &str, _: Duration) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    struct Ledger;

    impl Teacher for Ledger {
        async fn teach(&self) -> Brain {
            let mut brain = Brain::new(Params::default());
            brain.set_channels(&[ChannelId::new("a").unwrap()]);
            brain
        }
    }

    struct Room {
        clock: Arc<ManualClock>,
        log: MemoryLog,
    }

    impl Room {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_700_000_000).unwrap()));
            Self {
                log: MemoryLog::new(Arc::clone(&clock) as _),
                clock,
            }
        }

        fn task(&self, owner: &str, holds: bool) -> (EstimatorTask<MemoryLog, Lease, Ledger>, Lease) {
            let lease = Lease(Arc::new(AtomicBool::new(holds)));
            let clock = Arc::clone(&self.clock) as _;
            (
                EstimatorTask::new(self.log.clone(), lease.clone(), Ledger, owner.to_owned(), clock),
                lease,
            )
        }

        fn pass(&self) {
            self.clock.set(self.clock.now() + SignedDuration::from_secs(2));
        }

        async fn packet(&self, seq: u64) -> Position {
            let packet = Packet {
                origin: Origin(1),
                seq,
                sent_at: self.clock.now(),
                deeds: Vec::new(),
            };
            self.log.append(&packet).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_holder_of_the_lease_writes_checkpoints() {
        let room = Room::new();
        let (mut idle, _) = room.task("one", false);
        idle.turn().await;
        assert!(room.log.checkpoint().await.unwrap().is_none());
        let (mut busy, _) = room.task("two", true);
        busy.turn().await;
        assert!(room.log.checkpoint().await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_goes_on_where_the_one_before_stood() {
        let room = Room::new();
        let (mut first, lease) = room.task("one", true);
        first.turn().await;
        room.pass();
        let stood = room.packet(1).await;
        first.turn().await;
        lease.0.store(false, Ordering::Relaxed);
        let later = room.packet(2).await;
        let (mut second, _) = room.task("two", true);
        assert_eq!(room.log.checkpoint().await.unwrap().unwrap().position, stood);
        second.turn().await;
        let written = room.log.checkpoint().await.unwrap().unwrap();
        assert_eq!(written.position, later);
        assert_eq!(written.origins[&Origin(1)].seq, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_loses_the_lease_writes_no_more() {
        let room = Room::new();
        let (mut task, lease) = room.task("one", true);
        task.turn().await;
        let before = room.log.checkpoint().await.unwrap().unwrap().made_at;
        lease.0.store(false, Ordering::Relaxed);
        room.pass();
        task.turn().await;
        assert_eq!(room.log.checkpoint().await.unwrap().unwrap().made_at, before);
    }
}
