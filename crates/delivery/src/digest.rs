//! Several pages as one.

use std::collections::BTreeMap;

use crate::locale::Locale;
use crate::message::{Page, Status};

/// The page that says what all of `pages` say: firing when one of them is, as bad as the worst, since the first.
/// `None` without pages; a single one is itself.
///
/// Only for receivers that join pages: what the single pages were keyed by is in the members.
#[must_use]
pub fn digest(pages: &[Page]) -> Option<Page> {
    let [first, rest @ ..] = pages else {
        return None;
    };
    if rest.is_empty() {
        return Some(first.clone());
    }
    let members: Vec<_> = pages.iter().flat_map(Page::alerts).collect();
    let firing = members.iter().any(|member| member.status == Status::Firing);
    let since = pages.iter().map(|page| page.since).min().unwrap_or(first.since);
    let until = pages.iter().filter_map(|page| page.until).max();
    let same = rest.iter().all(|page| page.alert == first.alert);
    Some(Page {
        status: if firing { Status::Firing } else { Status::Resolved },
        severity: pages
            .iter()
            .map(|page| page.severity)
            .max()
            .unwrap_or(first.severity),
        dedup_key: first.dedup_key.clone(),
        alert: if same {
            first.alert.clone()
        } else {
            "Alerts".to_owned()
        },
        what: count(members.len(), first.locale),
        since,
        until: if firing { None } else { until },
        hits: gathered(pages, |page| &page.hits),
        reasons: gathered(pages, |page| &page.reasons),
        done: gathered(pages, |page| &page.done),
        links: first.links.clone(),
        labels: common_labels(pages),
        members,
        locale: first.locale,
    })
}

fn count(alerts: usize, locale: Locale) -> String {
    match locale {
        Locale::En => format!("{alerts} alerts at once"),
        Locale::ZhCn => format!("{alerts} 条告警同时发生"),
    }
}

/// The lines of all pages, each once, in their order.
fn gathered(pages: &[Page], lines: impl Fn(&Page) -> &Vec<String>) -> Vec<String> {
    let mut gathered: Vec<String> = Vec::new();
    for line in pages.iter().flat_map(|page| lines(page).iter()) {
        if !gathered.contains(line) {
            gathered.push(line.clone());
        }
    }
    gathered
}

fn common_labels(pages: &[Page]) -> BTreeMap<String, String> {
    let mut all = pages.iter().map(|page| &page.labels);
    let mut common = all.next().cloned().unwrap_or_default();
    for labels in all {
        common.retain(|name, value| labels.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;
    use crate::message::Severity;

    #[test]
    fn f37_many_pages_become_one_that_names_them_all() {
        let pages: Vec<_> = (0..500)
            .map(|number| Page {
                dedup_key: format!("al_{number}:1"),
                severity: if number == 7 {
                    Severity::Critical
                } else {
                    Severity::Warning
                },
                status: if number == 9 {
                    Status::Firing
                } else {
                    Status::Resolved
                },
                ..sample::page()
            })
            .collect();
        let page = digest(&pages).unwrap();
        assert_eq!(page.members.len(), 500);
        assert_eq!((page.status, page.severity), (Status::Firing, Severity::Critical));
        assert_eq!(page.what, "500 alerts at once");
        assert_eq!(page.hits.len(), 1);
        assert_eq!(page.labels, sample::page().labels);
    }

    #[test]
    fn one_page_stays_itself_and_none_is_none() {
        assert_eq!(digest(&[sample::page()]), Some(sample::page()));
        assert_eq!(digest(&[]), None);
    }
}
