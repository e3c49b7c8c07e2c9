//! What a page says: what broke, since when, whom it hits, why, what was done already, and where to look.
//!
//! Plain texts in one language. How a vendor shows them, escaped as it wants it, is the senders' part.

mod lines;
mod reasons;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::group::{Kind, Notification};
use super::instance::Instance;
use super::rule::{Link, Rule};
use super::severity::Severity;
use crate::named::named;

pub use reasons::in_words;

named! {
    /// The languages that pages are written in.
    pub enum Locale {
        /// Simplified Chinese.
        ZhCn = "zh-CN",
        /// English.
        En = "en",
    }
}

/// A page, in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether it goes on.
    pub is_firing: bool,
    /// How bad it is.
    pub severity: Severity,
    /// What a receiver joins trigger and resolve by.
    pub dedup_key: String,
    /// The rule's name.
    pub alert: String,
    /// What broke, in one sentence.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// Whom it hits, one line each.
    pub hits: Vec<String>,
    /// The most frequent reasons in words, one line each.
    pub reasons: Vec<String>,
    /// What was done already, one line each.
    pub done: Vec<String>,
    /// Where to look.
    pub links: Vec<Link>,
    /// What all its alerts have in common.
    pub labels: BTreeMap<String, String>,
    /// The alerts that it stands for, at most [`MAX_MEMBERS`], those that go on first; none when it is one.
    pub members: Vec<Member>,
    /// The language.
    pub locale: Locale,
}

/// One alert of several in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whether it goes on.
    pub is_firing: bool,
    /// Its own key.
    pub dedup_key: String,
    /// What broke, in one sentence.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Most alerts that one page lists: a receiver takes only so much.
pub const MAX_MEMBERS: usize = 50;

/// What is known about an alert beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whom it hits, when that was counted.
    pub impact: Option<Impact>,
    /// What was done since it began, the earliest first.
    pub done: Vec<Deed>,
    /// Past incidents like it, the most similar first.
    pub similar: Vec<Similar>,
    /// Where to look, beside what the rule names.
    pub links: Vec<Link>,
}

/// What a fault has cost so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Attempts with an outcome since it began.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that may have charged, which nobody knows.
    pub unknown: u64,
    /// The share of all traffic that it is about, in basis points; `None` when it is about all.
    pub traffic_bp: Option<u16>,
    /// Payments that nobody has paid by now, by currency.
    pub lost: Vec<Lost>,
    /// The most frequent reasons, as the failure catalogue names them, with how often.
    pub reasons: Vec<(String, u64)>,
    /// The banks with most failed attempts, with how many.
    pub issuers: Vec<(String, u64)>,
    /// The methods with most failed attempts, with how many.
    pub methods: Vec<(String, u64)>,
    /// The channels with most failed attempts, with how many.
    pub channels: Vec<(String, u64)>,
}

/// Payments that were not paid, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The currency, ISO 4217.
    pub currency: String,
    /// How many.
    pub payments: u64,
    /// Their amounts together, in minor units.
    pub amount_minor: i64,
}

/// Something that was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A breaker took a channel out by itself.
    Tripped {
        /// The channel.
        channel: String,
        /// Why, in plain words.
        reason: String,
    },
    /// A channel is back, or on its way.
    Returning {
        /// The channel.
        channel: String,
    },
    /// Traffic went elsewhere.
    Moved {
        /// From this channel.
        from: String,
        /// What share of it goes to which channels now, in basis points.
        to: Vec<(String, u16)>,
    },
    /// Somebody, or a runbook, suspended something.
    Suspended {
        /// What, in plain words.
        what: String,
        /// Who.
        by: String,
        /// Until when; `None` without an end.
        until: Option<Timestamp>,
    },
    /// Somebody, or a runbook, did something else.
    Changed {
        /// What, in plain words.
        what: String,
        /// Who.
        by: String,
    },
    /// A runbook that runs by itself has begun.
    Begun {
        /// Which.
        runbook: String,
    },
    /// A runbook waits for somebody's word.
    Offered {
        /// Which.
        runbook: String,
    },
}

/// A past incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similar {
    /// When it began.
    pub began_at: Timestamp,
    /// How long it lasted.
    pub lasted: SignedDuration,
    /// What caused it; empty when nobody wrote it down.
    pub cause: String,
    /// Where it is written up.
    pub url: String,
}

/// The page for `message` in `locale`. `alerts` are those that the message names; `rule` is theirs, `None` when it is
/// gone.
///
/// What nobody counted is left out, so that a page is late for no count.
#[must_use]
pub fn page(
    message: &Notification,
    rule: Option<&Rule>,
    alerts: &[&Instance],
    facts: &Facts,
    locale: Locale,
) -> Page {
    let is_firing = message.kind != Kind::Resolve;
    let started = alerts.iter().filter_map(|alert| alert.state.firing_since()).min();
    let mut members: Vec<Member> = alerts.iter().map(|alert| member(rule, alert, locale)).collect();
    members.sort_by_key(|member| (!member.is_firing, member.since));
    let what = match members.as_slice() {
        [one] => one.what.clone(),
        _ => lines::several(rule, message, locale),
    };
    members.truncate(if members.len() > 1 { MAX_MEMBERS } else { 0 });
    let mut links: Vec<Link> = facts.links.clone();
    links.extend(rule.into_iter().flat_map(|rule| rule.links.iter().cloned()));
    links.extend(
        facts
            .similar
            .iter()
            .map(|similar| lines::similar(similar, locale)),
    );
    Page {
        is_firing,
        severity: message.severity,
        dedup_key: message.key.to_string(),
        alert: message.rule.to_string(),
        what: lines::of_kind(message.kind, &what, locale),
        since: started.unwrap_or(message.at),
        until: (!is_firing).then_some(message.at),
        hits: facts
            .impact
            .as_ref()
            .map_or_else(Vec::new, |impact| lines::hits(impact, locale)),
        reasons: facts
            .impact
            .as_ref()
            .map_or_else(Vec::new, |impact| lines::reasons(impact, locale)),
        done: lines::done(alerts, &facts.done, locale),
        links,
        labels: texts(message.labels.iter()),
        members,
        locale,
    }
}

fn member(rule: Option<&Rule>, alert: &Instance, locale: Locale) -> Member {
    let is_firing = alert.state.is_active();
    let until = match alert.state {
        super::State::Resolved { at, .. } => Some(at),
        _ => None,
    };
    Member {
        is_firing,
        dedup_key: format!("{}-{}", alert.fingerprint, alert.generation),
        what: lines::what(rule, alert, locale),
        since: alert.state.firing_since().unwrap_or(alert.evaluated_at),
        until,
        labels: texts(alert.labels.iter()),
    }
}

fn texts<'a>(labels: impl Iterator<Item = (&'a Box<str>, &'a Box<str>)>) -> BTreeMap<String, String> {
    labels
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}
