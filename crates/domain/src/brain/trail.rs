//! Evidence in the order in which attempts were sent, not in which they were answered.
//!
//! The answers of attempts sent before an outage go on arriving after it began. They are no argument against it,
//! so a cumulative sum over answers as they come would be washed out by them, the longer the slower the channel.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::narrow::{single, ticks};

/// How many parts of time are told apart.
const PARTS: usize = 64;

/// Length of a part, in seconds. What is older than all parts is folded into the oldest.
const PART_S: f64 = 0.25;

/// The evidence of a breaker: the largest sum over attempts sent since some moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trail {
    parts: [f32; PARTS],
    newest: i64,
    /// The largest sum that ends where the parts begin, at least 0.
    older: f32,
}

impl Trail {
    /// A trail that starts with `evidence`.
    pub(super) const fn new(evidence: f32) -> Self {
        Self {
            parts: [0.0; PARTS],
            newest: i64::MIN,
            older: evidence,
        }
    }

    /// Adds what an attempt sent at `sent` says.
    pub(super) fn add(&mut self, sent: f64, evidence: f64) {
        let tick = ticks(sent / PART_S);
        self.roll(tick);
        let span = i64::try_from(PARTS).unwrap_or(i64::MAX);
        let tick = tick.max(self.newest.saturating_sub(span - 1));
        if let Some(part) = self.part(tick) {
            *part += single(evidence);
        }
    }

    /// The evidence, and when the attempts it comes from began to be sent, in seconds.
    pub(super) fn sum(&self) -> (f64, f64) {
        let mut sum = 0.0_f32;
        let (mut best, mut since) = (0.0_f32, self.newest);
        let mut tick = self.newest;
        for _ in 0..PARTS {
            sum += self.value(tick);
            if sum > best {
                (best, since) = (sum, tick);
            }
            tick = tick.saturating_sub(1);
        }
        if sum + self.older > best {
            (best, since) = (sum + self.older, tick);
        }
        (f64::from(best), super::narrow::seconds(since) * PART_S)
    }

    /// Takes `evidence` off the sum.
    pub(super) fn lower(&mut self, evidence: f64) {
        let newest = self.newest;
        self.older = (self.older - single(evidence)).max(0.0);
        if let Some(part) = self.part(newest) {
            *part -= single(evidence);
        }
    }

    fn roll(&mut self, tick: i64) {
        if tick <= self.newest {
            return;
        }
        for _ in 0..PARTS {
            if self.newest >= tick {
                break;
            }
            self.newest = self.newest.saturating_add(1);
            let newest = self.newest;
            let oldest = self.value(newest);
            self.older = (self.older + oldest).max(0.0);
            if let Some(part) = self.part(newest) {
                *part = 0.0;
            }
        }
        self.newest = tick;
    }

    fn value(&self, tick: i64) -> f32 {
        slot(tick)
            .and_then(|slot| self.parts.get(slot))
            .copied()
            .unwrap_or(0.0)
    }

    fn part(&mut self, tick: i64) -> Option<&mut f32> {
        slot(tick).and_then(|slot| self.parts.get_mut(slot))
    }
}

fn slot(tick: i64) -> Option<usize> {
    let span = i64::try_from(PARTS).ok()?;
    usize::try_from(tick.rem_euclid(span)).ok()
}

/// A trail with only the parts that say something: most breakers of a day have heard little in the last seconds.
#[derive(Serialize, Deserialize)]
struct Sparse {
    newest: i64,
    older: f32,
    parts: Vec<(u8, f32)>,
}

impl Serialize for Trail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = (0_u8..).zip(self.parts).filter(|(_, part)| part.abs() > 0.0);
        let sparse = Sparse {
            newest: self.newest,
            older: self.older,
            parts: parts.collect(),
        };
        sparse.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Trail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(deserializer)?;
        let mut trail = Self::new(sparse.older);
        trail.newest = sparse.newest;
        for (slot, value) in sparse.parts {
            if let Some(part) = trail.parts.get_mut(usize::from(slot)) {
                *part = value;
            }
        }
        Ok(trail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_of_an_attempt_sent_before_the_outage_is_no_argument_against_it() {
        let mut trail = Trail::new(0.0);
        for failure in 0..3_u32 {
            trail.add(10.0 + f64::from(failure), 4.0);
        }
        for success in 0..20_u32 {
            trail.add(5.0 + f64::from(success) * 0.1, -1.8);
        }
        let (evidence, since) = trail.sum();
        assert!((evidence - 12.0).abs() < 1e-4);
        assert!((since - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_success_of_a_later_attempt_takes_the_doubt_back() {
        let mut trail = Trail::new(0.0);
        trail.add(10.0, 4.0);
        trail.add(11.0, -1.8);
        trail.add(12.0, -1.8);
        assert!((trail.sum().0 - 0.4).abs() < 1e-4);
        trail.add(13.0, -1.8);
        assert!(trail.sum().0.abs() < 1e-9);
    }

    #[test]
    fn what_is_older_than_all_parts_still_counts() {
        let mut trail = Trail::new(0.0);
        trail.add(10.0, 4.0);
        trail.add(500.0, 4.0);
        assert!((trail.sum().0 - 8.0).abs() < 1e-4);
        trail.add(1_000.0, -9.0);
        trail.add(2_000.0, 1.0);
        assert!((trail.sum().0 - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_provisional_value_is_taken_back_where_it_was_added() {
        let mut trail = Trail::new(0.0);
        trail.add(10.0, 3.18);
        trail.add(20.0, -1.0);
        trail.add(10.0, -1.8 - 3.18);
        assert!(trail.sum().0.abs() < 1e-6);
    }
}
