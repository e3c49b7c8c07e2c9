//! What a policy does with a payment, in words.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use domain::channels::{ChannelIndex, Channels};
use domain::clock::{Clock as _, SystemClock};
use domain::eligibility::{Circumstances, Eligible, Restrictions, eligible};
use domain::limit::Limits;
use domain::policy::{DEFAULT_RULE, Described, Plan, Policy, Strategy, Verdict};
use jiff::Timestamp;

use super::show;
use crate::shop_files::{InvalidShop, ShopFiles, read};

/// What stands for a file in diagnostics of a payment that was given in pairs.
const ORIGIN: &str = "payment";

/// The payment that the arguments describe: one file, or pairs.
///
/// # Errors
/// When the file cannot be read or the description is not good.
pub(super) fn payment(given: &[String]) -> anyhow::Result<Described> {
    if let [file] = given
        && !file.contains('=')
    {
        let text = read(Path::new(file))?;
        return Ok(Described::load(&text, file).map_err(InvalidShop::Wrong)?);
    }
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(given.len());
    for argument in given {
        let pair = argument.split_once('=');
        let (name, value) =
            pair.with_context(|| format!("`{argument}` is not a pair such as method=card"))?;
        anyhow::ensure!(
            pairs.iter().all(|(earlier, _)| *earlier != name),
            "`{name}` is given twice"
        );
        pairs.push((name, value));
    }
    Ok(Described::from_pairs(&pairs, ORIGIN).map_err(InvalidShop::Wrong)?)
}

/// Says what `shop` does with `payment`: rule by rule, the plan, and why channels are left out. What was learnt of
/// the channels is not looked at, and no limit has counted anything.
///
/// # Errors
/// When `out` cannot be written to.
pub(super) fn explain(shop: &ShopFiles, payment: &Described, out: &mut impl Write) -> anyhow::Result<()> {
    let now = payment.at.unwrap_or_else(|| SystemClock.now());
    let (channels, policy) = (&shop.configuration.channels, &shop.policy);
    let limits = Limits::new(shop.configuration.limits.clone())?;
    let circumstances = Circumstances {
        channels,
        suspensions: &shop.configuration.suspensions,
        limits: &limits,
    };
    let sorted = eligible(circumstances, &payment.attributes, Restrictions::default(), now);
    let plan = policy.plan(&payment.attributes, now, &sorted.eligible);

    writeln!(
        out,
        "{} at {}",
        headline(payment),
        now.to_zoned(policy.timezone().clone()).strftime("%A %F %T %:z")
    )?;
    rules(policy, payment, now, out)?;
    show_plan(&plan, &payment.attributes.payment.to_string(), channels, out)?;
    not_eligible(&sorted, channels, out)?;
    Ok(())
}

fn headline(payment: &Described) -> String {
    let attributes = &payment.attributes;
    let amount = attributes.amount;
    format!(
        "payment `{}`: {} {} (minor units) by {}",
        attributes.payment,
        amount.minor(),
        amount.currency(),
        attributes.method
    )
}

fn rules(policy: &Policy, payment: &Described, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "\nrules of policy {} {}", policy.name(), policy.version())?;
    let verdicts = policy.explain(&payment.attributes, now);
    let width = verdicts.iter().map(|told| told.rule.chars().count()).max();
    let width = width.unwrap_or(0);
    for told in &verdicts {
        let verdict = match &told.verdict {
            Verdict::Selected => "selects".to_owned(),
            Verdict::Matched if told.rule == DEFAULT_RULE => "not needed".to_owned(),
            Verdict::Matched => "matches".to_owned(),
            Verdict::Unmet { condition, found } => format!("not: wants {condition}; found: {found}"),
        };
        writeln!(out, "  {:<width$}  {verdict}", told.rule)?;
    }
    Ok(())
}

fn show_plan(
    plan: &Plan<'_>,
    payment: &str,
    channels: &Channels,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let strategy = match plan.strategy {
        Strategy::Split { bucket } => format!("split; payment `{payment}` falls in bucket {bucket}"),
        Strategy::Adaptive(_) => "adaptive; the order below only breaks ties".to_owned(),
        Strategy::Priority => "priority".to_owned(),
    };
    let order = names(&plan.order, channels);
    let preferred = order.get(..plan.preferred).unwrap_or_default();
    writeln!(out, "\nplan")?;
    writeln!(out, "  rule       {}", plan.matched_rule)?;
    writeln!(out, "  strategy   {strategy}")?;
    writeln!(out, "  order      {}", show::list(&order))?;
    if !preferred.is_empty() {
        writeln!(out, "  preferred  {}", show::list(preferred))?;
    }
    writeln!(out, "  offers     {}", offers(plan))?;
    if plan.excluded.is_empty() {
        writeln!(out, "  denied     none")?;
    }
    for denied in &plan.excluded {
        let channel = channels
            .get(denied.channel)
            .map_or("", |channel| channel.id.as_str());
        let why = denied.exclusion.explanation();
        writeln!(out, "  denied     {channel}: {why} (rule `{}`)", denied.rule)?;
    }
    Ok(())
}

fn offers(plan: &Plan<'_>) -> String {
    let offer = |offer: &&domain::policy::Offer| match &*offer.reason {
        "" => offer.method.to_string(),
        reason => format!("{} ({reason})", offer.method),
    };
    let offers: Vec<String> = plan.offers.iter().map(offer).collect();
    show::list(&offers.iter().map(String::as_str).collect::<Vec<_>>())
}

fn not_eligible(sorted: &Eligible, channels: &Channels, out: &mut impl Write) -> anyhow::Result<()> {
    if sorted.excluded.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nnot eligible")?;
    let indexes: Vec<ChannelIndex> = sorted.excluded.iter().map(|(index, _)| *index).collect();
    let names = names(&indexes, channels);
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, (_, exclusion)) in names.iter().zip(&sorted.excluded) {
        writeln!(out, "  {name:<width$}  {}", exclusion.explanation())?;
    }
    Ok(())
}

fn names<'c>(indexes: &[ChannelIndex], channels: &'c Channels) -> Vec<&'c str> {
    let name = |index: &ChannelIndex| channels.get(*index).map(|channel| channel.id.as_str());
    indexes.iter().filter_map(name).collect()
}
