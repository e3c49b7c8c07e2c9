//! Quiet hours: the part of the day in which nobody is woken.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// A part of every day, over midnight when it ends before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QuietHours {
    from: Time,
    to: Time,
}

impl QuietHours {
    /// From `from` to before `to`; `None` when they are the same, which could mean never or always.
    pub(super) fn new(from: Time, to: Time) -> Option<Self> {
        (from != to).then_some(Self { from, to })
    }

    /// Whether it is quiet at `now`.
    pub(super) fn holds(self, now: Timestamp, timezone: &TimeZone) -> bool {
        let time = timezone.to_datetime(now).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }

    /// The first time from `now` on at which it is not quiet.
    ///
    /// It comes when the clock shows the end, or when the clock is put past it or back before the beginning: on the
    /// night that skips 02:30, what is quiet until then is quiet until 03:00.
    pub(super) fn end(self, now: Timestamp, timezone: &TimeZone) -> Timestamp {
        if !self.holds(now, timezone) {
            return now;
        }
        let today = timezone.to_datetime(now).date();
        let days = [Ok(today), today.tomorrow()];
        let shown = days.into_iter().flatten().flat_map(|day| {
            let end = day.to_datetime(self.to);
            let twice = || timezone.to_ambiguous_timestamp(end);
            [twice().earlier(), twice().later()]
        });
        let put = timezone.following(now).next().map(|put| put.timestamp());
        let ends = shown.flatten().chain(put);
        ends.filter(|end| *end > now && !self.holds(*end, timezone))
            .min()
            .unwrap_or(now)
    }
}

/// The time of day that `text` names as `HH:MM`; `24:00` is midnight.
pub(super) fn time_of_day(text: &str) -> Result<Time, String> {
    let refused = || format!("`{text}` is not a time of day, such as 22:00");
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute) = text.split_once(':').ok_or_else(refused)?;
    if !is_two_digits(hour) || !is_two_digits(minute) {
        return Err(refused());
    }
    let number = |part: &str| part.parse::<i8>().map_err(|_| refused());
    match (number(hour)?, number(minute)?) {
        (24, 0) => Ok(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).map_err(|_| refused()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn quiet(from: &str, to: &str) -> QuietHours {
        QuietHours::new(time_of_day(from).unwrap(), time_of_day(to).unwrap()).unwrap()
    }

    fn end(quiet: QuietHours, now: &str, timezone: &str) -> String {
        let timezone = TimeZone::get(timezone).unwrap();
        let end = quiet.end(now.parse().unwrap(), &timezone);
        timezone.to_datetime(end).to_string()
    }

    #[test]
    fn what_happens_at_night_waits_for_the_morning() {
        let night = quiet("22:00", "08:00");
        let shanghai = |now| end(night, now, "Asia/Shanghai");
        assert_eq!(shanghai("2026-01-05T23:30:00+08:00"), "2026-01-06T08:00:00");
        assert_eq!(shanghai("2026-01-06T01:00:00+08:00"), "2026-01-06T08:00:00");
        assert_eq!(shanghai("2026-01-06T08:00:00+08:00"), "2026-01-06T08:00:00");
        assert_eq!(shanghai("2026-01-06T21:59:59+08:00"), "2026-01-06T21:59:59");
        assert_eq!(
            end(
                quiet("12:00", "14:00"),
                "2026-01-06T12:30:00+08:00",
                "Asia/Shanghai"
            ),
            "2026-01-06T14:00:00"
        );
    }

    #[test]
    fn a_night_of_the_clock_change_ends_too() {
        let until_half_past_two = quiet("22:00", "02:30");
        let berlin = |now| end(until_half_past_two, now, "Europe/Berlin");
        assert_eq!(
            berlin("2026-03-29T01:30:00+01:00"),
            "2026-03-29T03:00:00",
            "02:30 does not exist that day"
        );
        assert_eq!(berlin("2026-10-25T01:30:00+02:00"), "2026-10-25T02:30:00");
        // At the second 02:10 it is quiet once more.
        assert_eq!(berlin("2026-10-25T02:10:00+01:00"), "2026-10-25T02:30:00");
        let from_half_past_two = quiet("02:30", "06:00");
        assert_eq!(
            end(from_half_past_two, "2026-10-25T02:45:00+02:00", "Europe/Berlin"),
            "2026-10-25T02:00:00",
            "the clock is put back before the beginning"
        );
    }

    #[test]
    fn a_time_is_two_digits_and_two_digits() {
        for text in ["7:00", "25:00", "24:01", "12:60", "noon", "", "-1:00"] {
            assert!(time_of_day(text).is_err(), "{text}");
        }
        assert_eq!(time_of_day("24:00"), Ok(Time::midnight()));
    }

    proptest! {
        #[test]
        fn the_end_is_the_first_moment_that_is_not_quiet(
            from in 0..1_440_i64,
            length in 1..1_440_i64,
            // Half of them in a night in which the clocks of Berlin or New York are changed.
            now in prop_oneof![
                1_700_000_000..1_800_000_000_i64,
                (prop::sample::select(&[1_743_296_400, 1_761_440_400, 1_741_503_600, 1_762_063_200][..]), -90_000..20_000_i64)
                    .prop_map(|(change, aside)| change + aside),
            ],
            zone in prop::sample::select(&["Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC"][..]),
        ) {
            let time = |minute: i64| time_of_day(&format!("{:02}:{:02}", minute / 60 % 24, minute % 60)).unwrap();
            let quiet = QuietHours::new(time(from), time((from + length) % 1_440)).unwrap();
            let timezone = TimeZone::get(zone).unwrap();
            let now = Timestamp::from_second(now).unwrap();
            let end = quiet.end(now, &timezone);
            prop_assert!(end >= now);
            prop_assert!(end.duration_since(now) <= SignedDuration::from_hours(25));
            prop_assert!(!quiet.holds(end, &timezone));
            if quiet.holds(now, &timezone) {
                let before = end.checked_sub(SignedDuration::from_secs(1)).unwrap();
                prop_assert!(quiet.holds(before, &timezone));
                let length = end.duration_since(now).as_secs();
                for part in 0..16 {
                    let between = SignedDuration::from_secs(length * part / 16);
                    prop_assert!(quiet.holds(now.checked_add(between).unwrap(), &timezone));
                }
            } else {
                prop_assert_eq!(end, now);
            }
        }
    }
}
