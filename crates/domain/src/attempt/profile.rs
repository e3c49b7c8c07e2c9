//! How each provider wants to be asked for a result, and when an attempt may be taken back there.
//!
//! The figures are the providers' own, as their public documentation gives them; where none is given it says so.

use super::delays::Delays;
use crate::named::named;

named! {
    /// Whose word ends all doubt at a provider.
    pub enum FinalSource {
        /// A query's answer.
        Query = "query",
        /// The settlement file: a query's answer may still be an intermediate one.
        Settlement = "settlement",
    }
}

/// A provider's rules for an attempt whose result is open. Delays count from when the failure was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderProfile {
    /// When to ask, in milliseconds, ascending.
    pub query_delays_ms: Delays,
    /// When to ask while the customer has something to pay, in milliseconds, ascending.
    pub customer_query_delays_ms: Delays,
    /// The earliest time to take the attempt back, in milliseconds.
    pub reverse_not_before_ms: u32,
    /// How long to wait before a reversal, or the closing of an order, is sent again that was not answered, in
    /// milliseconds.
    pub reverse_retry_ms: u32,
    /// How often a reversal, or the closing of an order, is sent before a person has to look.
    pub reverse_tries: u32,
    /// The earliest time after its creation to close an unpaid order, in milliseconds.
    pub close_not_before_ms: u32,
    /// How long to wait before a refund without an answer is sent again, in milliseconds.
    pub refund_retry_ms: u32,
    /// How often a refund is sent before a person has to look.
    pub refund_tries: u32,
    /// Whether a submit with the same key is answered with the first one's result: then it is a query.
    pub replays_same_key: bool,
    /// Whose word ends all doubt.
    pub final_source: FinalSource,
}

/// `WeChat` Pay: wait 5 s, ask every 10 s up to 45 s, reverse not sooner than 15 s after the charge and again if
/// there is no answer; an order may be closed 5 min after its creation. How often to reverse is ours.
const WECHATPAY: ProviderProfile = ProviderProfile {
    query_delays_ms: Delays::built_in(&[5_000, 15_000, 25_000, 35_000, 45_000]),
    reverse_not_before_ms: 15_000,
    reverse_retry_ms: 10_000,
    reverse_tries: 5,
    close_not_before_ms: 300_000,
    ..DEFAULT
};

/// Alipay: as its demo does, ask five times every 5 s, then cancel up to three times every 2 s.
const ALIPAY: ProviderProfile = ProviderProfile {
    query_delays_ms: Delays::built_in(&[5_000, 10_000, 15_000, 20_000, 25_000]),
    reverse_retry_ms: 2_000,
    reverse_tries: 3,
    replays_same_key: true,
    ..DEFAULT
};

/// `UnionPay`: ask at 1, 2, 4, 8, 16, 32 s; a payment at its own cashier at 5, 10, 30, 60, 120 min. "Failed" and
/// "not found" may still change: the settlement file is final. The reversal figures are ours.
const UNIONPAY: ProviderProfile = ProviderProfile {
    query_delays_ms: Delays::built_in(&[1_000, 2_000, 4_000, 8_000, 16_000, 32_000]),
    customer_query_delays_ms: Delays::built_in(&[300_000, 600_000, 1_800_000, 3_600_000, 7_200_000]),
    final_source: FinalSource::Settlement,
    ..DEFAULT
};

/// Stripe: the same idempotency key gives the stored result, for 24 hours. The delays are ours.
const STRIPE: ProviderProfile = ProviderProfile {
    query_delays_ms: Delays::built_in(&[500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]),
    replays_same_key: true,
    ..DEFAULT
};

/// A provider without a profile: growing delays up to a minute, all ours.
const DEFAULT: ProviderProfile = ProviderProfile {
    query_delays_ms: Delays::built_in(&[2_000, 5_000, 10_000, 20_000, 40_000, 60_000]),
    customer_query_delays_ms: Delays::built_in(&[
        5_000, 10_000, 20_000, 40_000, 60_000, 120_000, 300_000, 600_000, 900_000,
    ]),
    reverse_not_before_ms: 0,
    reverse_retry_ms: 5_000,
    reverse_tries: 5,
    close_not_before_ms: 0,
    refund_retry_ms: 60_000,
    refund_tries: 10,
    replays_same_key: false,
    final_source: FinalSource::Query,
};

impl ProviderProfile {
    /// The profile that is part of the program for `provider`, as the failure catalogue names it: `wechatpay_v3` has
    /// that of `WeChat` Pay. What holds in a deployment is [`Catalogue::profile`](crate::catalogue::Catalogue::profile).
    #[must_use]
    pub fn of(provider: &str) -> Self {
        match family(provider) {
            "wechatpay" => WECHATPAY,
            "alipay" => ALIPAY,
            "unionpay" => UNIONPAY,
            "stripe" => STRIPE,
            _ => DEFAULT,
        }
    }
}

/// The family of a provider: `wechatpay_v2` and `wechatpay_v3` are two interfaces of one.
pub(crate) fn family(provider: &str) -> &str {
    provider.split('_').next().unwrap_or(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_asks_at_least_once_and_goes_forward() {
        for profile in [WECHATPAY, ALIPAY, UNIONPAY, STRIPE, DEFAULT] {
            for delays in [profile.query_delays_ms, profile.customer_query_delays_ms] {
                assert_eq!(Delays::new(delays.as_slice()), Ok(delays));
            }
        }
    }

    #[test]
    fn a_provider_has_the_profile_of_its_family() {
        assert_eq!(ProviderProfile::of("wechatpay_v2"), WECHATPAY);
        assert_eq!(ProviderProfile::of("alipay"), ALIPAY);
        assert_eq!(ProviderProfile::of("alipayments"), DEFAULT);
    }
}
