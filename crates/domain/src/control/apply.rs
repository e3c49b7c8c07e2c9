//! Making a change: from one control state to the next, or a refusal that says everything that is wrong.

use std::sync::Arc;

use jiff::Timestamp;

use super::assemble::{load_channels, load_policy, whole};
use super::{
    AccountSetting, Actor, Assembled, Change, Control, Document, Kind, Lifted, LimitSetting,
    MAX_ACCOUNT_SETTINGS, MAX_NOTE_BYTES, MAX_OVERRIDE, MAX_POLICIES_BEFORE, MAX_SUSPENSIONS, Override,
    Refused, Standing, assemble,
};
use crate::channels::{Channels, not_a_label};
use crate::diagnostic::{Diagnostic, nearest};
use crate::limit;
use crate::suspension::{Scope, Suspension};

/// The name under which diagnostics report a change's own fields.
const CHANGE: &str = "change";

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
struct Next<'a> {
    control: Control,
    documents: Vec<(Kind, Document)>,
    with: &'a Circumstances<'a>,
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

    fn suspend(&mut self, suspension: Suspension) -> Result<(), Refused> {
        let mut wrong = Vec::new();
        self.check_scope(&suspension.scope, &mut wrong)?;
        check_reason(&suspension.reason, &mut wrong);
        let (from, now) = (suspension.from, self.with.now);
        if let Some(until) = suspension.until.filter(|until| *until <= from.max(now)) {
            let message = if until <= from {
                format!("ends at {until}, expected an end after the start at {from}")
            } else {
                format!("ends at {until}, which is over already")
            };
            wrong.push(whole(CHANGE, "until", message));
        }
        refuse_any(wrong)?;
        self.make_room_for_a_suspension()?;
        self.control.suspensions.push(Standing {
            id: self.control.revision,
            suspension,
            lifted: None,
        });
        Ok(())
    }

    /// Forgets the suspension that has been over the longest where there is no room: its story is in the audit log.
    fn make_room_for_a_suspension(&mut self) -> Result<(), Refused> {
        let standing = &mut self.control.suspensions;
        if standing.len() < MAX_SUSPENSIONS {
            return Ok(());
        }
        let over = standing
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_over(self.with.now));
        let oldest = over.min_by_key(|(_, it)| it.ends_at()).map(|(place, _)| place);
        match oldest {
            Some(place) => {
                standing.remove(place);
                Ok(())
            }
            None => Err(Refused::TooMany {
                what: "suspensions",
                most: MAX_SUSPENSIONS,
            }),
        }
    }

    fn check_scope(&self, scope: &Scope, wrong: &mut Vec<Diagnostic>) -> Result<(), Refused> {
        let channels = self.channels()?;
        if *scope == Scope::default() {
            let message = "covers every payment: expected at least one of channel, issuer, region, method";
            wrong.push(whole(CHANGE, "scope", message.to_owned()));
        }
        if let Some(channel) = &scope.channel {
            check_known("scope.channel", channel.as_str(), &channels.names(), wrong);
        }
        if let Some(method) = &scope.method {
            check_known("scope.method", method, &channels.methods(), wrong);
        }
        if let Some(issuer) = &scope.issuer {
            check_label("scope.issuer", issuer, wrong);
        }
        if let Some(region) = &scope.region {
            if region.is_empty() {
                wrong.push(whole(CHANGE, "scope.region", "must not be empty".to_owned()));
            }
            check_line("scope.region", region, wrong);
        }
        Ok(())
    }

    fn lift(&mut self, id: u64) -> Result<(), Refused> {
        let (by, at) = (self.with.by.clone(), self.with.now);
        let standing = self
            .control
            .suspensions
            .iter_mut()
            .find(|standing| standing.id == id);
        let standing = standing.ok_or(Refused::UnknownSuspension(id))?;
        if standing.is_over(at) {
            return Err(Refused::SuspensionOver(id));
        }
        standing.lifted = Some(Lifted { by, at });
        Ok(())
    }

    fn force(&mut self, forced: Override) -> Result<(), Refused> {
        let mut wrong = Vec::new();
        check_known(
            "channel",
            forced.channel.as_str(),
            &self.channels()?.names(),
            &mut wrong,
        );
        check_reason(&forced.reason, &mut wrong);
        let (now, until) = (self.with.now, forced.until);
        if until <= now || until.duration_since(now) > MAX_OVERRIDE {
            let hours = MAX_OVERRIDE.as_hours();
            let message = format!("ends at {until}, expected an end within {hours} h of {now}");
            wrong.push(whole(CHANGE, "until", message));
        }
        refuse_any(wrong)?;
        self.control.breakers.retain(|set| set.channel != forced.channel);
        self.control.breakers.push(forced);
        Ok(())
    }

    fn set_account(&mut self, setting: AccountSetting) -> Result<(), Refused> {
        let channels = self.channels()?;
        let mut wrong = Vec::new();
        check_known("channel", setting.channel.as_str(), &channels.names(), &mut wrong);
        let index = channels.index_of(setting.channel.as_str());
        if let Some(channel) = index.and_then(|index| channels.get(index)) {
            let accounts: Vec<&str> = channel
                .accounts
                .iter()
                .map(|account| account.id.as_str())
                .collect();
            check_known("account", setting.account.as_str(), &accounts, &mut wrong);
        }
        refuse_any(wrong)?;
        refuse_more(
            "account settings",
            self.control.accounts.len(),
            MAX_ACCOUNT_SETTINGS,
        )?;
        self.control.accounts.push(setting);
        Ok(())
    }

    fn set_limit(&mut self, limit: &LimitSetting) -> Result<(), Refused> {
        let configuration = load_channels(&self.control.channels, self.with.providers)?;
        let mut wrong = Vec::new();
        match limit {
            LimitSetting::Most { id, most } => {
                let known: Vec<&str> = configuration.limits.iter().map(|rule| rule.id.as_str()).collect();
                check_known("limit.id", id, &known, &mut wrong);
                check_most(*most, &mut wrong);
            }
            LimitSetting::Rule(rule) => check_rule(rule, &configuration.channels, &mut wrong),
        }
        refuse_any(wrong)?;
        self.control.limits.retain(|set| set.id() != limit.id());
        refuse_more("limits", self.control.limits.len(), limit::MAX_RULES)?;
        self.control.limits.push(limit.clone());
        Ok(())
    }

    fn channels(&self) -> Result<Channels, Refused> {
        Ok(load_channels(&self.control.channels, self.with.providers)?.channels)
    }
}

