//! One receiver, and all it takes to send to it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::exchange::Exchange;
use crate::format::{self, CredentialId, Parcel};
use crate::judge::{self, Cause, Verdict};
use crate::receiver::{Receiver, Target};
use crate::secret::Secret;
use crate::token::TokenCache;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Whether it was delivered, and if not, what now.
    pub verdict: Verdict,
    /// The key it went by, to be stored with the incident and given to its later messages.
    pub credential: Option<CredentialId>,
    /// The receiver's template failed and the built-in minimum was sent.
    pub template_failed: bool,
}

impl Attempt {
    const fn ended(verdict: Verdict) -> Self {
        Self {
            verdict,
            credential: None,
            template_failed: false,
        }
    }
}

/// Sends to one receiver.
#[derive(Debug)]
pub struct Sender {
    receiver: Receiver,
    exchange: Arc<Exchange>,
    tokens: TokenCache,
}

impl Sender {
    /// A sender to `receiver` by `exchange`.
    #[must_use]
    pub fn new(receiver: Receiver, exchange: Arc<Exchange>) -> Self {
        Self {
            receiver,
            exchange,
            tokens: TokenCache::default(),
        }
    }

    /// The receiver.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Tries once to deliver `parcel`. Never fails: what went wrong is in the verdict.
    ///
    /// Takes at most one deadline of the exchange, or two where an access token has to be fetched first. Dropping the future ends the attempt; whether the receiver has the message is then
    /// unknown, so it is to be sent again under the same id.
    pub async fn send(&self, parcel: Parcel<'_>) -> Attempt {
        let Target::Wechat(account) = &self.receiver.target else {
            return self.attempt(parcel, None).await;
        };
        let token = match self.tokens.token(account, &self.exchange, parcel.now).await {
            Ok(token) => token,
            Err(verdict) => return Attempt::ended(verdict),
        };
        let attempt = self.attempt(parcel, Some(&token)).await;
        if is_stale(&attempt.verdict) {
            self.tokens.forget(&token);
        }
        attempt
    }

    async fn attempt(&self, parcel: Parcel<'_>, access: Option<&Secret>) -> Attempt {
        let prepared = match format::prepare(&self.receiver, parcel, access) {
            Ok(prepared) => prepared,
            Err(unsendable) => return Attempt::ended(Verdict::Refused(Cause::Unsendable(unsendable))),
        };
        let verdict = match self.exchange.run(prepared.request).await {
            Ok(answer) => self.judge(&answer, parcel.now),
            Err(error) => judge::judge_error(&error),
        };
        Attempt {
            verdict,
            credential: prepared.credential,
            template_failed: prepared.template_failed,
        }
    }

    fn judge(&self, answer: &crate::exchange::Answer, now: Timestamp) -> Verdict {
        judge::judge(self.receiver.target.vendor(), answer, now)
    }
}

/// Whether the access token was refused. The message is tried again by its schedule, with a new one.
const fn is_stale(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Retry {
            cause: Cause::AccessToken(_),
            ..
        }
    )
}
