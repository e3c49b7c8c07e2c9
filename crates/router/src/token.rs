//! Decision tokens and receipts: what a caller hands back, authenticated so that any replica can trust it unread.
//!
//! A sealed value is `version | key id | tag | payload`: one byte, one byte, 16 bytes of HMAC-SHA-256, then a protobuf
//! message. The kind (decision or receipt) is part of what is authenticated, so one can never pass for the other.
//! The tag is cut to 128 bits: forging one takes 2^127 tries on average, and every try is a call.

use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use proto::claims::{DecisionClaims, ReceiptClaims};
use sha2::Sha256;

const VERSION: u8 = 1;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 2 + TAG_LEN;

/// Shortest key in bytes: the strength of the tag.
pub const MIN_KEY_LEN: usize = 32;

/// A key and the number that tokens name it by.
#[derive(Clone)]
pub struct Key {
    /// Number of the key; unique within a keyring.
    pub id: u8,
    /// At least [`MIN_KEY_LEN`] random bytes.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, ***)", self.id)
    }
}

/// Why a keyring cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyring {
    /// There is no key to sign with.
    #[error("holds no key")]
    Empty,
    /// Two keys with one number.
    #[error("holds two keys with the number {0}")]
    Repeated(u8),
    /// A key that could be guessed.
    #[error("key {id} is {len} bytes long, at least {MIN_KEY_LEN} are needed")]
    TooShort {
        /// Number of the key.
        id: u8,
        /// Its length in bytes.
        len: usize,
    },
}

/// Why a token is not accepted. The caller is told no more than that: which check failed helps only a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Too short, of another version, or its payload cannot be read.
    #[error("is not a token of this service")]
    Malformed,
    /// Signed with a key that is not, or no longer, in the keyring.
    #[error("was signed with a key that is not in use")]
    UnknownKey,
    /// The tag does not fit the payload.
    #[error("was not issued by this service")]
    Forged,
}

/// What a sealed value is for.
trait Sealed: Message + Default {
    /// Separates the kinds in what is authenticated.
    const KIND: &'static [u8];
}

impl Sealed for DecisionClaims {
    const KIND: &'static [u8] = b"payroute decision 1";
}

impl Sealed for ReceiptClaims {
    const KIND: &'static [u8] = b"payroute receipt 1";
}

/// The keys in use: the first one signs, all of them verify. To rotate, put the new key first and drop the old one
/// when the longest-lived token has expired.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: Vec<(u8, Hmac<Sha256>)>,
}

impl Keyring {
    /// A keyring of `keys`, the signing key first.
    ///
    /// # Errors
    /// When there is none, two share a number, or one is too short.
    pub fn new(keys: &[Key]) -> Result<Self, InvalidKeyring> {
        let mut ready: Vec<(u8, Hmac<Sha256>)> = Vec::with_capacity(keys.len());
        for key in keys {
            let short = InvalidKeyring::TooShort {
                id: key.id,
                len: key.secret.len(),
            };
            if key.secret.len() < MIN_KEY_LEN {
                return Err(short);
            }
            if ready.iter().any(|(id, _)| *id == key.id) {
                return Err(InvalidKeyring::Repeated(key.id));
            }
            ready.push((key.id, Hmac::new_from_slice(&key.secret).map_err(|_| short)?));
        }
        if ready.is_empty() {
            Err(InvalidKeyring::Empty)
        } else {
            Ok(Self { keys: ready })
        }
    }

    /// A decision token.
    #[must_use]
    pub fn seal_decision(&self, claims: &DecisionClaims) -> Vec<u8> {
        self.seal(claims)
    }

    /// A receipt.
    #[must_use]
    pub fn seal_receipt(&self, claims: &ReceiptClaims) -> Vec<u8> {
        self.seal(claims)
    }

    /// The claims of a decision token. Whether it has expired is for the caller to judge.
    ///
    /// # Errors
    /// When it was not issued by this service.
    pub fn open_decision(&self, token: &[u8]) -> Result<DecisionClaims, InvalidToken> {
        self.open(token)
    }

    /// The claims of a receipt.
    ///
    /// # Errors
    /// When it was not issued by this service.
    pub fn open_receipt(&self, receipt: &[u8]) -> Result<ReceiptClaims, InvalidToken> {
        self.open(receipt)
    }

    fn seal<C: Sealed>(&self, claims: &C) -> Vec<u8> {
        let Some((id, key)) = self.keys.first() else {
            return Vec::new();
        };
        let mut sealed = Vec::with_capacity(HEADER_LEN + claims.encoded_len());
        sealed.extend([VERSION, *id]);
        sealed.extend([0; TAG_LEN]);
        // Encoding fails only when the buffer is too small, and a vector grows.
        let _ = claims.encode(&mut sealed);
        let (head, payload) = sealed.split_at_mut(HEADER_LEN);
        let tag = tag::<C>(key, *id, payload).finalize().into_bytes();
        for (place, byte) in head.iter_mut().skip(2).zip(tag) {
            *place = byte;
        }
        sealed
    }

