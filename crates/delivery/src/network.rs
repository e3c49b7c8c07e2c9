//! Networks as `address/length`.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A network: `10.1.0.0/16`, `fd00:1::/32`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    length: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network, such as `10.1.0.0/16` or `fd00:1::/32`")]
pub struct InvalidNetwork(String);

impl Network {
    /// A network in a table of ours. `length` beyond the address is the whole address.
    pub(crate) const fn of(base: IpAddr, length: u8) -> Self {
        Self { base, length }
    }

    /// Whether `address` lies in it. A version 4 network never holds a version 6 address, mapped or not.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let rest = 32_u32.saturating_sub(self.length.into());
                (base.to_bits() ^ address.to_bits())
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let rest = 128_u32.saturating_sub(self.length.into());
                (base.to_bits() ^ address.to_bits())
                    .checked_shr(rest)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (base, length) = match text.split_once('/') {
            Some((base, length)) => (base, Some(length)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| invalid())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            Some(length) => length.parse().map_err(|_| invalid())?,
        };
        if length > longest {
            return Err(invalid());
        }
        Ok(Self { base, length })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network
            .parse::<Network>()
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_ends_where_its_length_says() {
        assert!(holds("100.64.0.0/10", "100.127.255.255"));
        assert!(!holds("100.64.0.0/10", "100.128.0.0"));
        assert!(holds("fc00::/7", "fdff::1"));
        assert!(!holds("fc00::/7", "fe00::1"));
        assert!(holds("0.0.0.0/0", "8.8.8.8"));
        assert!(holds("10.0.0.1", "10.0.0.1"));
        assert!(!holds("10.0.0.1", "10.0.0.2"));
        assert!(!holds("0.0.0.0/0", "::ffff:8.8.8.8"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "example.com/8",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
