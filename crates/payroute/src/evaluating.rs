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
use domain::diagnostic::Diagnostic;
use domain::runbook::Runbooks;
use jiff::SignedDuration;
use ledger::alert::AlertStore;
use ledger::compensation::Cases;
use ledger::control::ControlStore;
use ledger::{Deliveries, ObservationSource};
use parking_lot::Mutex;
use stats::live::Live;
use stats::redis::reader::Board;
use uuid::Uuid;

use crate::alerts_command::strangers;

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
    /// What all processes together have counted of them; `None` where one process counts everything.
    pub(crate) board: Option<Arc<Mutex<Board>>>,
    /// What is known of providers.
    pub(crate) catalogue: Shared,
    /// The time.
    pub(crate) clock: SharedClock,
    /// Where people reach the console.
    pub(crate) console: Option<String>,
}

/// The alert rules of the file `alerts.yaml` in `folder`; the built-in ones without such a file.
///
/// # Errors
/// Everything that is wrong with the file.
fn rules(folder: &Path) -> anyhow::Result<Rules> {
    let path = folder.join("alerts.yaml");
    let text = if path.exists() {
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())?
    } else {
        BUILT_IN.to_owned()
    };
    Rules::load(&text, &path.display().to_string(), None).map_err(|found| wrong(&found))
}

/// The runbooks of the file `runbooks.yaml` in `folder`; none without such a file.
///
/// # Errors
/// Everything that is wrong with the file, a receiver that is not there included.
fn runbooks(folder: &Path, receivers: &Receivers) -> anyhow::Result<Runbooks> {
    let path = folder.join("runbooks.yaml");
    if !path.exists() {
        return Ok(Runbooks::default());
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
    let receivers: Vec<&str> = receivers.names().collect();
    Runbooks::load(&text, &name, Some(&receivers)).map_err(|found| wrong(&found))
}

fn wrong(found: &[Diagnostic]) -> anyhow::Error {
    let wrong: Vec<String> = found.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(wrong.join("\n"))
}

/// What holds until other rules and runbooks are put into force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// The alert rules.
    pub(crate) rules: Rules,
    /// What to do about alerts.
    pub(crate) runbooks: Runbooks,
}

impl Books {
    /// What the files of `folder` say.
    ///
    /// # Errors
    /// Everything that is wrong with one of them, or that one says of the other and that is not there.
    pub(crate) fn of_folder(folder: &Path, receivers: &Receivers) -> anyhow::Result<Self> {
        let books = Self {
            rules: rules(folder)?,
            runbooks: runbooks(folder, receivers)?,
        };
        // Rules may name runbooks that are put into force later.
        let strangers = if books.runbooks.list.is_empty() {
            Vec::new()
        } else {
            strangers(&books.rules, &books.runbooks)
        };
        anyhow::ensure!(strangers.is_empty(), "runbooks.yaml: {}", strangers.join("\n"));
        Ok(books)
    }
}

/// An evaluator of the rules that were put into force, and until then of those of `books`. Where these name nobody,
/// every receiver is told that people on call read.
pub(crate) fn evaluator<L: ObservationSource + AlertStore + Cases + Deliveries + 'static>(
    sources: Sources<L>,
    books: Books,
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
        cases: Arc::clone(&sources.ledger) as _,
        deliveries: Arc::clone(&sources.ledger) as _,
        observations: sources.ledger,
        control: sources.control,
        live: sources.live,
        board: sources.board,
        catalogue: sources.catalogue,
        clock: sources.clock,
        rules: books.rules,
        runbooks: books.runbooks,
        everybody: locales.keys().cloned().collect(),
        locales,
        emergency: receivers.emergency().map(|_| Arc::new(emergency) as _),
        watchdog: receivers.watchdog().map(Box::from),
        console: sources.console,
        holder: Uuid::now_v7().to_string(),
        every: EVERY,
        patience: PATIENCE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Files;

    fn read(runbooks: &str) -> Result<Books, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("runbooks.yaml"), runbooks).unwrap();
        let receivers = crate::receiver_files::load(folder.path(), &Files::default()).unwrap();
        Books::of_folder(folder.path(), &receivers).map_err(|error| error.to_string())
    }

    #[test]
    fn runbooks_of_a_folder_are_read_with_its_rules_and_receivers() {
        let good = "version: 1
runbooks:
  - {name: leave, on: [ChannelFailing], run: automatically, steps: [{suspend: {channel: '{channel}'}, for: 30m}]}
";
        assert_eq!(read(good).unwrap().runbooks.list.len(), 1);
        let wrong = read(&good.replace("ChannelFailing", "ChannelLost")).unwrap_err();
        assert!(
            wrong.contains("for rule `ChannelLost`, which there is not"),
            "{wrong}"
        );
        let wrong = read(&good.replace(
            "suspend: {channel: '{channel}'}, for: 30m",
            "notify: [oncal], text: x",
        ));
        let wrong = wrong.unwrap_err();
        assert!(
            wrong.contains("runbooks.yaml:3:") && wrong.contains("oncal"),
            "{wrong}"
        );
    }
}
