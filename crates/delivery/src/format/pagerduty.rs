//! `PagerDuty`'s Events API, version 2.

use serde_json::{Value, json};

use super::clip::Bounds;
use super::{CredentialId, Parcel, Prepared, Unsendable, clip, words};
use crate::message::{Link, Page, Status};
use crate::receiver::{Pagerduty, Receiver};
use crate::secret::Secret;
use crate::sign;
use crate::wire::Request;

/// Longest summary in characters.
const SUMMARY_CHARS: usize = 1024;
/// Longest key of an incident in bytes.
const DEDUP_KEY_BYTES: usize = 255;

pub(super) fn prepare(
    receiver: &Receiver,
    at: &Pagerduty,
    parcel: Parcel<'_>,
    page: &Page,
) -> Result<Prepared, Unsendable> {
    let key = routing_key(at, parcel.credential).ok_or_else(|| Unsendable::KeyGone {
        receiver: receiver.name.clone(),
    })?;
    let mut body = json!({
        "routing_key": key.expose(),
        "event_action": match page.status {
            Status::Firing => "trigger",
            Status::Resolved => "resolve",
        },
        "dedup_key": dedup_key(&page.dedup_key),
    });
    if page.status == Status::Firing
        && let Value::Object(fields) = &mut body
    {
        let (page, _) = clip::page(page, Bounds::USUAL);
        fields.insert("payload".to_owned(), payload(&page));
        // It refuses the whole event for one link that leads nowhere.
        let web = |link: &&Link| link.url.starts_with("https://") || link.url.starts_with("http://");
        let links = page.links.iter().filter(web);
        let links: Vec<_> = links
            .map(|link| json!({ "href": link.url, "text": link.text }))
            .collect();
        fields.insert("links".to_owned(), links.into());
        fields.insert("client".to_owned(), "Payroute".into());
        if let Some(url) = &at.client_url {
            fields.insert("client_url".to_owned(), url.as_str().into());
        }
    }
    Ok(Prepared {
        credential: Some(CredentialId::of(key)),
        ..Prepared::of(Request::json(at.url.clone(), &body))
    })
}

/// The key that the incident was opened with, or today's for a new one.
fn routing_key<'a>(at: &'a Pagerduty, opened_with: Option<&CredentialId>) -> Option<&'a Secret> {
    let mut keys = at.routing_keys.iter();
    match opened_with {
        None => keys.next(),
        Some(id) => keys.find(|key| CredentialId::of(key) == *id),
    }
}

/// The page's key, or its hash where it is too long: always the same for the same key.
fn dedup_key(key: &str) -> String {
    if key.len() <= DEDUP_KEY_BYTES {
        key.to_owned()
    } else {
        sign::sha256_hex(key.as_bytes())
    }
}

/// What the incident shows.
fn payload(page: &Page) -> Value {
    let label = |name: &str| page.labels.get(name).map(String::as_str);
    let source = label("channel")
        .or_else(|| label("provider"))
        .unwrap_or("payroute");
    json!({
        "summary": clip::one_line(&words::plain_headline(page), SUMMARY_CHARS),
        "source": source,
        "severity": page.severity.as_str(),
        "timestamp": page.since,
        "component": label("channel"),
        "group": label("provider"),
        "class": page.alert,
        "custom_details": {
            "impact": page.hits,
            "reasons": page.reasons,
            "actions": page.done,
            "labels": page.labels,
            "alerts": page.members.iter().map(|member| &member.what).collect::<Vec<_>>(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_too_long_is_replaced_by_one_that_is_not() {
        let long = "银".repeat(100);
        assert_eq!(dedup_key(&long), dedup_key(&long));
        assert_eq!(dedup_key(&long).len(), 64);
        assert_eq!(dedup_key("al_7:3"), "al_7:3");
    }

    #[test]
    fn f40_a_resolve_goes_by_the_key_of_its_trigger() {
        let at = Pagerduty {
            url: "https://events.pagerduty.com/v2/enqueue".parse().unwrap(),
            routing_keys: vec![Secret::new("new"), Secret::new("old")],
            client_url: None,
        };
        let old = CredentialId::of(&Secret::new("old"));
        assert_eq!(routing_key(&at, None).unwrap().expose(), "new");
        assert_eq!(routing_key(&at, Some(&old)).unwrap().expose(), "old");
        assert!(routing_key(&at, Some(&CredentialId::of(&Secret::new("gone")))).is_none());
    }
}
