//! How many calls may be made twice: a tenth of them, so that routers that are all slow are not buried under the calls
//! that are made again because they are.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a call earns and a second one costs.
const EARNED: u32 = 1;
const COST: u32 = 10;

/// As many second calls can be made in a row.
const MOST: u32 = 20 * COST;

/// The allowance; full at first.
#[derive(Debug)]
pub(super) struct Allowance(AtomicU32);

impl Default for Allowance {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Allowance {
    /// A call is made.
    pub(super) fn earn(&self) {
        let more = |had: u32| Some((had + EARNED).min(MOST));
        let _always = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether a call may be made a second time; takes it off when it may.
    pub(super) fn spend(&self) -> bool {
        let less = |had: u32| had.checked_sub(COST);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_calls_may_be_made_twice() {
        let allowance = Allowance::default();
        while allowance.spend() {}
        let twice = (0..1_000).filter(|_| {
            allowance.earn();
            allowance.spend()
        });
        assert_eq!(twice.count(), 100);
    }
}
