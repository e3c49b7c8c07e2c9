//! How busy a channel is.

use std::time::Duration;

/// How many payments per second a channel gets: what came weighs less with every second, by 1/e.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    per_s: f64,
    at: Duration,
}

impl Load {
    /// The load at `now`.
    #[must_use]
    pub fn at(&self, now: Duration) -> f64 {
        self.per_s * (-now.saturating_sub(self.at).as_secs_f64()).exp()
    }

    /// Adds an attempt and tells the load with it.
    pub fn arrive(&mut self, now: Duration) -> f64 {
        self.per_s = self.at(now) + 1.0;
        self.at = self.at.max(now);
        self.per_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_its_own_rate() {
        let mut load = Load::default();
        for tick in 0..2_000 {
            load.arrive(Duration::from_millis(20 * tick));
        }
        let rate = load.at(Duration::from_secs(40));
        assert!((rate - 50.0).abs() < 1.0, "{rate}");
    }

    #[test]
    fn silence_lowers_the_load() {
        let mut load = Load::default();
        load.arrive(Duration::ZERO);
        assert!(load.at(Duration::from_secs(10)) < 0.001);
    }
}
