//! From a failure to the class that statistics count and the brain learns from.

use super::classify::{Failure, FailureKind};
use super::judgement::{HealthScope, HealthSignal};
use super::reason::Reason;
use crate::outcome::OutcomeClass;

/// The class of `failure`, which ended as `kind`.
///
/// What the code says about the channel comes first, then a timeout, then whose health the failure speaks about.
/// A failure of nobody's health is a refusal; one that gives no cause is a soft decline, because another channel
/// might have got it through.
pub(super) fn class_of(kind: FailureKind, failure: &Failure) -> OutcomeClass {
    match failure.code.as_deref().and_then(|code| code.signal) {
        Some(HealthSignal::Maintenance) => return OutcomeClass::Maintenance,
        Some(HealthSignal::Busy) => return OutcomeClass::Busy,
        Some(HealthSignal::Timeout) => return OutcomeClass::Timeout,
        None if kind == FailureKind::TimedOut => return OutcomeClass::Timeout,
        None => {}
    }
    match failure.reason {
        Reason::RateLimited => OutcomeClass::Busy,
        Reason::IssuerUnavailable => OutcomeClass::IssuerUnavailable,
        Reason::DeclinedGeneric | Reason::Unclassified => by_scope(failure, OutcomeClass::SoftDecline),
        Reason::ProviderUnavailable
        | Reason::ProviderTimeout
        | Reason::PaymentInProgress
        | Reason::InsufficientFunds
        | Reason::LimitExceeded
        | Reason::CreditUnavailable
        | Reason::CardExpired
        | Reason::DetailsIncorrect
        | Reason::SecurityCodeIncorrect
        | Reason::PinIncorrect
        | Reason::AttemptsExceeded
        | Reason::AuthenticationRequired
        | Reason::AuthenticationFailed
        | Reason::PaymentCodeExpired
        | Reason::CustomerCancelled
        | Reason::CustomerTimeout
        | Reason::MethodNotSupported
        | Reason::AccountRestricted
        | Reason::LostOrStolen
        | Reason::RiskDeclined
        | Reason::ComplianceRestricted
        | Reason::AuthorisationRevoked
        | Reason::MerchantConfiguration
        | Reason::MerchantLimitExceeded
        | Reason::InvalidRequest
        | Reason::OrderConflict
        | Reason::AlreadyPaid => by_scope(failure, OutcomeClass::Refusal),
    }
}

/// The class by whose health it is; `otherwise` when it is neither the channel's nor the issuer's.
const fn by_scope(failure: &Failure, otherwise: OutcomeClass) -> OutcomeClass {
    match failure.health_scope {
        HealthScope::Channel => OutcomeClass::TechnicalFailure,
        HealthScope::Issuer => OutcomeClass::IssuerUnavailable,
        HealthScope::Merchant | HealthScope::None => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, FailureReport};

    fn class(provider: &str, code: &str, kind: FailureKind) -> OutcomeClass {
        let report = FailureReport {
            code: Some(code),
            ..FailureReport::new(provider, kind)
        };
        Catalogue::built_in().unwrap().classify(&report).class
    }

    #[test]
    fn each_canonical_code_has_the_class_it_names() {
        use FailureKind::{Declined, Failed, TimedOut};
        for (code, kind, expected) in [
            ("INSUFFICIENT_FUNDS", Declined, OutcomeClass::Refusal),
            ("DO_NOT_HONOR", Declined, OutcomeClass::SoftDecline),
            ("TIMEOUT", TimedOut, OutcomeClass::Timeout),
            ("TIMEOUT", Failed, OutcomeClass::Timeout),
            ("HTTP_5XX", Failed, OutcomeClass::TechnicalFailure),
            ("SYSTEM_BUSY", Failed, OutcomeClass::Busy),
            ("CHANNEL_MAINTENANCE", Failed, OutcomeClass::Maintenance),
            ("ISSUER_UNAVAILABLE", Failed, OutcomeClass::IssuerUnavailable),
            ("RATE_LIMITED", Failed, OutcomeClass::Busy),
            ("MERCHANT_CONFIGURATION", Failed, OutcomeClass::Refusal),
        ] {
            assert_eq!(class("payroute", code, kind), expected, "{code}");
        }
    }

    #[test]
    fn a_provider_that_closes_is_in_maintenance_and_one_that_is_busy_is_busy() {
        let failed = FailureKind::Failed;
        assert_eq!(class("unionpay", "02", failed), OutcomeClass::Maintenance);
        assert_eq!(class("unionpay", "39", failed), OutcomeClass::Maintenance);
        assert_eq!(
            class("wechatpay_v3", "SERVICE_UNAVAILABLE", failed),
            OutcomeClass::Maintenance
        );
        assert_eq!(class("unionpay", "06", failed), OutcomeClass::Busy);
        assert_eq!(
            class("wechatpay_v3", "RATELIMIT_EXCEEDED", failed),
            OutcomeClass::Busy
        );
    }

    #[test]
    fn a_bank_that_times_out_is_not_held_against_the_channel() {
        assert_eq!(
            class("wechatpay_v2", "BANKERROR", FailureKind::Failed),
            OutcomeClass::IssuerUnavailable
        );
    }

    #[test]
    fn an_unreadable_refusal_is_soft_and_an_unreadable_failure_technical() {
        assert_eq!(
            class("unionpay", "777", FailureKind::Declined),
            OutcomeClass::SoftDecline
        );
        assert_eq!(
            class("unionpay", "777", FailureKind::Failed),
            OutcomeClass::TechnicalFailure
        );
    }
}
