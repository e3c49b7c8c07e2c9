//! From a caller's report of a failed attempt to what it means.
//!
//! Evidence is asked in the order of what it proves: the provider's own code, the network's advice, what broke on
//! the way, the HTTP status, and last the bare result. What none of them settles may have been charged.

use std::sync::Arc;

use super::code::{Code, Lifted};
use super::judgement::{Advice, Certainty, HealthScope, Side};
use super::outcome_class::class_of;
use super::reason::Reason;
use super::{Catalogue, MASTERCARD_ADVICE, PAYROUTE, TRANSPORT};
use crate::outcome::OutcomeClass;
use crate::payment::Stage;

/// The transport event of an answer whose signature is wrong. Nothing in such an answer may be believed.
const SIGNATURE_INVALID: &str = "signature_invalid";
/// The transport event that a timeout is taken for when the caller names none.
const READ_TIMEOUT: &str = "read_timeout";
/// The canonical code that a bare "declined" is taken for.
const DO_NOT_HONOR: &str = "DO_NOT_HONOR";

/// How the caller says that the attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The provider answered no.
    Declined,
    /// Something broke.
    Failed,
    /// No answer in time.
    TimedOut,
}

/// What a caller reports of a failed attempt. An empty text counts as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureReport<'r> {
    /// Whose code it is: the channel's provider.
    pub provider: &'r str,
    /// The provider's code.
    pub code: Option<&'r str>,
    /// The provider's finer code, which is looked up first.
    pub sub_code: Option<&'r str>,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// What broke on the way: a code of the provider `transport`.
    pub transport_event: Option<&'r str>,
    /// Mastercard's merchant advice code, two digits.
    pub network_advice_code: Option<&'r str>,
    /// How the attempt ended.
    pub kind: FailureKind,
    /// How far the call went.
    pub stage: Stage,
    /// Whether something payable (a QR code, a redirect) reached the customer.
    pub artefact_delivered: bool,
}

impl<'r> FailureReport<'r> {
    /// A report that says no more than `kind`, of a call that could move money.
    #[must_use]
    pub const fn new(provider: &'r str, kind: FailureKind) -> Self {
        Self {
            provider,
            code: None,
            sub_code: None,
            http_status: None,
            transport_event: None,
            network_advice_code: None,
            kind,
            stage: Stage::Debit,
            artefact_delivered: false,
        }
    }

    /// Whether the customer can have been charged, had the request arrived.
    const fn can_have_charged(&self) -> bool {
        matches!(self.stage, Stage::Debit) || self.artefact_delivered
    }
}

/// What a failed attempt means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why it failed.
    pub reason: Reason,
    /// Whether money can have moved.
    pub certainty: Certainty,
    /// Whose doing it was.
    pub side: Side,
    /// Whose health it speaks about.
    pub health_scope: HealthScope,
    /// What to do next, as far as the report alone can say.
    pub advice: Advice,
    /// What it counts as in statistics and for learning.
    pub class: OutcomeClass,
    /// Whether the same card or token must never be tried again, on any channel.
    pub never_same_credential: bool,
    /// How long to wait before the same card or token may be tried again, in seconds.
    pub min_retry_delay_secs: Option<u32>,
    /// Whether another try needs a new order number.
    pub new_order_no: bool,
    /// Whether the reported code is listed. One that is not should be added to the catalogue.
    pub known: bool,
    /// The entry that decided; `None` when no entry fits.
    pub code: Option<Arc<Code>>,
}

impl Failure {
    fn of(code: &Arc<Code>) -> Self {
        Self {
            reason: code.reason,
            certainty: code.certainty,
            side: code.side,
            health_scope: code.health_scope,
            advice: code.advice,
            class: OutcomeClass::Refusal,
            never_same_credential: code.never_same_credential,
            min_retry_delay_secs: code.min_retry_delay_secs,
            new_order_no: code.new_order_no,
            known: true,
            code: Some(Arc::clone(code)),
        }
    }

