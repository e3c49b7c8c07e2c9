//! When to ask a provider for an open result, and when to take the attempt back.

use jiff::{SignedDuration, Timestamp};
use smallvec::SmallVec;

use super::delays::Delays;
use super::profile::ProviderProfile;
use crate::channel::Capabilities;

/// What to do until an open result is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryPlan {
    /// When to ask, ascending. Empty when the channel cannot be asked: then only a notice or the settlement tells.
    pub query_at: SmallVec<[Timestamp; 8]>,
    /// The earliest time to take the attempt back, should no query have settled it; `None` when the channel cannot.
    pub reverse_not_before: Option<Timestamp>,
}

impl QueryPlan {
    /// The plan after a call whose result was lost, as noticed `now`.
    ///
    /// It is taken back only after the last query: most open results turn out to be successes.
    #[must_use]
    pub fn for_lost_result(profile: &ProviderProfile, capabilities: Capabilities, now: Timestamp) -> Self {
        let query_at = schedule(&profile.query_delays_ms, capabilities, now);
        let earliest = after(now, profile.reverse_not_before_ms);
        let reverse = query_at.last().map_or(earliest, |&last| last.max(earliest));
        Self {
            query_at,
            reverse_not_before: capabilities.reversal.then_some(reverse),
        }
    }

    /// The plan while the customer has something to pay, from `now` on.
    ///
    /// It is closed, not taken back, when the customer does not pay: that is the order's expiry, not ours to set.
    #[must_use]
    pub fn for_waiting_customer(
        profile: &ProviderProfile,
        capabilities: Capabilities,
        now: Timestamp,
    ) -> Self {
        Self {
            query_at: schedule(&profile.customer_query_delays_ms, capabilities, now),
            reverse_not_before: None,
        }
    }
}

fn schedule(delays: &Delays, capabilities: Capabilities, now: Timestamp) -> SmallVec<[Timestamp; 8]> {
    if !capabilities.query {
        return SmallVec::new();
    }
    delays
        .as_slice()
        .iter()
        .map(|&delay_ms| after(now, delay_ms))
        .collect()
}

/// The time `delay_ms` milliseconds after `now`; the end of time instead of one beyond it.
pub(crate) fn after(now: Timestamp, delay_ms: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_millis(i64::from(delay_ms)))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn all() -> Capabilities {
        Capabilities {
            idempotent: true,
            query: true,
            reversal: true,
            authorize: true,
        }
    }

    fn seconds(plan: &QueryPlan) -> Vec<i64> {
        plan.query_at.iter().map(|at| at.as_second()).collect()
    }

    #[test]
    fn a_lost_result_is_asked_for_as_the_provider_wants_it_and_taken_back_last() {
        let plan = QueryPlan::for_lost_result(&ProviderProfile::of("wechatpay_v3"), all(), NOW);
        assert_eq!(seconds(&plan), [5, 15, 25, 35, 45]);
        assert_eq!(plan.reverse_not_before.unwrap().as_second(), 45);
        let plan = QueryPlan::for_lost_result(&ProviderProfile::of("unionpay"), all(), NOW);
        assert_eq!(seconds(&plan), [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn a_channel_that_cannot_be_asked_is_reversed_as_soon_as_it_allows() {
        let capabilities = Capabilities {
            query: false,
            ..all()
        };
        let plan = QueryPlan::for_lost_result(&ProviderProfile::of("wechatpay_v3"), capabilities, NOW);
        assert!(plan.query_at.is_empty());
        assert_eq!(plan.reverse_not_before.unwrap().as_second(), 15);
    }

    #[test]
    fn a_channel_that_cannot_reverse_is_never_told_to() {
        let capabilities = Capabilities {
            reversal: false,
            ..all()
        };
        let plan = QueryPlan::for_lost_result(&ProviderProfile::of("alipay"), capabilities, NOW);
        assert_eq!(plan.reverse_not_before, None);
    }

    #[test]
    fn a_waiting_customer_is_given_time_and_not_reversed() {
        let plan = QueryPlan::for_waiting_customer(&ProviderProfile::of("unionpay"), all(), NOW);
        assert_eq!(plan.query_at.first().unwrap().as_second(), 300);
        assert_eq!(plan.reverse_not_before, None);
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(after(Timestamp::MAX, 1), Timestamp::MAX);
    }
}
