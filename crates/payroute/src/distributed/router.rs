//! The router as a process: routing, the spool, and the relay of outcomes.

use std::sync::Arc;

use access::Guard;
use anyhow::Context as _;
use jiff::SignedDuration;
use ledger::control::{ControlStore, Follower};
use ledger::spool::{Settings as SpoolSettings, Spool};
use ledger::{Ledger, Writer};
use rand::RngExt as _;
use rand::rngs::StdRng;
use router::adopt::Adopter;
use router::notice::Teller;
use router::relay::Relay;
use router::routing::{Parts, Routing};
use router::server::Services;
use stats::stream::Publisher;
use telemetry::probes::Readiness;

use super::listen;
use super::stores::Stores;
use super::watching::Watching;
use crate::running::{GRPC, IN_FLIGHT, Running};
use crate::token_keys;

/// Adds the router's tasks.
pub(super) async fn add(
    running: &mut Running,
    stores: &Stores,
    watching: &Watching,
    guard: Guard,
    teller: Teller,
) -> anyhow::Result<()> {
    let settings = &stores.settings;
    let listener = listen("listen.grpc", settings.listen.grpc, settings).await?;
    running.addresses.push((GRPC, listener.local_addr()?));
    let (relay, relaying) = Relay::new(stores.statistics.clone(), Arc::clone(&stores.ledger) as _);
    let writer = spawn_writer(stores, watching.outcomes.clone(), relay)?;
    let routing = Routing::new(Parts {
        shop: watching.shop.clone(),
        live: Arc::clone(&watching.live),
        catalogue: stores.catalogue.clone(),
        keyring: token_keys::load_or_make(&settings.token.keys_file)?,
        writer: writer.clone(),
        ledger: Arc::clone(&stores.ledger) as Arc<dyn Ledger>,
        cases: Arc::clone(&stores.ledger) as _,
        outcomes: watching.outcomes.clone(),
        clock: Arc::clone(&stores.clock),
        token_ttl: SignedDuration::from_secs(i64::from(settings.token.ttl_secs)),
        rng: rand::make_rng(),
        guarding: crate::serving::guarding(
            Arc::clone(&stores.ledger) as _,
            settings.guard.by_default().map_err(anyhow::Error::msg)?,
        )?,
    })?;
    let routing = Arc::new(routing.telling(teller));
    let adopter = Adopter::new(Arc::clone(&routing), Some(stores.control_file()));
    adopter.adopt(watching.control.clone()).await;
    let follower = Follower::new(
        Arc::clone(&stores.control) as Arc<dyn ControlStore>,
        watching.control.revision,
    );
    let readiness: Readiness = running.readiness().clone();
    let services = Services {
        routing,
        live: Arc::clone(&watching.live),
        guard,
        readiness,
    };
    // A caller that never reads its answer must not keep the ledger from being closed.
    running.stage("calls in flight", Some(IN_FLIGHT));
    running.spawn(|stop| crate::serving::grpc(listener, services, stop));
    running.stage("the ledger", None);
    running.spawn(|stop| crate::serving::close(writer, stop));
    running.stage("the relay", None);
    running.spawn(move |stop| relaying.run(stop));
    running.spawn(move |stop| adopter.follow(follower, stop));
    Ok(())
}

/// The writer hands every outcome to this process's own statistics at once, and every committed batch to the relay.
fn spawn_writer(stores: &Stores, outcomes: Publisher, relay: Relay) -> anyhow::Result<Writer> {
    let settings = &stores.settings.spool;
    let spool = Spool::open(&SpoolSettings {
        folder: settings.path.clone(),
        max_bytes: settings.max_bytes,
    })
    .context("spool.path")?;
    let seed = rand::make_rng::<StdRng>().random();
    let writer = Writer::builder(Arc::clone(&stores.ledger) as Arc<dyn Ledger>)
        .spool(spool, seed)
        .on_new(move |record| crate::serving::publish(&outcomes, record))
        .on_committed(move |committed| relay.committed(committed));
    Ok(writer.spawn())
}
