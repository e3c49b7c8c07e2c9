//! Reading what a rule does.

use super::condition::Condition;
use super::read_condition;
use super::rule::{AdaptiveSettings, Bucket, Filters, Offer, Rule, Selection, Split};
use crate::channels::{ChannelIndex, ChannelSet, Channels};
use crate::document::Value;
use crate::document::field::{Field, Findings, Table};

/// Stands for every channel that is not named beside it.
const REST: &str = "rest";

/// Before the name of a tag that stands for the channels which have it.
const TAG: &str = "tag:";

const SELECTION_KEYS: [&str; 3] = ["priority", "split", "adaptive"];

const THEN_KEYS: [&str; 7] = ["deny", "only", "prefer", "offer", "priority", "split", "adaptive"];

/// Longest name of a rule and reason of an offer, in bytes.
const MAX_NOTE: usize = 200;

/// Reads one rule of the list.
pub(super) fn read(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Option<Rule> {
    let table = field.table(&["name", "when", "then"], found)?;
    let name = table.required("name", found).and_then(|name| note(&name, found));
    let when = table.get("when");
    let is_unconditional = when.is_none();
    let when = when.map_or_else(
        || Condition::All(Box::default()),
        |when| read_condition::read(&when, channels, found),
    );
    let then = table.required("then", found);
    let (filters, selection) = then
        .as_ref()
        .map(|then| read_then(then, channels, found))
        .unwrap_or_default();
    if selection.is_some() && (is_unconditional || when == Condition::All(Box::default())) && found.is_empty()
    {
        field.refuse(
            found,
            "selects for every payment: say so in `default`, and no rule after it is cut off",
        );
    }
    Some(Rule {
        name: name?,
        when,
        filters,
        selection,
    })
}

/// Reads what selects when no rule does. It holds no filters, which would hold for every payment or only for those
/// that come here, as one reads it: a rule without `when` says the one, and another condition the other.
pub(super) fn read_default(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Rule {
    let table = field.table(&SELECTION_KEYS, found);
    let selection = table.and_then(|table| {
        if table.is_empty() {
            field.refuse(found, format!("expected one of {}", SELECTION_KEYS.join(", ")));
        }
        read_selection(field, &table, channels, found)
    });
    Rule {
        name: super::DEFAULT_RULE.into(),
        selection,
        ..Rule::blank()
    }
}

fn note(field: &Field<'_>, found: &mut Findings) -> Option<Box<str>> {
    let text = field.text(found)?;
    if text.len() > MAX_NOTE {
        field.refuse(
            found,
            format!("is {} bytes long, at most {MAX_NOTE} are allowed", text.len()),
        );
    }
    Some(text.into())
}

fn read_then(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> (Filters, Option<Selection>) {
    let Some(table) = field.table(&THEN_KEYS, found) else {
        return (Filters::default(), None);
    };
    if table.is_empty() {
        field.refuse(
            found,
            format!("does nothing: expected one of {}", THEN_KEYS.join(", ")),
        );
    }
    let mut named = |key: &str| table.get(key).map(|field| read_named(&field, channels, found));
    let (deny, only, prefer) = (named("deny"), named("only"), named("prefer"));
    let filters = Filters {
        deny: deny.unwrap_or_default().into_iter().collect(),
        only: only.map(|only| only.into_iter().collect()),
        prefer: prefer.unwrap_or_default().into(),
        offer: table
            .get("offer")
            .map_or_else(Box::default, |field| read_offers(&field, channels, found)),
    };
    (filters, read_selection(field, &table, channels, found))
}

fn read_selection(
    field: &Field<'_>,
    table: &Table<'_>,
    channels: &Channels,
    found: &mut Findings,
) -> Option<Selection> {
    let (priority, split, adaptive) = (table.get("priority"), table.get("split"), table.get("adaptive"));
    let given = [&priority, &split, &adaptive].into_iter().flatten().count();
    if given > 1 {
        field.refuse(
            found,
            "selects twice: expected one of `priority`, `split` and `adaptive`",
        );
        return None;
    }
    if let Some(field) = priority {
        return Some(Selection::Priority(read_order(&field, channels, found)));
    }
    if let Some(field) = split {
        return read_split(&field, channels, found).map(Selection::Split);
    }
    read_adaptive(&adaptive?, channels, found)
}

/// The channels that one entry names: a channel, or all with a tag.
fn resolve(field: &Field<'_>, name: &str, channels: &Channels, found: &mut Findings) -> Vec<ChannelIndex> {
    if let Some(tag) = name.strip_prefix(TAG) {
        let has_tag = |tags: &[String]| tags.iter().any(|given| given == tag);
        let tagged = channels.iter().filter(|(_, channel)| has_tag(&channel.tags));
        let tagged: Vec<ChannelIndex> = tagged.map(|(index, _)| index).collect();
        if tagged.is_empty() {
            field.refuse(found, format!("no channel has the tag `{tag}`"));
        }
        return tagged;
    }
    let index = channels.index_of(name);
    if index.is_none() {
        field.unknown_name(name, &channels.names(), found);
    }
    index.into_iter().collect()
}

/// One entry or a list, each channel once.
fn read_named(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Vec<ChannelIndex> {
    let mut named = Vec::new();
    for item in field.one_or_more(found) {
        let Some(name) = item.text(found) else { continue };
        for index in resolve(&item, name, channels, found) {
            if !named.contains(&index) {
                named.push(index);
            }
        }
    }
    named
}

/// Every channel, the listed ones first; the others in the order of the configuration, where `rest` stands or at
/// the end.
fn read_order(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Box<[ChannelIndex]> {
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mut is_after_rest = false;
    let items = field.items(found);
    if items.is_empty() {
        field.refuse(found, "expected at least one channel");
    }
    for item in items {
        let Some(name) = item.text(found) else { continue };
        if name == REST {
            if is_after_rest {
                item.refuse(found, "`rest` stands here twice");
            }
            is_after_rest = true;
            continue;
        }
        for index in resolve(&item, name, channels, found) {
            if before.contains(&index) || after.contains(&index) {
                item.refuse(found, format!("`{name}` is in the list already"));
            } else if is_after_rest {
                after.push(index);
            } else {
                before.push(index);
            }
        }
    }
    let rest = channels
        .iter()
        .map(|(index, _)| index)
        .filter(|index| !before.contains(index) && !after.contains(index));
    let rest: Vec<ChannelIndex> = rest.collect();
    [before, rest, after].concat().into()
}

fn read_split(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Option<Split> {
    let table = field.open_table(found)?;
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut listed = ChannelSet::EMPTY;
    let (mut total, mut is_whole) = (0, true);
    for (name, share_field) in table.fields() {
        let share: Option<u32> = share_field.number(1..=100, found);
        is_whole &= share.is_some();
        total += share.unwrap_or(0);
        let members = if name == REST {
            Vec::new()
        } else {
            resolve(&share_field, name, channels, found)
        };
        for member in &members {
            if !listed.insert(*member) {
                share_field.refuse(found, format!("a channel of `{name}` has a share already"));
            }
        }
        buckets.push(Bucket {
            name: name.into(),
            share: share.unwrap_or(0),
            channels: members.into(),
        });
    }
    if is_whole && total != 100 {
        field.refuse(found, format!("totals {total}, expected 100"));
    }
    let rest: Vec<ChannelIndex> = channels
        .iter()
        .map(|(index, _)| index)
        .filter(|index| !listed.contains(*index))
        .collect();
    if let Some(bucket) = buckets.iter_mut().find(|bucket| &*bucket.name == REST) {
        if rest.is_empty() {
            table.refuse_key(
                REST,
                found,
                "every channel has a share already, nothing is left for `rest`",
            );
        }
        bucket.channels = rest.clone().into();
    }
    let mut by_share: Vec<&Bucket> = buckets.iter().collect();
    // Stable: equal shares stay in the order of the policy.
    by_share.sort_by_key(|bucket| std::cmp::Reverse(bucket.share));
    let mut order: Vec<ChannelIndex> = by_share
        .iter()
        .flat_map(|bucket| bucket.channels.to_vec())
        .collect();
    let unlisted: Vec<ChannelIndex> = rest.into_iter().filter(|index| !order.contains(index)).collect();
    order.extend(unlisted);
    Some(Split {
        buckets: buckets.into(),
        order: order.into(),
    })
}

fn read_adaptive(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Option<Selection> {
    const KEYS: [&str; 5] = [
        "margin_bp",
        "explore_bp",
        "explore_max_amount_minor",
        "latency_budget_ms",
        "tie_order",
    ];
    let table = field.table(&KEYS, found)?;
    let default = AdaptiveSettings::default();
    let mut rate = |key: &str| table.get(key).and_then(|field| field.number(0..=1_000, found));
    let (margin_bp, explore_bp) = (rate("margin_bp"), rate("explore_bp"));
    let most = table.get("explore_max_amount_minor");
    let budget = table.get("latency_budget_ms");
    let settings = AdaptiveSettings {
        margin_bp: margin_bp.unwrap_or(default.margin_bp),
        explore_bp: explore_bp.unwrap_or(default.explore_bp),
        explore_max_amount_minor: most.and_then(|field| field.integer(0..=i64::MAX, found)),
        latency_budget_ms: budget.and_then(|field| field.number(1..=120_000, found)),
    };
    let order = match table.get("tie_order") {
        Some(field) => read_order(&field, channels, found),
        None => channels.iter().map(|(index, _)| index).collect(),
    };
    Some(Selection::Adaptive { settings, order })
}

/// Methods, each alone or with a reason.
fn read_offers(field: &Field<'_>, channels: &Channels, found: &mut Findings) -> Box<[Offer]> {
    let known = channels.methods();
    let mut offers: Vec<Offer> = Vec::new();
    for item in field.items(found) {
        let (method, reason) = match item.value() {
            Value::Text(_) => (Some(item.clone()), None),
            _ => match item.table(&["method", "reason"], found) {
                Some(table) => (table.required("method", found), table.get("reason")),
                None => continue,
            },
        };
        let reason = reason.and_then(|reason| note(&reason, found));
        let Some(field) = method else { continue };
        let Some(method) = field.text(found) else { continue };
        if !known.contains(&method) {
            field.unknown_name(method, &known, found);
        } else if offers.iter().any(|earlier| &*earlier.method == method) {
            field.refuse(found, format!("`{method}` is offered already"));
        }
        offers.push(Offer {
            method: method.into(),
            reason: reason.unwrap_or_default(),
        });
    }
    offers.into()
}
