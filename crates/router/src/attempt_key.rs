//! The key that a provider recognises a repeated submit by.

use std::fmt::Write as _;

use domain::id::{ChannelId, MerchantId, PaymentId};
use sha2::{Digest, Sha256};

/// The idempotency key or order number of an attempt: 32 hexadecimal digits, the same for the same attempt on the
/// same channel, whoever asks and however often. 128 bits of SHA-256, so that two attempts never share one.
#[must_use]
pub fn attempt_key(
    merchant: &MerchantId,
    payment: &PaymentId,
    attempt_no: u32,
    channel: &ChannelId,
) -> String {
    let mut hash = Sha256::new();
    for part in [merchant.as_str(), payment.as_str(), channel.as_str()] {
        hash.update(part);
        // No name holds a space, so ("ab", "c") and ("a", "bc") stay apart.
        hash.update(b" ");
    }
    hash.update(attempt_no.to_be_bytes());
    hash.finalize()
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(payment: &str, attempt_no: u32, channel: &str) -> String {
        let merchant = MerchantId::new("shop").unwrap();
        attempt_key(
            &merchant,
            &PaymentId::new(payment).unwrap(),
            attempt_no,
            &ChannelId::new(channel).unwrap(),
        )
    }

    #[test]
    fn the_same_attempt_has_the_same_key() {
        assert_eq!(key("ord_1", 1, "stripe"), key("ord_1", 1, "stripe"));
        assert_eq!(key("ord_1", 1, "stripe"), "ffc47365348f8c47f6c242978acee660");
    }

    #[test]
    fn another_attempt_channel_or_payment_has_another_key() {
        let keys = [
            key("ord_1", 1, "a"),
            key("ord_1", 2, "a"),
            key("ord_1", 1, "b"),
            key("ord_2", 1, "a"),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
