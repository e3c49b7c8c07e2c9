//! What a router and the console know of the channels: the fleet's brain, and the shared statistics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::brain::{Brain, Origin, Params};
use domain::control::{Control, assemble};
use domain::decision::Shop;
use domain::snapshot::HealthSnapshot;
use domain::window::Windows;
use jiff::SignedDuration;
use monitor::Monitor;
use parking_lot::Mutex;
use rand::RngExt as _;
use rand::rngs::StdRng;
use router::replica::ReplicaTask;
use stats::evidence::EvidenceLog as _;
use stats::live::Live;
use stats::redis::RedisLog;
use stats::redis::reader::{Board, Poller};
use stats::stream::{CAPACITY, Consumer, Publisher, stream};

use super::stores::Stores;
use crate::running::Running;

/// The file of the last health snapshots, in `state.path`.
const HEALTH_FILE: &str = "health";

/// What is known, and what keeps it up to date.
pub(super) struct Watching {
    pub(super) live: Arc<Live>,
    pub(super) control: Control,
    /// What the shop routes by, as long as nobody has taken it.
    pub(super) shop: Shop,
    pub(super) outcomes: Publisher,
    consumer: Consumer,
    pub(super) board: Arc<Mutex<Board>>,
    log: RedisLog,
    every: Duration,
}

impl Watching {
    /// Begins with what the stores know, or with what this process last knew.
    pub(super) async fn begin(stores: &Stores) -> anyhow::Result<Self> {
        let control = stores.last_control().await?;
        let assembled = assemble(&control, &stores.catalogue.load().providers())
            .map_err(|wrong| {
                anyhow::anyhow!(
                    "{}",
                    wrong
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join("\n")
                )
            })
            .context("the configuration in the ledger cannot be used")?;
        let mut brain = Brain::new(Params::default());
        let shop = assembled.open(&control.breakers, &mut brain);
        let log = RedisLog::new(stores.statistics.clone());
        // The fleet knows more than the ledger: only where it does not answer is the last hour read back.
        if !matches!(log.checkpoint().await, Ok(Some(_))) {
            teach(stores, &mut brain).await;
        }
        let every = Duration::from_millis(u64::from(stores.settings.health.snapshot_ms));
        // The monitor calls with every snapshot; twice that without a call is a stall of our own.
        brain.expect_calls_every(SignedDuration::try_from(2 * every)?);
        let now = stores.clock.now();
        let nothing = HealthSnapshot::take(0, now, &Windows::default(), []);
        let board = Board::restore(&stores.settings.state.path.join(HEALTH_FILE), now).await;
        let (outcomes, consumer) = stream(CAPACITY);
        Ok(Self {
            live: Arc::new(Live::new(brain, nothing)),
            control,
            shop,
            outcomes,
            consumer,
            board: Arc::new(Mutex::new(board)),
            log,
            every,
        })
    }

    /// Keeps it up to date until the process stops.
    pub(super) fn add(self, running: &mut Running, stores: &Stores) {
        let clock = Arc::clone(&stores.clock);
        let monitor =
            Monitor::new(Arc::clone(&self.live), Arc::clone(&clock)).sharing(Arc::clone(&self.board));
        let (consumer, every) = (self.consumer, self.every);
        // It ends when every publisher is gone, and the console has none.
        let outcomes = self.outcomes;
        running.spawn(move |stop| async move {
            monitor.run(consumer, every, stop).await;
            drop(outcomes);
        });
        let own = Origin(rand::make_rng::<StdRng>().random());
        let replica = ReplicaTask::new(own, self.log, self.live, clock);
        running.spawn(move |stop| replica.run(stop));
        let poller = Poller {
            store: stores.statistics.clone(),
            board: self.board,
            file: Some(health_file(stores)),
        };
        running.spawn(move |stop| poller.run(stop));
    }
}

fn health_file(stores: &Stores) -> PathBuf {
    stores.settings.state.path.join(HEALTH_FILE)
}

/// Tells `brain` what the ledger knows of the last hour; without the ledger it begins with nothing.
pub(super) async fn teach(stores: &Stores, brain: &mut Brain) {
    let span = SignedDuration::from_secs(i64::from(stores.settings.health.rebuild_secs));
    let since = monitor::rebuild::since(stores.clock.now(), span);
    if let Err(error) = monitor::rebuild::teach(&*stores.ledger, since, brain).await {
        tracing::warn!(%error, "the brain begins without what the ledger knows: {error}");
    }
}
