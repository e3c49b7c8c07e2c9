//! Pages: what a receiver is told of a group of alerts.

use std::collections::BTreeMap;

use delivery::locale::Locale;
use delivery::message::{Event, Link, Member, Message, Page, Severity, Status};
use domain::alert::page::{self as words, Facts, Locale as Language};
use domain::alert::{Instance, Kind, Notification, Rules, Severity as Badness};
use jiff::Timestamp;
use ledger::Impact;
use ledger::alert::{Incident, Run};
use ledger::delivery::{Class, NewDelivery};
use uuid::Uuid;

use super::{name, runbooks};

pub(super) use words::Deed as Said;

/// A page that is owed to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Owed {
    /// Its name, the same whoever works it out.
    pub id: Uuid,
    /// The receiver, by name.
    pub receiver: String,
    /// Pages with the same key to the same receiver stay in order.
    pub order_key: String,
    /// What it is known by to the outbox.
    pub dedup_key: String,
    /// Whether somebody is to be woken.
    pub is_page: bool,
    /// Whether it is the first of its key, or the last.
    pub kind: Kind,
    /// The page.
    pub page: Page,
}

impl Owed {
    /// What the outbox keeps of it.
    pub(super) fn delivery(self, now: Timestamp) -> Option<NewDelivery> {
        Some(NewDelivery {
            id: self.id,
            receiver: self.receiver,
            order_key: self.order_key,
            dedup_key: self.dedup_key,
            class: if self.is_page { Class::Page } else { Class::Ticket },
            ends: self.kind == Kind::Resolve,
            message: serde_json::to_value(Message::Page(Box::new(self.page))).ok()?,
            created_at: now,
            due_at: now,
        })
    }
}

/// What the sign of life is called.
const WATCHDOG: &str = "payroute.watchdog";

/// The sign of life of this minute: whoever works it out, there is one.
pub(super) fn heartbeat(receiver: &str, now: Timestamp) -> Option<NewDelivery> {
    let minute = now.as_second().div_euclid(60);
    let key = format!("{WATCHDOG}/{minute}");
    let event = Event {
        topic: WATCHDOG.to_owned(),
        at: now,
        data: serde_json::json!({ "minute": minute }),
        not_after: None,
    };
    Some(NewDelivery {
        id: name::of(now, &[receiver, &key]),
        receiver: receiver.to_owned(),
        // Each stands alone: one that is stuck must not keep the next.
        order_key: key.clone(),
        dedup_key: key,
        class: Class::Event,
        ends: false,
        message: serde_json::to_value(Message::Event(event)).ok()?,
        created_at: now,
        due_at: now,
    })
}

/// Whether it is a sign of life.
pub(super) fn is_heartbeat(delivery: &NewDelivery) -> bool {
    delivery.dedup_key.starts_with(WATCHDOG)
}

/// What a runbook says about an incident.
#[derive(Debug)]
pub(super) struct Note<'a> {
    pub(super) incident: &'a Incident,
    /// What receivers know the alert by.
    pub(super) key: &'a str,
    pub(super) runbook: &'a str,
    pub(super) text: &'a str,
}

impl Note<'_> {
    /// What `receiver` is told.
    pub(super) fn delivery(&self, receiver: &str, locale: Locale, now: Timestamp) -> Option<NewDelivery> {
        let Self { incident, key, .. } = self;
        let badness = Badness::from_name(&incident.severity).unwrap_or(Badness::Info);
        let by = match locale {
            Locale::En => format!("Runbook {}", self.runbook),
            Locale::ZhCn => format!("预案 {}", self.runbook),
        };
        let page = Page {
            status: Status::Firing,
            severity: severity(badness),
            dedup_key: (*key).to_owned(),
            alert: incident.rule.clone(),
            what: self.text.to_owned(),
            since: incident.opened_at,
            until: None,
            hits: Vec::new(),
            reasons: Vec::new(),
            done: vec![by],
            links: Vec::new(),
            labels: incident.labels.clone(),
            members: Vec::new(),
            locale,
        };
        let dedup_key = format!("{key}/runbook/{}/{}", self.runbook, self.text);
        Some(NewDelivery {
            id: name::of(now, &[receiver, &dedup_key]),
            receiver: receiver.to_owned(),
            order_key: (*key).to_owned(),
            dedup_key,
            class: if badness.is_page() {
                Class::Page
            } else {
                Class::Ticket
            },
            ends: false,
            message: serde_json::to_value(Message::Page(Box::new(page))).ok()?,
            created_at: now,
            due_at: now,
        })
    }
}

/// What pages are written by.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) instances: &'a [Instance],
    pub(super) incidents: &'a [Incident],
    pub(super) impacts: &'a BTreeMap<Uuid, Impact>,
    /// The runbooks at work.
    pub(super) runs: &'a [Run],
    /// What was done about it.
    pub(super) done: &'a [words::Deed],
    /// Where the console is.
    pub(super) console: Option<&'a str>,
    pub(super) locales: &'a BTreeMap<Box<str>, Locale>,
}

