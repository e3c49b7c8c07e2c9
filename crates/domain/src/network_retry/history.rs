//! The declines of one credential, as far as they still matter.

use jiff::Timestamp;
use smallvec::SmallVec;

use crate::catalogue::{Certainty, Failure};

/// Most declines that are kept of one credential: above the largest cap of any network.
pub(super) const MAX_TRIED: usize = 64;

/// Longest advice code that is kept, in bytes; they have two digits.
const MAX_ADVICE: usize = 4;

/// A declined attempt, as the networks see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// When it was made.
    pub at: Timestamp,
    /// Visa's decline category, 1 to 4, where the code has one.
    pub visa_category: Option<u8>,
    /// The network's advice code, where one came.
    pub(super) advice: Option<SmallVec<[u8; MAX_ADVICE]>>,
    /// Whether the code itself forbids the credential.
    pub never_same_credential: bool,
    /// How long the code itself asks to wait, in seconds.
    pub min_retry_delay_secs: Option<u32>,
    /// Whether the issuer approved since, which ends whatever wait was asked for.
    pub(super) wait_is_over: bool,
}

impl Tried {
    /// What `failure` of an attempt made `at` is to the networks; `None` when it never reached one, or when its
    /// outcome is open: then the resolution tells.
    #[must_use]
    pub fn of(failure: &Failure, network_advice_code: Option<&str>, at: Timestamp) -> Option<Self> {
        let visa_category = failure.code.as_deref().and_then(|code| code.visa_category);
        let advice = network_advice_code
            .map(str::trim)
            .filter(|code| (1..=MAX_ADVICE).contains(&code.len()));
        let answered = visa_category.is_some() || advice.is_some();
        let counts = match failure.certainty {
            Certainty::Declined => true,
            // "Issuer inoperative" is an answer of the network, though nobody acted on the payment.
            Certainty::NotProcessed => answered,
            Certainty::Unknown => false,
        };
        counts.then(|| Self {
            at,
            visa_category,
            advice: advice.map(|code| SmallVec::from_slice(code.as_bytes())),
            never_same_credential: failure.never_same_credential,
            min_retry_delay_secs: failure.min_retry_delay_secs,
            wait_is_over: false,
        })
    }

    /// The network's advice code.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.advice
            .as_ref()
            .and_then(|code| std::str::from_utf8(code).ok())
    }
}

/// The declines of one credential, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    tried: Vec<Tried>,
    /// A decline that forbids the credential, kept however many follow.
    forbidding: Option<Tried>,
}

impl History {
    /// Remembers a decline, in whatever order they are heard of.
    ///
    /// Of too many, the oldest is forgotten: the newest fill every cap by themselves.
    pub fn note(&mut self, tried: Tried) {
        if tried.never_same_credential && self.forbidding.is_none() {
            self.forbidding = Some(tried.clone());
        }
        let at = self.tried.partition_point(|earlier| earlier.at <= tried.at);
        self.tried.insert(at, tried);
        if self.tried.len() > MAX_TRIED {
            self.tried.remove(0);
        }
    }

    /// Forgets the waits that declines before `at` asked for: the issuer approved at that time.
    ///
    /// The declines still count against the caps, and what forbids the credential goes on forbidding it: the networks
    /// know no pardon.
    pub fn approved(&mut self, at: Timestamp) {
        for tried in self.tried.iter_mut().filter(|tried| tried.at <= at) {
            tried.wait_is_over = true;
        }
    }

    /// The declines, with the one that forbids the credential first.
    pub(super) fn tried(&self) -> impl Iterator<Item = &Tried> {
        self.forbidding.iter().chain(&self.tried)
    }

    /// The declines, the oldest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter()
    }

    /// The time of the `n`-th decline from the end, from 1; `None` when there were fewer.
    pub(super) fn counted_from_the_end(&self, n: usize) -> Option<Timestamp> {
        let at = self.tried.len().checked_sub(n)?;
        self.tried.get(at).map(|tried| tried.at)
    }

    /// Whether nothing forbids the credential for good.
    pub(super) const fn is_forgettable(&self) -> bool {
        self.forbidding.is_none()
    }
}
