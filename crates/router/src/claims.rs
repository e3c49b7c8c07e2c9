//! Between the claims of tokens and the domain.

use domain::attempt::State;
use domain::catalogue::Side;
use domain::decision::Previous;
use domain::id::{AccountId, ChannelId, MerchantId, PaymentId};
use domain::money::Money;
use domain::network_retry::Fingerprint;
use domain::payment::{Attributes, Stage};
use jiff::Timestamp;
use proto::claims::{DecisionClaims, ReceiptClaims, Target};
use proto::time::from_micros;
use uuid::Uuid;

use crate::error::CallError;
use crate::token::InvalidToken;

/// What a decision token proves, as domain types.
#[derive(Clone, Debug)]
pub(crate) struct DecisionProof {
    pub(crate) id: Uuid,
    pub(crate) merchant: MerchantId,
    pub(crate) payment: PaymentId,
    pub(crate) attempt_no: u32,
    pub(crate) amount: Money,
    pub(crate) stage: Stage,
    pub(crate) method: String,
    pub(crate) issuer: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) locale: Option<String>,
    pub(crate) decided_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) targets: Vec<Target>,
    /// Whether the attempt is registered.
    pub(crate) guarded: bool,
    pub(crate) credential: Option<Fingerprint>,
    pub(crate) card_brand: String,
    pub(crate) order_expires_at: Option<Timestamp>,
}

/// The language of a caller who names none.
const DEFAULT_LOCALE: &str = "zh-CN";

impl DecisionProof {
    /// Reads the claims found in `field`. They were sealed by this service, so what cannot be read is of a release
    /// that knew more.
    pub(crate) fn read(claims: &DecisionClaims, field: &'static str) -> Result<Self, CallError> {
        let read = || {
            Some(Self {
                id: Uuid::from_slice(&claims.decision_id).ok()?,
                merchant: claims.merchant_id.parse().ok()?,
                payment: claims.payment_id.parse().ok()?,
                attempt_no: claims.attempt_no,
                amount: Money::new(claims.amount_minor, claims.currency.parse().ok()?).ok()?,
                stage: if claims.stage == proto::v1::Stage::Prepare as i32 {
                    Stage::Prepare
                } else {
                    Stage::Debit
                },
                method: claims.method.clone(),
                issuer: given(&claims.issuer),
                region: given(&claims.region),
                locale: given(&claims.locale),
                decided_at: from_micros(claims.decided_at_us)?,
                expires_at: from_micros(claims.expires_at_us)?,
                targets: claims.targets.clone(),
                guarded: claims.guarded,
                credential: Fingerprint::new(&claims.credential).ok(),
                card_brand: claims.card_brand.clone(),
                order_expires_at: (claims.order_expires_at_us != 0)
                    .then(|| from_micros(claims.order_expires_at_us))
                    .flatten(),
            })
        };
        let source = InvalidToken::Malformed;
        read().ok_or(CallError::BadToken { field, source })
    }

    /// The account of the payment at `channel`, and how many channels come after it; `None` when it was not decided.
    /// A registered attempt was decided for one channel: another one needs a registration of its own.
    pub(crate) fn target(&self, channel: &ChannelId) -> Option<(Option<AccountId>, usize)> {
        let place = self
            .targets
            .iter()
            .position(|target| target.channel_id == channel.as_str())
            .filter(|place| *place == 0 || !self.guarded)?;
        let account = self
            .targets
            .get(place)
            .and_then(|target| target.account.parse().ok());
        Some((account, self.targets.len() - place - 1))
    }

    /// The channel to switch to from `channel`.
    pub(crate) fn after(&self, channel: &ChannelId) -> Option<&str> {
        let place = self
            .targets
            .iter()
            .position(|target| target.channel_id == channel.as_str())?;
        self.targets
            .get(place + 1)
            .map(|target| target.channel_id.as_str())
    }

    /// Whether the order still wants money, as far as the decision knew.
    pub(crate) fn order_is_open(&self, now: Timestamp) -> bool {
        self.order_expires_at.is_none_or(|at| now < at)
    }

    /// The language to speak: what this call asks for, else what the decision was asked in.
    pub(crate) fn locale<'l>(&'l self, asked: Option<&'l str>) -> &'l str {
        asked.or(self.locale.as_deref()).unwrap_or(DEFAULT_LOCALE)
    }
}

/// The claims of a decision about `attributes`, without its targets.
pub(crate) fn of_decision(id: Uuid, attributes: &Attributes, times: [Timestamp; 2]) -> DecisionClaims {
    let [decided_at, expires_at] = times;
    let stage = match attributes.stage {
        Stage::Prepare => proto::v1::Stage::Prepare,
        Stage::Debit => proto::v1::Stage::Debit,
    };
    DecisionClaims {
        decision_id: id.as_bytes().to_vec(),
        merchant_id: attributes.merchant.to_string(),
        payment_id: attributes.payment.to_string(),
        attempt_no: attributes.attempt_no,
        amount_minor: attributes.amount.minor(),
        currency: attributes.amount.currency().code().to_owned(),
        stage: stage.into(),
        method: attributes.method.clone(),
        issuer: attributes.issuer.clone().unwrap_or_default(),
        region: attributes.region.clone().unwrap_or_default(),
        locale: attributes.locale.clone().unwrap_or_default(),
        decided_at_us: decided_at.as_microsecond(),
        expires_at_us: expires_at.as_microsecond(),
        targets: Vec::new(),
        guarded: false,
        credential: String::new(),
        card_brand: String::new(),
        order_expires_at_us: 0,
    }
}

/// What a receipt proves of an earlier attempt at the payment of `attributes`.
pub(crate) fn previous(receipt: &ReceiptClaims, attributes: &Attributes) -> Result<Previous, CallError> {
    let field = "previous_attempts";
    let decision = receipt.decision.as_ref();
    let same = decision.is_some_and(|decision| {
        decision.merchant_id == attributes.merchant.as_str()
            && decision.payment_id == attributes.payment.as_str()
    });
    if !same {
        return Err(CallError::Mismatch {
            field,
            what: "payment",
        });
    }
    Ok(Previous {
        state: state(receipt, field)?,
        method: decision
            .map(|decision| decision.method.clone())
            .unwrap_or_default(),
        side: Side::from_name(&receipt.side),
        never_same_credential: receipt.never_same_credential,
    })
}

/// The state that a receipt proves.
pub(crate) fn state(receipt: &ReceiptClaims, field: &'static str) -> Result<State, CallError> {
    let source = InvalidToken::Malformed;
    State::from_name(&receipt.state).ok_or(CallError::BadToken { field, source })
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
