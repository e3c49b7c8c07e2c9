//! Stable draws: a payment's place in a split, and its account, follow from its name alone.
//!
//! The function is part of the product's behaviour and must never change, or payments would move between
//! accounts in the middle of their attempts: FNV-1a (64 bit) over the purpose and the names, each followed by
//! a zero byte, then the finaliser of splitmix64, because FNV alone leaves the upper bits of similar names similar.

use crate::id::{MerchantId, PaymentId};

/// What a draw is for. Draws of one payment for different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The bucket of a split.
    Split,
    /// The account of a channel.
    Account,
    /// A counter of a limit.
    Limit,
    /// The second half of a counter's key.
    LimitCheck,
    /// The number by which the brain knows an attempt.
    Attempt,
    /// The number by which an outcome is known to have been counted.
    Outcome,
    /// What an alert is known by.
    Alert,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Account => "account",
            Self::Limit => "limit",
            Self::LimitCheck => "limit-check",
            Self::Attempt => "attempt",
            Self::Outcome => "outcome",
            Self::Alert => "alert",
        }
    }
}

/// A number that looks random and depends on nothing but names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// The draw of `names` for `purpose`.
    #[must_use]
    pub fn of<'a>(purpose: Purpose, names: impl IntoIterator<Item = &'a str>) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = OFFSET;
        for name in std::iter::once(purpose.name()).chain(names) {
            for byte in name.bytes().chain(std::iter::once(0)) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        Self(mixed(hash))
    }

    /// The draw of a payment for `purpose`.
    #[must_use]
    pub fn of_payment(purpose: Purpose, merchant: &MerchantId, payment: &PaymentId) -> Self {
        Self::of(purpose, [merchant.as_str(), payment.as_str()])
    }

    /// Another draw, as good as independent of this one.
    #[must_use]
    pub fn again(self) -> Self {
        Self(mixed(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// The draw itself, 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A number from 0 to `total` - 1, each as likely as the other; 0 when `total` is 0.
    #[must_use]
    pub fn below(self, total: u64) -> u64 {
        let scaled = (u128::from(self.0) * u128::from(total)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// The place of one of `weights`, each as likely as its weight; `None` when they are all zero.
    #[must_use]
    pub fn weighted(self, weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
        let total = weights.clone().map(u64::from).sum();
        let mut left = self.below(total);
        for (place, weight) in weights.enumerate() {
            match left.checked_sub(u64::from(weight)) {
                Some(rest) => left = rest,
                None => return Some(place),
            }
        }
        None
    }
}

/// The finaliser of splitmix64: every bit of the input moves every bit of the output.
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(payment: &str) -> Draw {
        Draw::of(Purpose::Split, ["m", payment])
    }

    #[test]
    fn the_function_never_changes() {
        // Worked out by another implementation of the description above.
        let split = |payment| Draw::of(Purpose::Split, ["shop", payment]).bits();
        assert_eq!(split("order-1"), 0x7e3e_738f_f33a_b7e8);
        assert_eq!(split("order-2"), 0xe1a5_daa0_850e_1876);
        let account = Draw::of(Purpose::Account, ["ali", "shop", "order-1"]);
        assert_eq!(account.bits(), 0x1fb1_6da9_251c_07f2);
    }

    #[test]
    fn similar_names_spread_evenly() {
        let mut counts = [0_u32; 10];
        for i in 0..10_000 {
            counts[usize::try_from(draw(&format!("order-{i:06}")).below(10)).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn purposes_are_independent() {
        let same = (0..10_000)
            .map(|i| format!("p{i}"))
            .filter(|payment| {
                let account = Draw::of(Purpose::Account, ["m", payment.as_str()]);
                draw(payment).below(10) == account.below(10)
            })
            .count();
        assert!((850..1_150).contains(&same), "{same}");
    }

    #[test]
    fn a_weight_of_zero_is_never_drawn() {
        for i in 0..1_000 {
            let place = draw(&i.to_string()).weighted([0, 3, 0, 1].into_iter()).unwrap();
            assert!(place == 1 || place == 3);
        }
        assert_eq!(draw("p").weighted([0, 0].into_iter()), None);
        assert_eq!(draw("p").weighted(std::iter::empty()), None);
    }
}
