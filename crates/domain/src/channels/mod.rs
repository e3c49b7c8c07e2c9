//! The channels of a configuration: checked, numbered, and found by name or number.

mod controls;
mod index;
mod load;

use std::collections::HashMap;

pub use index::{ChannelIndex, ChannelList, ChannelSet, MAX_CHANNELS};
pub(crate) use load::not_a_label;
pub use load::{Configuration, load};

use crate::bucket::{Draw, Purpose};
use crate::channel::{Account, AccountState, Channel};
use crate::id::{AccountId, ChannelId, MerchantId, PaymentId};

/// Why a list of channels cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChannels {
    /// More than [`MAX_CHANNELS`].
    #[error("{0} channels are given, at most {MAX_CHANNELS} are allowed")]
    TooMany(usize),
    /// Two channels have the same name.
    #[error("channel `{0}` is there twice")]
    Duplicate(ChannelId),
}

/// The channels of a configuration, in its order. They do not change; another configuration is another value.
#[derive(Clone, Debug)]
pub struct Channels {
    list: Vec<Channel>,
    by_id: HashMap<ChannelId, ChannelIndex>,
}

impl Channels {
    /// Numbers `list` in its order. What each channel says is not checked here but in [`load`].
    ///
    /// # Errors
    /// When there are more than [`MAX_CHANNELS`], or two of the same name.
    pub fn new(list: Vec<Channel>) -> Result<Self, InvalidChannels> {
        let mut by_id = HashMap::with_capacity(list.len());
        for (place, channel) in list.iter().enumerate() {
            let index = ChannelIndex::new(place).ok_or(InvalidChannels::TooMany(list.len()))?;
            if by_id.insert(channel.id.clone(), index).is_some() {
                return Err(InvalidChannels::Duplicate(channel.id.clone()));
            }
        }
        Ok(Self { list, by_id })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The channel with this number; `None` for a number of another configuration.
    #[must_use]
    pub fn get(&self, index: ChannelIndex) -> Option<&Channel> {
        self.list.get(index.get())
    }

    /// The number of the channel with this name.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<ChannelIndex> {
        self.by_id.get(id).copied()
    }

    /// Every channel with its number, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = (ChannelIndex, &Channel)> {
        let numbered = self.list.iter().enumerate();
        numbered.filter_map(|(place, channel)| Some((ChannelIndex::new(place)?, channel)))
    }

    /// The name of every channel, in the order of the configuration.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.list.iter().map(|channel| channel.id.as_str()).collect()
    }

    /// Every method that some channel takes, each once, in the order of the configuration.
    #[must_use]
    pub fn methods(&self) -> Vec<&str> {
        let mut methods = Vec::new();
        for method in self.list.iter().flat_map(|channel| &channel.methods) {
            if !methods.contains(&method.as_str()) {
                methods.push(method.as_str());
            }
        }
        methods
    }

    /// The account of `channel` that takes this payment; `None` when none is active.
    ///
    /// A payment keeps its account over all its attempts, and when another account is switched off: it is drawn
    /// by weight among all accounts, and only if that one takes no payments, again among the active ones.
    #[must_use]
    pub fn account(
        &self,
        channel: ChannelIndex,
        merchant: &MerchantId,
        payment: &PaymentId,
    ) -> Option<&AccountId> {
        let channel = self.get(channel)?;
        let names = [channel.id.as_str(), merchant.as_str(), payment.as_str()];
        let draw = Draw::of(Purpose::Account, names);
        let all = channel.accounts.iter().map(|account| account.weight);
        let first = draw.weighted(all).and_then(|place| channel.accounts.get(place));
        if let Some(account) = first.filter(|account| is_active(account)) {
            return Some(&account.id);
        }
        let weight = |account: &Account| if is_active(account) { account.weight } else { 0 };
        let place = draw.again().weighted(channel.accounts.iter().map(weight))?;
        channel.accounts.get(place).map(|account| &account.id)
    }
}

/// Whether new payments go to `account`.
pub(crate) fn is_active(account: &Account) -> bool {
    account.state == AccountState::Active && account.weight > 0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A channel that takes everything in CNY for method `pay`.
    pub(crate) fn channel(id: &str) -> Channel {
        serde_json::from_value(serde_json::json!({
            "id": id, "provider": "alipay", "methods": ["pay"], "currencies": ["CNY"],
            "timeout_ms": 5000, "accounts": [{"id": "main"}],
        }))
        .unwrap()
    }

    pub(crate) fn channels(ids: &[&str]) -> Channels {
        Channels::new(ids.iter().map(|id| channel(id)).collect()).unwrap()
    }

    fn with_accounts(accounts: &[(&str, AccountState, u32)]) -> Channels {
        let mut channel = channel("a");
        channel.accounts = accounts
            .iter()
            .map(|&(id, state, weight)| Account {
                id: AccountId::new(id).unwrap(),
                state,
                weight,
            })
            .collect();
        Channels::new(vec![channel]).unwrap()
    }

    fn account(channels: &Channels, payment: usize) -> Option<String> {
        let payment = PaymentId::new(format!("p{payment}")).unwrap();
        let merchant = MerchantId::new("m").unwrap();
        let index = channels.index_of("a").unwrap();
        channels
            .account(index, &merchant, &payment)
            .map(ToString::to_string)
    }

    #[test]
    fn a_channel_is_found_by_name_and_by_number() {
        let channels = channels(&["a", "b"]);
        let index = channels.index_of("b").unwrap();
        assert_eq!(channels.get(index).unwrap().id.as_str(), "b");
        assert_eq!(channels.index_of("c"), None);
    }

    #[test]
    fn two_channels_of_one_name_are_refused() {
        let twice = Channels::new(vec![channel("a"), channel("a")]);
        assert_eq!(
            twice.unwrap_err(),
            InvalidChannels::Duplicate(ChannelId::new("a").unwrap())
        );
    }

    #[test]
    fn accounts_share_by_weight() {
        let channels = with_accounts(&[("x", AccountState::Active, 3), ("y", AccountState::Active, 1)]);
        let x = (0..4_000)
            .filter(|&i| account(&channels, i).unwrap() == "x")
            .count();
        assert!((2_850..3_150).contains(&x), "{x}");
    }

    #[test]
    fn draining_an_account_moves_only_its_own_payments() {
        use AccountState::{Active, Draining};
        let before = with_accounts(&[("x", Active, 1), ("y", Active, 1), ("z", Active, 1)]);
        let after = with_accounts(&[("x", Active, 1), ("y", Draining, 1), ("z", Active, 1)]);
        for i in 0..1_000 {
            let (old, new) = (account(&before, i).unwrap(), account(&after, i).unwrap());
            assert!(new != "y" && (old == "y" || old == new), "{old} to {new}");
        }
    }

    #[test]
    fn without_an_active_account_there_is_none() {
        let channels = with_accounts(&[
            ("x", AccountState::Draining, 1),
            ("y", AccountState::Suspended, 1),
        ]);
        assert_eq!(account(&channels, 1), None);
    }
}
