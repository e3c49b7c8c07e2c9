//! The allowance of a channel that answers "busy": a limit is respected, not punished.

use serde::{Deserialize, Serialize};

use super::params::Busy;

/// The share of payments a busy channel gets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Allowance {
    share: f64,
    at: f64,
    lowered_at: f64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            share: 1.0,
            at: 0.0,
            lowered_at: f64::NEG_INFINITY,
        }
    }
}

impl Allowance {
    /// The share at `now`, between 0 and 1.
    pub(super) fn at(&self, now: f64, params: &Busy) -> f64 {
        (self.share + params.recovery_per_s * (now - self.at).max(0.0)).min(1.0)
    }

    /// Lowers the share after a busy answer, unless it was lowered just now.
    pub(super) fn lower(&mut self, now: f64, params: &Busy) {
        if now - self.lowered_at < params.spacing_s {
            return;
        }
        self.share = (self.at(now, params) * params.factor).max(params.floor);
        self.at = now;
        self.lowered_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_answers_lower_the_share_and_time_gives_it_back() {
        let params = Busy::default();
        let mut allowance = Allowance::default();
        allowance.lower(0.0, &params);
        allowance.lower(0.1, &params);
        assert!((allowance.at(0.1, &params) - 0.704).abs() < 1e-9);
        assert!((allowance.at(100.0, &params) - 1.0).abs() < 1e-9);
        for second in 1..100_u32 {
            allowance.lower(f64::from(second) * 0.2, &params);
        }
        assert!(allowance.at(19.8, &params) >= params.floor);
    }
}
