//! The health of every channel at one moment: what the monitor publishes and everybody else reads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::breaker_state::BreakerState;
use crate::id::ChannelId;
use crate::success_rate::SuccessRate;
use crate::window::{Counts, Segment, Streaks, View, Window, Windows};

/// The health of every channel at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthSnapshot {
    /// Its number. A reader keeps the snapshot with the highest one, so that health never goes back.
    pub seq: u64,
    /// The moment it describes.
    pub as_of: Timestamp,
    /// The channels, in the order of the configuration.
    pub channels: Vec<ChannelHealth>,
}

/// A breaker as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breaker {
    /// Whether the channel takes traffic.
    pub state: BreakerState,
    /// Since when.
    pub since: Timestamp,
    /// The part of its share that the channel may take now, in basis points, 0 to 10 000.
    pub allowance_bp: u16,
    /// What brought it there, in plain words; `None` when nothing ever happened.
    pub reason: Option<Box<str>>,
}

impl Breaker {
    /// A breaker that never had a reason to act, since the monitor started.
    #[must_use]
    pub const fn healthy(since: Timestamp) -> Self {
        Self {
            state: BreakerState::Healthy,
            since,
            allowance_bp: SuccessRate::WHOLE,
            reason: None,
        }
    }
}

/// The health of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelHealth {
    /// The channel.
    pub channel: ChannelId,
    /// Its breaker.
    pub breaker: Breaker,
    /// What was seen, the shortest view first.
    pub views: [ViewHealth; 3],
    /// Timeouts in a row.
    pub timeout_streak: u32,
    /// Technical failures and timeouts in a row.
    pub failure_streak: u32,
    /// When its last success was received; `None` when there was none since the start.
    pub last_success_at: Option<Timestamp>,
    /// Outcomes that came too late to be counted.
    pub late: u64,
}

/// What the windows say of one channel: its health without its breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// The channel.
    pub channel: ChannelId,
    /// What was seen, the shortest view first, without the channel's share of all outcomes.
    pub views: [ViewHealth; 3],
    /// Timeouts in a row.
    pub timeout_streak: u32,
    /// Technical failures and timeouts in a row.
    pub failure_streak: u32,
    /// When its last success was received; `None` when there was none since the start.
    pub last_success_at: Option<Timestamp>,
    /// Outcomes that came too late to be counted.
    pub late: u64,
}

/// What was seen of a channel in one span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewHealth {
    /// The span of time.
    pub view: View,
    /// Outcomes by class.
    pub counts: Counts,
    /// The share of outcomes in which the channel did its work; `None` without outcomes.
    pub technical_success: Option<SuccessRate>,
    /// The share of outcomes in which the payment went through; `None` without outcomes.
    pub business_success: Option<SuccessRate>,
    /// Half of the answers came within this time, in milliseconds.
    pub latency_ms_p50: Option<u32>,
    /// 95 % of the answers came within this time, in milliseconds.
    pub latency_ms_p95: Option<u32>,
    /// 99 % of the answers came within this time, in milliseconds.
    pub latency_ms_p99: Option<u32>,
    /// The channel's share of all outcomes, in basis points, rounded down; 0 without outcomes.
    pub share_bp: u16,
}

impl HealthSnapshot {
    /// The snapshot of `breakers`' channels as `windows` saw them up to `now`.
    #[must_use]
    pub fn take(
        seq: u64,
        now: Timestamp,
        windows: &Windows,
        breakers: impl IntoIterator<Item = (ChannelId, Breaker)>,
    ) -> Self {
        let rows = breakers.into_iter().map(|(channel, breaker)| {
            let window = windows.window(&channel, Segment::Overall);
            (ChannelRow::of(channel, window, now), breaker)
        });
        Self::assemble(seq, now, rows)
    }

    /// The snapshot of channels whose statistics and breakers come from two places.
    #[must_use]
    pub fn assemble(
        seq: u64,
        as_of: Timestamp,
        channels: impl IntoIterator<Item = (ChannelRow, Breaker)>,
    ) -> Self {
        let mut channels: Vec<_> = channels
            .into_iter()
            .map(|(row, breaker)| ChannelHealth::of(row, breaker))
            .collect();
        share(&mut channels);
        Self { seq, as_of, channels }
    }

    /// The health of `channel`; `None` when the snapshot does not know it.
    #[must_use]
    pub fn channel(&self, channel: &ChannelId) -> Option<&ChannelHealth> {
        self.channels.iter().find(|health| health.channel == *channel)
    }
}

