//! The evaluation of alert rules within a process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alerter::emergency::Emergency;
use alerter::evaluator::{Evaluator, Parts};
use alerter::receivers::Receivers;
use anyhow::Context as _;
use delivery::locale::Locale;
use delivery::receiver::Vendor;
use domain::alert::{BUILT_IN, Rules};
use domain::catalogue::Shared;
use domain::clock::SharedClock;
use jiff::SignedDuration;
use ledger::ObservationSource;
use ledger::alert::AlertStore;
use ledger::control::ControlStore;
use stats::live::Live;
use uuid::Uuid;

/// How often rules are evaluated.
const EVERY: Duration = Duration::from_secs(1);

/// How long the store may be away before somebody is told without it.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// Where an evaluator finds what it works with.
pub(crate) struct Sources<L> {
    /// The ledger, which counts outcomes and keeps alerts.
    pub(crate) ledger: Arc<L>,
    /// What operators have set.
    pub(crate) control: Arc<dyn ControlStore>,
    /// The health of the channels.
    pub(crate) live: Arc<Live>,
    /// What is known of providers.
    pub(crate) catalogue: Shared,
    /// The time.
    pub(crate) clock: SharedClock,
}

/// The alert rules of the file `alerts.yaml` in `folder`; the built-in ones without such a file.
///
/// # Errors
/// Everything that is wrong with the file.
pub(crate) fn rules(folder: &Path) -> anyhow::Result<Rules> {
    let path = folder.join("alerts.yaml");
    let text = if path.exists() {
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())?
    } else {
        BUILT_IN.to_owned()
    };
    Rules::load(&text, &path.display().to_string(), None).map_err(|wrong| {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(wrong.join("\n"))
    })
}

/// An evaluator of the rules that were put into force, and until then of `rules`. Where these name nobody, every
/// receiver is told that people on call read.
pub(crate) fn evaluator<L: ObservationSource + AlertStore + 'static>(
    sources: Sources<L>,
    rules: Rules,
    receivers: &Arc<Receivers>,
) -> Evaluator {
    alerter::evaluator::metric::describe();
    let told = |name: &str| {
        let receiver = receivers.sender(name)?.receiver();
        let is_for_customers = matches!(receiver.target.vendor(), Vendor::AliyunSms | Vendor::Wechat);
        let is_watchdog = receivers.watchdog() == Some(name);
        (!is_for_customers && !is_watchdog).then(|| (Box::from(name), receiver.locale))
    };
    let locales: BTreeMap<Box<str>, Locale> = receivers.names().filter_map(told).collect();
    let emergency = Emergency::new(Arc::clone(receivers), Arc::clone(&sources.clock));
    Evaluator::new(Parts {
        alerts: Arc::clone(&sources.ledger) as _,
        observations: sources.ledger,
        control: sources.control,
        live: sources.live,
        catalogue: sources.catalogue,
        clock: sources.clock,
        rules,
        everybody: locales.keys().cloned().collect(),
        locales,
        emergency: receivers.emergency().map(|_| Arc::new(emergency) as _),
        watchdog: receivers.watchdog().map(Box::from),
        console: None,
        holder: Uuid::now_v7().to_string(),
        every: EVERY,
        patience: PATIENCE,
    })
}
