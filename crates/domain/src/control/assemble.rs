//! From the control state to what a process routes by.

use jiff::Timestamp;

use super::{AccountSetting, Control, Document, LimitSetting, MAX_DOCUMENT_BYTES, Override};
use crate::brain::Brain;
use crate::channels::{self, Channels, Configuration};
use crate::decision::Shop;
use crate::diagnostic::Diagnostic;
use crate::limit::{self, Limits};
use crate::policy::Policy;

/// The name of the channel document in diagnostics.
pub const CHANNELS_FILE: &str = "channels.yaml";
/// The name of the policy in diagnostics.
pub const POLICY_FILE: &str = "policy.yaml";

/// What a control state says, ready for a [`Shop`].
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The channels, suspensions and limits.
    pub configuration: Configuration,
    /// The policy for these channels.
    pub policy: Policy,
}

impl Assembled {
    /// Opens the shop with `brain`, which keeps what it has learnt, and overrides its breakers by `breakers` and no
    /// others.
    #[must_use]
    pub fn open(self, breakers: &[Override], brain: &mut Brain) -> Shop {
        let shop = Shop::open(self.configuration, self.policy, brain);
        for (index, channel) in shop.channels.iter() {
            let Some(ix) = shop.known_as(index) else { continue };
            let forced = breakers.iter().find(|forced| forced.channel == channel.id);
            let until = forced.map_or(Timestamp::UNIX_EPOCH, |forced| forced.until);
            brain.force(ix, forced.map(|forced| forced.forced), until);
        }
        shop
    }
}

/// Reads the documents of `control` and lays over them what is set beside them. `providers` are the names that the
/// failure catalogue knows.
///
/// # Errors
/// Everything that is wrong with the channel document, or else with the policy, or else with the limits together.
pub fn assemble(control: &Control, providers: &[&str]) -> Result<Assembled, Vec<Diagnostic>> {
    let mut configuration = load_channels(&control.channels, providers)?;
    let policy = load_policy(&control.policy, &configuration.channels)?;
    configuration.channels = with_accounts(&configuration.channels, &control.accounts)?;
    let standing = control
        .suspensions
        .iter()
        .filter(|standing| standing.lifted.is_none());
    configuration
        .suspensions
        .extend(standing.map(|standing| standing.suspension.clone()));
    lay_over(&mut configuration.limits, &control.limits);
    if let Err(error) = Limits::new(configuration.limits.clone()) {
        return Err(vec![whole(CHANNELS_FILE, "limits", error.to_string())]);
    }
    Ok(Assembled {
        configuration,
        policy,
    })
}

/// The channel document alone.
pub(super) fn load_channels(
    document: &Document,
    providers: &[&str],
) -> Result<Configuration, Vec<Diagnostic>> {
    refuse_large(CHANNELS_FILE, &document.text)?;
    channels::load(&document.text, CHANNELS_FILE, providers)
}

/// A policy alone, for `channels`.
pub(super) fn load_policy(document: &Document, channels: &Channels) -> Result<Policy, Vec<Diagnostic>> {
    refuse_large(POLICY_FILE, &document.text)?;
    Policy::load(&document.text, POLICY_FILE, channels)
}

fn refuse_large(file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
    if text.len() <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    let message = format!(
        "is {} bytes long, at most {MAX_DOCUMENT_BYTES} are allowed",
        text.len()
    );
    Err(vec![whole(file, "", message)])
}

/// A diagnostic about a whole field, whose place in the document is not known.
pub(super) fn whole(file: &str, field: &str, message: String) -> Diagnostic {
    Diagnostic {
        file: file.into(),
        line: 0,
        column: 0,
        field: field.to_owned(),
        message,
    }
}

fn with_accounts(channels: &Channels, settings: &[AccountSetting]) -> Result<Channels, Vec<Diagnostic>> {
    let mut list: Vec<_> = channels.iter().map(|(_, channel)| channel.clone()).collect();
    for setting in settings {
        let channel = list.iter_mut().find(|channel| channel.id == setting.channel);
        let account = channel.and_then(|channel| {
            let mut accounts = channel.accounts.iter_mut();
            accounts.find(|account| account.id == setting.account)
        });
        if let Some(account) = account {
            account.state = setting.state;
        }
    }
    // The same channels in the same order can be numbered again.
    Channels::new(list).map_err(|error| vec![whole(CHANNELS_FILE, "channels", error.to_string())])
}

fn lay_over(rules: &mut Vec<limit::Rule>, settings: &[LimitSetting]) {
    for setting in settings {
        let present = rules.iter_mut().find(|rule| rule.id == setting.id());
        match (setting, present) {
            (LimitSetting::Most { most, .. }, Some(rule)) => rule.most = *most,
            (LimitSetting::Most { .. }, None) => {}
            (LimitSetting::Rule(rule), Some(present)) => *present = rule.clone(),
            (LimitSetting::Rule(rule), None) => rules.push(rule.clone()),
        }
    }
}
