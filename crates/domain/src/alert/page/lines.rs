//! The sentences of a page.

use super::super::dimension::{Dimension, Scope};
use super::super::group::{Kind, Notification};
use super::super::instance::Instance;
use super::super::metric::{Metric, Unit};
use super::super::quantity::Quantity;
use super::super::rule::{Bound, Link, Rule};
use super::reasons::in_words;
use super::{Deed, Impact, Locale, Lost, Similar};
use crate::catalogue::Reason;
use crate::money::Currency;

/// Most names in one line.
const MAX_NAMES: usize = 5;

/// Most reasons.
const MAX_REASONS: usize = 5;

/// What broke, of one alert: `Too few payments go through: channel a, provider p; 62.3% of 1,204 in 1m, below 95%`.
pub(super) fn what(rule: Option<&Rule>, alert: &Instance, locale: Locale) -> String {
    let Some(rule) = rule else {
        return format!("{}{}", alert.rule, about(&alert.scope, locale));
    };
    let figures = alert.measured.map(|measured| {
        let value = quantity(measured.value, rule.metric.unit());
        let bound = bound(rule, locale);
        let volume = grouped(u64::from(measured.volume));
        let span = quantity(u64::from(measured.span_secs), Unit::Secs);
        match locale {
            _ if rule.metric == Metric::SilentChannel => silence(measured.span_secs, locale),
            Locale::En if measured.volume > 0 => format!("{value} of {volume} in {span}{bound}"),
            Locale::ZhCn if measured.volume > 0 => format!("{span}内 {volume} 笔，{value}{bound}"),
            Locale::En | Locale::ZhCn => format!("{value}{bound}"),
        }
    });
    let summary = summary(rule, locale);
    let about = about(&alert.scope, locale);
    match (figures.filter(|figures| !figures.is_empty()), locale) {
        (Some(figures), Locale::En) => format!("{summary}{about}; {figures}"),
        (Some(figures), Locale::ZhCn) => format!("{summary}{about}；{figures}"),
        (None, _) => format!("{summary}{about}"),
    }
}

/// What broke, of several alerts.
pub(super) fn several(rule: Option<&Rule>, message: &Notification, locale: Locale) -> String {
    let count = if message.kind == Kind::Resolve {
        message.resolved.len()
    } else {
        message.firing.len()
    };
    let summary = rule.map_or_else(|| message.rule.to_string(), |rule| summary(rule, locale));
    let provider = message.labels.get(Dimension::Provider.as_str());
    match (locale, provider) {
        (Locale::En, Some(provider)) => format!("{summary}: {count} at once, provider {provider}"),
        (Locale::En, None) => format!("{summary}: {count} at once"),
        (Locale::ZhCn, Some(provider)) => format!("{summary}：共 {count} 条，服务商 {provider}"),
        (Locale::ZhCn, None) => format!("{summary}：共 {count} 条"),
    }
}

/// The sentence as the kind of message wants it.
pub(super) fn of_kind(kind: Kind, what: &str, locale: Locale) -> String {
    let before = match (kind, locale) {
        (Kind::Trigger | Kind::Resolve, _) => return what.to_owned(),
        (Kind::Update, Locale::En) => "More of it: ",
        (Kind::Update, Locale::ZhCn) => "范围扩大：",
        (Kind::Repeat, Locale::En) => "Still going on: ",
        (Kind::Repeat, Locale::ZhCn) => "仍在持续：",
        (Kind::Flapping, Locale::En) => "Comes and goes, watched for longer now: ",
        (Kind::Flapping, Locale::ZhCn) => "反复出现，已延长观察时间：",
    };
    format!("{before}{what}")
}

pub(super) fn hits(impact: &Impact, locale: Locale) -> Vec<String> {
    let mut lines = Vec::new();
    let (attempts, failed) = (grouped(impact.attempts), grouped(impact.failed));
    let share = quantity(share_bp(impact.failed, impact.attempts), Unit::Share);
    lines.push(match locale {
        Locale::En => format!("Attempts: {failed} of {attempts} failed ({share})"),
        Locale::ZhCn => format!("支付尝试：{attempts} 笔中失败 {failed} 笔（{share}）"),
    });
    if impact.unknown > 0 {
        let unknown = grouped(impact.unknown);
        lines.push(match locale {
            Locale::En => format!("Outcome unknown: {unknown}, may have charged"),
            Locale::ZhCn => format!("结果未知：{unknown} 笔，可能已扣款"),
        });
    }
    if let Some(traffic) = impact.traffic_bp {
        let traffic = quantity(u64::from(traffic), Unit::Share);
        lines.push(match locale {
            Locale::En => format!("Share of all traffic: {traffic}"),
            Locale::ZhCn => format!("占全部流量：{traffic}"),
        });
    }
    lines.extend(impact.lost.iter().map(|lost| lost_line(lost, locale)));
    let named = [
        (&impact.issuers, "Banks", "银行"),
        (&impact.methods, "Methods", "支付方式"),
        (&impact.channels, "Channels", "渠道"),
    ];
    for (parts, en, zh) in named {
        if !parts.is_empty() {
            lines.push(names(parts, en, zh, locale));
        }
    }
    lines
}

