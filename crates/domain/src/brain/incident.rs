//! Incidents of an issuer or a method: when the same thing fails on several channels, no channel is to blame.

use serde::{Deserialize, Serialize};

use super::ChannelIx;
use super::params::Correlation;

/// A breaker that tripped recently.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Trip {
    channel: ChannelIx,
    at: f64,
}

/// What is known about one issuer, or one method, over all channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Suspicion {
    trips: Vec<Trip>,
    since: Option<f64>,
    successes: u8,
}

impl Suspicion {
    /// When the incident began, if there is one.
    pub(super) const fn since(&self) -> Option<f64> {
        self.since
    }

    /// Whether there is an incident.
    pub(super) const fn is_active(&self) -> bool {
        self.since.is_some()
    }

    /// Notes that a breaker of `channel` tripped. Returns on how many channels it did lately.
    pub(super) fn tripped(&mut self, now: f64, channel: ChannelIx, params: &Correlation) -> usize {
        self.trips
            .retain(|trip| trip.channel != channel && now - trip.at <= params.channels_within_s);
        self.trips.push(Trip { channel, at: now });
        self.trips.len()
    }

    /// Forgets the trips of `channel`: the channel as a whole is down, so they say nothing about others.
    pub(super) fn forget(&mut self, channel: ChannelIx) {
        self.trips.retain(|trip| trip.channel != channel);
    }

    /// Gives every trip the channel that `renumbered` says; one without a channel is forgotten.
    pub(super) fn renumber(&mut self, renumbered: impl Fn(ChannelIx) -> Option<ChannelIx>) {
        self.trips.retain_mut(|trip| match renumbered(trip.channel) {
            Some(channel) => {
                trip.channel = channel;
                true
            }
            None => false,
        });
    }

    /// Begins the incident.
    pub(super) fn begin(&mut self, now: f64) {
        self.trips.clear();
        self.since = Some(now);
        self.successes = 0;
    }

    /// Takes an outcome of an attempt sent at `sent`. Returns whether it ended the incident.
    pub(super) fn hear(&mut self, sent: f64, success: bool, params: &Correlation) -> bool {
        if self.since.is_none_or(|since| sent < since) {
            return false;
        }
        if !success {
            self.successes = 0;
            return false;
        }
        self.successes = self.successes.saturating_add(1);
        if self.successes < params.successes_to_end {
            return false;
        }
        self.since = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_that_trips_twice_is_one_channel() {
        let params = Correlation::default();
        let mut suspicion = Suspicion::default();
        assert_eq!(suspicion.tripped(0.0, ChannelIx(0), &params), 1);
        assert_eq!(suspicion.tripped(1.0, ChannelIx(0), &params), 1);
        assert_eq!(suspicion.tripped(2.0, ChannelIx(1), &params), 2);
        assert_eq!(suspicion.tripped(70.0, ChannelIx(0), &params), 1);
    }

    #[test]
    fn three_successes_in_a_row_sent_after_its_start_end_an_incident() {
        let params = Correlation::default();
        let mut suspicion = Suspicion::default();
        suspicion.begin(10.0);
        assert!(!suspicion.hear(9.0, true, &params));
        assert!(!suspicion.hear(11.0, true, &params));
        assert!(!suspicion.hear(12.0, true, &params));
        assert!(!suspicion.hear(12.5, false, &params));
        assert!(!suspicion.hear(13.0, true, &params));
        assert!(!suspicion.hear(14.0, true, &params));
        assert!(suspicion.hear(15.0, true, &params));
        assert!(!suspicion.is_active());
    }
}
