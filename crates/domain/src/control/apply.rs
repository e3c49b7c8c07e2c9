//! Making a change: from one control state to the next, or a refusal that says everything that is wrong.

use std::sync::Arc;

use jiff::Timestamp;

use super::assemble::{load_channels, load_policy};
use super::check::{check_line, refuse_any};
use super::{
    AccountSetting, Actor, Assembled, Change, Control, Document, Kind, MAX_POLICIES_BEFORE, Override,
    Refused, assemble,
};
use crate::channels::Channels;
use crate::suspension::Suspension;

/// What a change is made with.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The providers that the failure catalogue knows.
    pub providers: &'a [&'a str],
    /// Who makes it.
    pub by: &'a Actor,
    /// When.
    pub now: Timestamp,
    /// The stored policy that the change needs, by [`Change::needs_policy`]; `None` when it is not stored.
    pub policy: Option<&'a Document>,
}

/// What a change leads to.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The next control state.
    pub control: Control,
    /// The documents that came with the change, to be stored.
    pub documents: Vec<(Kind, Document)>,
    /// What a process routes by from now on.
    pub assembled: Assembled,
}

/// Makes `change`. `control` is `None` as long as nothing was ever imported. What it answers always assembles.
///
/// # Errors
/// When the change is about something that is not there, something in it is wrong, or its result would not assemble.
pub fn apply(
    control: Option<&Control>,
    change: &Change,
    with: &Circumstances<'_>,
) -> Result<Applied, Refused> {
    let mut next = Next {
        control: match control {
            Some(control) => control.clone(),
            None => blank(with),
        },
        documents: Vec::new(),
        with,
    };
    if let Change::Import {
        channels,
        policy,
        digest,
    } = change
    {
        next.import([channels, policy], digest);
    } else if control.is_none() {
        return Err(Refused::NotImported);
    }
    next.control.revision += 1;
    next.control.breakers.retain(|forced| with.now < forced.until);
    next.make(change)?;
    let assembled = assemble(&next.control, with.providers)?;
    Ok(Applied {
        control: next.control,
        documents: next.documents,
        assembled,
    })
}

/// The state before the first import: it does not assemble, and nobody sees it.
fn blank(with: &Circumstances<'_>) -> Control {
    let document = Document {
        version: 0,
        text: "".into(),
        author: with.by.clone(),
        note: String::new(),
        created_at: with.now,
    };
    Control {
        revision: 0,
        channels: document.clone(),
        policy: document,
        latest_policy: 0,
        policies_before: Vec::new(),
        suspensions: Vec::new(),
        breakers: Vec::new(),
        accounts: Vec::new(),
        limits: Vec::new(),
        imported: None,
    }
}

/// The state that a change is leading to.
pub(super) struct Next<'a> {
    pub(super) control: Control,
    documents: Vec<(Kind, Document)>,
    pub(super) with: &'a Circumstances<'a>,
}

