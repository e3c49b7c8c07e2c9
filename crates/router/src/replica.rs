//! The replica's task: tells the fleet what the brain did, and teaches the brain what the fleet did.
//!
//! The brain writes down by itself what it does, so that Route and `ReportOutcome` know nothing of this. The task takes
//! the brain's lock for small slices only, and never across a call to the log. Without the log it goes on alone: what it
//! has to tell waits, bounded, and the brain learns from what it sees itself.

use std::sync::Arc;
use std::time::Duration;

use domain::brain::{Brain, Origin};
use domain::clock::SharedClock;
use domain::replica::{Counts, Position, Rebase, Replica};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use stats::evidence::{EvidenceLog, LogError};
use stats::live::Live;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Packets by `direction`: `in` or `out`.
const PACKETS: &str = "payroute_replica_packets_total";
/// Gaps in a peer's packets.
const GAPS: &str = "payroute_replica_gaps_total";
/// Packets that were too old to be applied.
const TOO_OLD: &str = "payroute_replica_old_packets_total";
/// Times that this replica went on from a checkpoint.
const REBASES: &str = "payroute_replica_rebases_total";
/// How far behind the stream's present this replica is.
const LAG: &str = "payroute_replica_lag_seconds";
/// Packets that wait for the log to take them.
const WAITING: &str = "payroute_replica_waiting_packets";
/// Calls to the log that failed.
const FAILURES: &str = "payroute_replica_log_failures_total";

/// How often it tells and listens.
const EVERY: Duration = Duration::from_millis(100);

/// How long a call to the log may take.
const CALL: Duration = Duration::from_millis(250);

/// What is applied in one go, under the brain's lock: some tens of microseconds.
const SLICE: usize = 64;

/// Packets read in one call, and appended in one turn.
const BATCH: usize = 256;

/// How often a checkpoint is asked for while one is needed.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The longest wait after a call failed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The task of one replica.
#[derive(Debug)]
pub struct ReplicaTask<L> {
    log: L,
    live: Arc<Live>,
    clock: SharedClock,
    replica: Replica,
    /// Turns to leave out, and how many were left out the last time: the log is not asked again at once after a failure.
    pause: u32,
    paused: u32,
    /// Turns until a checkpoint is asked for again.
    ask_in: u32,
    told: Counts,
}

impl<L: EvidenceLog> ReplicaTask<L> {
    /// A replica known as `own`, a number that no other process has drawn. Its brain begins to write down what it does.
    #[must_use]
    pub fn new(own: Origin, log: L, live: Arc<Live>, clock: SharedClock) -> Self {
        describe();
        let mut replica = live.with_brain(|brain| Replica::new(own, brain));
        replica.follower.want_rebase();
        Self {
            log,
            live,
            clock,
            replica,
            pause: 0,
            paused: 0,
            ask_in: 0,
            told: Counts::default(),
        }
    }

