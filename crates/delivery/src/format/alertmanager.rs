//! The webhook of Alertmanager, version 4, field by field, so that whatever reads Alertmanager's reads ours; signed
//! by Standard Webhooks, which Alertmanager's is not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clip::Bounds;
use super::{Parcel, Prepared, clip, sign_webhook};
use crate::message::{Member, Page};
use crate::receiver::{Alertmanager, Receiver};
use crate::wire::Request;

/// What Go writes for a time that is not set.
const NEVER: &str = "0001-01-01T00:00:00Z";

type Labels = BTreeMap<String, String>;

pub(super) fn prepare(receiver: &Receiver, at: &Alertmanager, parcel: Parcel<'_>, page: &Page) -> Prepared {
    let (page, left_out) = clip::page(page, Bounds::USUAL);
    let members = page.alerts();
    let generator = page.links.first().map_or("", |link| link.url.as_str());
    let annotations: Vec<_> = members.iter().map(|member| annotations(&page, member)).collect();
    let alerts: Vec<_> = members
        .iter()
        .zip(&annotations)
        .map(|(member, annotations)| {
            json!({
                "status": member.status.as_str(),
                "labels": member.labels,
                "annotations": annotations,
                "startsAt": time(member.since),
                "endsAt": member.until.map_or_else(|| NEVER.to_owned(), time),
                "generatorURL": generator,
                "fingerprint": format!("{:016x}", fingerprint(&member.labels)),
            })
        })
        .collect();
    let body = json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname={}}}", Value::from(page.alert.as_str())),
        "truncatedAlerts": left_out,
        "status": page.status.as_str(),
        "receiver": receiver.name,
        "groupLabels": { "alertname": page.alert },
        "commonLabels": in_all(members.iter().map(|member| &member.labels)),
        "commonAnnotations": in_all(annotations.iter()),
        "externalURL": at.external_url,
        "alerts": alerts,
    });
    let mut request = Request::json(at.hook.url.clone(), &body);
    sign_webhook(&mut request, parcel, &at.hook.keys);
    Prepared::of(request)
}

/// What is said about one alert. A page about a single alert says there all that it knows.
fn annotations(page: &Page, member: &Member) -> Labels {
    let mut annotations = Labels::from([("summary".to_owned(), member.what.clone())]);
    if page.members.is_empty() {
        for (name, lines) in [
            ("impact", &page.hits),
            ("reasons", &page.reasons),
            ("actions", &page.done),
        ] {
            if !lines.is_empty() {
                annotations.insert(name.to_owned(), lines.join("; "));
            }
        }
    }
    annotations
}

/// The pairs that stand in every one of `all`.
fn in_all<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = all.next().cloned().unwrap_or_default();
    for labels in all {
        common.retain(|name, value| labels.get(name) == Some(value));
    }
    common
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
}

/// What Prometheus calls the fingerprint of a set of labels: FNV-1a of 64 bits over names and values in order, each
/// followed by a byte that no UTF-8 holds.
fn fingerprint(labels: &Labels) -> u64 {
    const OFFSET: u64 = 14_695_981_039_346_656_037;
    const PRIME: u64 = 1_099_511_628_211;
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::sample;

    /// The value that Prometheus' own tests expect of these labels.
    #[test]
    fn a_fingerprint_is_that_of_prometheus() {
        let labels = [("name", "garland, briggs"), ("fear", "love is not enough")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fingerprint(&Labels::from(labels)), 5_799_056_148_416_392_346);
    }

    #[test]
    fn only_what_all_alerts_say_is_common() {
        let of = |channel: &str| {
            let pairs = [("alertname", "A"), ("channel", channel)];
            Labels::from(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        let common = in_all([of("a"), of("b")].iter());
        assert_eq!(common, Labels::from([("alertname".to_owned(), "A".to_owned())]));
    }

    #[test]
    fn a_page_about_one_alert_says_all_it_knows() {
        let page = sample::page();
        let annotations = annotations(&page, &page.alerts()[0]);
        assert_eq!(annotations["actions"], "traffic moved to ch_43");
        assert_eq!(time(page.since), "2026-01-02T03:04:05.678Z");
    }
}