    fn open<C: Sealed>(&self, sealed: &[u8]) -> Result<C, InvalidToken> {
        let (head, payload) = sealed
            .split_at_checked(HEADER_LEN)
            .ok_or(InvalidToken::Malformed)?;
        let [VERSION, id, given @ ..] = head else {
            return Err(InvalidToken::Malformed);
        };
        let (_, key) = self
            .keys
            .iter()
            .find(|(known, _)| known == id)
            .ok_or(InvalidToken::UnknownKey)?;
        tag::<C>(key, *id, payload)
            .verify_truncated_left(given)
            .map_err(|_| InvalidToken::Forged)?;
        C::decode(payload).map_err(|_| InvalidToken::Malformed)
    }
}

fn tag<C: Sealed>(key: &Hmac<Sha256>, id: u8, payload: &[u8]) -> Hmac<Sha256> {
    key.clone()
        .chain_update(C::KIND)
        .chain_update([VERSION, id])
        .chain_update(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> Key {
        Key {
            id,
            secret: vec![id; 32],
        }
    }

    fn claims() -> DecisionClaims {
        DecisionClaims {
            payment_id: "ord_1".into(),
            attempt_no: 2,
            ..DecisionClaims::default()
        }
    }

    #[test]
    fn a_token_carries_its_claims() {
        let keyring = Keyring::new(&[key(1)]).unwrap();
        assert_eq!(
            keyring.open_decision(&keyring.seal_decision(&claims())),
            Ok(claims())
        );
    }

    #[test]
    fn a_token_with_any_bit_changed_is_refused() {
        let keyring = Keyring::new(&[key(1)]).unwrap();
        let token = keyring.seal_decision(&claims());
        for at in 0..token.len() * 8 {
            let mut forged = token.clone();
            forged[at / 8] ^= 1 << (at % 8);
            assert!(keyring.open_decision(&forged).is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_decision_never_passes_for_a_receipt() {
        let keyring = Keyring::new(&[key(1)]).unwrap();
        assert_eq!(
            keyring.open_receipt(&keyring.seal_decision(&claims())),
            Err(InvalidToken::Forged)
        );
    }

    #[test]
    fn a_token_of_the_key_before_is_accepted_while_that_key_is_kept() {
        let token = Keyring::new(&[key(1)]).unwrap().seal_decision(&claims());
        assert!(
            Keyring::new(&[key(2), key(1)])
                .unwrap()
                .open_decision(&token)
                .is_ok()
        );
        assert_eq!(
            Keyring::new(&[key(2)]).unwrap().open_decision(&token),
            Err(InvalidToken::UnknownKey)
        );
    }

    #[test]
    fn rubbish_is_refused() {
        let keyring = Keyring::new(&[key(1)]).unwrap();
        assert_eq!(keyring.open_decision(b"rubbish"), Err(InvalidToken::Malformed));
        assert_eq!(keyring.open_decision(&[9; 64]), Err(InvalidToken::Malformed));
    }

    #[test]
    fn the_longest_decision_and_its_receipt_fit_into_a_request() {
        let (name, text) = (
            "n".repeat(domain::id::MAX_LEN),
            "t".repeat(proto::fields::MAX_TEXT),
        );
        let target = proto::claims::Target {
            channel_id: name.clone(),
            account: name.clone(),
        };
        let decision = DecisionClaims {
            decision_id: vec![7; 16],
            merchant_id: name.clone(),
            payment_id: name.clone(),
            attempt_no: 20,
            amount_minor: i64::MAX,
            currency: "CNY".into(),
            stage: 1,
            method: text.clone(),
            issuer: text.clone(),
            region: text.clone(),
            locale: text,
            decided_at_us: i64::MAX,
            expires_at_us: i64::MAX,
            targets: vec![target; domain::decision::MAX_TARGETS],
            guarded: true,
            credential: name.clone(),
            card_brand: "b".repeat(crate::route::MAX_BRAND),
            order_expires_at_us: i64::MAX,
        };
        let receipt = ReceiptClaims {
            decision: Some(decision.clone()),
            attempt_id: name.clone(),
            channel_id: name,
            state: "refund_needs_review".into(),
            side: "merchant-config".into(),
            never_same_credential: true,
            retries: 20,
            class: "issuer_unavailable".into(),
        };
        let keyring = Keyring::new(&[key(1)]).unwrap();
        assert!(keyring.seal_decision(&decision).len() <= proto::fields::MAX_TOKEN);
        assert!(keyring.seal_receipt(&receipt).len() <= proto::fields::MAX_TOKEN);
    }

    #[test]
    fn a_short_key_is_refused() {
        let short = Key {
            id: 1,
            secret: vec![0; 8],
        };
        assert_eq!(
            Keyring::new(&[short]).err(),
            Some(InvalidKeyring::TooShort { id: 1, len: 8 })
        );
    }

    #[test]
    fn a_key_never_shows_its_secret() {
        assert_eq!(format!("{:?}", key(7)), "Key(7, ***)");
    }
}
