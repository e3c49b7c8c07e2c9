//! Commands on the stores of a deployment of several processes, each run once.

use std::io::Write;
use std::sync::Arc;

use domain::catalogue::Shared as SharedCatalogue;
use domain::clock::SystemClock;
use ledger::control::{Editor, Imported};
use ledger::{PostgresLedger, StatisticsSource};
use monitor::partition::Which;

use crate::catalogue_files;
use crate::distributed::{ledger_settings, open_for_tools};
use crate::settings::flags::Flags;
use crate::shop_files::{ShopFiles, Texts};

/// `payroute migrate`: brings the database to the present schema.
///
/// # Errors
/// When the database cannot be reached, or was migrated by a release that this one cannot work beside.
pub(crate) async fn migrate(flags: &Flags, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = flags.load()?;
    let migrated = PostgresLedger::migrate(&ledger_settings(&settings)?.url).await?;
    for (version, description) in &migrated.applied {
        writeln!(out, "applied {version}: {description}")?;
    }
    writeln!(out, "the schema has version {}", migrated.version)?;
    Ok(())
}

/// `payroute config import`: puts the files of the configuration folder into the ledger, when they are others than
/// those that were imported last.
///
/// # Errors
/// When something in the files is wrong, or the ledger cannot be reached.
pub(crate) async fn import(flags: &Flags, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = flags.load()?;
    let catalogue = SharedCatalogue::new(catalogue_files::of_folder(&flags.folder)?);
    // With the names of the files, which what is imported no longer has.
    ShopFiles::load(&flags.folder, &settings.files, &catalogue.load())?;
    let texts = Texts::load(&flags.folder, &settings.files)?;
    let (ledger, _) = open_for_tools(&settings).await?;
    let editor = Editor::new(Arc::new(ledger.control()), catalogue, Arc::new(SystemClock));
    match editor.import(&texts.channels, &texts.policy).await? {
        Imported::Unchanged => writeln!(out, "these files were imported before; nothing is changed")?,
        Imported::New(applied) => writeln!(out, "imported as revision {}", applied.control.revision)?,
    }
    Ok(())
}

/// `payroute rebuild-stats`: counts everything in Redis anew, from the ledger.
///
/// # Errors
/// When either store cannot be reached.
pub(crate) async fn rebuild_stats(flags: &Flags, out: &mut impl Write) -> anyhow::Result<()> {
    let settings = flags.load()?;
    let (ledger, store) = open_for_tools(&settings).await?;
    let source: Arc<dyn StatisticsSource> = ledger;
    let refilled = monitor::rebuild_stats(&store, &source, Which::All).await?;
    let (partitions, outcomes) = (refilled.partitions, refilled.outcomes);
    writeln!(out, "{outcomes} outcomes counted into {partitions} partitions")?;
    Ok(())
}