fn lost_line(lost: &Lost, locale: Locale) -> String {
    let payments = grouped(lost.payments);
    let amount = amount(lost);
    match locale {
        Locale::En => format!("Payments lost so far: {payments}, {amount}"),
        Locale::ZhCn => format!("至今流失订单：{payments} 笔，{amount}"),
    }
}

fn names(parts: &[(String, u64)], en: &str, zh: &str, locale: Locale) -> String {
    let shown: Vec<String> = parts
        .iter()
        .take(MAX_NAMES)
        .map(|(name, failed)| match locale {
            Locale::En => format!("{name} ({})", grouped(*failed)),
            Locale::ZhCn => format!("{name}（{}）", grouped(*failed)),
        })
        .collect();
    let more = parts.len().saturating_sub(MAX_NAMES);
    match (locale, more) {
        (Locale::En, 0) => format!("{en}: {}", shown.join(", ")),
        (Locale::En, more) => format!("{en}: {} and {more} more", shown.join(", ")),
        (Locale::ZhCn, 0) => format!("{zh}：{}", shown.join("、")),
        (Locale::ZhCn, more) => format!("{zh}：{} 等，另有 {more} 个", shown.join("、")),
    }
}

pub(super) fn reasons(impact: &Impact, locale: Locale) -> Vec<String> {
    let line = |(name, count): &(String, u64)| {
        let words = Reason::from_name(name).map(|reason| in_words(reason, locale));
        let share = quantity(share_bp(*count, impact.failed), Unit::Share);
        let count = grouped(*count);
        match (words, locale) {
            (Some(words), Locale::En) => format!("{words} ({name}): {count}, {share}"),
            (Some(words), Locale::ZhCn) => format!("{words}（{name}）：{count} 笔，{share}"),
            (None, Locale::En) => format!("{name}: {count}, {share}"),
            (None, Locale::ZhCn) => format!("{name}：{count} 笔，{share}"),
        }
    };
    impact.reasons.iter().take(MAX_REASONS).map(line).collect()
}

/// What was done, and what keeps the alert from being known.
pub(super) fn done(alerts: &[&Instance], deeds: &[Deed], locale: Locale) -> Vec<String> {
    let mut lines: Vec<String> = deeds.iter().map(|deed| deed_line(deed, locale)).collect();
    let blind = alerts
        .iter()
        .filter(|alert| alert.state.is_active())
        .any(|alert| alert.no_data_since.is_some() || alert.error.is_some());
    if blind {
        lines.push(match locale {
            Locale::En => "No data at the moment: it stays open until it is seen to be over".to_owned(),
            Locale::ZhCn => "目前没有数据：在确认恢复之前告警保持打开".to_owned(),
        });
    }
    lines
}

fn deed_line(deed: &Deed, locale: Locale) -> String {
    match (deed, locale) {
        (Deed::Tripped { channel, reason }, Locale::En) => format!("Left channel {channel}: {reason}"),
        (Deed::Tripped { channel, reason }, Locale::ZhCn) => format!("已自动停用渠道 {channel}：{reason}"),
        (Deed::Returning { channel }, Locale::En) => {
            format!("Channel {channel} is being brought back in steps")
        }
        (Deed::Returning { channel }, Locale::ZhCn) => format!("渠道 {channel} 正在逐步恢复"),
        (Deed::Moved { from, to }, locale) => {
            let parts: Vec<String> = to
                .iter()
                .map(|(channel, share)| format!("{channel} {}", quantity(u64::from(*share), Unit::Share)))
                .collect();
            match locale {
                Locale::En => format!("Traffic of {from} goes to {}", parts.join(", ")),
                Locale::ZhCn => format!("{from} 的流量已切换至 {}", parts.join("、")),
            }
        }
        (Deed::Suspended { what, by, until }, Locale::En) => match until {
            Some(until) => format!("Suspended {what} until {until:.0} ({by})"),
            None => format!("Suspended {what} ({by})"),
        },
        (Deed::Suspended { what, by, until }, Locale::ZhCn) => match until {
            Some(until) => format!("已暂停 {what}，至 {until:.0}（{by}）"),
            None => format!("已暂停 {what}（{by}）"),
        },
        (Deed::Changed { what, by }, Locale::En) => format!("{what} ({by})"),
        (Deed::Changed { what, by }, Locale::ZhCn) => format!("{what}（{by}）"),
        (Deed::Begun { runbook }, Locale::En) => format!("Runbook {runbook} is at work"),
        (Deed::Begun { runbook }, Locale::ZhCn) => format!("预案 {runbook} 正在执行"),
        (Deed::Offered { runbook }, Locale::En) => format!("Runbook {runbook} waits for your word"),
        (Deed::Offered { runbook }, Locale::ZhCn) => format!("预案 {runbook} 等待确认执行"),
    }
}