impl Next<'_> {
    fn make(&mut self, change: &Change) -> Result<(), Refused> {
        match change {
            // Done by `apply`: it is the only one that needs no state before it.
            Change::Import { .. } => Ok(()),
            Change::PutChannels { text } => {
                self.put_channels(text);
                Ok(())
            }
            Change::AddPolicy { text, note } => self.add_policy(text, note),
            Change::ActivatePolicy { version } => self.activate(*version),
            Change::RollBackPolicy => self.roll_back(),
            Change::Suspend {
                scope,
                reason,
                from,
                until,
            } => self.suspend(Suspension {
                scope: scope.clone(),
                reason: reason.clone(),
                author: self.with.by.as_str().to_owned(),
                from: from.unwrap_or(self.with.now),
                until: *until,
            }),
            Change::LiftSuspension { id } => self.lift(*id),
            Change::ForceBreaker {
                channel,
                forced,
                until,
                reason,
            } => self.force(Override {
                channel: channel.clone(),
                forced: *forced,
                until: *until,
                reason: reason.clone(),
                author: self.with.by.clone(),
            }),
            Change::ReleaseBreaker { channel } => {
                let before = self.control.breakers.len();
                self.control.breakers.retain(|set| set.channel != *channel);
                let released = self.control.breakers.len() < before;
                released
                    .then_some(())
                    .ok_or_else(|| Refused::NoOverride(channel.clone()))
            }
            Change::SetAccount {
                channel,
                account,
                state,
            } => {
                let set = |state| AccountSetting {
                    channel: channel.clone(),
                    account: account.clone(),
                    state,
                    author: self.with.by.clone(),
                };
                let setting = state.map(set);
                self.control
                    .accounts
                    .retain(|set| set.channel != *channel || set.account != *account);
                setting.map_or(Ok(()), |setting| self.set_account(setting))
            }
            Change::SetLimit { limit } => self.set_limit(limit),
            Change::ClearLimit { id } => {
                let before = self.control.limits.len();
                self.control.limits.retain(|set| set.id() != id);
                let cleared = self.control.limits.len() < before;
                cleared
                    .then_some(())
                    .ok_or_else(|| Refused::LimitNotSet(id.clone()))
            }
        }
    }

    fn document(&self, version: u64, text: &str, note: &str) -> Document {
        Document {
            version,
            text: Arc::from(text),
            author: self.with.by.clone(),
            note: note.to_owned(),
            created_at: self.with.now,
        }
    }

    fn import(&mut self, [channels, policy]: [&str; 2], digest: &str) {
        if *self.control.channels.text != *channels {
            self.put_channels(channels);
        }
        if *self.control.policy.text != *policy {
            let document = self.store_policy(policy, "imported");
            self.make_active(document);
        }
        self.control.imported = Some(digest.to_owned());
    }

    fn put_channels(&mut self, text: &str) {
        let document = self.document(self.control.channels.version + 1, text, "");
        self.documents.push((Kind::Channels, document.clone()));
        self.control.channels = document;
    }

    fn store_policy(&mut self, text: &str, note: &str) -> Document {
        self.control.latest_policy += 1;
        let document = self.document(self.control.latest_policy, text, note);
        self.documents.push((Kind::Policy, document.clone()));
        document
    }

    fn add_policy(&mut self, text: &str, note: &str) -> Result<(), Refused> {
        let mut wrong = Vec::new();
        check_line("note", note, &mut wrong);
        refuse_any(wrong)?;
        let document = self.store_policy(text, note);
        // For the channels of now, so that a mistake shows now and not when it is to be activated.
        let configuration = load_channels(&self.control.channels, self.with.providers)?;
        load_policy(&document, &configuration.channels)?;
        Ok(())
    }

    fn make_active(&mut self, document: Document) {
        let before = std::mem::replace(&mut self.control.policy, document);
        if before.version == 0 {
            return;
        }
        let versions = &mut self.control.policies_before;
        if versions.len() >= MAX_POLICIES_BEFORE {
            versions.remove(0);
        }
        versions.push(before.version);
    }

    fn stored_policy(&self, version: u64) -> Result<Document, Refused> {
        let stored = self.with.policy.filter(|document| document.version == version);
        stored.cloned().ok_or(Refused::UnknownPolicy(version))
    }

    fn activate(&mut self, version: u64) -> Result<(), Refused> {
        let document = self.stored_policy(version)?;
        // Nothing to do, and rolling back must not lead to the same policy again.
        if version != self.control.policy.version {
            self.make_active(document);
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Refused> {
        let version = self
            .control
            .policies_before
            .pop()
            .ok_or(Refused::NoPolicyBefore)?;
        self.control.policy = self.stored_policy(version)?;
        Ok(())
    }

    /// The channels of the document.
    pub(super) fn channels(&self) -> Result<Channels, Refused> {
        Ok(load_channels(&self.control.channels, self.with.providers)?.channels)
    }
}
