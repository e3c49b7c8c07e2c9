//! Feishu's and Lark's custom bot: seconds and secret are the key, and nothing at all is signed. The reverse of
//! `DingTalk`, which is why the two are easily confused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// The value of `sign` in the body; good for an hour around `timestamp_secs`.
#[must_use]
pub fn sign(timestamp_secs: i64, secret: &Secret) -> String {
    let key = format!("{timestamp_secs}\n{}", secret.expose());
    STANDARD.encode(super::hmac_sha256(key.as_bytes(), b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_vector_comes_out() {
        assert_eq!(
            sign(1_700_000_000, &Secret::new("this is secret")),
            "OfGzRzoUICBOoc8wVra1e4A1hPfbZ9zqXozA8CWVUuY="
        );
    }
}
