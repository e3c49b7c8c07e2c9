//! Chance without a generator: every random quantity of a world is a hash of what it belongs to.
//!
//! A sequence of random numbers changes its meaning as soon as somebody draws once more or in another order. A hash
//! does not: payment 17 on channel `adyen` at its second attempt meets the same luck under every policy, so two
//! policies can be compared payment by payment, and what would have happened elsewhere is known exactly.
//!
//! The functions are written out here and do not come from a crate of random numbers, so that no update can change a
//! published result. Mixing is the finaliser of `SplitMix64` (Steele, Lea, Flood 2014), texts enter by FNV-1a.

/// The golden ratio in 64 bits, the increment of `SplitMix64`.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

/// What a draw decides. Two topics of the same subject are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Gap = 1,
    Thinning,
    Method,
    Presentment,
    Issuer,
    Card,
    Amount,
    NewCustomer,
    Reference,
    System,
    Age,
    Refusal,
    Success,
    FailureKind,
    Code,
    Latency,
    Moment,
    Arrival,
    Busy,
    Lost,
    Duplicate,
    Event,
    EventKind,
    Bucket,
}

/// The luck of one subject: a seed, narrowed down to a payment, a channel, an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance(u64);

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

impl Chance {
    /// The luck of everything under `seed`.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// The luck of part `number` of this subject.
    #[must_use]
    pub const fn part(self, number: u64) -> Self {
        Self(mix(self
            .0
            .wrapping_add(GOLDEN)
            .wrapping_add(mix(number ^ GOLDEN))))
    }

    /// The luck of the part called `name`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        let hash = name.bytes().fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        self.part(hash)
    }

    /// A number between 0 and 1, evenly spread, neither end included.
    pub(crate) fn uniform(self, topic: Topic) -> f64 {
        let bits = self.part(topic as u64).0;
        // 52 random bits after a fixed exponent are a float in [1, 2): exact, and without a conversion.
        let from_zero = f64::from_bits(0x3FF0_0000_0000_0000 | (bits >> 12)) - 1.0;
        from_zero + f64::EPSILON / 4.0
    }

    /// Whether something of this probability happens.
    pub(crate) fn hits(self, topic: Topic, probability: f64) -> bool {
        self.uniform(topic) < probability
    }

    /// A standard normal number, by the transformation of Box and Muller.
    pub(crate) fn normal(self, topic: Topic) -> f64 {
        let radius = (-2.0 * self.uniform(topic).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.part(GOLDEN).uniform(topic);
        radius * angle.cos()
    }

    /// An exponential number of mean 1.
    pub(crate) fn exponential(self, topic: Topic) -> f64 {
        -self.uniform(topic).ln()
    }

    /// One of `items`, each as likely as its weight says; `None` when no weight is above zero.
    pub(crate) fn pick<T>(self, topic: Topic, items: &[T], weight: impl Fn(&T) -> f64) -> Option<&T> {
        let total: f64 = items.iter().map(&weight).sum();
        let mut left = self.uniform(topic) * total;
        items.iter().filter(|item| weight(item) > 0.0).find(|item| {
            left -= weight(item);
            left < 0.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(topic: Topic) -> impl Iterator<Item = Chance> {
        let subject = Chance::of(7).part(topic as u64);
        (0..20_000).map(move |number| subject.part(number))
    }

    #[test]
    fn the_functions_are_frozen() {
        // Published simulations depend on these: a change here is a change of every result.
        let luck = Chance::of(1).named("pay-1").part(3);
        assert_eq!(luck, Chance::of(1).named("pay-1").part(3));
        insta::assert_snapshot!(format!(
            "{:?} {:.12} {:.9}",
            luck,
            luck.uniform(Topic::Success),
            luck.normal(Topic::Latency)
        ));
    }

    #[test]
    fn uniform_numbers_have_the_mean_and_variance_of_the_unit_interval() {
        let values: Vec<f64> = draws(Topic::Success).map(|c| c.uniform(Topic::Success)).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.003, "{variance}");
        assert!(values.iter().all(|v| *v > 0.0 && *v < 1.0));
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let values: Vec<f64> = draws(Topic::Latency).map(|c| c.normal(Topic::Latency)).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn two_topics_of_one_subject_are_not_correlated() {
        let product: f64 = draws(Topic::Success)
            .map(|c| (c.uniform(Topic::Success) - 0.5) * (c.uniform(Topic::Code) - 0.5))
            .sum();
        assert!((product / 20_000.0).abs() < 0.003);
    }

    #[test]
    fn an_item_without_weight_is_never_picked() {
        let items = [("never", 0.0), ("rare", 1.0), ("often", 3.0)];
        let mut often = 0;
        for luck in draws(Topic::Method) {
            let (name, _) = luck.pick(Topic::Method, &items, |item| item.1).unwrap();
            assert_ne!(*name, "never");
            often += u32::from(*name == "often");
        }
        assert!((14_500..15_500).contains(&often), "{often}");
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        assert!(Chance::of(1).pick(Topic::Method, &[0.0], |w| *w).is_none());
    }
}
