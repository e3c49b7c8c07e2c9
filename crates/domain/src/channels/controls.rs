//! Reading what an operator sets beside the channels: suspensions and limits.

use jiff::Timestamp;

use super::Channels;
use super::load::not_a_label;
use crate::document::field::{Field, Findings, Table};
use crate::id::{ChannelId, MerchantId};
use crate::limit::{self, Dimension, MAX_RULES, Measure, WINDOW_SECS};
use crate::suspension::{self, Suspension};

/// Longest reason or author's name, in bytes: they are shown on one line.
const MAX_NOTE: usize = 500;

pub(super) fn read_suspensions(
    field: &Field<'_>,
    channels: &Channels,
    found: &mut Findings,
) -> Vec<Suspension> {
    let items = field.items(found);
    let read = items
        .iter()
        .filter_map(|item| read_suspension(item, channels, found));
    read.collect()
}

fn read_suspension(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Option<Suspension> {
    const KEYS: [&str; 8] = [
        "channel", "issuer", "region", "method", "reason", "author", "from", "until",
    ];
    let table = field.table(&KEYS, found)?;
    let scope = suspension::Scope {
        channel: channel(&table, channels, found),
        issuer: label(&table, "issuer", found),
        region: table.get("region").and_then(|field| note(&field, found)),
        method: method(&table, channels, found),
    };
    let is_blank = ["channel", "issuer", "region", "method"]
        .iter()
        .all(|key| table.get(key).is_none());
    if is_blank {
        field.refuse(
            found,
            "covers every payment: expected at least one of channel, issuer, region, method",
        );
    }
    let reason = table
        .required("reason", found)
        .and_then(|field| note(&field, found));
    let author = table
        .required("author", found)
        .and_then(|field| note(&field, found));
    let from = table
        .required("from", found)
        .and_then(|field| moment(&field, found));
    let until = table.get("until").map(|field| moment(&field, found));
    if let (Some(from), Some(Some(until))) = (from, until)
        && until <= from
    {
        table.refuse_key(
            "until",
            found,
            format!("ends at {until}, before it starts at {from}"),
        );
    }
    Some(Suspension {
        scope,
        reason: reason?,
        author: author?,
        from: from?,
        until: match until {
            None => None,
            Some(until) => Some(until?),
        },
    })
}

fn note(field: &Field<'_>, found: &mut Findings) -> Option<String> {
    let text = field.text(found)?;
    if text.len() > MAX_NOTE {
        field.refuse(
            found,
            format!("is {} bytes long, at most {MAX_NOTE} are allowed", text.len()),
        );
    }
    Some(text.to_owned())
}

fn moment(field: &Field<'_>, found: &mut Findings) -> Option<Timestamp> {
    let text = field.text(found)?;
    let moment = text.parse().ok();
    if moment.is_none() {
        field.mismatch(found, "a time with its offset, such as 2026-03-01T22:00:00+08:00");
    }
    moment
}

pub(super) fn read_limits(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Vec<limit::Rule> {
    let items = field.items(found);
    if items.len() > MAX_RULES {
        field.refuse(
            found,
            format!("holds {} limits, at most {MAX_RULES} are allowed", items.len()),
        );
    }
    let mut rules: Vec<limit::Rule> = Vec::new();
    for item in items {
        let Some(rule) = read_limit(&item, channels, found) else {
            continue;
        };
        if rules.iter().any(|earlier| earlier.id == rule.id) {
            item.refuse(found, format!("limit `{}` is there already", rule.id));
        }
        rules.push(rule);
    }
    rules
}

fn read_limit(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Option<limit::Rule> {
    const KEYS: [&str; 10] = [
        "id",
        "channel",
        "method",
        "issuer",
        "merchant",
        "per",
        "count",
        "sum_minor",
        "window_secs",
        "hard",
    ];
    let table = field.table(&KEYS, found)?;
    let id = table.required("id", found).and_then(|id| {
        let name = id.text(found)?;
        if let Some(message) = not_a_label(name) {
            id.refuse(found, message);
        }
        Some(name.to_owned())
    });
    let scope = limit::Scope {
        channel: channel(&table, channels, found),
        method: method(&table, channels, found),
        issuer: label(&table, "issuer", found),
        merchant: table
            .get("merchant")
            .and_then(|field| field.parsed(|text| MerchantId::new(text), found)),
    };
    let per = table
        .get("per")
        .map_or_else(Vec::new, |per| read_dimensions(&per, found));
    let measured = read_measure(field, &table, found);
    let window = i64::from(*WINDOW_SECS.start())..=i64::from(*WINDOW_SECS.end());
    let window_secs = table
        .required("window_secs", found)
        .and_then(|field| field.number(window, found));
    let hard = table.get("hard").and_then(|field| field.flag(found));
    let (measure, most) = measured?;
    Some(limit::Rule {
        id: id?,
        scope,
        per,
        measure,
        most,
        window_secs: window_secs?,
        hard: hard.unwrap_or(false),
    })
}

fn read_dimensions(field: &Field<'_>, found: &mut Findings) -> Vec<Dimension> {
    const DIMENSIONS: [(&str, Dimension); 5] = [
        ("channel", Dimension::Channel),
        ("method", Dimension::Method),
        ("issuer", Dimension::Issuer),
        ("merchant", Dimension::Merchant),
        ("customer", Dimension::Customer),
    ];
    let mut dimensions = Vec::new();
    for item in field.items(found) {
        match item.choice(&DIMENSIONS, found) {
            Some(dimension) if dimensions.contains(&dimension) => item.refuse(found, "stands here twice"),
            Some(dimension) => dimensions.push(dimension),
            None => {}
        }
    }
    dimensions
}

/// `count: 5`, or `sum_minor: {most: 500000, currency: CNY}`.
fn read_measure(field: &Field<'_>, table: &Table<'_>, found: &mut Findings) -> Option<(Measure, i64)> {
    match (table.get("count"), table.get("sum_minor")) {
        (Some(count), None) => Some((Measure::Count, count.integer(0..=i64::MAX, found)?)),
        (None, Some(sum)) => {
            let sum = sum.table(&["most", "currency"], found)?;
            let most = sum
                .required("most", found)
                .and_then(|field| field.integer(0..=i64::MAX, found));
            let currency = sum.required("currency", found)?.parsed(str::parse, found)?;
            Some((Measure::Sum(currency), most?))
        }
        (count, _) => {
            let found_what = if count.is_some() { "both" } else { "neither" };
            field.refuse(
                found,
                format!("has {found_what} of `count` and `sum_minor`, expected one"),
            );
            None
        }
    }
}

fn channel(table: &Table<'_>, channels: &Channels, found: &mut Findings) -> Option<ChannelId> {
    let field = table.get("channel")?;
    let name = field.text(found)?;
    let index = channels.index_of(name);
    if index.is_none() {
        field.unknown_name(name, &channels.names(), found);
    }
    channels.get(index?).map(|channel| channel.id.clone())
}

fn method(table: &Table<'_>, channels: &Channels, found: &mut Findings) -> Option<String> {
    let field = table.get("method")?;
    let name = field.text(found)?;
    let known = channels.methods();
    if !known.contains(&name) {
        field.unknown_name(name, &known, found);
    }
    Some(name.to_owned())
}

fn label(table: &Table<'_>, key: &str, found: &mut Findings) -> Option<String> {
    let field = table.get(key)?;
    let name = field.text(found)?;
    if let Some(message) = not_a_label(name) {
        field.refuse(found, message);
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::tests::channels;
    use crate::document::parse;

    fn suspension(text: &str) -> Result<Vec<Suspension>, Vec<String>> {
        let node = parse(text, "c.yaml").unwrap();
        let mut found = Findings::new("c.yaml");
        let read = read_suspensions(&Field::root(&node), &channels(&["a"]), &mut found);
        found
            .finish(read)
            .map_err(|diagnostics| diagnostics.iter().map(ToString::to_string).collect())
    }

    fn limit(text: &str) -> Result<Vec<limit::Rule>, Vec<String>> {
        let node = parse(text, "c.yaml").unwrap();
        let mut found = Findings::new("c.yaml");
        let read = read_limits(&Field::root(&node), &channels(&["a"]), &mut found);
        found
            .finish(read)
            .map_err(|diagnostics| diagnostics.iter().map(|found| found.message.clone()).collect())
    }

    #[test]
    fn a_suspension_of_everything_is_refused() {
        let refused = suspension("[{reason: r, author: a, from: 2026-01-01T00:00:00Z}]").unwrap_err();
        assert_eq!(
            refused,
            [
                "c.yaml:1:2: [0]: covers every payment: expected at least one of channel, issuer, region, method"
            ]
        );
    }

    #[test]
    fn a_suspension_that_ends_before_it_starts_is_refused() {
        let text =
            "[{channel: a, reason: r, author: a, from: 2026-01-02T00:00:00Z, until: 2026-01-01T00:00:00Z}]";
        assert_eq!(suspension(text).unwrap_err().len(), 1);
    }

    #[test]
    fn a_time_needs_its_offset() {
        let text = "[{channel: a, reason: r, author: a, from: \"2026-01-02 22:00\"}]";
        assert!(suspension(text).unwrap_err()[0].contains("a time with its offset"));
    }

    #[test]
    fn a_limit_counts_or_sums() {
        let count = limit("[{id: l, count: 5, window_secs: 60}]").unwrap();
        assert_eq!((count[0].measure, count[0].most), (Measure::Count, 5));
        let sum = limit("[{id: l, sum_minor: {most: 9, currency: CNY}, window_secs: 60}]").unwrap();
        assert_eq!(sum[0].measure, Measure::Sum("CNY".parse().unwrap()));
        assert_eq!(
            limit("[{id: l, window_secs: 60}]").unwrap_err(),
            ["has neither of `count` and `sum_minor`, expected one"]
        );
    }

    #[test]
    fn a_window_is_within_its_bounds() {
        assert!(limit("[{id: l, count: 5, window_secs: 9}]").is_err());
        assert!(limit("[{id: l, count: 5, window_secs: 86401}]").is_err());
    }
}
