//! Attempts without an answer yet, and when each of them has to be looked at again.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ChannelIx;
use super::intern::Segment;

/// Who routed an attempt: a number that a process draws when it starts. In a process alone it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin(pub u64);

/// An attempt that was sent and not answered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
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
    /// Who routed it.
    pub(super) origin: Origin,
    #[serde(skip)]
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
            origin: Origin::default(),
            serial: 0,
        }
    }

    /// The same attempt under other numbers, with times moved by `shift` seconds; its silence has said nothing yet.
    pub(super) fn anew(self, channel: ChannelIx, segment: Segment, shift: f64) -> Self {
        Self {
            channel,
            segment,
            sent: self.sent + shift,
            probe_until: self.probe_until.map(|until| until + shift),
            stage: 0,
            provisional: [0.0; 3],
            ..self
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
    early: Early,
}

/// Attempts whose answer was heard before their dispatch, as happens when one replica routes and another hears; the
/// oldest is forgotten first.
#[derive(Clone, Debug, Default)]
struct Early {
    keys: HashSet<u64>,
    order: VecDeque<u64>,
}

/// Early answers remembered: a packet's way of a large fleet.
const EARLY: usize = 4_096;

impl Early {
    fn note(&mut self, key: u64) {
        if self.keys.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > EARLY
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
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
            early: Early::default(),
        }
    }

    /// Watches at most `cap` attempts from now on.
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
    }

    /// The answer to attempt `key` is known, though its dispatch is not: it will not have to be watched.
    pub(super) fn answered_early(&mut self, key: u64) {
        self.early.note(key);
    }

    /// Whether the answer to attempt `key` was heard before its dispatch.
    pub(super) fn was_answered(&self, key: u64) -> bool {
        self.early.keys.contains(&key)
    }

    /// Attempt `key`, if it is watched.
    pub(super) fn get(&self, key: u64) -> Option<&Flight> {
        self.open.get(&key)
    }

    /// The attempts that `origin` routed, by key.
    pub(super) fn of(&self, origin: Origin) -> Vec<(u64, Flight)> {
        let of_origin = self.open.iter().filter(|(_, flight)| flight.origin == origin);
        let mut flights: Vec<_> = of_origin.map(|(key, flight)| (*key, *flight)).collect();
        flights.sort_unstable_by_key(|(key, _)| *key);
        flights
    }

    /// Gives every attempt the channel that `renumbered` says; one without a channel is not watched any more.
    pub(super) fn renumber(&mut self, renumbered: impl Fn(ChannelIx) -> Option<ChannelIx>) {
        self.open.retain(|_, flight| match renumbered(flight.channel) {
            Some(channel) => {
                flight.channel = channel;
                true
            }
            None => false,
        });
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

/// Attempts by key, each with its appointment: appointments that attempts have left behind are of no use to a reader.
impl Serialize for Flights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut watched: Vec<(u64, Flight, f64)> = self
            .due
            .iter()
            .filter_map(|Reverse(due)| {
                let flight = self.open.get(&due.key)?;
                (flight.serial == due.serial).then_some((due.key, *flight, due.at))
            })
            .collect();
        watched.sort_unstable_by_key(|(key, ..)| *key);
        (watched, &self.early.order).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Flights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flights = Self::new(usize::MAX);
        let (watched, early) = <(Vec<(u64, Flight, f64)>, Vec<u64>)>::deserialize(deserializer)?;
        for (key, flight, due_at) in watched {
            flights.begin(key, flight, due_at);
        }
        for key in early {
            flights.early.note(key);
        }
        Ok(flights)
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
