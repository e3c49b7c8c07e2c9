//! What is said of alerts, in one sentence each.

use delivery::locale::Locale;
use domain::alert::{Change, Instance, Quantity, Rule, Scope, Transition};

/// What broke: the rule's summary in that language, whom it is about, and what was measured.
pub(super) fn title(instance: &Instance, rule: Option<&Rule>, locale: Locale) -> String {
    let annotation = |name: &str| rule.and_then(|rule| rule.annotations.get(name));
    let summary = match locale {
        Locale::ZhCn => annotation("summary.zh-CN").or_else(|| annotation("summary")),
        Locale::En => annotation("summary"),
    };
    let summary = summary.map_or(&*instance.rule, |summary| &**summary);
    let mut title = if instance.scope == Scope::overall() {
        summary.to_owned()
    } else {
        format!("{summary}: {}", instance.scope)
    };
    if let (Some(measured), Some(rule)) = (instance.measured, rule) {
        let value = Quantity {
            value: measured.value,
            unit: rule.metric.unit(),
        };
        let figures = match (locale, measured.volume) {
            (_, 0) => format!(" ({value})"),
            (Locale::ZhCn, volume) => format!("（{value}，{volume} 笔）"),
            (Locale::En, volume) => format!(" ({value} of {volume})"),
        };
        title.push_str(&figures);
    }
    title
}

/// The kind of line that a timeline has for `change`.
pub(super) const fn kind(change: Change) -> &'static str {
    match change {
        Change::Pending => "pending",
        Change::Cancelled => "cancelled",
        Change::Fired => "fired",
        Change::Recovering => "recovering",
        Change::Relapsed => "relapsed",
        Change::Resolved { .. } => "resolved",
        Change::Flapping => "flapping",
        Change::Steady => "steady",
        Change::DataLost => "data_lost",
        Change::DataBack => "data_back",
        Change::ReadFailed => "read_failed",
        Change::ReadBack => "read_back",
    }
}

/// What happened, for a timeline.
pub(super) fn happened(transition: &Transition) -> String {
    match transition.change {
        Change::Pending => "the line is crossed".to_owned(),
        Change::Cancelled => "it was not crossed for long enough".to_owned(),
        Change::Fired => "it fires".to_owned(),
        Change::Recovering => "it seems over".to_owned(),
        Change::Relapsed => "it was not over".to_owned(),
        Change::Resolved { by } => format!("it is over: {}", by.as_str()),
        Change::Flapping => "it goes to and fro: its end will be waited for longer".to_owned(),
        Change::Steady => "it stands still again".to_owned(),
        Change::DataLost => "nothing is known any more; it stays open".to_owned(),
        Change::DataBack => "something is known again".to_owned(),
        Change::ReadFailed => "the source cannot be asked; it stays open".to_owned(),
        Change::ReadBack => "the source can be asked again".to_owned(),
    }
}
