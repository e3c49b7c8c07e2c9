//! Tests inside a policy document: a payment, and what the policy must make of it.

use jiff::Timestamp;

use super::Policy;
use super::described;
use super::plan::Plan;
use crate::channels::{ChannelIndex, Channels};
use crate::document::field::{Field, Findings, Table};
use crate::eligibility::{Circumstances, Restrictions, eligible};
use crate::id::{ChannelId, PaymentId};
use crate::limit::Limits;
use crate::payment::Attributes;

/// Noon of a Monday in China, for tests that do not say when.
const DEFAULT_AT: &str = "2026-01-05T12:00:00+08:00";

/// How many payments show the shares of a split.
const DRAWS: u32 = 4_000;

/// How far a share may be off in so many draws, in percent: more than four standard deviations of the widest.
const SHARE_TOLERANCE: f64 = 3.5;

/// A test.
pub(super) struct Sample<'n> {
    pub(super) name: &'n str,
    /// The line it begins in.
    pub(super) line: u32,
    payment: Attributes,
    at: Timestamp,
    candidates: Vec<ChannelId>,
    expect: Table<'n>,
}

/// Reads the list of tests.
pub(super) fn read<'n>(field: &Field<'n>, channels: &Channels, found: &mut Findings) -> Vec<Sample<'n>> {
    let items = field.items(found);
    items
        .iter()
        .filter_map(|item| read_one(item, channels, found))
        .collect()
}

fn read_one<'n>(field: &Field<'n>, channels: &Channels, found: &mut Findings) -> Option<Sample<'n>> {
    const EXPECT_KEYS: [&str; 7] = ["rule", "strategy", "first", "order", "denied", "offers", "split"];
    let table = field.table(&["name", "payment", "candidates", "expect"], found)?;
    let name = table.required("name", found).and_then(|name| name.text(found));
    let mut candidates = Vec::new();
    if let Some(list) = table.get("candidates") {
        for item in list.items(found) {
            let Some(name) = item.text(found) else { continue };
            let channel = find_channel(&item, name, channels, found);
            candidates.extend(
                channel
                    .and_then(|index| channels.get(index))
                    .map(|channel| channel.id.clone()),
            );
        }
    }
    let payment = table
        .required("payment", found)
        .and_then(|field| described::read(&field, found));
    let expect = table.required("expect", found)?.table(&EXPECT_KEYS, found)?;
    if expect.is_empty() {
        field.refuse(
            found,
            format!("expects nothing: expected one of {}", EXPECT_KEYS.join(", ")),
        );
    }
    let payment = payment?;
    Some(Sample {
        name: name?,
        line: field.at().line,
        payment: payment.attributes,
        at: payment.at.or_else(|| DEFAULT_AT.parse().ok())?,
        candidates,
        expect,
    })
}

fn find_channel(
    field: &Field<'_>,
    name: &str,
    channels: &Channels,
    found: &mut Findings,
) -> Option<ChannelIndex> {
    let index = channels.index_of(name);
    if index.is_none() {
        field.unknown_name(name, &channels.names(), found);
    }
    index
}

impl Sample<'_> {
    /// Reports whatever `policy` does otherwise than expected. Nothing is suspended and no limit reached here.
    pub(super) fn run(&self, policy: &Policy, channels: &Channels, found: &mut Findings) {
        let limits = Limits::default();
        let circumstances = Circumstances {
            channels,
            suspensions: &[],
            limits: &limits,
        };
        let restrictions = Restrictions {
            candidates: &self.candidates,
            exclude: &[],
        };
        let eligible = eligible(circumstances, &self.payment, restrictions, self.at).eligible;
        let plan = policy.plan(&self.payment, self.at, &eligible);
        for (key, field) in self.expect.fields() {
            let outcome = match key {
                "rule" => one(&field, plan.matched_rule, found),
                "strategy" => one(&field, plan.strategy.as_str(), found),
                "first" => one(&field, first(&plan, channels), found),
                "order" => many(&field, &names(&plan.order, channels), found),
                "offers" => {
                    let offers: Vec<&str> = plan.offers.iter().map(|offer| &*offer.method).collect();
                    many(&field, &offers, found)
                }
                "denied" => denied(&field, &plan, channels, found),
                _ => {
                    compare_shares(&field, &self.firsts(policy, &eligible, channels), channels, found);
                    None
                }
            };
            if let Some(message) = outcome {
                field.refuse(
                    found,
                    format!("the test fails: {message} (rule `{}`)", plan.matched_rule),
                );
            }
        }
    }

    /// How many of [`DRAWS`] payments like this one have each channel first.
    fn firsts(&self, policy: &Policy, eligible: &[ChannelIndex], channels: &Channels) -> Vec<u32> {
        let mut firsts = vec![0_u32; channels.len()];
        let mut payment = self.payment.clone();
        for number in 0..DRAWS {
            let Ok(id) = PaymentId::new(format!("test-{number}")) else {
                continue;
            };
            payment.payment = id;
            let plan = policy.plan(&payment, self.at, eligible);
            let first = plan.order.first().and_then(|index| firsts.get_mut(index.get()));
            if let Some(count) = first {
                *count += 1;
            }
        }
        firsts
    }
}

fn compare_shares(field: &Field<'_>, firsts: &[u32], channels: &Channels, found: &mut Findings) {
    let Some(table) = field.open_table(found) else {
        return;
    };
    for (name, field) in table.fields() {
        let Some(expected) = field.number::<u8>(0..=100, found) else {
            continue;
        };
        let Some(index) = find_channel(&field, name, channels, found) else {
            continue;
        };
        let count = firsts.get(index.get()).copied().unwrap_or(0);
        let share = f64::from(count) * 100.0 / f64::from(DRAWS);
        if (share - f64::from(expected)).abs() > SHARE_TOLERANCE {
            let message = format!("the test fails: {share:.1} % go to `{name}` first, expected {expected}");
            field.refuse(found, message);
        }
    }
}

fn first<'c>(plan: &Plan<'_>, channels: &'c Channels) -> &'c str {
    names(plan.order.get(..1).unwrap_or_default(), channels)
        .first()
        .copied()
        .unwrap_or("no channel")
}

fn names<'c>(indexes: &[ChannelIndex], channels: &'c Channels) -> Vec<&'c str> {
    let channel = |index: &ChannelIndex| channels.get(*index).map(|channel| channel.id.as_str());
    indexes.iter().filter_map(channel).collect()
}

/// What differs between the text that is expected and the one that came; `None` when nothing does.
fn one(field: &Field<'_>, came: &str, found: &mut Findings) -> Option<String> {
    let expected = field.text(found)?;
    (expected != came).then(|| format!("found `{came}`, expected `{expected}`"))
}

fn many(field: &Field<'_>, came: &[&str], found: &mut Findings) -> Option<String> {
    let expected = field.texts(found);
    (expected != came).then(|| format!("found [{}], expected [{}]", came.join(", "), expected.join(", ")))
}

/// Every channel that is expected to be kept out must be: others may be too.
fn denied(field: &Field<'_>, plan: &Plan<'_>, channels: &Channels, found: &mut Findings) -> Option<String> {
    let expected = field.texts(found);
    let out: Vec<ChannelIndex> = plan.excluded.iter().map(|exclusion| exclusion.channel).collect();
    let out = names(&out, channels);
    let kept = expected.iter().find(|name| !out.contains(&name.as_str()))?;
    Some(format!("`{kept}` is not denied, only [{}]", out.join(", ")))
}
