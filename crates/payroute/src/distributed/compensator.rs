//! The compensator as a process: settles what is unknown.

use std::sync::Arc;

use compensator::{Compensator, Parts};
use router::notice::Teller;

use super::stores::Stores;
use crate::clerk::Clerk;
use crate::running::Running;
use crate::token_keys;

/// Adds the compensator's task.
pub(super) fn add(running: &mut Running, stores: &Stores, teller: Teller) -> anyhow::Result<()> {
    let settings = &stores.settings;
    let compensator = Compensator::new(Parts {
        cases: Arc::clone(&stores.ledger) as _,
        ledger: Arc::clone(&stores.ledger) as _,
        guards: Arc::clone(&stores.ledger) as _,
        control: Arc::clone(&stores.control),
        catalogue: stores.catalogue.clone(),
        clerk: Arc::new(Clerk::new(
            token_keys::load_or_make(&settings.token.keys_file)?,
            stores.catalogue.clone(),
            teller,
        )),
        receiver: settings.compensation.receiver(),
        clock: Arc::clone(&stores.clock),
    });
    running.stage("the compensator", None);
    running.spawn(|stop| compensator.run(stop));
    Ok(())
}
