//! Outcomes counted by class.

use serde::{Deserialize, Serialize};

use crate::outcome::OutcomeClass;
use crate::success_rate::SuccessRate;

/// How many outcomes of each class there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// Paid, or authorised.
    pub success: u32,
    /// Refused for a reason of the customer's, the merchant's or the order's own.
    pub refusal: u32,
    /// Refused without a reason.
    pub soft_decline: u32,
    /// An error answer, or a connection that failed.
    pub technical_failure: u32,
    /// No answer in time.
    pub timeout: u32,
    /// Too much to do.
    pub busy: u32,
    /// Closed for maintenance.
    pub maintenance: u32,
    /// The customer's bank did not answer.
    pub issuer_unavailable: u32,
}

impl Counts {
    /// How many outcomes of `class` there were.
    #[must_use]
    pub const fn of(&self, class: OutcomeClass) -> u32 {
        match class {
            OutcomeClass::Success => self.success,
            OutcomeClass::Refusal => self.refusal,
            OutcomeClass::SoftDecline => self.soft_decline,
            OutcomeClass::TechnicalFailure => self.technical_failure,
            OutcomeClass::Timeout => self.timeout,
            OutcomeClass::Busy => self.busy,
            OutcomeClass::Maintenance => self.maintenance,
            OutcomeClass::IssuerUnavailable => self.issuer_unavailable,
        }
    }

    const fn of_mut(&mut self, class: OutcomeClass) -> &mut u32 {
        match class {
            OutcomeClass::Success => &mut self.success,
            OutcomeClass::Refusal => &mut self.refusal,
            OutcomeClass::SoftDecline => &mut self.soft_decline,
            OutcomeClass::TechnicalFailure => &mut self.technical_failure,
            OutcomeClass::Timeout => &mut self.timeout,
            OutcomeClass::Busy => &mut self.busy,
            OutcomeClass::Maintenance => &mut self.maintenance,
            OutcomeClass::IssuerUnavailable => &mut self.issuer_unavailable,
        }
    }

    /// Counts one outcome of `class`.
    pub const fn add(&mut self, class: OutcomeClass) {
        self.add_many(class, 1);
    }

    /// Counts `more` outcomes of `class`.
    pub const fn add_many(&mut self, class: OutcomeClass, more: u32) {
        let count = self.of_mut(class);
        *count = count.saturating_add(more);
    }

    /// Turns one outcome of `from` into one of `to`; `false`, and nothing changed, when there is none of `from`.
    pub const fn revise(&mut self, from: OutcomeClass, to: OutcomeClass) -> bool {
        match self.of(from).checked_sub(1) {
            Some(fewer) => {
                *self.of_mut(from) = fewer;
                self.add(to);
                true
            }
            None => false,
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for class in OutcomeClass::ALL {
            let count = self.of_mut(class);
            *count = count.saturating_add(other.of(class));
        }
    }

    /// How many outcomes there were.
    #[must_use]
    pub fn total(&self) -> u32 {
        OutcomeClass::ALL
            .iter()
            .fold(0, |total: u32, &class| total.saturating_add(self.of(class)))
    }

    /// How many of them lower the technical success rate.
    #[must_use]
    pub fn technical_failures(&self) -> u32 {
        OutcomeClass::ALL
            .iter()
            .filter(|class| class.is_technical_failure())
            .fold(0, |total: u32, &class| total.saturating_add(self.of(class)))
    }

    /// The share of outcomes in which the channel did its work, declines included; `None` without outcomes.
    #[must_use]
    pub fn technical_success(&self) -> Option<SuccessRate> {
        let total = self.total();
        SuccessRate::of(total.saturating_sub(self.technical_failures()), total)
    }

    /// The share of outcomes in which the payment went through; `None` without outcomes.
    #[must_use]
    pub fn business_success(&self) -> Option<SuccessRate> {
        SuccessRate::of(self.success, self.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_lowers_the_business_rate_and_leaves_the_technical_one() {
        let mut counts = Counts::default();
        counts.add(OutcomeClass::Success);
        counts.add(OutcomeClass::Refusal);
        assert_eq!(counts.technical_success().unwrap().basis_points(), 10_000);
        assert_eq!(counts.business_success().unwrap().basis_points(), 5_000);
        counts.add(OutcomeClass::Timeout);
        counts.add(OutcomeClass::IssuerUnavailable);
        assert_eq!(counts.technical_success().unwrap().basis_points(), 7_500);
        assert_eq!(counts.business_success().unwrap().basis_points(), 2_500);
    }

    #[test]
    fn each_class_is_counted_apart() {
        for class in OutcomeClass::ALL {
            let mut counts = Counts::default();
            counts.add(class);
            assert_eq!((counts.of(class), counts.total()), (1, 1), "{class:?}");
        }
    }

    #[test]
    fn a_revision_needs_an_outcome_to_revise() {
        let mut counts = Counts::default();
        assert!(!counts.revise(OutcomeClass::Timeout, OutcomeClass::Success));
        counts.add(OutcomeClass::Timeout);
        assert!(counts.revise(OutcomeClass::Timeout, OutcomeClass::Success));
        assert_eq!((counts.timeout, counts.success, counts.total()), (0, 1, 1));
    }
}