impl ChannelRow {
    /// What `window`, that of the whole channel, says up to `now`; a channel without one had no outcomes.
    #[must_use]
    pub fn of(channel: ChannelId, window: Option<&Window>, now: Timestamp) -> Self {
        let streaks = window.map_or_else(Streaks::default, Window::streaks);
        Self {
            channel,
            views: View::ALL.map(|view| ViewHealth::of(view, window, now)),
            timeout_streak: streaks.timeouts,
            failure_streak: streaks.technical_failures,
            last_success_at: window.and_then(Window::last_success_at),
            late: window.map_or(0, Window::late),
        }
    }
}

impl ChannelHealth {
    fn of(row: ChannelRow, breaker: Breaker) -> Self {
        Self {
            channel: row.channel,
            breaker,
            views: row.views,
            timeout_streak: row.timeout_streak,
            failure_streak: row.failure_streak,
            last_success_at: row.last_success_at,
            late: row.late,
        }
    }

    /// What was seen in the span of `view`.
    #[must_use]
    pub const fn view(&self, view: View) -> &ViewHealth {
        let [minute, five_minutes, hour] = &self.views;
        match view {
            View::OneMinute => minute,
            View::FiveMinutes => five_minutes,
            View::OneHour => hour,
        }
    }
}

impl ViewHealth {
    /// What `window` saw in the span of `view` up to `now`, as yet without its share of the traffic.
    ///
    /// Also for the window of a segment, which has no share.
    #[must_use]
    pub fn of(view: View, window: Option<&Window>, now: Timestamp) -> Self {
        let seen = window.map(|window| window.view(view, now)).unwrap_or_default();
        Self {
            view,
            counts: seen.counts,
            technical_success: seen.counts.technical_success(),
            business_success: seen.counts.business_success(),
            latency_ms_p50: seen.latencies.percentile_ms(50),
            latency_ms_p95: seen.latencies.percentile_ms(95),
            latency_ms_p99: seen.latencies.percentile_ms(99),
            share_bp: 0,
        }
    }
}

/// Fills in each channel's share of all outcomes, view by view.
fn share(channels: &mut [ChannelHealth]) {
    let mut totals = [0_u64; 3];
    for channel in &*channels {
        for (total, view) in totals.iter_mut().zip(&channel.views) {
            *total += u64::from(view.counts.total());
        }
    }
    for channel in channels {
        for (total, view) in totals.iter().zip(&mut channel.views) {
            let part = u64::from(view.counts.total()) * u64::from(SuccessRate::WHOLE);
            view.share_bp = part
                .checked_div(*total)
                .and_then(|share| u16::try_from(share).ok())
                .unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::OutcomeClass;
    use crate::window::{Place, Sample};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn id(name: &str) -> ChannelId {
        ChannelId::new(name).unwrap()
    }

    fn record(windows: &mut Windows, channel: &str, class: OutcomeClass) {
        let place = Place {
            channel: &id(channel),
            method: "card",
            issuer: None,
        };
        let sample = Sample {
            at: NOW,
            class,
            latency_ms: Some(200),
        };
        windows.record(place, sample, NOW);
    }

    fn snapshot(windows: &Windows) -> HealthSnapshot {
        let breakers = ["a", "b", "idle"].map(|name| (id(name), Breaker::healthy(NOW)));
        HealthSnapshot::take(7, NOW, windows, breakers)
    }

    #[test]
    fn a_snapshot_shows_rates_latencies_streaks_and_shares() {
        let mut windows = Windows::default();
        for class in [
            OutcomeClass::Success,
            OutcomeClass::Success,
            OutcomeClass::Timeout,
        ] {
            record(&mut windows, "a", class);
        }
        record(&mut windows, "b", OutcomeClass::Refusal);
        let snapshot = snapshot(&windows);
        let a = snapshot.channel(&id("a")).unwrap();
        let minute = a.view(View::OneMinute);
        assert_eq!(minute.technical_success.unwrap().basis_points(), 6_666);
        assert_eq!(
            (a.timeout_streak, a.failure_streak, a.last_success_at),
            (1, 1, Some(NOW))
        );
        assert!((190..=210).contains(&minute.latency_ms_p99.unwrap()));
        assert_eq!(minute.share_bp, 7_500);
        assert_eq!(
            snapshot.channel(&id("b")).unwrap().view(View::OneHour).share_bp,
            2_500
        );
    }

    #[test]
    fn a_channel_without_traffic_is_shown_without_rates() {
        let snapshot = snapshot(&Windows::default());
        let idle = snapshot.channel(&id("idle")).unwrap().view(View::OneHour);
        assert_eq!(
            (idle.technical_success, idle.latency_ms_p50, idle.share_bp),
            (None, None, 0)
        );
    }

    #[test]
    fn a_channel_that_is_not_configured_is_not_shown() {
        let mut windows = Windows::default();
        record(&mut windows, "gone", OutcomeClass::Success);
        assert!(snapshot(&windows).channel(&id("gone")).is_none());
    }
}
