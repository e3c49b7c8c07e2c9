//! The shop of the demo: the example shop, in front of the channels of the demo's scenario.

use access::Guard;
use router::guarded::ByDefault;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::catalogue::{Catalogue, Shared as SharedCatalogue};
use domain::channel::Channel;
use domain::channels::{Channels, Configuration};
use domain::clock::SystemClock;
use jiff::SignedDuration;
use ledger::SqliteSettings;
use simulator::scenario::Scenario;
use simulator::scenario::quantity::Positive;
use simulator::scenario::shipped::SHIPPED;
use simulator::world::World;

use crate::checkout::request::PROVIDER;
use crate::embedded::{Setup, Source};
use crate::shop_files::ShopFiles;
use crate::token_keys;

/// How often health is published: often, because people look on.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);

/// The demo's scenario under `seed`, stretched or squeezed to `seconds`.
pub(super) fn world(seconds: u32, seed: u64) -> anyhow::Result<World> {
    let shipped = SHIPPED.first().context("the demo's scenario is missing")?;
    let scenario = Scenario::from_yaml(shipped.yaml)?;
    let length = Positive::new(f64::from(seconds))?;
    Ok(World::new(scenario.lasting(length), seed))
}

/// An embedded Payroute for the example shop, which keeps its ledger and its keys in `folder`.
pub(super) fn setup(world: &World, folder: &Path) -> anyhow::Result<Setup> {
    let catalogue = SharedCatalogue::new(Catalogue::built_in()?);
    let mut shop = ShopFiles::example(&catalogue.load())?;
    shop.configuration = simulated(shop.configuration, world)?;
    Ok(Setup {
        shop: Source::Fixed(shop),
        catalogue,
        catalogue_files: None,
        ledger: SqliteSettings {
            path: folder.join("payroute.db"),
            max_bytes: None,
        },
        keyring: token_keys::load_or_make(&folder.join("token-keys"))?,
        guard: Guard::new(None),
        receivers: Arc::default(),
        notices: None,
        books: crate::evaluating::Books::default(),
        console_url: None,
        guarded: ByDefault::Nobody,
        token_ttl: SignedDuration::from_hours(1),
        snapshot_every: SNAPSHOT_EVERY,
        rebuild: SignedDuration::ZERO,
        compensation_receiver: None,
        clock: Arc::new(SystemClock),
    })
}

/// The example's channels, of which the demo changes two things and no more: they answer with the codes of
/// [`PROVIDER`], and time out as early as the scenario says, so that a minute has room for an outage.
fn simulated(configuration: Configuration, world: &World) -> anyhow::Result<Configuration> {
    let replace = |channel: &Channel| {
        let place = world.index_of(&channel.id);
        let scripted = place.and_then(|place| world.channel(place));
        let scripted = scripted.with_context(|| format!("the scenario has no channel `{}`", channel.id))?;
        Ok(Channel {
            provider: PROVIDER.to_owned(),
            timeout_ms: scripted.timeout_ms,
            ..channel.clone()
        })
    };
    let channels = configuration.channels.iter().map(|(_, channel)| replace(channel));
    let channels: Vec<_> = channels.collect::<anyhow::Result<_>>()?;
    Ok(Configuration {
        // The policy was loaded for these channels in this order.
        channels: Channels::new(channels)?,
        ..configuration
    })
}
