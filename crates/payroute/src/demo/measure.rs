//! The figures of a run: what the records and the providers' books say.

use std::time::Duration;

use client::Doubt;
use serde::Serialize;
use simulator::provider::Audit;
use simulator::scenario::Scenario;
use simulator::scenario::event::Kind;
use simulator::world::{ChannelIndex, World};

use super::record::{Book, Payment};
use crate::checkout::End;

/// A channel's share before its outage is taken over this long.
const BEFORE: Duration = Duration::from_secs(10);

/// It has been left from the moment that begins this long a time with hardly any first attempts there.
const LEFT_FOR: Duration = Duration::from_secs(1);
/// Hardly any: this part of its share before. What remains are probes.
const LEFT: f64 = 0.1;

/// It is back from the moment that begins this long a time with nearly its share. Longer than the other, because half
/// a share looks like a whole one more easily than none does.
const BACK_FOR: Duration = Duration::from_secs(2);
/// Nearly: this part of its share before.
const BACK: f64 = 0.8;

/// Fewer first attempts than this say nothing about a share.
const FEWEST: usize = 5;

/// Moments are looked at in this distance.
const STEP: Duration = Duration::from_millis(50);

/// The scripted outage that is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outage {
    /// Where.
    pub(super) channel: ChannelIndex,
    /// The methods that the channel takes: its share is among their payments.
    pub(super) methods: Vec<String>,
    /// Since the start of the demo.
    pub(super) start: Duration,
    /// Since the start of the demo.
    pub(super) end: Duration,
}

impl Outage {
    /// The first outage of the scenario; `None` when it has none.
    pub(super) fn of(world: &World) -> Option<Self> {
        let scenario: &Scenario = world.scenario();
        let is_outage = |kind: &Kind| matches!(kind, Kind::Outage { .. });
        let event = scenario.events.iter().find(|event| is_outage(&event.kind))?;
        let channel = world.index_of(event.channel.as_ref()?)?;
        Some(Self {
            channel,
            methods: world.channel(channel)?.methods.clone(),
            start: event.start_s.duration(),
            end: event.end_s.duration(),
        })
    }
}

/// The figures of a run. Their names are those of the JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Payments that came to their end.
    pub(super) payments: usize,
    /// Those that were paid.
    pub(super) succeeded: usize,
    /// Share of payments that were paid, 0 to 1.
    pub(super) success_rate_with: f64,
    /// Share of the same payments that would have been paid on one fixed channel per method, without another attempt.
    pub(super) success_rate_without: f64,
    /// From the outage's start until its channel was left, in seconds.
    pub(super) leave_seconds: Option<f64>,
    /// From the outage's end until its channel had its share again, in seconds.
    pub(super) return_seconds: Option<f64>,
    /// From knowing of a failure to the start of the next submit, in milliseconds.
    pub(super) failover_ms_p50: Option<f64>,
    /// As above.
    pub(super) failover_ms_p99: Option<f64>,
    /// `saved` less `lost`: so many more payments were paid.
    pub(super) payments_saved: i64,
    /// Payments that were paid and would not have been on their fixed channel.
    pub(super) saved: usize,
    /// Payments that were not paid and would have been on their fixed channel.
    pub(super) lost: usize,
    /// Payments for which the providers hold money more than once.
    pub(super) double_charges: usize,
    /// Payments for which the providers hold money and the shop does not know it.
    pub(super) charged_without_order: usize,
    /// Submits, over all payments.
    pub(super) attempts: usize,
    /// Submits that followed a failed one.
    pub(super) failovers: usize,
    /// Attempts whose outcome was unknown at first. Each was queried before anything else.
    pub(super) unknown_outcomes: usize,
    /// Those that turned out to be paid: another submit would have charged twice.
    pub(super) unknown_paid: usize,
    /// Those that were taken back.
    pub(super) unknown_reversed: usize,
    /// Payments whose outcome is still unknown.
    pub(super) open: usize,
    /// Payments that were under way when the demo ended.
    pub(super) unfinished: usize,
    /// Payments that Payroute did not answer for.
    pub(super) unrouted: usize,
    /// The longest that the machine was behind the script, in seconds.
    pub(super) lag_seconds: f64,
}

