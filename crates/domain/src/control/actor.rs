//! Who changes something.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name of an actor, in bytes.
const MAX_BYTES: usize = 128;

/// Why a text cannot name an actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidActor {
    /// Nothing was given.
    #[error("an actor's name must not be empty")]
    Empty,
    /// The text is too long.
    #[error("an actor's name is {0} bytes long, at most {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// The text would not stay on one line.
    #[error("an actor's name must not hold control characters")]
    ControlCharacter,
}

/// Who changes something: a person, a token, or a part of Payroute. Shown to people; never empty, always one line.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Actor(Arc<str>);

impl Actor {
    /// Checks `name` and keeps it.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds control characters.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidActor> {
        let name = name.as_ref();
        if name.trim().is_empty() {
            return Err(InvalidActor::Empty);
        }
        if name.len() > MAX_BYTES {
            return Err(InvalidActor::TooLong(name.len()));
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidActor::ControlCharacter);
        }
        Ok(Self(name.into()))
    }

    /// Whoever edits the configuration files.
    #[must_use]
    pub fn file() -> Self {
        Self("file".into())
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl TryFrom<String> for Actor {
    type Error = InvalidActor;

    fn try_from(name: String) -> Result<Self, InvalidActor> {
        Self::new(name)
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_one_line() {
        assert_eq!(
            Actor::new("payment operations").unwrap().as_str(),
            "payment operations"
        );
        assert_eq!(Actor::new(" "), Err(InvalidActor::Empty));
        assert_eq!(Actor::new("a\nb"), Err(InvalidActor::ControlCharacter));
        assert_eq!(Actor::new("x".repeat(129)), Err(InvalidActor::TooLong(129)));
    }
}
