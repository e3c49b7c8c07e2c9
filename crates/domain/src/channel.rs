//! A payment channel as the operator configures it.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ChannelId};
use crate::money::Currency;

/// A way to get a payment through: a contract with a provider, its accounts, and what it can take.
///
/// An empty list means "any".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name, unique in the configuration.
    pub id: ChannelId,
    /// Whose failure codes it answers with: a provider of the failure catalogue, such as `wechatpay_v3`.
    pub provider: String,
    /// Payment methods it takes.
    pub methods: Vec<String>,
    /// Presentments it takes.
    #[serde(default)]
    pub presentments: Vec<String>,
    /// Currencies it takes.
    pub currencies: Vec<Currency>,
    /// Smallest amount in minor units, inclusive.
    #[serde(default)]
    pub min_amount_minor: Option<i64>,
    /// Largest amount in minor units, inclusive.
    #[serde(default)]
    pub max_amount_minor: Option<i64>,
    /// Countries of the order it takes, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub countries: Vec<String>,
    /// Issuers it takes.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// Card brands it takes.
    #[serde(default)]
    pub card_brands: Vec<String>,
    /// How long a caller should wait for its answer, in milliseconds.
    pub timeout_ms: u32,
    /// What a payment costs there.
    #[serde(default)]
    pub cost: Cost,
    /// What its interface can do.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The merchant accounts there; payments go to the active ones.
    pub accounts: Vec<Account>,
    /// The operator's own labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A channel that is switched off is never selected.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

const fn enabled() -> bool {
    true
}

/// What a payment costs on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cost {
    /// Share of the amount, in basis points.
    pub basis_points: u32,
    /// Fixed part, in minor units of the payment's currency.
    pub fixed_minor: i64,
}

impl Cost {
    /// The cost of a payment of `amount_minor`, in minor units, rounded up; saturates instead of overflowing.
    #[must_use]
    pub fn of(self, amount_minor: i64) -> i64 {
        let share = i128::from(amount_minor) * i128::from(self.basis_points);
        let share = (share + 9_999) / 10_000;
        i64::try_from(share)
            .unwrap_or(i64::MAX)
            .saturating_add(self.fixed_minor)
    }
}

/// What a channel's interface can do after an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about an interface, not one state"
)]
pub struct Capabilities {
    /// A repeated submit with the same key is answered, not executed again.
    pub idempotent: bool,
    /// The result of an attempt can be asked for.
    pub query: bool,
    /// An attempt can be taken back.
    pub reversal: bool,
    /// It can hold an amount without taking it.
    pub authorize: bool,
}

/// A merchant account at the channel's provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name, unique within the channel.
    pub id: AccountId,
    /// Whether new payments go there.
    #[serde(default)]
    pub state: AccountState,
    /// Its share of the channel's payments, relative to the other active accounts.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// Whether an account takes payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Takes payments.
    #[default]
    Active,
    /// Takes no new payments; outcomes of earlier ones still count.
    Draining,
    /// Takes none.
    Suspended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_rounded_up_to_the_next_minor_unit() {
        let cost = Cost {
            basis_points: 60,
            fixed_minor: 10,
        };
        assert_eq!(cost.of(100), 11);
        assert_eq!(cost.of(10_000), 70);
    }

    #[test]
    fn a_cost_saturates() {
        assert_eq!(
            Cost {
                basis_points: 10_000,
                fixed_minor: 1
            }
            .of(i64::MAX),
            i64::MAX
        );
    }
}
