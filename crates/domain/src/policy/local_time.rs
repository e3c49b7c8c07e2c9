//! Local time of day and weekday, as conditions of a policy.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// Names of the days, Monday first, as a policy writes them.
pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A moment as a clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalMoment {
    /// Minute of the day, 0 to 1 439.
    minute: u16,
    weekday: Weekday,
}

impl LocalMoment {
    pub(super) fn of(now: Timestamp, timezone: &TimeZone) -> Self {
        let local = timezone.to_datetime(now);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        Self {
            minute: u16::try_from(minute).unwrap_or(0),
            weekday: local.weekday(),
        }
    }
}

impl fmt::Display for LocalMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS
            .iter()
            .find(|(_, day)| *day == self.weekday)
            .map_or("", |(name, _)| name);
        write!(f, "{day} {}", Clock(self.minute))
    }
}

/// A minute of the day as `22:05`.
struct Clock(u16);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A part of the day, from its start to before its end; over midnight when the end is before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeSpan {
    from: u16,
    to: u16,
}

impl TimeSpan {
    /// From minute `from` to before minute `to`; `None` when they are the same, which could mean never or always.
    pub(super) fn new(from: u16, to: u16) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }

    pub(super) fn contains(self, moment: LocalMoment) -> bool {
        let after = self.from <= moment.minute;
        let before = moment.minute < self.to;
        if self.from < self.to {
            after && before
        } else {
            after || before
        }
    }

    /// Whether every minute of `self` is in `other`.
    pub(super) fn is_within(self, other: Self) -> bool {
        // Minutes counted from the other's start: one turn of the clock makes the spans comparable.
        const DAY: u16 = 1_440;
        let since = |minute: u16| (minute + DAY - other.from) % DAY;
        let length = (self.to + DAY - self.from) % DAY;
        since(self.from) + length <= since(other.to)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}", Clock(self.from), Clock(self.to))
    }
}

/// The minute of the day that `text` names as `HH:MM`; `24:00` is the end of the day, and so midnight.
pub(super) fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    match (hour, minute) {
        (24, 0) => Some(0),
        (0..=23, 0..=59) => Some(hour * 60 + minute),
        _ => None,
    }
}

/// Some days of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weekdays(u8);

impl Weekdays {
    pub(super) fn insert(&mut self, day: Weekday) {
        self.0 |= Self::bit(day);
    }

    pub(super) fn contains(self, moment: LocalMoment) -> bool {
        self.0 & Self::bit(moment.weekday) != 0
    }

    pub(super) fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    fn bit(day: Weekday) -> u8 {
        1 << day.to_monday_zero_offset()
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, day) in DAYS {
            if self.0 & Self::bit(day) != 0 {
                write!(f, "{separator}{name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shanghai(text: &str) -> LocalMoment {
        LocalMoment::of(text.parse().unwrap(), &TimeZone::get("Asia/Shanghai").unwrap())
    }

    fn span(from: &str, to: &str) -> TimeSpan {
        TimeSpan::new(minute_of_day(from).unwrap(), minute_of_day(to).unwrap()).unwrap()
    }

    #[test]
    fn a_moment_is_told_in_the_time_of_the_place() {
        assert_eq!(shanghai("2026-01-04T17:30:00Z").to_string(), "mon 01:30");
    }

    #[test]
    fn a_span_may_pass_midnight() {
        let night = span("22:00", "06:00");
        let holds = ["22:00", "23:59", "05:59", "06:00", "21:59"]
            .map(|time| night.contains(shanghai(&format!("2026-01-05T{time}:00+08:00"))));
        assert_eq!(holds, [true, true, true, false, false]);
    }

    #[test]
    fn a_day_may_end_at_24() {
        assert!(span("22:00", "24:00").contains(shanghai("2026-01-05T23:59:00+08:00")));
        assert_eq!(minute_of_day("24:01"), None);
        assert_eq!(minute_of_day("7:00"), None);
        assert_eq!(minute_of_day("+7:00"), None);
    }

    proptest! {
        #[test]
        fn a_span_is_within_another_when_all_its_minutes_are(
            [a, b, c, d] in prop::array::uniform4(0_u16..1440),
        ) {
            prop_assume!(a != b && c != d);
            let (inner, outer) = (TimeSpan::new(a, b).unwrap(), TimeSpan::new(c, d).unwrap());
            let all = (0..1440).all(|minute| {
                let moment = LocalMoment { minute, weekday: Weekday::Monday };
                !inner.contains(moment) || outer.contains(moment)
            });
            prop_assert_eq!(inner.is_within(outer), all);
        }
    }
}
