//! Signatures as the vendors check them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256; empty, and so equal to no signature, for a key that cannot be one.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mac| mac.chain_update(message).finalize().into_bytes().to_vec(),
    )
}

/// Base64 of it.
pub(super) fn hmac_base64(key: &[u8], message: &[u8]) -> String {
    STANDARD.encode(hmac(key, message))
}

/// The bytes behind `whsec_`.
pub(super) fn webhook_key(secret: &str) -> Vec<u8> {
    let encoded = secret.trim_start_matches("whsec_");
    STANDARD.decode(encoded).unwrap_or_default()
}

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}