impl Figures {
    /// The figures of the payments in `book` and of the providers' books.
    pub(super) fn of(book: &Book, audit: Audit, outage: Option<&Outage>) -> Self {
        let payments = &book.payments;
        let count = |wanted: &dyn Fn(&Payment) -> bool| payments.iter().filter(|one| wanted(one)).count();
        let submits = || payments.iter().flat_map(|payment| &payment.submits);
        let doubts = |wanted: &dyn Fn(Doubt) -> bool| {
            submits()
                .filter_map(|one| one.doubt)
                .filter(|doubt| wanted(*doubt))
                .count()
        };
        let mut failovers: Vec<Duration> = submits().filter_map(|submit| submit.failover).collect();
        failovers.sort_unstable();
        let succeeded = count(&Payment::paid);
        let on_fixed = count(&|payment| payment.paid_on_fixed);
        let saved = count(&|payment| payment.paid() && !payment.paid_on_fixed);
        let lost = count(&|payment| !payment.paid() && payment.paid_on_fixed);
        let shift = outage
            .map(|outage| Shift::of(outage, payments))
            .unwrap_or_default();
        Self {
            payments: payments.len(),
            succeeded,
            success_rate_with: share(succeeded, payments.len()).unwrap_or(0.0),
            success_rate_without: share(on_fixed, payments.len()).unwrap_or(0.0),
            leave_seconds: shift.leave.map(|time| rounded(time.as_secs_f64())),
            return_seconds: shift.come_back.map(|time| rounded(time.as_secs_f64())),
            failover_ms_p50: percentile(&failovers, 50).map(millis),
            failover_ms_p99: percentile(&failovers, 99).map(millis),
            payments_saved: signed(saved).saturating_sub(signed(lost)),
            saved,
            lost,
            double_charges: audit.double_charges,
            charged_without_order: audit.charged_without_order,
            attempts: submits().count(),
            failovers: failovers.len(),
            unknown_outcomes: doubts(&|_| true),
            unknown_paid: doubts(&|doubt| doubt == Doubt::Paid),
            unknown_reversed: doubts(&|doubt| doubt == Doubt::TakenBack),
            open: count(&|payment| payment.end == End::Open),
            unfinished: book.arrived.saturating_sub(payments.len()),
            unrouted: count(&|payment| payment.end == End::Unrouted),
            lag_seconds: rounded(book.lag.as_secs_f64()),
        }
    }
}

/// How a channel was left and came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shift {
    leave: Option<Duration>,
    come_back: Option<Duration>,
}

impl Shift {
    fn of(outage: &Outage, payments: &[Payment]) -> Self {
        let firsts = Firsts::of(outage, payments);
        let before = firsts.share(outage.start.saturating_sub(BEFORE), outage.start);
        let Some(before) = before.filter(|before| *before > 0.0) else {
            return Self::default();
        };
        let leave = firsts.reaches(outage.start, outage.end, LEFT_FOR, |share| share < LEFT * before);
        let come_back = leave.and_then(|_| {
            firsts.reaches(outage.end, Duration::MAX, BACK_FOR, |share| {
                share >= BACK * before
            })
        });
        Self { leave, come_back }
    }
}

/// The first attempts of the methods that a channel takes: when, and whether there. In the order of time.
struct Firsts(Vec<(Duration, bool)>);

impl Firsts {
    fn of(outage: &Outage, payments: &[Payment]) -> Self {
        let concerned = payments
            .iter()
            .filter(|payment| outage.methods.contains(&payment.method));
        let firsts = concerned.filter_map(|payment| payment.submits.first());
        let mut firsts: Vec<_> = firsts
            .map(|submit| (submit.at, submit.channel == outage.channel))
            .collect();
        firsts.sort_unstable();
        Self(firsts)
    }

    /// The channel's share from `from` until before `until`; `None` when there were too few first attempts.
    fn share(&self, from: Duration, until: Duration) -> Option<f64> {
        let place = |time| self.0.partition_point(|(at, _)| *at < time);
        let within = self
            .0
            .get(place(from)..place(until))
            .filter(|within| within.len() >= FEWEST)?;
        share(within.iter().filter(|(_, there)| *there).count(), within.len())
    }

    /// How long after `from` a time of the length `held` begins over which the share is as `wanted`, and which is over
    /// before `until` and before the last first attempt; `None` when there is no such time.
    fn reaches(
        &self,
        from: Duration,
        until: Duration,
        held: Duration,
        wanted: impl Fn(f64) -> bool,
    ) -> Option<Duration> {
        let (last, _) = self.0.last()?;
        let mut moment = from;
        while moment + held <= until.min(*last) {
            if self.share(moment, moment + held).is_some_and(&wanted) {
                return Some(moment.saturating_sub(from));
            }
            moment += STEP;
        }
        None
    }
}

/// `part` of `all`; `None` of nothing.
pub(super) fn share(part: usize, all: usize) -> Option<f64> {
    let float = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (all > 0).then(|| float(part) / float(all))
}