pub(super) fn similar(similar: &Similar, locale: Locale) -> Link {
    let day = similar.began_at.strftime("%F");
    let secs = u64::try_from(similar.lasted.as_secs()).unwrap_or(0);
    let lasted = quantity(secs / 60 * 60, Unit::Secs);
    let text = match (locale, similar.cause.as_str()) {
        (Locale::En, "") => format!("Similar: {day}, lasted {lasted}"),
        (Locale::En, cause) => format!("Similar: {day}, lasted {lasted}, {cause}"),
        (Locale::ZhCn, "") => format!("相似事件：{day}，持续 {lasted}"),
        (Locale::ZhCn, cause) => format!("相似事件：{day}，持续 {lasted}，{cause}"),
    };
    Link {
        text: text.into(),
        url: similar.url.as_str().into(),
    }
}

/// The rule's own summary in this language, in any, or its name.
fn summary(rule: &Rule, locale: Locale) -> String {
    let own = format!("summary.{locale}");
    let annotation = rule.annotations.get(own.as_str());
    let annotation = annotation.or_else(|| rule.annotations.get("summary"));
    annotation.map_or_else(|| rule.name.to_string(), ToString::to_string)
}

fn about(scope: &Scope, locale: Locale) -> String {
    if *scope == Scope::overall() {
        return String::new();
    }
    let part = |(dimension, value): (Dimension, &str)| {
        let name = match (dimension, locale) {
            (dimension, Locale::En) => dimension.as_str(),
            (Dimension::Provider, Locale::ZhCn) => "服务商",
            (Dimension::Channel, Locale::ZhCn) => "渠道",
            (Dimension::Method, Locale::ZhCn) => "支付方式",
            (Dimension::Issuer, Locale::ZhCn) => "银行",
            (Dimension::Region, Locale::ZhCn) => "地区",
            (Dimension::Merchant, Locale::ZhCn) => "商户",
        };
        format!("{name} {value}")
    };
    let parts: Vec<String> = scope.iter().map(part).collect();
    match locale {
        Locale::En => format!(": {}", parts.join(", ")),
        Locale::ZhCn => format!("：{}", parts.join("，")),
    }
}

fn bound(rule: &Rule, locale: Locale) -> String {
    // Whether a channel is down is no matter of degree.
    if rule.metric == Metric::ChannelDown {
        return String::new();
    }
    let shown = |line| quantity(line, rule.metric.unit());
    match (rule.bound, locale) {
        (Some(Bound::Below(line)), Locale::En) => format!(", line {}", shown(line)),
        (Some(Bound::Above(line)), Locale::En) => format!(", at most {}", shown(line)),
        (Some(Bound::AtLeast(line)), Locale::En) => format!(", alarming from {}", shown(line)),
        (Some(Bound::Below(line)), Locale::ZhCn) => format!("，阈值 {}", shown(line)),
        (Some(Bound::Above(line)), Locale::ZhCn) => format!("，上限 {}", shown(line)),
        (Some(Bound::AtLeast(line)), Locale::ZhCn) => format!("，达到 {} 即告警", shown(line)),
        (None, _) => String::new(),
    }
}

fn silence(span_secs: u32, locale: Locale) -> String {
    let span = quantity(u64::from(span_secs), Unit::Secs);
    match locale {
        Locale::En => format!("none in {span}"),
        Locale::ZhCn => format!("{span}内没有交易"),
    }
}

fn quantity(value: u64, unit: Unit) -> String {
    // A page is read at night: one decimal is enough.
    let value = if unit == Unit::Share {
        value / 10 * 10
    } else {
        value
    };
    Quantity { value, unit }.to_string()
}

fn share_bp(part: u64, whole: u64) -> u64 {
    let scaled = u128::from(part) * 10_000;
    let share = scaled.checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(0)
}

/// `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `12,345.67 CNY`; minor units where the currency is not known.
fn amount(lost: &Lost) -> String {
    let decimals = lost.currency.parse::<Currency>().map_or(0, Currency::decimals);
    let unit = 10_u64.pow(decimals);
    let minor = lost.amount_minor.unsigned_abs();
    let whole = grouped(minor / unit);
    let currency = &lost.currency;
    if decimals == 0 {
        return format!("{whole} {currency}");
    }
    let width = usize::try_from(decimals).unwrap_or(2);
    format!("{whole}.{:0width$} {currency}", minor % unit)
}