    /// A failure that no entry fits: the request may have arrived, so it may have been charged.
    const fn unlisted(kind: FailureKind) -> Self {
        Self {
            reason: Reason::Unclassified,
            certainty: Certainty::Unknown,
            side: Side::Technical,
            // A refusal that we cannot read is no proof against the channel: a wave of them must not eject it.
            health_scope: match kind {
                FailureKind::Declined => HealthScope::None,
                FailureKind::Failed | FailureKind::TimedOut => HealthScope::Channel,
            },
            advice: Advice::QueryFirst,
            class: OutcomeClass::Refusal,
            never_same_credential: false,
            min_retry_delay_secs: None,
            new_order_no: false,
            known: false,
            code: None,
        }
    }

    /// What holds instead when nothing payable was delivered: as the entry says; without an entry nobody can pay.
    fn lifted(&self) -> Option<Lifted> {
        match &self.code {
            Some(code) => code.if_nothing_payable_was_delivered,
            None => Some(Lifted {
                certainty: Certainty::NotProcessed,
                advice: Advice::SwitchChannel,
            }),
        }
    }
}

impl Catalogue {
    /// What the reported failure means.
    #[must_use]
    pub fn classify(&self, report: &FailureReport<'_>) -> Failure {
        let reported = self.reported(report);
        let known = reported.is_some() || (given(report.code).is_none() && given(report.sub_code).is_none());
        let mut failure = match self.evidence(report, reported) {
            Some(code) => Failure::of(code),
            None => Failure::unlisted(report.kind),
        };
        self.heed_network_advice(&mut failure, report);
        self.doubt_a_timeout(&mut failure, report);
        if !report.can_have_charged()
            && failure.certainty == Certainty::Unknown
            && let Some(lifted) = failure.lifted()
        {
            failure.certainty = lifted.certainty;
            failure.advice = lifted.advice;
        }
        failure.known = known;
        failure.class = class_of(report.kind, &failure);
        failure
    }

    /// The entry of the reported code, the finer one first.
    fn reported(&self, report: &FailureReport<'_>) -> Option<&Arc<Code>> {
        [report.sub_code, report.code]
            .into_iter()
            .filter_map(given)
            .find_map(|code| self.find(report.provider, code))
    }

    /// The entry that decides.
    fn evidence<'c>(
        &'c self,
        report: &FailureReport<'_>,
        reported: Option<&'c Arc<Code>>,
    ) -> Option<&'c Arc<Code>> {
        let transport = self.transport(report);
        if given(report.transport_event) == Some(SIGNATURE_INVALID) {
            return transport;
        }
        if let Some(code) = reported {
            // What was never sent cannot have been charged, whatever name the caller gave to the failure.
            let never_sent = transport.filter(|event| event.certainty == Certainty::NotProcessed);
            return match code.certainty {
                Certainty::Unknown => never_sent.or(Some(code)),
                Certainty::Declined | Certainty::NotProcessed => Some(code),
            };
        }
        given(report.network_advice_code)
            .and_then(|advice| self.find(MASTERCARD_ADVICE, advice))
            .or(transport)
            .or_else(|| report.http_status.and_then(|status| self.find_http(status)))
            .or_else(|| self.bare_result(report))
    }

    fn transport(&self, report: &FailureReport<'_>) -> Option<&Arc<Code>> {
        given(report.transport_event).and_then(|event| self.find(TRANSPORT, event))
    }

    /// The entry for a report that says only how it ended.
    ///
    /// An unlisted code is not "only how it ended": nobody knows what the provider meant by it, so even a report of
    /// "declined" does not make it a refusal. Taking any strange code for a refusal is how customers pay twice.
    fn bare_result(&self, report: &FailureReport<'_>) -> Option<&Arc<Code>> {
        let has_code = given(report.code).is_some() || given(report.sub_code).is_some();
        match report.kind {
            FailureKind::TimedOut => self.find(TRANSPORT, READ_TIMEOUT),
            FailureKind::Declined if !has_code => self.find(PAYROUTE, DO_NOT_HONOR),
            FailureKind::Declined | FailureKind::Failed => None,
        }
    }

    /// Lets the network's advice on another try override the code's, where it is the stricter one.
    fn heed_network_advice(&self, failure: &mut Failure, report: &FailureReport<'_>) {
        let advice = given(report.network_advice_code).and_then(|code| self.find(MASTERCARD_ADVICE, code));
        let Some(advice) = advice.filter(|_| failure.certainty != Certainty::Unknown) else {
            return;
        };
        if matches!(failure.reason, Reason::DeclinedGeneric | Reason::Unclassified) {
            failure.reason = advice.reason;
            failure.side = advice.side;
        }
        failure.advice = failure.advice.stricter(advice.advice);
        failure.never_same_credential |= advice.never_same_credential;
        failure.min_retry_delay_secs = failure.min_retry_delay_secs.max(advice.min_retry_delay_secs);
    }

    /// Makes the outcome of a timed-out call that could move money unknown, whatever code came with the report.
    ///
    /// Only a transport event that proves that the request was never sent says otherwise.
    fn doubt_a_timeout(&self, failure: &mut Failure, report: &FailureReport<'_>) {
        let never_sent = self
            .transport(report)
            .is_some_and(|event| event.certainty == Certainty::NotProcessed);
        let doubtful = report.kind == FailureKind::TimedOut && report.can_have_charged() && !never_sent;
        if !doubtful || failure.certainty == Certainty::Unknown {
            return;
        }
        *failure = match self.find(TRANSPORT, READ_TIMEOUT) {
            Some(timeout) => Failure::of(timeout),
            None => Failure::unlisted(report.kind),
        };
    }
}