/// The smallest of `sorted` that at least `percent` hundredths of them do not exceed; `None` of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// To two digits, which is more than a run of chance can promise.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn millis(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::shop;
    use super::*;
    use crate::checkout::Submit;

    fn outage() -> Outage {
        Outage::of(&shop::world(60, 1).unwrap()).unwrap()
    }

    fn other(outage: &Outage) -> ChannelIndex {
        let world = shop::world(60, 1).unwrap();
        world
            .channels()
            .map(|(index, _)| index)
            .find(|index| *index != outage.channel)
            .unwrap()
    }

    fn payment(at_ms: u64, channel: ChannelIndex) -> Payment {
        Payment {
            id: domain::id::PaymentId::new("p").unwrap(),
            method: "wechat_pay".to_owned(),
            submits: vec![Submit {
                channel,
                at: Duration::from_millis(at_ms),
                failover: None,
                doubt: None,
            }],
            end: End::Paid,
            paid_on_fixed: true,
        }
    }

    fn figures(payments: Vec<Payment>, audit: Audit) -> Figures {
        let book = Book {
            arrived: payments.len(),
            payments,
            ..Book::default()
        };
        Figures::of(&book, audit, Some(&outage()))
    }

    /// Ten first attempts a second, all on the channel of the outage except between `left_ms` and `back_ms`.
    fn run(left_ms: u64, back_ms: u64) -> Figures {
        let outage = outage();
        let other = other(&outage);
        let first = |at_ms| {
            let away = (left_ms..back_ms).contains(&at_ms);
            payment(at_ms, if away { other } else { outage.channel })
        };
        figures((0..60_000).step_by(100).map(first).collect(), Audit::default())
    }

    #[test]
    fn leaving_and_returning_are_timed_from_the_outages_start_and_end() {
        let outage = outage();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let figures = run(millis(outage.start) + 1_200, millis(outage.end) + 3_000);
        let (leave, back) = (figures.leave_seconds.unwrap(), figures.return_seconds.unwrap());
        assert!((leave - 1.2).abs() <= 0.1, "{leave}");
        // Of the two seconds that count, a fifth may still be away.
        assert!((2.5..=3.0).contains(&back), "{back}");
    }

    #[test]
    fn a_channel_that_was_never_left_has_neither_time() {
        let figures = run(0, 0);
        assert_eq!((figures.leave_seconds, figures.return_seconds), (None, None));
    }

    #[test]
    fn a_channel_that_does_not_come_back_was_left_all_the_same() {
        let figures = run(21_000, 60_000);
        assert!(figures.leave_seconds.is_some());
        assert_eq!(figures.return_seconds, None);
    }

    #[test]
    fn saved_is_what_was_won_less_what_was_lost() {
        let there = outage().channel;
        let of = |end, paid_on_fixed| Payment {
            end,
            paid_on_fixed,
            ..payment(0, there)
        };
        let won = (0..5).map(|_| of(End::Paid, false));
        let lost = (0..2).map(|_| of(End::NotPaid, true));
        let figures = figures(
            won.chain(lost).chain([of(End::Open, false)]).collect(),
            Audit::default(),
        );
        assert_eq!((figures.saved, figures.lost, figures.payments_saved), (5, 2, 3));
        assert_eq!((figures.succeeded, figures.open, figures.payments), (5, 1, 8));
        assert!((figures.success_rate_with - 0.625).abs() < 1e-9);
        assert!((figures.success_rate_without - 0.25).abs() < 1e-9);
    }

    #[test]
    fn failovers_are_timed_and_doubts_counted_by_how_they_ended() {
        let there = outage().channel;
        let mut one = payment(0, there);
        for number in 1..=100 {
            one.submits.push(Submit {
                failover: Some(Duration::from_millis(number)),
                doubt: (number <= 3).then_some(Doubt::Paid),
                ..one.submits[0]
            });
        }
        one.submits[50].doubt = Some(Doubt::TakenBack);
        let figures = figures(vec![one], Audit::default());
        assert_eq!(
            (figures.failover_ms_p50, figures.failover_ms_p99),
            (Some(50.0), Some(99.0))
        );
        assert_eq!(
            (
                figures.unknown_outcomes,
                figures.unknown_paid,
                figures.unknown_reversed
            ),
            (4, 3, 1)
        );
        assert_eq!((figures.attempts, figures.failovers), (101, 100));
    }

    #[test]
    fn double_charges_come_from_the_providers_books() {
        let audit = Audit {
            double_charges: 2,
            ..Audit::default()
        };
        assert_eq!(figures(Vec::new(), audit).double_charges, 2);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(figures(Vec::new(), Audit::default()).failover_ms_p50, None);
    }
}
