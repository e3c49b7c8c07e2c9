//! What the caller does after a failed attempt.

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::profile::ProviderProfile;
use super::query_plan::{QueryPlan, after};
use crate::catalogue::{Advice, Certainty, Failure, Side};
use crate::channel::Capabilities;

/// How far failover goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many attempts a payment may have.
    pub max_attempts: u32,
    /// How much time may pass from a failure to the start of the next submit, in milliseconds.
    pub budget_ms: u32,
    /// The shortest wait before a retry on the same channel, in milliseconds.
    pub retry_delay_min_ms: u32,
    /// The longest wait before a retry on the same channel, in milliseconds.
    pub retry_delay_max_ms: u32,
}

impl Default for Limits {
    /// Three attempts, half a second, and 50 to 200 ms before a retry.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            budget_ms: 500,
            retry_delay_min_ms: 50,
            retry_delay_max_ms: 200,
        }
    }
}

/// Everything that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'s> {
    /// What the failed attempt means.
    pub failure: &'s Failure,
    /// Which attempt of the payment failed, from 1.
    pub attempt_no: u32,
    /// How often the failed channel was tried again already.
    pub retries_used: u32,
    /// How many eligible, unsuspended channels of the same method are left that can use the same credential.
    pub silent_fallbacks: u32,
    /// How much of the time for the next submit has passed, in milliseconds.
    pub budget_used_ms: u32,
    /// Whether the failed channel's breaker lets it take its full share.
    pub channel_healthy: bool,
    /// Whether every earlier attempt of the payment is settled without a debit.
    pub earlier_settled: bool,
    /// Whether the payment still wants money: not satisfied, not cancelled, not past its deadline.
    pub payment_open: bool,
    /// How the channel's provider wants to be asked.
    pub profile: ProviderProfile,
    /// What the channel's interface can do.
    pub capabilities: Capabilities,
}

/// The order number, or attempt key, of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderNumber {
    /// The same: should the first submit have arrived after all, the provider sees that it is the same one.
    Same,
    /// Another: the provider has closed the first, or knows it with other contents, and takes it no more.
    New,
}

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing: the payment went through, or was over before.
    None,
    /// Try the same channel once more.
    RetrySame {
        /// Not before this time, so that a channel in trouble is not hit by everybody at once.
        not_before: Timestamp,
        /// With which order number.
        order_number: OrderNumber,
    },
    /// Try the best silent fallback at once.
    Switch,
    /// Ask for the result, of this attempt or of the earlier one that is open. Nothing else is safe.
    QueryFirst(QueryPlan),
    /// Let the customer act: another card, another method, a correction.
    AskCustomer,
    /// Nothing more can be done with this payment.
    Stop,
}

impl NextStep {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RetrySame { .. } => "retry_same",
            Self::Switch => "switch",
            Self::QueryFirst(_) => "query_first",
            Self::AskCustomer => "ask_customer",
            Self::Stop => "stop",
        }
    }
}

/// What the caller does after a failed attempt.
///
/// Another attempt is made only when every earlier one is settled without a debit, the advice allows it, the
/// credential may be used again, and attempts and time are left.
#[must_use]
pub fn next_step(situation: &Situation<'_>, limits: &Limits, now: Timestamp, rng: &mut impl Rng) -> NextStep {
    let failure = situation.failure;
    let unsettled = failure.certainty == Certainty::Unknown || !situation.earlier_settled;
    if unsettled || failure.advice == Advice::QueryFirst {
        let plan = QueryPlan::for_lost_result(&situation.profile, situation.capabilities, now);
        return NextStep::QueryFirst(plan);
    }
    if !situation.payment_open || failure.side == Side::Risk && failure.advice != Advice::AskCustomer {
        return NextStep::Stop;
    }
    match failure.advice {
        Advice::QueryFirst | Advice::Stop => NextStep::Stop,
        Advice::AskCustomer => NextStep::AskCustomer,
        Advice::RetrySame => match retry(situation, limits, now, rng) {
            Some(retry) => retry,
            None => switch(situation, limits),
        },
        Advice::SwitchChannel => switch(situation, limits),
    }
}