/// The text, unless it is missing or empty.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::LazyLock;

    use super::*;

    /// Read once: reading takes longer than all that is asked of it here.
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().unwrap());

    fn classify(report: &FailureReport<'_>) -> Failure {
        CATALOGUE.classify(report)
    }

    fn coded<'r>(provider: &'r str, code: &'r str, kind: FailureKind) -> FailureReport<'r> {
        FailureReport {
            code: Some(code),
            ..FailureReport::new(provider, kind)
        }
    }

    fn prepare(report: FailureReport<'_>) -> FailureReport<'_> {
        FailureReport {
            stage: Stage::Prepare,
            ..report
        }
    }

    #[test]
    fn the_finer_code_decides() {
        let failure = classify(&FailureReport {
            sub_code: Some("insufficient_funds"),
            ..coded("stripe", "card_declined", FailureKind::Declined)
        });
        assert_eq!(failure.reason, Reason::InsufficientFunds);
        assert!(failure.known);
    }

    #[test]
    fn an_unlisted_finer_code_leaves_the_word_to_the_code() {
        let failure = classify(&FailureReport {
            sub_code: Some("isv.something-new"),
            ..coded("alipay", "40002", FailureKind::Declined)
        });
        assert_eq!(failure.reason, Reason::InvalidRequest);
    }

    #[test]
    fn an_unlisted_code_may_have_been_charged_even_if_reported_as_declined() {
        for kind in [FailureKind::Declined, FailureKind::Failed, FailureKind::TimedOut] {
            let failure = classify(&coded("unionpay", "777", kind));
            assert_eq!(failure.certainty, Certainty::Unknown);
            assert_eq!(failure.advice, Advice::QueryFirst);
            assert!(!failure.known);
        }
    }

    #[test]
    fn an_unlisted_code_of_a_request_that_was_never_sent_was_not_charged() {
        let failure = classify(&FailureReport {
            transport_event: Some("connect_refused"),
            ..coded("unionpay", "777", FailureKind::Failed)
        });
        assert_eq!(failure.certainty, Certainty::NotProcessed);
        assert_eq!(failure.advice, Advice::SwitchChannel);
        assert!(!failure.known);
    }

    #[test]
    fn a_bare_decline_is_a_decline_without_a_reason() {
        let failure = classify(&FailureReport::new("my_bank", FailureKind::Declined));
        assert_eq!(failure.reason, Reason::DeclinedGeneric);
        assert_eq!(failure.certainty, Certainty::Declined);
    }

    #[test]
    fn a_bare_failure_may_have_been_charged() {
        let failure = classify(&FailureReport::new("my_bank", FailureKind::Failed));
        assert_eq!(failure.certainty, Certainty::Unknown);
        assert_eq!(failure.reason, Reason::Unclassified);
    }

    #[test]
    fn a_timeout_while_debiting_is_queried_and_one_while_preparing_is_switched() {
        let timed_out = FailureReport::new("wechatpay_v3", FailureKind::TimedOut);
        let debit = classify(&timed_out);
        assert_eq!(
            (debit.certainty, debit.advice),
            (Certainty::Unknown, Advice::QueryFirst)
        );
        let prepared = classify(&prepare(timed_out));
        assert_eq!(
            (prepared.certainty, prepared.advice),
            (Certainty::NotProcessed, Advice::SwitchChannel)
        );
        assert_eq!(prepared.class, OutcomeClass::Timeout);
    }

    #[test]
    fn a_prepared_payment_that_reached_the_customer_can_be_paid() {
        let failure = classify(&FailureReport {
            artefact_delivered: true,
            ..prepare(FailureReport::new("alipay", FailureKind::TimedOut))
        });
        assert_eq!(failure.certainty, Certainty::Unknown);
    }

    #[test]
    fn a_timeout_stays_unknown_whatever_code_comes_with_it() {
        for code in ["INSUFFICIENT_FUNDS", "INVALID_REQUEST", "OK", "nonsense"] {
            let failure = classify(&coded("payroute", code, FailureKind::TimedOut));
            assert_eq!(failure.certainty, Certainty::Unknown, "{code}");
        }
    }

    #[test]
    fn a_timeout_before_anything_was_sent_is_not_unknown() {
        let failure = classify(&FailureReport {
            transport_event: Some("connect_timeout"),
            ..coded("payroute", "TIMEOUT", FailureKind::TimedOut)
        });
        assert_eq!(failure.certainty, Certainty::NotProcessed);
        assert_eq!(failure.class, OutcomeClass::Timeout);
    }

    #[test]
    fn an_answer_with_a_wrong_signature_is_not_believed() {
        let failure = classify(&FailureReport {
            transport_event: Some("signature_invalid"),
            ..coded("wechatpay_v3", "NOTENOUGH", FailureKind::Declined)
        });
        assert_eq!(failure.certainty, Certainty::Unknown);
        let prepared = classify(&prepare(FailureReport {
            transport_event: Some("signature_invalid"),
            ..FailureReport::new("wechatpay_v3", FailureKind::Failed)
        }));
        assert_eq!(prepared.certainty, Certainty::Unknown);
    }

    #[test]
    fn mastercards_advice_makes_a_soft_decline_final() {
        let failure = classify(&FailureReport {
            network_advice_code: Some("03"),
            ..coded("iso8583", "05", FailureKind::Declined)
        });
        assert_eq!(failure.advice, Advice::Stop);
        assert!(failure.never_same_credential);
    }

    #[test]
    fn mastercards_advice_says_when_to_try_again() {
        let failure = classify(&FailureReport {
            network_advice_code: Some("25"),
            ..coded("mastercard", "51", FailureKind::Declined)
        });
        assert_eq!(failure.reason, Reason::InsufficientFunds);
        assert_eq!(failure.min_retry_delay_secs, Some(86_400));
    }

    #[test]
    fn mastercards_advice_never_settles_an_unknown_outcome() {
        let failure = classify(&FailureReport {
            network_advice_code: Some("02"),
            ..coded("iso8583", "68", FailureKind::Failed)
        });
        assert_eq!(
            (failure.certainty, failure.advice),
            (Certainty::Unknown, Advice::QueryFirst)
        );
    }

    #[test]
    fn an_http_status_is_asked_when_there_is_no_code() {
        let status = |status| {
            classify(&FailureReport {
                http_status: Some(status),
                ..FailureReport::new("alipay", FailureKind::Failed)
            })
        };
        assert_eq!(status(429).certainty, Certainty::NotProcessed);
        assert_eq!(status(429).class, OutcomeClass::Busy);
        for unknown in [500, 502, 503, 504, 520, 599, 200, 302, 418] {
            assert_eq!(status(unknown).certainty, Certainty::Unknown, "{unknown}");
        }
    }

    // Mistakes seen in real integrations, each of which charges a customer twice.

    #[test]
    fn alipays_system_error_is_not_taken_for_a_refusal() {
        for (code, sub_code) in [
            ("20000", None),
            ("40004", Some("ACQ.SYSTEM_ERROR")),
            ("10003", None),
        ] {
            let failure = classify(&FailureReport {
                sub_code,
                ..coded("alipay", code, FailureKind::Declined)
            });
            assert_eq!(failure.advice, Advice::QueryFirst, "{code}");
        }
    }

    #[test]
    fn wechats_three_unknown_codes_and_an_exception_are_queried() {
        for code in ["SYSTEMERROR", "BANKERROR", "USERPAYING"] {
            let failure = classify(&coded("wechatpay_v2", code, FailureKind::Failed));
            assert_eq!(failure.advice, Advice::QueryFirst, "{code}");
        }
        let exception = classify(&FailureReport {
            transport_event: Some("reset_after_send"),
            ..FailureReport::new("wechatpay_v2", FailureKind::Failed)
        });
        assert_eq!(exception.advice, Advice::QueryFirst);
    }

    #[test]
    fn a_new_key_is_not_earned_by_an_error_of_the_provider() {
        for code in ["api_error", "api_connection_error", "idempotency_key_in_use"] {
            let failure = classify(&coded("stripe", code, FailureKind::Failed));
            assert_eq!(failure.certainty, Certainty::Unknown, "{code}");
        }
    }

    fn reports() -> impl Strategy<Value = (usize, Option<usize>, Option<u16>, FailureKind, bool, bool)> {
        let kind = prop_oneof![
            Just(FailureKind::Declined),
            Just(FailureKind::Failed),
            Just(FailureKind::TimedOut)
        ];
        (
            0..700_usize,
            proptest::option::of(0..20_usize),
            proptest::option::of(100..600_u16),
            kind,
            any::<bool>(),
            any::<bool>(),
        )
    }

    proptest! {
        #[test]
        fn no_combination_of_evidence_makes_an_unsafe_advice(
            (at, event, http_status, kind, preparing, artefact_delivered) in reports(),
            network_advice_code in proptest::option::of("[0-4][0-9]"),
        ) {
            let catalogue = &*CATALOGUE;
            let listed = catalogue.codes().get(at);
            let events: Vec<_> = catalogue.codes().iter().filter(|code| &*code.provider == TRANSPORT).collect();
            let event = event.and_then(|event| events.get(event));
            let report = FailureReport {
                provider: listed.map_or("nobody", |code| &code.provider),
                code: listed.map(|code| &*code.code),
                sub_code: None,
                http_status,
                transport_event: event.map(|event| &*event.code),
                network_advice_code: network_advice_code.as_deref(),
                kind,
                stage: if preparing { Stage::Prepare } else { Stage::Debit },
                artefact_delivered,
            };
            let failure = catalogue.classify(&report);

            prop_assert_eq!(failure.certainty == Certainty::Unknown, failure.advice == Advice::QueryFirst);
            if failure.side == Side::Risk || failure.never_same_credential {
                prop_assert!(failure.advice != Advice::RetrySame);
            }
            if failure.side == Side::Risk {
                prop_assert!(failure.advice != Advice::SwitchChannel);
            }
            let never_sent = event.is_some_and(|event| event.certainty == Certainty::NotProcessed);
            if kind == FailureKind::TimedOut && report.can_have_charged() && !never_sent {
                prop_assert_eq!(failure.certainty, Certainty::Unknown);
            }
            prop_assert!(failure.class != OutcomeClass::Success);
        }
    }
}
