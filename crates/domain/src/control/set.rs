//! Setting what stands beside the documents: suspensions, breaker overrides, accounts and limits.

use super::apply::Next;
use super::assemble::{load_channels, whole};
use super::check::{
    CHANGE, check_known, check_label, check_line, check_most, check_reason, check_rule, refuse_any,
    refuse_more,
};
use super::{
    AccountSetting, Lifted, LimitSetting, MAX_ACCOUNT_SETTINGS, MAX_OVERRIDE, MAX_SUSPENSIONS, Override,
    Refused, Standing,
};
use crate::diagnostic::Diagnostic;
use crate::limit;
use crate::suspension::{Scope, Suspension};

impl Next<'_> {
    /// Brings a suspension.
    pub(super) fn suspend(&mut self, suspension: Suspension) -> Result<(), Refused> {
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

    /// Ends a suspension before its time.
    pub(super) fn lift(&mut self, id: u64) -> Result<(), Refused> {
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

    /// Overrides a breaker.
    pub(super) fn force(&mut self, forced: Override) -> Result<(), Refused> {
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

    /// Sets an account's state.
    pub(super) fn set_account(&mut self, setting: AccountSetting) -> Result<(), Refused> {
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

    /// Sets a limit.
    pub(super) fn set_limit(&mut self, limit: &LimitSetting) -> Result<(), Refused> {
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
}