fn refuse_any(wrong: Vec<Diagnostic>) -> Result<(), Refused> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Refused::Invalid(wrong))
    }
}

const fn refuse_more(what: &'static str, present: usize, most: usize) -> Result<(), Refused> {
    if present < most {
        Ok(())
    } else {
        Err(Refused::TooMany { what, most })
    }
}

fn check_reason(reason: &str, wrong: &mut Vec<Diagnostic>) {
    if reason.trim().is_empty() {
        wrong.push(whole(CHANGE, "reason", "must not be empty".to_owned()));
    }
    check_line("reason", reason, wrong);
}

fn check_line(field: &str, text: &str, wrong: &mut Vec<Diagnostic>) {
    if text.len() > MAX_NOTE_BYTES {
        let message = format!(
            "is {} bytes long, at most {MAX_NOTE_BYTES} are allowed",
            text.len()
        );
        wrong.push(whole(CHANGE, field, message));
    }
    if text.chars().any(char::is_control) {
        wrong.push(whole(
            CHANGE,
            field,
            "must not hold control characters".to_owned(),
        ));
    }
}

fn check_known(field: &str, name: &str, known: &[&str], wrong: &mut Vec<Diagnostic>) {
    if known.contains(&name) {
        return;
    }
    let message = match nearest(name, known.iter().copied()) {
        Some(near) => format!("`{name}` is not known, did you mean `{near}`?"),
        None => format!("`{name}` is not known"),
    };
    wrong.push(whole(CHANGE, field, message));
}

fn check_label(field: &str, name: &str, wrong: &mut Vec<Diagnostic>) {
    let problem = if name.is_empty() {
        Some("must not be empty".to_owned())
    } else {
        not_a_label(name)
    };
    wrong.extend(problem.map(|message| whole(CHANGE, field, message)));
}

fn check_most(most: i64, wrong: &mut Vec<Diagnostic>) {
    if most < 0 {
        let message = format!("found {most}, expected a whole number from 0");
        wrong.push(whole(CHANGE, "limit.most", message));
    }
}

fn check_rule(rule: &limit::Rule, channels: &Channels, wrong: &mut Vec<Diagnostic>) {
    check_label("limit.id", &rule.id, wrong);
    check_line("limit.id", &rule.id, wrong);
    check_most(rule.most, wrong);
    if let Some(channel) = &rule.scope.channel {
        check_known("limit.scope.channel", channel.as_str(), &channels.names(), wrong);
    }
    if let Some(method) = &rule.scope.method {
        check_known("limit.scope.method", method, &channels.methods(), wrong);
    }
    if let Some(issuer) = &rule.scope.issuer {
        check_label("limit.scope.issuer", issuer, wrong);
    }
    let repeats = |(place, dimension)| rule.per.iter().take(place).any(|earlier| earlier == dimension);
    if rule.per.iter().enumerate().any(repeats) {
        wrong.push(whole(CHANGE, "limit.per", "holds something twice".to_owned()));
    }
    if let Err(error) = limit::Limits::new(vec![rule.clone()]) {
        wrong.push(whole(CHANGE, "limit", error.to_string()));
    }
}
