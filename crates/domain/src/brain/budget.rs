//! What exploration may cost: tokens that first attempts earn and exploratory choices spend.

use serde::{Deserialize, Serialize};

use super::params::Exploration;

/// The tokens of one brain, and how fast payments come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Budget {
    tokens: f64,
    rate: f64,
    counted_at: f64,
}

/// Time constant of the payment rate, in seconds.
const RATE_MEMORY_S: f64 = 30.0;

impl Budget {
    pub(super) const fn new() -> Self {
        Self {
            tokens: 0.0,
            rate: 0.0,
            counted_at: 0.0,
        }
    }

    /// Grants what a new channel costs to learn.
    pub(super) fn grant(&mut self, tokens: f64) {
        self.tokens += tokens;
    }

    /// Counts a first attempt, which earns `share` of a token.
    pub(super) fn earn(&mut self, now: f64, share: f64, params: &Exploration) {
        let kept = (-(now - self.counted_at).max(0.0) / RATE_MEMORY_S).exp();
        self.rate = self.rate * kept + 1.0 / RATE_MEMORY_S;
        // What a peer counted arrives a moment later.
        self.counted_at = self.counted_at.max(now);
        if self.tokens < params.max_tokens {
            self.tokens = (self.tokens + share).min(params.max_tokens);
        }
    }

    /// Whether an exploratory choice can be paid for.
    pub(super) fn has_token(&self) -> bool {
        self.tokens >= 1.0
    }

    /// Pays for one.
    pub(super) fn spend(&mut self) {
        self.tokens -= 1.0;
    }

    /// The time between two questions to a degraded channel, in seconds.
    pub(super) fn revisit_wait(&self, params: &Exploration) -> f64 {
        let [least, most] = params.revisit_wait_s;
        (1.0 / (params.revisit_share * self.rate).max(1e-9)).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_first_attempts_pay_for_one_exploration() {
        let params = Exploration::default();
        let mut budget = Budget::new();
        for second in 0..49_u32 {
            budget.earn(f64::from(second), 0.02, &params);
        }
        assert!(!budget.has_token());
        budget.earn(49.0, 0.0201, &params);
        assert!(budget.has_token());
        budget.spend();
        assert!(!budget.has_token());
    }

    #[test]
    fn a_grant_beyond_the_cap_is_kept_but_not_added_to() {
        let params = Exploration::default();
        let mut budget = Budget::new();
        budget.grant(300.0);
        budget.earn(0.0, 0.02, &params);
        for _ in 0..300 {
            assert!(budget.has_token());
            budget.spend();
        }
        assert!(!budget.has_token());
    }

    #[test]
    fn a_degraded_channel_is_asked_at_half_a_percent_of_the_traffic() {
        let params = Exploration::default();
        let mut budget = Budget::new();
        for tick in 0..20_000_u32 {
            budget.earn(f64::from(tick) / 40.0, 0.02, &params);
        }
        assert!((budget.revisit_wait(&params) - 5.0).abs() < 0.3);
    }
}
