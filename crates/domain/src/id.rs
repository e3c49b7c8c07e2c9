//! Names of things: short texts that were checked once, when they entered.
//!
//! A name is cheap to clone and to compare. Its constructor is the only validation; a value that exists is valid.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name in bytes: room for any provider's order number, small enough for a log line.
pub const MAX_LEN: usize = 128;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_LEN`].
    #[error("is {len} bytes long, at most {MAX_LEN} are allowed")]
    TooLong {
        /// Length of the refused text, in bytes.
        len: usize,
    },
    /// A character outside the printable ASCII range, or a space.
    #[error("holds a character other than printable ASCII without spaces, at byte {at}")]
    BadCharacter {
        /// Offset of the first such character, in bytes.
        at: usize,
    },
}

fn checked(text: &str) -> Result<Arc<str>, InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(InvalidId::TooLong { len: text.len() });
    }
    match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) => Err(InvalidId::BadCharacter { at }),
        None => Ok(Arc::from(text)),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// When `text` is empty, longer than [`MAX_LEN`] bytes, or not printable ASCII without spaces.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                checked(text.as_ref()).map(Self)
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A merchant: whoever the payments belong to. Outcomes and attempts of two merchants never mix.
    MerchantId
}
name! {
    /// A payment: one thing the customer pays for, over however many attempts. Unique within its merchant.
    PaymentId
}
name! {
    /// One attempt at a payment on one channel, named by the caller. Unique within its merchant.
    AttemptId
}
name! {
    /// A payment channel, as the configuration names it.
    ChannelId
}
name! {
    /// A merchant account at a channel's provider.
    AccountId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_given() {
        assert_eq!(ChannelId::new("wechat_pay").unwrap().as_str(), "wechat_pay");
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!(ChannelId::new(""), Err(InvalidId::Empty));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_with_its_length() {
        assert_eq!(
            PaymentId::new("x".repeat(129)),
            Err(InvalidId::TooLong { len: 129 })
        );
    }

    #[test]
    fn a_space_is_refused_where_it_stands() {
        assert_eq!(PaymentId::new("order 7"), Err(InvalidId::BadCharacter { at: 5 }));
    }
}