    /// Tells and listens until `stop` is cancelled; then it tells what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.turn().await,
                () = stop.cancelled() => break,
            }
        }
        self.collect();
        let _ = self.tell().await;
    }

    /// One turn.
    pub async fn turn(&mut self) {
        self.collect();
        if self.pause > 0 {
            self.pause -= 1;
        } else {
            match self.exchange().await {
                Ok(()) => self.paused = 0,
                Err(error) => self.back_off(&error),
            }
        }
        self.apply().await;
        self.measure();
    }

    fn collect(&mut self) {
        let now = self.clock.now();
        let outbox = &mut self.replica.outbox;
        let waited_for = self.live.with_brain(|brain| {
            outbox.collect(brain);
            brain.in_flight() > 0
        });
        outbox.pack(now, waited_for);
    }

    async fn exchange(&mut self) -> Result<(), LogError> {
        self.tell().await?;
        self.listen().await?;
        self.rebase().await
    }

    async fn tell(&mut self) -> Result<(), LogError> {
        for _ in 0..BATCH {
            let Some(packet) = self.replica.outbox.next() else {
                break;
            };
            let (seq, sent_at) = (packet.seq, self.clock.now());
            let at = bounded(self.log.append(packet)).await?;
            self.replica.follower.calibrate(sent_at, at.time());
            self.replica.outbox.taken(seq);
            counter!(PACKETS, "direction" => "out").increment(1);
        }
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), LogError> {
        let follower = &mut self.replica.follower;
        if follower.position() == Position::BEGINNING {
            // What was before is in the checkpoint, if there is one.
            let now = self.clock.now();
            let begun = follower.stream_time(now);
            let ms = u64::try_from(begun.as_millisecond()).unwrap_or(0);
            follower.skip_to(Position { ms, seq: 0 });
        }
        loop {
            let packets = bounded(self.log.read(follower.position(), BATCH)).await?;
            let now = self.clock.now();
            let count = packets.len();
            for (at, packet) in packets {
                follower.read(at, packet, now);
            }
            if count < BATCH {
                follower.read_to_end(now);
                return Ok(());
            }
        }
    }

    /// Teaches the brain what was read, in slices between which others get at it.
    async fn apply(&mut self) {
        loop {
            let now = self.clock.now();
            let follower = &mut self.replica.follower;
            let left = self.live.with_brain(|brain| {
                follower.tick(brain, now);
                follower.apply(brain, SLICE)
            });
            if left == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Goes on from the latest checkpoint, if one is needed and it helps.
    async fn rebase(&mut self) -> Result<(), LogError> {
        if self.replica.follower.wants_rebase().is_none() {
            return Ok(());
        }
        if self.ask_in > 0 {
            self.ask_in -= 1;
            return Ok(());
        }
        self.ask_in = turns(ASK_EVERY);
        let Some(checkpoint) = bounded(self.log.checkpoint()).await? else {
            return Ok(());
        };
        if !self.replica.is_helped_by(&checkpoint, self.clock.now()) {
            return Ok(());
        }
        let params = self.live.with_brain(|brain| brain.params());
        let mut rebase = match self.replica.begin_rebase(checkpoint, params) {
            Ok(rebase) => rebase,
            Err(error) => {
                tracing::warn!(%error, "the fleet's checkpoint is of another version: going on without it");
                self.replica.follower.go_on_alone();
                return Ok(());
            }
        };
        self.catch_up(&mut rebase).await?;
        let now = self.clock.now();
        let replica = &mut self.replica;
        let old: Brain = self
            .live
            .with_brain(|brain| replica.finish_rebase(rebase, brain, now));
        drop(old);
        counter!(REBASES).increment(1);
        tracing::info!("went on from the fleet's checkpoint");
        Ok(())
    }

    /// Reads what the fleet did since the checkpoint.
    async fn catch_up(&self, rebase: &mut Rebase) -> Result<(), LogError> {
        loop {
            let packets = bounded(self.log.read(rebase.position(), BATCH)).await?;
            let now = self.clock.now();
            let count = packets.len();
            for (at, packet) in packets {
                rebase.read(at, packet, now);
                tokio::task::yield_now().await;
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    fn back_off(&mut self, error: &LogError) {
        if self.paused == 0 {
            tracing::warn!(%error, "the evidence log does not answer: this replica goes on alone");
        }
        counter!(FAILURES).increment(1);
        self.paused = (self.paused * 2).clamp(1, turns(LONGEST_WAIT));
        self.pause = self.paused;
    }

    fn measure(&mut self) {
        let counts = self.replica.follower.counts();
        counter!(PACKETS, "direction" => "in").increment(counts.packets - self.told.packets);
        counter!(GAPS).increment(counts.gaps - self.told.gaps);
        counter!(TOO_OLD).increment(counts.too_old - self.told.too_old);
        self.told = counts;
        let now = self.clock.now();
        if let Some(lag) = self.replica.follower.lag(now) {
            gauge!(LAG).set(lag.as_secs_f64());
        }
        let waiting = u32::try_from(self.replica.outbox.waiting()).unwrap_or(u32::MAX);
        gauge!(WAITING).set(f64::from(waiting));
    }
}

/// The turns in `time`.
fn turns(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / EVERY.as_millis()).unwrap_or(u32::MAX)
}

/// A call that takes too long has failed.
async fn bounded<T>(call: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer,
        Err(late) => Err(LogError::Store(Box::new(late))),
    }
}

fn describe() {
    describe_counter!(PACKETS, "Packets of evidence, by direction.");
    describe_counter!(GAPS, "Gaps in a peer's packets.");
    describe_counter!(TOO_OLD, "Packets that were too old to be applied.");
    describe_counter!(REBASES, "Times that this replica went on from a checkpoint.");
    describe_gauge!(
        LAG,
        metrics::Unit::Seconds,
        "How long ago the peer furthest behind was heard."
    );
    describe_gauge!(WAITING, "Packets that wait for the evidence log.");
    describe_counter!(FAILURES, "Calls to the evidence log that failed.");
}

#[cfg(test)]
mod tests;
