//! How often the card networks let a merchant try the same card again.
//!
//! The networks charge for trying a card too often, and for trying at all one that they said never to try again. The
//! rules are data; a card is known by a fingerprint that the caller makes, never by its number.

mod credentials;
mod history;
mod load;

use jiff::{SignedDuration, Timestamp};

use crate::catalogue::Failure;
use crate::diagnostic::Diagnostic;

pub use credentials::{Credentials, Fingerprint, InvalidFingerprint};
pub use history::{History, Tried};

/// The rules that are part of the program.
const BUILT_IN: (&str, &str) = (
    "network-retries.yaml",
    include_str!("../../data/network-retries.yaml"),
);

/// The rule of a decline whose own entry forbids the credential, without a network's saying so.
const BY_CODE_NEVER: &str = "never_same_credential";
/// The rule of a decline whose own entry asks for a wait.
const BY_CODE_WAIT: &str = "min_retry_delay";

/// The networks' rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    networks: Vec<Network>,
}

/// One network's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Network {
    /// The card brand, as an attribute of the payment names it.
    name: Box<str>,
    never: Vec<Never>,
    waits: Vec<Wait>,
    caps: Vec<Cap>,
}

/// What forbids the credential for good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Never {
    rule: Box<str>,
    sign: Sign,
}

/// By what a rule knows a decline.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sign {
    /// Visa's decline category, 1 to 4.
    VisaCategory(u8),
    /// The network's advice code.
    Advice(Box<str>),
}

/// What asks for a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wait {
    rule: Box<str>,
    advice: Box<str>,
    secs: u32,
}

/// How many declined attempts a window may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// The rule's name.
    pub rule: Box<str>,
    /// How many attempts, from 1.
    pub attempts: usize,
    /// How long the window is, in seconds. It slides.
    pub window_secs: u32,
}

/// Whether a credential may be tried now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// Not before this time.
    NotBefore {
        /// When it may be tried again, should it not be tried in between.
        at: Timestamp,
        /// The name of the rule that says so.
        rule: Box<str>,
    },
    /// Never again.
    Never {
        /// The name of the rule that says so.
        rule: Box<str>,
    },
}

impl Verdict {
    /// Lets the verdict, given `now`, stand in `failure`, from which the next step and the receipt follow.
    ///
    /// It only ever makes a failure stricter.
    pub fn apply(&self, failure: &mut Failure, now: Timestamp) {
        match self {
            Self::Allowed => {}
            Self::Never { .. } => failure.never_same_credential = true,
            Self::NotBefore { at, .. } => {
                // Rounded up, and never zero: a wait that is nearly over is still one.
                let ms = now.duration_until(*at).as_millis().max(1);
                let secs = u32::try_from(ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX);
                failure.min_retry_delay_secs = failure.min_retry_delay_secs.max(Some(secs));
            }
        }
    }
}

impl Rules {
    /// The rules that are part of the program.
    ///
    /// # Errors
    /// None in a tested build.
    pub fn built_in() -> Result<Self, Vec<Diagnostic>> {
        let (file, text) = BUILT_IN;
        Self::load(text, file)
    }

    /// Whether the credential with this `history` may be tried on a card of `network`, such as `visa`.
    ///
    /// A network without rules forbids nothing by itself; what the declines said of the credential holds anyway.
    #[must_use]
    pub fn judge(&self, network: &str, history: &History, now: Timestamp) -> Verdict {
        let rules = self.networks.iter().find(|known| &*known.name == network);
        if let Some(rule) = history.tried().find_map(|tried| forbids(rules, tried)) {
            return Verdict::Never { rule: rule.into() };
        }
        let waits = history.recent().filter_map(|tried| wait(rules, tried));
        let caps = rules.map_or(&[][..], |rules| &rules.caps);
        let full = caps.iter().filter_map(|cap| full_until(cap, history));
        waits
            .chain(full)
            .filter(|(at, _)| *at > now)
            .max_by_key(|(at, _)| *at)
            .map_or(Verdict::Allowed, |(at, rule)| Verdict::NotBefore {
                at,
                rule: rule.into(),
            })
    }

    /// The caps of `network`, such as `visa`; none when it has no rules.
    #[must_use]
    pub fn caps(&self, network: &str) -> &[Cap] {
        let rules = self.networks.iter().find(|known| &*known.name == network);
        rules.map_or(&[], |rules| &rules.caps)
    }

    /// How long back a decline can still matter to a cap or a wait, in seconds.
    #[must_use]
    pub fn memory_secs(&self) -> u32 {
        let caps = self.networks.iter().flat_map(|network| &network.caps);
        let waits = self.networks.iter().flat_map(|network| &network.waits);
        caps.map(|cap| cap.window_secs)
            .chain(waits.map(|wait| wait.secs))
            .max()
            .unwrap_or(0)
    }
}

/// The rule by which `tried` forbids the credential for good.
fn forbids<'r>(rules: Option<&'r Network>, tried: &Tried) -> Option<&'r str> {
    let is_it = |sign: &Sign| match sign {
        Sign::VisaCategory(category) => tried.visa_category == Some(*category),
        Sign::Advice(advice) => tried.advice() == Some(advice),
    };
    let network = rules.and_then(|rules| rules.never.iter().find(|never| is_it(&never.sign)));
    network
        .map(|never| &*never.rule)
        .or_else(|| tried.never_same_credential.then_some(BY_CODE_NEVER))
}

/// Until when `tried` asks to wait, and by which rule.
fn wait<'r>(rules: Option<&'r Network>, tried: &Tried) -> Option<(Timestamp, &'r str)> {
    if tried.wait_is_over {
        return None;
    }
    let network = rules.and_then(|rules| {
        let advice = tried.advice()?;
        rules.waits.iter().find(|wait| &*wait.advice == advice)
    });
    network
        .map(|wait| (wait.secs, &*wait.rule))
        .or_else(|| tried.min_retry_delay_secs.map(|secs| (secs, BY_CODE_WAIT)))
        .map(|(secs, rule)| (later(tried.at, secs), rule))
}

/// Until when `cap` is full, and its name; `None` when there were too few attempts to fill it at any time.
fn full_until<'r>(cap: &'r Cap, history: &History) -> Option<(Timestamp, &'r str)> {
    // When the oldest of the last `attempts` declines leaves the window, there is room for one again.
    let oldest = history.counted_from_the_end(cap.attempts)?;
    Some((later(oldest, cap.window_secs), &cap.rule))
}

/// The time `secs` seconds after `at`; the end of time instead of one beyond it.
fn later(at: Timestamp, secs: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(secs)))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
