//! What is known of channels: as they are configured, read again whenever that changed.

use std::sync::Arc;

use domain::attempt::ProviderProfile;
use domain::catalogue::Shared as SharedCatalogue;
use domain::channel::Capabilities;
use domain::control::assemble;
use domain::id::ChannelId;
use ledger::LedgerError;
use ledger::attempt::AttemptRecord;
use ledger::control::ControlStore;

/// What a channel that left the configuration can do, as far as anybody knows: be asked.
const GONE: Capabilities = Capabilities {
    idempotent: false,
    query: true,
    reversal: false,
    authorize: false,
};

/// The channels by their names.
#[derive(Debug)]
pub(crate) struct Channels {
    control: Arc<dyn ControlStore>,
    catalogue: SharedCatalogue,
    /// The revision that they are of.
    revision: Option<u64>,
    known: Vec<(ChannelId, String, Capabilities)>,
}

impl Channels {
    pub(crate) const fn new(control: Arc<dyn ControlStore>, catalogue: SharedCatalogue) -> Self {
        Self {
            control,
            catalogue,
            revision: None,
            known: Vec::new(),
        }
    }

    /// Reads them again, if they have changed.
    pub(crate) async fn refresh(&mut self) -> Result<(), LedgerError> {
        let revision = self.control.revision().await?;
        if self.revision == Some(revision) {
            return Ok(());
        }
        let Some(control) = self.control.control().await? else {
            return Ok(());
        };
        match assemble(&control, &self.catalogue.load().providers()) {
            Ok(assembled) => {
                let channels = assembled.configuration.channels;
                let known = channels
                    .iter()
                    .map(|(_, it)| (it.id.clone(), it.provider.clone(), it.capabilities));
                self.known = known.collect();
            }
            // The routers refuse it too, and go on with the one before, as is done here.
            Err(found) => tracing::warn!(
                revision,
                findings = found.len(),
                "revision {revision} of the configuration cannot be used"
            ),
        }
        self.revision = Some(revision);
        Ok(())
    }

    /// How the provider of an attempt's channel wants to be asked, and what the channel can do.
    pub(crate) fn of(&self, attempt: &AttemptRecord) -> (ProviderProfile, Capabilities) {
        let known = self.known.iter().find(|(id, ..)| *id == attempt.channel);
        let (provider, capabilities) = known
            .map_or((attempt.report.provider.as_str(), GONE), |(_, provider, it)| {
                (provider.as_str(), *it)
            });
        (self.catalogue.load().profile(provider), capabilities)
    }
}
