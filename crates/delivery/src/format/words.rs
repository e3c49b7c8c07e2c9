//! Our own words in a page, in each language, and times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::locale::Locale;
use crate::message::{Page, Severity, Status};

/// The headings of one language.
pub(super) struct Words {
    firing: &'static str,
    resolved: &'static str,
    severities: [&'static str; 4],
    pub(super) severity: &'static str,
    pub(super) since: &'static str,
    pub(super) until: &'static str,
    pub(super) hits: &'static str,
    pub(super) reasons: &'static str,
    pub(super) done: &'static str,
    pub(super) alerts: &'static str,
    pub(super) links: &'static str,
    pub(super) more: &'static str,
    units: [&'static str; 4],
}

const EN: Words = Words {
    firing: "FIRING",
    resolved: "RESOLVED",
    severities: ["info", "warning", "error", "critical"],
    severity: "Severity",
    since: "Since",
    until: "Until",
    hits: "Whom it hits",
    reasons: "Why",
    done: "Done already",
    alerts: "Alerts",
    links: "Look at",
    more: "more, left out",
    units: ["d", "h", "min", "s"],
};

const ZH_CN: Words = Words {
    firing: "告警",
    resolved: "已恢复",
    severities: ["提示", "警告", "严重", "紧急"],
    severity: "级别",
    since: "开始时间",
    until: "恢复时间",
    hits: "影响范围",
    reasons: "主要原因",
    done: "已采取措施",
    alerts: "告警列表",
    links: "查看",
    more: "行未显示",
    units: ["天", "小时", "分", "秒"],
};

impl Words {
    pub(super) const fn of(locale: Locale) -> &'static Self {
        match locale {
            Locale::En => &EN,
            Locale::ZhCn => &ZH_CN,
        }
    }

    pub(super) const fn status(&self, status: Status) -> &'static str {
        match status {
            Status::Firing => self.firing,
            Status::Resolved => self.resolved,
        }
    }

    pub(super) const fn grade(&self, severity: Severity) -> &'static str {
        let [info, warning, error, critical] = self.severities;
        match severity {
            Severity::Info => info,
            Severity::Warning => warning,
            Severity::Error => error,
            Severity::Critical => critical,
        }
    }

    /// How long something lasted, in its two greatest units.
    pub(super) fn lasting(&self, since: Timestamp, until: Timestamp) -> String {
        let secs = until.duration_since(since).as_secs().max(0);
        let parts = [secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60];
        let first = parts.iter().position(|part| *part > 0).unwrap_or(3);
        let shown = parts.iter().zip(self.units).skip(first).take(2);
        let shown: Vec<_> = shown
            .filter(|(part, _)| **part > 0 || first == 3)
            .map(|(part, unit)| format!("{part} {unit}"))
            .collect();
        shown.join(" ")
    }
}

/// The first line of a page: `[FIRING] SuccessRateLow: what broke`, with what others wrote escaped by `value`.
pub(super) fn headline(page: &Page, value: impl Fn(&str) -> String) -> String {
    let status = Words::of(page.locale).status(page.status);
    format!("[{status}] {}: {}", value(&page.alert), value(&page.what))
}

/// The first line of a page where nothing is markup.
pub(super) fn plain_headline(page: &Page) -> String {
    headline(page, str::to_owned)
}

/// A time as people read it, with its distance to UTC, which a zone's name would leave open.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_where_it_is_read() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(time(at, &TimeZone::UTC), "2026-01-02 03:04:05 +00:00");
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(time(at, &shanghai), "2026-01-02 11:04:05 +08:00");
    }

    #[test]
    fn what_lasted_is_told_in_two_units() {
        let since = Timestamp::UNIX_EPOCH;
        let lasted = |secs| EN.lasting(since, Timestamp::from_second(secs).unwrap());
        assert_eq!(lasted(0), "0 s");
        assert_eq!(lasted(725), "12 min 5 s");
        assert_eq!(lasted(7200), "2 h");
        assert_eq!(lasted(90_061), "1 d 1 h");
        assert_eq!(
            ZH_CN.lasting(since, Timestamp::from_second(61).unwrap()),
            "1 分 1 秒"
        );
    }
}
