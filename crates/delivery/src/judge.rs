//! Whether an answer means that the message was delivered.
//!
//! Each vendor has its own criterion, and seldom is it the status alone: the Chinese robots answer 200 with an error
//! code in the body, and Slack's 200 counts with the body `ok` only. A sender that stops at the status loses pages
//! without a word.

mod retry_after;
mod vendor;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::exchange::{Answer, ExchangeError};
use crate::format::Unsendable;
use crate::format::clip;
use crate::receiver::Vendor;

/// Longest text of a vendor's answer that is kept.
const TEXT_CHARS: usize = 200;

/// Attempts that may fail before the fallback receiver is told.
const FALLBACK_ATTEMPTS: u32 = 3;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Not now; trying again may help, not before `wait` when there is one.
    Retry {
        /// Why not.
        cause: Cause,
        /// What the receiver asked for.
        wait: Option<Duration>,
    },
    /// Too much at once: nothing else should be sent to this receiver for `wait` either.
    RateLimited {
        /// Why not.
        cause: Cause,
        /// What the receiver asked for, or what its vendor is known to need.
        wait: Duration,
    },
    /// Never: a dead letter, and a case for the fallback receiver.
    Refused(Cause),
}

impl Verdict {
    /// How long the receiver wants to be waited for, for [`Schedule::wait`](crate::retry::Schedule::wait).
    #[must_use]
    pub const fn wish(&self) -> Option<Duration> {
        match self {
            Self::Retry { wait, .. } => *wait,
            Self::RateLimited { wait, .. } => Some(*wait),
            Self::Delivered | Self::Refused(_) => None,
        }
    }

    /// Whether the fallback receiver is to be told as well, after the `attempts`-th attempt (from 1): at once when the
    /// message is refused, and after three attempts that did not get through. A page cannot wait to see whether a
    /// receiver recovers.
    #[must_use]
    pub const fn calls_fallback(&self, attempts: u32) -> bool {
        match self {
            Self::Delivered => false,
            Self::Retry { .. } | Self::RateLimited { .. } => attempts >= FALLBACK_ATTEMPTS,
            Self::Refused(_) => true,
        }
    }
}

/// Why a message was not delivered. Fit for a log and for the incident: no address, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A status that says so.
    Status(u16),
    /// A status that says so for good: 410, the receiver is gone. Tell its owner; never switch off an on-call
    /// receiver by oneself.
    Gone,
    /// A redirect, which is never followed.
    Redirect(u16),
    /// The vendor's own error code.
    Vendor {
        /// The code.
        code: String,
        /// The vendor's words.
        text: String,
    },
    /// An answer that this vendor does not give: a proxy's page, a cut body.
    NotTheVendor(u16),
    /// The access token was not accepted; a new one is needed.
    AccessToken(String),
    /// The address guard refused, and nothing was sent.
    Forbidden(String),
    /// No connection, and so nothing sent.
    Unreachable(String),
    /// No answer, and so nobody knows whether the receiver has the message.
    Lost(String),
    /// The message cannot be put into a request.
    Unsendable(Unsendable),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the receiver answered {status}"),
            Self::Gone => write!(f, "the receiver answered 410: it is gone"),
            Self::Redirect(status) => write!(
                f,
                "the receiver answered {status}, and redirects are not followed"
            ),
            Self::Vendor { code, text } => write!(f, "the receiver answered with error {code}: {text}"),
            Self::NotTheVendor(status) => write!(f, "an answer ({status}) that this vendor does not give"),
            Self::AccessToken(text) => write!(f, "no access token: {text}"),
            Self::Forbidden(text) | Self::Unreachable(text) | Self::Lost(text) => f.write_str(text),
            Self::Unsendable(unsendable) => unsendable.fmt(f),
        }
    }
}

/// Judges an answer of `vendor` that came at `now`.
#[must_use]
pub fn judge(vendor: Vendor, answer: &Answer, now: Timestamp) -> Verdict {
    let wish = answer
        .retry_after
        .as_deref()
        .and_then(|text| retry_after::parse(text, now));
    let status = answer.status.as_u16();
    match status {
        200..=299 => vendor::judge(vendor, answer),
        300..=399 => Verdict::Refused(Cause::Redirect(status)),
        410 if !matches!(vendor, Vendor::Slack) => Verdict::Refused(Cause::Gone),
        429 => Verdict::RateLimited {
            cause: Cause::Status(status),
            wait: wish.unwrap_or_else(|| vendor::rest(vendor)),
        },
        // The receiver's time-out, its doubt whether we come again, and its own trouble.
        408 | 425 | 500..=599 => match vendor::explained(vendor, answer) {
            Some(verdict) => verdict,
            None => Verdict::Retry {
                cause: Cause::Status(status),
                wait: wish,
            },
        },
        _ => match vendor::explained(vendor, answer) {
            Some(verdict) => verdict,
            None => Verdict::Refused(refusal(status, answer)),
        },
    }
}

/// A refusal in the words of the answer, where it has any: Slack and `PagerDuty` explain a 4xx in the body.
fn refusal(status: u16, answer: &Answer) -> Cause {
    let text = clip::one_line(&String::from_utf8_lossy(&answer.body), TEXT_CHARS);
    if text.is_empty() {
        Cause::Status(status)
    } else {
        Cause::Vendor {
            code: status.to_string(),
            text,
        }
    }
}

/// Judges an exchange that brought no answer.
#[must_use]
pub fn judge_error(error: &ExchangeError) -> Verdict {
    let retry = |cause| Verdict::Retry { cause, wait: None };
    match error {
        // The name may resolve to something else in a minute; but who points a receiver at the inside of the
        // network should hear of it at once, and not after a day of retries.
        ExchangeError::Forbidden(source) => Verdict::Refused(Cause::Forbidden(format!("{error}: {source}"))),
        ExchangeError::Target(source) => Verdict::Refused(Cause::Forbidden(format!("{error}: {source}"))),
        ExchangeError::Unresolved(source) | ExchangeError::Connect(source) | ExchangeError::Tls(source) => {
            retry(Cause::Unreachable(format!("{error}: {source}")))
        }
        ExchangeError::Http(source) => retry(Cause::Lost(format!("{error}: {source}"))),
        ExchangeError::TimedOut => retry(Cause::Lost(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f31_the_fallback_is_called_for_a_refusal_at_once_and_for_silence_after_three_attempts() {
        let refused = Verdict::Refused(Cause::Gone);
        let lost = Verdict::Retry {
            cause: Cause::Lost(String::new()),
            wait: None,
        };
        assert!(refused.calls_fallback(1));
        assert!(!lost.calls_fallback(2) && lost.calls_fallback(3));
        assert!(!Verdict::Delivered.calls_fallback(9));
    }
}
