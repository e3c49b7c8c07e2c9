//! Attempts without an answer yet, and when each of them has to be looked at again.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use super::ChannelIx;
use super::intern::Segment;

/// An attempt that was sent and not answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) channel: ChannelIx,
    pub(super) segment: Segment,
    /// When it was routed, in seconds.
    pub(super) sent: f64,
    /// The time limit that the channel's configuration gives, in seconds; 0 if unknown.
    pub(super) limit: f64,
    /// When it counts as lost, if it is a probe.
    pub(super) probe_until: Option<f64>,
    /// How many steps of silence have passed.
    pub(super) stage: u8,
    /// What its silence has added to the evidence of issuer, method and channel.
    pub(super) provisional: [f64; 3],
    /// How much of its age nobody was listening, in seconds: that was no silence.
    pub(super) excused: f64,
    /// Its answer has arrived and is on its way to the brain.
    pub(super) heard: bool,
    serial: u32,
}

impl Flight {
    /// A new attempt.
    pub(super) fn new(channel: ChannelIx, segment: Segment, sent: f64, limit: f64) -> Self {
        Self {
            channel,
            segment,
            sent,
            limit,
            probe_until: None,
            stage: 0,
            provisional: [0.0; 3],
            excused: 0.0,
            heard: false,
            serial: 0,
        }
    }

    /// How long it was silent until `at`, in seconds.
    pub(super) fn silent_for(&self, at: f64) -> f64 {
        at - self.sent - self.excused
    }
}

/// An appointment with a flight.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: f64,
    key: u64,
    serial: u32,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        // The key breaks ties, so that equal runs give equal results.
        self.at
            .total_cmp(&other.at)
            .then(self.key.cmp(&other.key))
            .then(self.serial.cmp(&other.serial))
    }
}

/// The table of flights, bounded.
#[derive(Clone, Debug)]
pub(super) struct Flights {
    open: HashMap<u64, Flight>,
    due: BinaryHeap<Reverse<Due>>,
    cap: usize,
    serial: u32,
}

/// Appointments kept per flight allowed: answered flights leave theirs behind until it is due.
const DUE_PER_FLIGHT: usize = 4;

impl Flights {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            open: HashMap::new(),
            due: BinaryHeap::new(),
            cap,
            serial: 0,
        }
    }

    /// Whether another attempt can be watched.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < self.cap && self.due.len() < self.cap.saturating_mul(DUE_PER_FLIGHT)
    }

    /// Watches attempt `key`, first at `at`; a repeated key replaces. Without room the attempt is not watched.
    pub(super) fn begin(&mut self, key: u64, flight: Flight, at: f64) {
        if !self.has_room() {
            self.open.remove(&key);
            return;
        }
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        self.open.insert(key, Flight { serial, ..flight });
        self.due.push(Reverse(Due { at, key, serial }));
    }

    /// Ends attempt `key`: it was answered, or given up.
    pub(super) fn end(&mut self, key: u64) -> Option<Flight> {
        self.open.remove(&key)
    }

    /// The answer to attempt `key` has arrived; what it says comes later.
    pub(super) fn hear(&mut self, key: u64) {
        if let Some(flight) = self.open.get_mut(&key) {
            flight.heard = true;
        }
    }

    /// Takes `seconds`, in which nobody was listening, off the age of every attempt.
    pub(super) fn excuse(&mut self, seconds: f64) {
        for flight in self.open.values_mut() {
            flight.excused += seconds;
        }
    }

    /// The next attempt to look at until `now`, and when it was due.
    pub(super) fn pop_due(&mut self, now: f64) -> Option<(u64, Flight, f64)> {
        while self.due.peek().is_some_and(|Reverse(due)| due.at <= now) {
            let Reverse(due) = self.due.pop()?;
            let current = self.open.get(&due.key);
            if let Some(flight) = current.filter(|flight| flight.serial == due.serial) {
                return Some((due.key, *flight, due.at));
            }
        }
        None
    }

    /// Keeps what was changed in a flight that [`Flights::pop_due`] gave out, and looks at it again at `at`.
    pub(super) fn resume(&mut self, key: u64, flight: Flight, at: f64) {
        let serial = flight.serial;
        self.open.insert(key, flight);
        self.due.push(Reverse(Due { at, key, serial }));
    }

    /// How many attempts are without an answer.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount_band::AmountBand;
    use crate::brain::intern::Interner;
    use crate::brain::params::Limits;
    use crate::money::Money;

    fn flight(sent: f64) -> Flight {
        let band = AmountBand::of(Money::new(2_000, "CNY".parse().unwrap()).unwrap());
        let segment = Interner::new(&Limits::default()).segment("card", None, band);
        Flight::new(ChannelIx(0), segment, sent, 0.0)
    }

    #[test]
    fn an_answered_attempt_is_never_due() {
        let mut flights = Flights::new(8);
        flights.begin(1, flight(0.0), 5.0);
        flights.begin(2, flight(0.0), 6.0);
        assert!(flights.end(1).is_some());
        assert_eq!(flights.pop_due(10.0).map(|(key, ..)| key), Some(2));
        assert!(flights.pop_due(10.0).is_none());
    }

    #[test]
    fn a_repeated_key_replaces_the_earlier_attempt() {
        let mut flights = Flights::new(8);
        flights.begin(1, flight(0.0), 5.0);
        flights.begin(1, flight(4.0), 9.0);
        assert!(flights.pop_due(8.0).is_none());
        let (_, again, at) = flights.pop_due(9.0).unwrap();
        assert!((again.sent - 4.0).abs() < 1e-9 && (at - 9.0).abs() < 1e-9);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut flights = Flights::new(2);
        for key in 0..5 {
            flights.begin(key, flight(0.0), 1.0);
        }
        assert_eq!(flights.len(), 2);
    }
}
