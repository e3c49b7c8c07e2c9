//! What a request about an attempt carries besides the attempt: its key at the provider, and a receipt for the answer.
//!
//! Both follow from the attempt as the ledger keeps it, so that any process with the keys can hand out any request.

use domain::attempt::State;
use domain::catalogue::{FailureKind, FailureReport, Shared as SharedCatalogue};
use domain::id::AccountId;
use domain::outcome::OutcomeClass;
use ledger::attempt::AttemptRecord;
use proto::claims::{DecisionClaims, ReceiptClaims, Target};

use crate::attempt_key::attempt_key;
use crate::token::Keyring;

/// Makes the papers of attempts.
#[derive(Clone, Debug)]
pub struct Clerk {
    keyring: Keyring,
    catalogue: SharedCatalogue,
}

/// What goes with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Papers {
    /// The key that the attempt was submitted with.
    pub attempt_key: String,
    /// For `ResolveAttempt`.
    pub receipt: Vec<u8>,
}

impl Clerk {
    /// Signs with `keyring`, which is that of the routers.
    #[must_use]
    pub const fn new(keyring: Keyring, catalogue: SharedCatalogue) -> Self {
        Self { keyring, catalogue }
    }

    /// The papers of `attempt`, as it is now.
    #[must_use]
    pub fn papers(&self, attempt: &AttemptRecord) -> Papers {
        let (merchant, payment) = (&attempt.merchant, &attempt.payment);
        Papers {
            attempt_key: attempt_key(merchant, payment, attempt.attempt_no, &attempt.channel),
            receipt: self.keyring.seal_receipt(&self.claims(attempt)),
        }
    }

    /// What the receipt of the report said, as far as it is kept. The fallbacks of the decision are not: minutes later
    /// they are worth nothing, and a new Route finds better ones.
    fn claims(&self, attempt: &AttemptRecord) -> ReceiptClaims {
        let report = &attempt.report;
        let reason = attempt.verdict.reason.as_ref();
        let failure = reason.map(|_| {
            self.catalogue.load().classify(&FailureReport {
                code: report.code.as_deref(),
                sub_code: report.sub_code.as_deref(),
                http_status: report.http_status,
                transport_event: report.transport_event.as_deref(),
                network_advice_code: report.network_advice_code.as_deref(),
                ..FailureReport::new(&report.provider, FailureKind::Failed)
            })
        });
        let target = Target {
            channel_id: attempt.channel.to_string(),
            account: attempt.account.as_ref().map_or("", AccountId::as_str).to_owned(),
        };
        ReceiptClaims {
            decision: Some(DecisionClaims {
                decision_id: attempt.decision.as_bytes().to_vec(),
                merchant_id: attempt.merchant.to_string(),
                payment_id: attempt.payment.to_string(),
                attempt_no: attempt.attempt_no,
                amount_minor: attempt.amount.minor(),
                currency: attempt.amount.currency().code().to_owned(),
                stage: proto::v1::Stage::Debit.into(),
                method: attempt.segment.method.clone(),
                issuer: attempt.segment.issuer.clone().unwrap_or_default(),
                region: attempt.segment.region.clone().unwrap_or_default(),
                locale: String::new(),
                decided_at_us: attempt.decided_at.as_microsecond(),
                // It proves an attempt, and is good for no report.
                expires_at_us: attempt.decided_at.as_microsecond(),
                targets: vec![target],
                guarded: attempt.submit.is_some(),
                ..DecisionClaims::default()
            }),
            attempt_id: attempt.attempt.to_string(),
            channel_id: attempt.channel.to_string(),
            state: State::from_name(&attempt.verdict.state)
                .unwrap_or(State::Unknown)
                .as_str()
                .to_owned(),
            side: failure
                .as_ref()
                .map_or("", |failure| failure.side.as_str())
                .to_owned(),
            never_same_credential: failure.is_some_and(|failure| failure.never_same_credential),
            // Whether it was retried is not kept: better once too seldom.
            retries: 1,
            class: attempt.verdict.class.map_or("", OutcomeClass::as_str).to_owned(),
        }
    }
}
