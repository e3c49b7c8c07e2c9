//! Standard Webhooks 1.0.0: `v1` (HMAC-SHA256) and `v1a` (Ed25519) over id, timestamp and the exact bytes of the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::Ed25519KeyPair;

use crate::secret::Secret;

/// Length of an HMAC key in bytes.
const HMAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that messages are signed with.
pub enum SigningKey {
    /// Shared with the receiver: `whsec_` and base64 of 24 to 64 bytes.
    Hmac(Vec<u8>),
    /// Private to us: `whsk_` and base64 of the 32 bytes of the seed, or of seed and public key.
    Ed25519(Box<Ed25519KeyPair>),
}

/// Why a text is no signing key. The text is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It begins like none.
    #[error("a signing key begins with `whsec_` (HMAC) or `whsk_` (Ed25519)")]
    Prefix,
    /// What follows is not base64.
    #[error("a signing key is its prefix and base64")]
    Encoding,
    /// It is too short to be safe, or too long.
    #[error("an HMAC key has 24 to 64 bytes, an Ed25519 key 32 or 64")]
    Length,
    /// Its two halves do not belong together.
    #[error("the public half of the Ed25519 key is not that of its seed")]
    Mismatch,
}

impl SigningKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &Secret) -> Result<Self, InvalidKey> {
        let text = text.expose();
        if let Some(encoded) = text.strip_prefix("whsec_") {
            let key = STANDARD.decode(encoded).map_err(|_| InvalidKey::Encoding)?;
            return if HMAC_KEY_BYTES.contains(&key.len()) {
                Ok(Self::Hmac(key))
            } else {
                Err(InvalidKey::Length)
            };
        }
        let encoded = text.strip_prefix("whsk_").ok_or(InvalidKey::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidKey::Encoding)?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) if public.len() == 32 => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            _ => return Err(InvalidKey::Length),
        };
        let pair = pair.map_err(|_| InvalidKey::Mismatch)?;
        Ok(Self::Ed25519(Box::new(pair)))
    }

    fn sign(&self, content: &[u8]) -> String {
        match self {
            Self::Hmac(key) => format!("v1,{}", STANDARD.encode(super::hmac_sha256(key, content))),
            Self::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(content))),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The value of `webhook-signature`: one signature per key, so that a receiver may hold the old key or the new
/// one while they are exchanged.
///
/// `id` must not contain a dot, or two messages could share one signature; our ids are UUIDs.
#[must_use]
pub fn sign(id: &str, timestamp_secs: i64, body: &[u8], keys: &[SigningKey]) -> String {
    let mut content = format!("{id}.{timestamp_secs}.").into_bytes();
    content.extend_from_slice(body);
    let signatures: Vec<_> = keys.iter().map(|key| key.sign(&content)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::KeyPair as _;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(&Secret::new(text)).unwrap()
    }

    #[test]
    fn the_known_vector_comes_out() {
        assert_eq!(
            sign(ID, 1_614_265_330, BODY, &[key(SECRET)]),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// RFC 8032, section 7.1, test 2: the seed and its public half.
    #[test]
    fn an_ed25519_signature_is_good_for_the_public_half() {
        let seed = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
        let SigningKey::Ed25519(pair) = key(&format!("whsk_{seed}")) else {
            panic!("an Ed25519 key");
        };
        assert_eq!(
            super::super::hex(pair.public_key().as_ref()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = sign(ID, 1_614_265_330, BODY, &[SigningKey::Ed25519(pair)]);
        let signature = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let public = key(&format!("whsk_{seed}"));
        let SigningKey::Ed25519(public) = public else {
            panic!("an Ed25519 key");
        };
        let content = [b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.", BODY].concat();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public.public_key().as_ref())
            .verify(&content, &signature)
            .unwrap();
    }

    #[test]
    fn f40_both_keys_sign_while_they_are_exchanged() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = sign(ID, 1, BODY, &[key(other), key(SECRET)]);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, sign(ID, 1, BODY, &[key(other)]));
        assert_eq!(second, sign(ID, 1, BODY, &[key(SECRET)]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let refused = |text: &str| SigningKey::parse(&Secret::new(text)).unwrap_err();
        assert_eq!(refused("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), InvalidKey::Prefix);
        assert_eq!(refused("whsec_?"), InvalidKey::Encoding);
        assert_eq!(refused("whsec_AAAA"), InvalidKey::Length);
        assert_eq!(refused("whsk_AAAA"), InvalidKey::Length);
    }
}