/// The one retry on the same channel, if the channel deserves it.
fn retry(situation: &Situation<'_>, limits: &Limits, now: Timestamp, rng: &mut impl Rng) -> Option<NextStep> {
    let longest = limits.retry_delay_max_ms.max(limits.retry_delay_min_ms);
    let in_time = situation.budget_used_ms.saturating_add(longest) < limits.budget_ms;
    let deserved = situation.failure.certainty == Certainty::NotProcessed
        && situation.retries_used == 0
        && situation.channel_healthy
        && in_time
        && may_try_again(situation, limits);
    deserved.then(|| NextStep::RetrySame {
        not_before: after(now, rng.random_range(limits.retry_delay_min_ms..=longest)),
        order_number: if situation.failure.new_order_no {
            OrderNumber::New
        } else {
            OrderNumber::Same
        },
    })
}

/// A silent switch; an offer to the customer when none is possible.
fn switch(situation: &Situation<'_>, limits: &Limits) -> NextStep {
    let in_time = situation.budget_used_ms < limits.budget_ms;
    if situation.silent_fallbacks > 0 && in_time && may_try_again(situation, limits) {
        NextStep::Switch
    } else {
        NextStep::AskCustomer
    }
}

/// Whether the same credential may be used for another attempt, on whatever channel.
fn may_try_again(situation: &Situation<'_>, limits: &Limits) -> bool {
    situation.attempt_no < limits.max_attempts
        && !situation.failure.never_same_credential
        && situation.failure.min_retry_delay_secs.is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::catalogue::{Catalogue, FailureKind, FailureReport, Reason};
    use crate::payment::Stage;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn failure(provider: &str, code: &str) -> Failure {
        Catalogue::built_in().unwrap().classify(&FailureReport {
            code: Some(code),
            ..FailureReport::new(provider, FailureKind::Failed)
        })
    }

    /// The first attempt failed; its channel is healthy and there are two others.
    fn first(failure: &Failure) -> Situation<'_> {
        Situation {
            failure,
            attempt_no: 1,
            retries_used: 0,
            silent_fallbacks: 2,
            budget_used_ms: 0,
            channel_healthy: true,
            earlier_settled: true,
            payment_open: true,
            profile: ProviderProfile::of("wechatpay_v3"),
            capabilities: Capabilities {
                idempotent: true,
                query: true,
                reversal: true,
                authorize: false,
            },
        }
    }

    fn step(situation: &Situation<'_>) -> NextStep {
        next_step(situation, &Limits::default(), NOW, &mut StdRng::seed_from_u64(7))
    }

    #[test]
    fn the_next_step_follows_the_advice() {
        for (provider, code, expected) in [
            ("payroute", "SYSTEM_BUSY", "switch"),
            ("payroute", "CHANNEL_MAINTENANCE", "switch"),
            ("payroute", "DO_NOT_HONOR", "switch"),
            ("payroute", "CONNECT_FAILED", "switch"),
            ("payroute", "TIMEOUT", "query_first"),
            ("payroute", "HTTP_5XX", "query_first"),
            ("payroute", "INSUFFICIENT_FUNDS", "ask_customer"),
            ("payroute", "RISK_DECLINED", "stop"),
            ("payroute", "LOST_OR_STOLEN", "stop"),
            ("payroute", "INVALID_REQUEST", "stop"),
            ("payroute", "RATE_LIMITED", "retry_same"),
            ("payroute", "ISSUER_UNAVAILABLE", "retry_same"),
            ("stripe", "processing_error", "retry_same"),
            ("unionpay", "03", "query_first"),
            ("unionpay", "777", "query_first"),
            ("wechatpay_v3", "ORDER_CLOSED", "retry_same"),
            // "Try again later" was a refusal: a retry needs a request that was never acted on.
            ("stripe", "try_again_later", "switch"),
            ("alipay", "ACQ.PAYMENT_REQUEST_HAS_RISK", "ask_customer"),
            ("mastercard_mac", "02", "ask_customer"),
            ("mastercard_mac", "03", "stop"),
        ] {
            let failure = failure(provider, code);
            assert_eq!(step(&first(&failure)).as_str(), expected, "{provider} {code}");
        }
    }

    #[test]
    fn a_retry_waits_50_to_200_ms() {
        let failure = failure("payroute", "RATE_LIMITED");
        let mut seen = Vec::new();
        for seed in 0..50 {
            let mut rng = StdRng::seed_from_u64(seed);
            match next_step(&first(&failure), &Limits::default(), NOW, &mut rng) {
                NextStep::RetrySame { not_before, .. } => seen.push(not_before.as_millisecond()),
                other => panic!("{other:?}"),
            }
        }
        assert!(seen.iter().all(|ms| (50..=200).contains(ms)), "{seen:?}");
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 10, "the waits are spread: {seen:?}");
    }

    #[test]
    fn a_retry_takes_a_new_order_number_only_where_the_old_one_is_used_up() {
        for (code, expected) in [
            ("ORDER_CLOSED", OrderNumber::New),
            ("RATELIMIT_EXCEEDED", OrderNumber::Same),
        ] {
            let failure = failure("wechatpay_v3", code);
            match step(&first(&failure)) {
                NextStep::RetrySame { order_number, .. } => assert_eq!(order_number, expected, "{code}"),
                other => panic!("{code}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_code_of_the_catalogue_is_retried_twice_or_without_proof_that_it_was_never_acted_on() {
        let catalogue = Catalogue::built_in().unwrap();
        let mut retried = 0;
        for code in catalogue.codes() {
            let failure = catalogue.classify(&FailureReport {
                code: Some(&code.code),
                ..FailureReport::new(&code.provider, FailureKind::Failed)
            });
            if matches!(step(&first(&failure)), NextStep::RetrySame { .. }) {
                assert_eq!(failure.certainty, Certainty::NotProcessed, "{}", code.code);
                assert_eq!(failure.advice, Advice::RetrySame, "{}", code.code);
                retried += 1;
            }
            let again = Situation {
                attempt_no: 1,
                retries_used: 1,
                ..first(&failure)
            };
            assert!(
                !matches!(step(&again), NextStep::RetrySame { .. }),
                "{}",
                code.code
            );
        }
        assert!(retried > 20, "only {retried} codes are retried");
    }

    #[test]
    fn a_transient_fault_that_forbids_the_card_or_asks_to_wait_is_not_retried() {
        let transient = failure("payroute", "RATE_LIMITED");
        let forbidden = Failure {
            never_same_credential: true,
            ..transient.clone()
        };
        let later = Failure {
            min_retry_delay_secs: Some(60),
            ..transient.clone()
        };
        for failure in [forbidden, later] {
            assert_eq!(step(&first(&failure)), NextStep::AskCustomer);
        }
        let last = Situation {
            attempt_no: 3,
            ..first(&transient)
        };
        assert_eq!(
            step(&last),
            NextStep::AskCustomer,
            "a retry of the last attempt would be a fourth submit"
        );
    }

    #[test]
    fn the_longest_wait_of_a_retry_still_fits_the_budget() {
        let failure = failure("payroute", "RATE_LIMITED");
        for (budget_used_ms, expected) in [
            (299, "retry_same"),
            (300, "switch"),
            (499, "switch"),
            (500, "ask_customer"),
        ] {
            let situation = Situation {
                budget_used_ms,
                ..first(&failure)
            };
            assert_eq!(step(&situation).as_str(), expected, "{budget_used_ms}");
        }
    }

    #[test]
    fn the_second_transient_failure_on_a_channel_switches() {
        let failure = failure("payroute", "RATE_LIMITED");
        let again = Situation {
            attempt_no: 2,
            retries_used: 1,
            ..first(&failure)
        };
        assert_eq!(step(&again), NextStep::Switch);
    }

    #[test]
    fn a_channel_in_trouble_is_not_retried() {
        let failure = failure("payroute", "RATE_LIMITED");
        let ailing = Situation {
            channel_healthy: false,
            ..first(&failure)
        };
        assert_eq!(step(&ailing), NextStep::Switch);
    }

    #[test]
    fn a_retry_that_would_not_start_in_time_is_a_switch() {
        let failure = failure("payroute", "RATE_LIMITED");
        let late = Situation {
            budget_used_ms: 300,
            ..first(&failure)
        };
        assert_eq!(step(&late), NextStep::Switch);
    }

    #[test]
    fn without_a_channel_an_attempt_or_time_left_the_customer_is_asked() {
        let failure = failure("payroute", "SYSTEM_BUSY");
        let situation = first(&failure);
        for stuck in [
            Situation {
                silent_fallbacks: 0,
                ..situation
            },
            Situation {
                attempt_no: 3,
                ..situation
            },
            Situation {
                budget_used_ms: 500,
                ..situation
            },
        ] {
            assert_eq!(step(&stuck), NextStep::AskCustomer, "{stuck:?}");
        }
    }

    #[test]
    fn a_payment_that_wants_no_money_any_more_stops() {
        let failure = failure("payroute", "SYSTEM_BUSY");
        let over = Situation {
            payment_open: false,
            ..first(&failure)
        };
        assert_eq!(step(&over), NextStep::Stop);
    }

    #[test]
    fn an_earlier_attempt_that_may_have_charged_blocks_the_next() {
        let failure = failure("payroute", "SYSTEM_BUSY");
        let blocked = Situation {
            earlier_settled: false,
            ..first(&failure)
        };
        assert_eq!(step(&blocked).as_str(), "query_first");
    }

    #[test]
    fn a_lost_result_comes_with_the_providers_own_schedule() {
        let failure = failure("wechatpay_v3", "SYSTEM_ERROR");
        let NextStep::QueryFirst(plan) = step(&first(&failure)) else {
            panic!("an open result is queried");
        };
        let seconds: Vec<_> = plan.query_at.iter().map(|at| at.as_second()).collect();
        assert_eq!(seconds, [5, 15, 25, 35, 45]);
        assert_eq!(plan.reverse_not_before.unwrap().as_second(), 45);
    }

    #[test]
    fn a_timeout_while_preparing_switches_at_once() {
        let timed_out = FailureReport {
            stage: Stage::Prepare,
            ..FailureReport::new("alipay", FailureKind::TimedOut)
        };
        let failure = Catalogue::built_in().unwrap().classify(&timed_out);
        assert_eq!(step(&first(&failure)), NextStep::Switch);
    }

    fn any_failure() -> impl Strategy<Value = Failure> {
        let advice = prop::sample::select(&Advice::ALL[..]);
        let certainty = prop::sample::select(&Certainty::ALL[..]);
        let side = prop::sample::select(&Side::ALL[..]);
        (
            advice,
            certainty,
            side,
            any::<bool>(),
            prop::option::of(1..1_000_u32),
        )
            .prop_map(
                |(advice, certainty, side, never_same_credential, min_retry_delay_secs)| Failure {
                    reason: Reason::Unclassified,
                    advice,
                    certainty,
                    side,
                    never_same_credential,
                    min_retry_delay_secs,
                    ..failure_base()
                },
            )
    }

    fn failure_base() -> Failure {
        use crate::catalogue::HealthScope;
        use crate::outcome::OutcomeClass;
        Failure {
            reason: Reason::Unclassified,
            certainty: Certainty::Unknown,
            side: Side::Technical,
            health_scope: HealthScope::None,
            advice: Advice::QueryFirst,
            class: OutcomeClass::Refusal,
            never_same_credential: false,
            min_retry_delay_secs: None,
            new_order_no: false,
            known: true,
            code: None,
        }
    }

    proptest! {
        #[test]
        fn another_attempt_is_never_made_where_it_could_charge_twice_or_is_forbidden(
            failure in any_failure(),
            attempt_no in 1..5_u32,
            retries_used in 0..3_u32,
            silent_fallbacks in 0..3_u32,
            budget_used_ms in 0..700_u32,
            facts in any::<[bool; 3]>(),
        ) {
            let situation = Situation {
                attempt_no,
                retries_used,
                silent_fallbacks,
                budget_used_ms,
                channel_healthy: facts[0],
                earlier_settled: facts[1],
                payment_open: facts[2],
                ..first(&failure)
            };
            let step = step(&situation);
            let open = failure.certainty == Certainty::Unknown || !situation.earlier_settled;
            if open {
                prop_assert!(matches!(step, NextStep::QueryFirst(_)));
            }
            if matches!(step, NextStep::Switch | NextStep::RetrySame { .. }) {
                prop_assert!(!open && situation.payment_open);
                prop_assert!(failure.side != Side::Risk && !failure.never_same_credential);
                prop_assert!(attempt_no < 3 && budget_used_ms < 500);
            }
            if matches!(step, NextStep::Switch) {
                prop_assert!(silent_fallbacks > 0);
            }
            if let NextStep::RetrySame { not_before, .. } = step {
                prop_assert!(failure.certainty == Certainty::NotProcessed && retries_used == 0);
                prop_assert!(i64::from(budget_used_ms) + not_before.as_millisecond() < 500);
            }
        }
    }
}
