//! What can be sent: a page, an event or a customer notice. An outbox stores it as it stands here; it becomes
//! bytes only when it is sent, so that a retry carries a fresh timestamp and the keys of today.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::locale::Locale;

/// One outgoing message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// For the people on call.
    Page(Box<Page>),
    /// For a program: compensation events, changes of state.
    Event(Event),
    /// For a customer of the merchant.
    Notice(Notice),
}

impl Message {
    /// Whether it is too late at `now` to send it.
    #[must_use]
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        let not_after = match self {
            Self::Page(_) => None,
            Self::Event(event) => event.not_after,
            Self::Notice(notice) => notice.not_after,
        };
        not_after.is_some_and(|last| last < now)
    }
}

/// Whether what the page tells of is going on or over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is going on.
    Firing,
    /// It is over.
    Resolved,
}

impl Status {
    /// The word of the Alertmanager webhook.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// How bad it is, worst last; the words are those of `PagerDuty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it during working hours.
    Warning,
    /// Look at it today.
    Error,
    /// Somebody must get up.
    Critical,
}

impl Severity {
    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// A page: what broke, since when, whom it hits, why, what was done, and where to look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Whether it is going on.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
    /// The same for every page of one incident: what a receiver joins trigger and resolve by.
    pub dedup_key: String,
    /// Name of the rule, such as `SuccessRateLow`.
    pub alert: String,
    /// What broke, in one sentence.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// Whom it hits, one line each: banks, methods, share of traffic, payments lost so far.
    #[serde(default)]
    pub hits: Vec<String>,
    /// The top reasons in words, one line each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What was done already, one line each.
    #[serde(default)]
    pub done: Vec<String>,
    /// Where to look: console, runbook.
    #[serde(default)]
    pub links: Vec<Link>,
    /// What the alert is about: `channel`, `provider`, `issuer` and so on.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The alerts that this page stands for, when it stands for several.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Language of the texts above, and so of the headings between them.
    pub locale: Locale,
}

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What is found there.
    pub text: String,
    /// Its address; anything but `https:` and `http:` is not shown as a link.
    pub url: String,
}

/// One alert of several in a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Whether it is going on.
    pub status: Status,
    /// As [`Page::dedup_key`], of this alert alone.
    pub dedup_key: String,
    /// What broke, in one sentence.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` while it goes on.
    pub until: Option<Timestamp>,
    /// What it is about, with its `alertname`.
    pub labels: BTreeMap<String, String>,
}

impl Page {
    /// The alerts it stands for: its members, or itself.
    #[must_use]
    pub fn alerts(&self) -> Vec<Member> {
        if !self.members.is_empty() {
            return self.members.clone();
        }
        let mut labels = self.labels.clone();
        labels.insert("alertname".to_owned(), self.alert.clone());
        labels.insert("severity".to_owned(), self.severity.as_str().to_owned());
        vec![Member {
            status: self.status,
            dedup_key: self.dedup_key.clone(),
            what: self.what.clone(),
            since: self.since,
            until: self.until,
            labels,
        }]
    }
}

/// Something that happened, for a program to act on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened, in dotted words: `compensation.query_due`.
    #[serde(rename = "type")]
    pub topic: String,
    /// When.
    pub at: Timestamp,
    /// The rest.
    pub data: serde_json::Value,
    /// After this it is not sent any more; `None`: however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// A message to a customer, by a template that the vendor has approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Who gets it.
    pub to: Recipient,
    /// The vendor's name of the template.
    pub template: String,
    /// What the template leaves open.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Where a touch on it leads, at vendors that have that.
    #[serde(default)]
    pub link: Option<String>,
    /// After this it is not sent any more; `None`: however late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// A customer's telephone number or open id. Personal data: stored and sent, never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(String);

impl Recipient {
    /// A customer.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The number or id itself, for the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_notice_comes_back_and_a_printed_one_names_nobody() {
        let notice = Message::Notice(Notice {
            to: Recipient::new("13800000000"),
            template: "SMS_1".to_owned(),
            parameters: BTreeMap::new(),
            link: None,
            not_after: Some(Timestamp::UNIX_EPOCH),
        });
        let stored = serde_json::to_string(&notice).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&stored).unwrap(), notice);
        assert!(!format!("{notice:?}").contains("1380"));
    }

    #[test]
    fn the_worst_severity_is_the_greatest() {
        assert!(Severity::Critical > Severity::Error && Severity::Warning > Severity::Info);
    }
}
