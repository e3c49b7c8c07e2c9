//! What a rule looks at apart: each channel, each issuer, and so on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
    /// What outcomes can be told apart by.
    pub enum Dimension {
        /// Whoever runs the channel's interface.
        Provider = "provider",
        /// The channel.
        Channel = "channel",
        /// The payment method.
        Method = "method",
        /// The customer's bank; outcomes without one are left out.
        Issuer = "issuer",
        /// The customer's region; outcomes without one are left out.
        Region = "region",
        /// The merchant.
        Merchant = "merchant",
    }
}

/// What an alert is about: one value of each dimension that its rule tells apart. Empty for everything together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(BTreeMap<Dimension, Box<str>>);

impl Scope {
    /// Everything together.
    #[must_use]
    pub const fn overall() -> Self {
        Self(BTreeMap::new())
    }

    /// The same, and `dimension` is `value`.
    #[must_use]
    pub fn with(mut self, dimension: Dimension, value: &str) -> Self {
        self.0.insert(dimension, value.into());
        self
    }

    /// The value of `dimension`; `None` where it is not told apart.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.0.get(&dimension).map(|value| &**value)
    }

    /// The dimensions with their values, in the order of their names' declaration.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, &str)> {
        self.0.iter().map(|(dimension, value)| (*dimension, &**value))
    }

    /// What it says of `dimensions` alone; `None` when it does not say all of them.
    pub(super) fn narrowed(&self, dimensions: &[Dimension]) -> Option<Self> {
        let part = |by: &Dimension| Some((*by, self.0.get(by)?.clone()));
        dimensions.iter().map(part).collect::<Option<_>>().map(Self)
    }

    /// Whether it tells apart exactly `dimensions`.
    pub(super) fn is_by(&self, dimensions: &[Dimension]) -> bool {
        self.0.len() == dimensions.len() && dimensions.iter().all(|by| self.0.contains_key(by))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("overall");
        }
        for (place, (dimension, value)) in self.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{dimension} {value}")?;
        }
        Ok(())
    }
}
