//! Worlds for the tests of this crate.

use std::sync::Arc;
use std::time::Duration;

use crate::scenario::Scenario;
use crate::shopper::Shopper;
use crate::world::{ChannelIndex, Visit, World};

/// Three card channels, the best of which is down from 40 s to 80 s.
pub(crate) const SMALL: &str = include_str!("../tests/small.yaml");

/// The small scenario under `seed`.
pub(crate) fn world(seed: u64) -> Arc<World> {
    Arc::new(World::new(Scenario::from_yaml(SMALL).unwrap(), seed))
}

/// The small scenario with its first `from` replaced by `to`.
pub(crate) fn changed(seed: u64, from: &str, to: &str) -> Arc<World> {
    assert!(SMALL.contains(from));
    let text = SMALL.replacen(from, to, 1);
    Arc::new(World::new(Scenario::from_yaml(&text).unwrap(), seed))
}

/// A first attempt without load.
pub(crate) fn visit(channel: ChannelIndex, shopper: &Shopper, at: Duration) -> Visit<'_> {
    Visit {
        channel,
        payment: &shopper.payment,
        attempt_no: 1,
        at,
        load_tps: 0.0,
    }
}