impl Desk<'_> {
    /// The pages that `notification` means, one for each receiver.
    pub(super) fn owed(&self, notification: &Notification) -> Vec<Owed> {
        let number = notification.number.to_string();
        let one = |receiver: &str| {
            let locale = self.locales.get(receiver).copied().unwrap_or_default();
            Owed {
                id: name::of(notification.at, &["page", receiver, &notification.key, &number]),
                receiver: receiver.to_owned(),
                order_key: notification.key.to_string(),
                dedup_key: format!("{}/{number}", notification.key),
                is_page: notification.severity.is_page(),
                kind: notification.kind,
                page: self.page(notification, locale),
            }
        };
        notification
            .receivers
            .iter()
            .map(|receiver| one(receiver))
            .collect()
    }

    fn page(&self, notification: &Notification, locale: Locale) -> Page {
        let named = notification.firing.iter().chain(&notification.resolved);
        let about: Vec<&Instance> = named
            .filter_map(|name| self.instances.iter().find(|one| one.fingerprint == *name))
            .collect();
        let incident = about.iter().find_map(|one| {
            let mut incidents = self.incidents.iter();
            incidents.find(|open| open.fingerprint == one.fingerprint.as_str())
        });
        let mut done = self.done.to_vec();
        let mut offered = Vec::new();
        if let Some(incident) = incident {
            let said = runbooks::said(self.runs, incident.id);
            done.extend(said.0);
            offered = said.1;
        }
        let facts = Facts {
            impact: incident
                .and_then(|incident| self.impacts.get(&incident.id))
                .map(cost),
            done,
            similar: Vec::new(),
            links: self.links(incident, &offered),
        };
        let rule = self.rules.rule(&notification.rule);
        let language = match locale {
            Locale::ZhCn => Language::ZhCn,
            Locale::En => Language::En,
        };
        sent(words::page(notification, rule, &about, &facts, language), locale)
    }

    fn links(&self, incident: Option<&Incident>, offered: &[String]) -> Vec<domain::alert::Link> {
        let Some((console, incident)) = self.console.zip(incident) else {
            return Vec::new();
        };
        let url = format!(
            "{}/api/v1/incidents/{}",
            console.trim_end_matches('/'),
            incident.id
        );
        let link = |text: String, url: &str| domain::alert::Link {
            text: text.into(),
            url: url.into(),
        };
        let mut links = vec![link("incident".to_owned(), &url)];
        let plans = format!("{url}/plans");
        links.extend(
            offered
                .iter()
                .map(|runbook| link(format!("runbook {runbook}"), &plans)),
        );
        links
    }
}

/// An impact as pages tell it.
fn cost(impact: &Impact) -> words::Impact {
    let parts = |parts: &[ledger::Part]| {
        parts
            .iter()
            .map(|part| (part.name.clone(), part.failed))
            .collect()
    };
    words::Impact {
        attempts: impact.attempts,
        failed: impact.failed,
        unknown: impact.unknown,
        traffic_bp: None,
        lost: impact
            .lost
            .iter()
            .map(|lost| words::Lost {
                currency: lost.currency.clone(),
                payments: lost.payments,
                amount_minor: lost.amount_minor,
            })
            .collect(),
        reasons: parts(&impact.reasons),
        issuers: parts(&impact.issuers),
        methods: parts(&impact.methods),
        channels: parts(&impact.channels),
    }
}

/// The page as senders take it.
fn sent(page: words::Page, locale: Locale) -> Page {
    let status = |is_firing| {
        if is_firing {
            Status::Firing
        } else {
            Status::Resolved
        }
    };
    Page {
        status: status(page.is_firing),
        severity: severity(page.severity),
        dedup_key: page.dedup_key,
        alert: page.alert,
        what: page.what,
        since: page.since,
        until: page.until,
        hits: page.hits,
        reasons: page.reasons,
        done: page.done,
        links: page
            .links
            .into_iter()
            .map(|link| Link {
                text: link.text.to_string(),
                url: link.url.to_string(),
            })
            .collect(),
        labels: page.labels,
        members: page
            .members
            .into_iter()
            .map(|member| Member {
                status: status(member.is_firing),
                dedup_key: member.dedup_key,
                what: member.what,
                since: member.since,
                until: member.until,
                labels: member.labels,
            })
            .collect(),
        locale,
    }
}

const fn severity(badness: Badness) -> Severity {
    match badness {
        Badness::Info => Severity::Info,
        Badness::Warning => Severity::Warning,
        Badness::Error => Severity::Error,
        Badness::Critical => Severity::Critical,
    }
}

/// The page that the store of alerts is away, or back.
pub(super) fn store_down(since: Timestamp, until: Option<Timestamp>, firing: &[String]) -> Page {
    Page {
        status: if until.is_some() {
            Status::Resolved
        } else {
            Status::Firing
        },
        severity: Severity::Critical,
        dedup_key: format!("payroute-alert-store-{}", since.as_second()),
        alert: "AlertStoreDown".to_owned(),
        what: "The store of alerts does not answer: alerts are evaluated in memory, and pages may not arrive"
            .to_owned(),
        since,
        until,
        hits: Vec::new(),
        reasons: Vec::new(),
        done: firing.to_vec(),
        links: Vec::new(),
        labels: BTreeMap::new(),
        members: Vec::new(),
        locale: Locale::En,
    }
}
