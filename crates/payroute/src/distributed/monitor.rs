//! The monitor as a process: exact statistics, the fleet's brain, and the sweep of what routers left behind.

use std::collections::HashSet;
use std::sync::Arc;

use domain::brain::{Brain, Params};
use domain::control::{Control, assemble};
use domain::id::ChannelId;
use ledger::StatisticsSource;
use ledger::control::Follower;
use monitor::estimator::{EstimatorTask, Parts, Teacher};
use monitor::partition::owners::Owners;
use monitor::sweep::Sweep;
use stats::redis::RedisLog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::stores::Stores;
use super::watching;
use crate::running::Running;

/// Adds the monitor's tasks.
pub(super) async fn add(running: &mut Running, stores: &Stores) -> anyhow::Result<()> {
    let control = stores.last_control().await?;
    let follower = Follower::new(Arc::clone(&stores.control), control.revision);
    let (changes, configured) = watch::channel(control.revision);
    let (channels, known) = watch::channel(Arc::new(channels(stores, &control)));
    let (latest, present) = watch::channel(Arc::new(control));
    let name = Uuid::now_v7().to_string();
    let owners = Owners {
        store: stores.statistics.clone(),
        source: Arc::clone(&stores.ledger) as Arc<dyn StatisticsSource>,
        name: name.clone(),
        channels: known,
    };
    let estimator = EstimatorTask::new(Parts {
        log: RedisLog::new(stores.statistics.clone()),
        leases: stores.statistics.clone(),
        teacher: Ledgered {
            stores: stores.clone(),
            present,
        },
        owner: name.clone(),
        clock: Arc::clone(&stores.clock),
        configured,
    });
    let sweep = Sweep {
        store: stores.statistics.clone(),
        ledger: Arc::clone(&stores.ledger),
        name,
        clock: Arc::clone(&stores.clock),
    };
    running.spawn(move |stop| owners.run(stop));
    running.spawn(move |stop| sweep.run(stop));
    running.spawn(move |stop| estimator.run(stop));
    let news = News {
        stores: stores.clone(),
        latest,
        channels,
        changes,
    };
    running.spawn(move |stop| news.follow(follower, stop));
    Ok(())
}

/// Tells the monitor's tasks what operators change.
struct News {
    stores: Stores,
    latest: watch::Sender<Arc<Control>>,
    channels: watch::Sender<Arc<HashSet<ChannelId>>>,
    changes: watch::Sender<u64>,
}

impl News {
    async fn follow(self, mut follower: Follower, stop: CancellationToken) {
        loop {
            let control = tokio::select! {
                () = stop.cancelled() => return,
                control = follower.next() => control,
            };
            let (revision, known) = (control.revision, channels(&self.stores, &control));
            self.latest.send_replace(Arc::new(control));
            self.channels.send_replace(Arc::new(known));
            self.changes.send_replace(revision);
        }
    }
}

/// The channels of a control state; none when it cannot be used, which the routers say loudly.
fn channels(stores: &Stores, control: &Control) -> HashSet<ChannelId> {
    let assembled = assemble(control, &stores.catalogue.load().providers());
    let channels = assembled.map(|assembled| assembled.configuration.channels);
    channels.map_or_else(
        |_| HashSet::new(),
        |channels| channels.iter().map(|(_, channel)| channel.id.clone()).collect(),
    )
}

/// Makes brains of what is configured and what the ledger knows.
struct Ledgered {
    stores: Stores,
    present: watch::Receiver<Arc<Control>>,
}

impl Teacher for Ledgered {
    async fn blank(&self) -> Brain {
        let control = Arc::clone(&self.present.borrow());
        let mut brain = Brain::new(Params::default());
        if let Ok(assembled) = assemble(&control, &self.stores.catalogue.load().providers()) {
            // The shop is for routers: only what it tells the brain is wanted.
            drop(assembled.open(&control.breakers, &mut brain));
        }
        brain
    }

    async fn teach(&self) -> Brain {
        let mut brain = self.blank().await;
        watching::teach(&self.stores, &mut brain).await;
        brain
    }
}
