//! A page for tests.

use std::collections::BTreeMap;

use crate::locale::Locale;
use crate::message::{Link, Page, Severity, Status};

/// A page as the alerter makes them.
pub(crate) fn page() -> Page {
    Page {
        status: Status::Firing,
        severity: Severity::Critical,
        dedup_key: "al_7:3".to_owned(),
        alert: "SuccessRateLow".to_owned(),
        what: "success rate of ch_42 is 71.4 % (threshold 95 %)".to_owned(),
        since: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        until: None,
        hits: vec!["ICBC debit cards, 31 % of traffic".to_owned()],
        reasons: vec!["issuer does not answer: 412 payments".to_owned()],
        done: vec!["traffic moved to ch_43".to_owned()],
        links: vec![Link {
            text: "Console".to_owned(),
            url: "https://console.example/incidents/al_7".to_owned(),
        }],
        labels: BTreeMap::from([("channel".to_owned(), "ch_42".to_owned())]),
        members: Vec::new(),
        locale: Locale::En,
    }
}
