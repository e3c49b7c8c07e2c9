//! The control plane: a REST API over channels, policies, suspensions, breakers, limits, health, alerts,
//! incidents and payments.
//!
//! What is read comes from the ledger and from the shared health snapshot; what is changed goes through
//! [`ledger::control::Editor`], which decides whether it may be and keeps it with its audit entry in one transaction.
//! Every process that routes hears of it within two seconds. Errors are problems as RFC 9457 has them, in one place.

mod act;
mod alerts;
mod audit;
mod breakers;
mod caller;
mod card_numbers;
mod change;
mod channels;
mod codes;
mod compensation;
mod deliveries;
mod extract;
mod health;
mod incidents;
mod limits;
mod markdown;
mod payments;
mod plans;
mod policies;
mod problem;
mod routes;
mod runbooks;
mod server;
mod suspensions;

use std::sync::Arc;

use access::Guard;
use domain::attempt::State;
use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SharedClock;
use jiff::Timestamp;
use ledger::alert::AlertStore;
use ledger::attempt::AttemptRecord;
use ledger::compensation::Cases;
use ledger::control::{ControlStore, Editor};
use ledger::{Deliveries, Ledger, NewDelivery, ObservationSource};
use stats::live::Live;

pub use problem::{Kind, Problem};
pub use routes::{openapi, routes};
pub use server::serve;

/// Who knows what customers are told.
pub trait Herald: Send + Sync + std::fmt::Debug {
    /// What the customer is told when a person brings `attempt` to `state` at `at`.
    fn notices(&self, attempt: &AttemptRecord, state: State, at: Timestamp) -> Vec<NewDelivery>;
}

/// What the control plane works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where the control state is kept.
    pub control: Arc<dyn ControlStore>,
    /// Where payments are looked up.
    pub ledger: Arc<dyn Ledger>,
    /// Where open attempts are listed.
    pub cases: Arc<dyn Cases>,
    /// Where outcomes are counted.
    pub observations: Arc<dyn ObservationSource>,
    /// Where alerts and incidents are kept.
    pub alerts: Arc<dyn AlertStore>,
    /// What is on its way to receivers.
    pub deliveries: Arc<dyn Deliveries>,
    /// The names of the receivers of the configuration.
    pub receivers: Arc<[String]>,
    /// What customers are told of what a person decides.
    pub herald: Arc<dyn Herald>,
    /// Where health is read.
    pub live: Arc<Live>,
    /// What is known of providers.
    pub catalogue: SharedCatalogue,
    /// The time.
    pub clock: SharedClock,
    /// Who may read, and who may change.
    pub guard: Guard,
}

/// What every handler shares.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) editor: Editor,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) cases: Arc<dyn Cases>,
    pub(crate) observations: Arc<dyn ObservationSource>,
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
    pub(crate) receivers: Arc<[String]>,
    pub(crate) herald: Arc<dyn Herald>,
    pub(crate) live: Arc<Live>,
    pub(crate) clock: SharedClock,
    pub(crate) guard: Guard,
}

impl Desk {
    fn of(parts: Parts) -> Self {
        let clock = Arc::clone(&parts.clock);
        Self {
            editor: Editor::new(parts.control, parts.catalogue, parts.clock),
            ledger: parts.ledger,
            cases: parts.cases,
            observations: parts.observations,
            alerts: parts.alerts,
            deliveries: parts.deliveries,
            receivers: parts.receivers,
            herald: parts.herald,
            live: parts.live,
            clock,
            guard: parts.guard,
        }
    }

    /// The store of the control state.
    pub(crate) fn store(&self) -> &dyn ControlStore {
        self.editor.store().as_ref()
    }
}
