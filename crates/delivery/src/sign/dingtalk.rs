//! `DingTalk`'s custom robot: the secret is the key, and milliseconds and secret are what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// The value of `sign`, before it is encoded for the address; good for an hour around `timestamp_ms`.
#[must_use]
pub fn sign(timestamp_ms: i64, secret: &Secret) -> String {
    let message = format!("{timestamp_ms}\n{}", secret.expose());
    STANDARD.encode(super::hmac_sha256(secret.expose().as_bytes(), message.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_vector_comes_out() {
        assert_eq!(
            sign(1_700_000_000_000, &Secret::new("SECthis is secret")),
            "Rtm2YK4Eu5oP8gxZgn2C87ziY6Py5sJyH4pcuwAafMU="
        );
    }
}
