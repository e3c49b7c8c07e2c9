//! From the verdict on a try to what is written: plain rules.

use std::time::Duration;

use delivery::judge::{Cause, Verdict};
use delivery::retry::Schedule;
use delivery::sender::Attempt;
use jiff::Timestamp;
use ledger::delivery::{Class, End, Leased, Settlement};
use rand::Rng;
use uuid::Uuid;

use super::broken;

/// What a try is judged in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// To whom it was made.
    pub(super) receiver: &'a str,
    /// Who is told when it does not take something.
    pub(super) stand_in: Option<&'a str>,
    /// The ledger's time.
    pub(super) now: Timestamp,
    /// Since when the receiver is known to be broken.
    pub(super) broken_since: Option<Timestamp>,
}

/// What is written of a try to deliver `deliveries`, which went out as one message.
pub(super) fn settle(
    context: &Context<'_>,
    (token, deliveries): (Uuid, &[Leased]),
    attempt: &Attempt,
    rng: &mut impl Rng,
) -> Settlement {
    let ids = deliveries.iter().map(|leased| leased.id).collect();
    let end = end(context, deliveries, &attempt.verdict, rng);
    let cause = cause(&attempt.verdict);
    let error = cause.map(ToString::to_string);
    let also = broken::pages(context, deliveries, end, error.as_deref());
    Settlement {
        status: cause.map_or(Some(200), status),
        error,
        credential: attempt.credential.as_ref().and_then(text),
        fallback: fallback(context, deliveries, &attempt.verdict, end).map(ToOwned::to_owned),
        also,
        ..Settlement::of(token, ids, end)
    }
}

/// The word of metrics and logs.
pub(super) const fn word(end: End) -> &'static str {
    match end {
        End::Done => "delivered",
        End::Retry { .. } => "retried",
        End::Dead { .. } => "dead",
        End::Superseded => "superseded",
        End::Released => "released",
    }
}

fn end(context: &Context<'_>, deliveries: &[Leased], verdict: &Verdict, rng: &mut impl Rng) -> End {
    let uncertain = may_be_there(verdict);
    match verdict {
        Verdict::Delivered => End::Done,
        Verdict::Refused(_) => End::Dead { uncertain },
        Verdict::Retry { .. } | Verdict::RateLimited { .. } => {
            // Of pages that went out as one the youngest decides when to try again: it has the most to lose.
            let wait = deliveries
                .iter()
                .filter_map(|leased| wait(context, leased, verdict, rng))
                .min();
            match wait {
                Some(wait) => End::Retry { wait, uncertain },
                None => End::Dead { uncertain },
            }
        }
    }
}

fn wait(context: &Context<'_>, leased: &Leased, verdict: &Verdict, rng: &mut impl Rng) -> Option<Duration> {
    let schedule = match leased.class {
        Class::Page => Schedule::PAGE,
        Class::Ticket | Class::Event => Schedule::TICKET,
        Class::Notice => Schedule::NOTICE,
    };
    let age = Duration::try_from(context.now.duration_since(leased.queued_at)).unwrap_or_default();
    schedule.wait(leased.attempt, age, verdict.wish(), rng)
}

/// Whether the receiver may have the message although it did not say so. A gateway's error is that of somebody in
/// between; a receiver that itself says 500 has not taken it.
fn may_be_there(verdict: &Verdict) -> bool {
    matches!(
        cause(verdict),
        Some(Cause::Lost(_) | Cause::NotTheVendor(_) | Cause::Status(502 | 504))
    )
}

/// The receiver that is to be told too.
fn fallback<'a>(
    context: &Context<'a>,
    deliveries: &[Leased],
    verdict: &Verdict,
    end: End,
) -> Option<&'a str> {
    let is_dead = matches!(end, End::Dead { .. });
    let calls = deliveries.iter().any(|leased| match leased.class {
        Class::Page => is_dead || verdict.calls_fallback(leased.attempt),
        Class::Ticket => is_dead,
        // A program's event is of no use in a chat, and a customer's notice is nobody else's business.
        Class::Event | Class::Notice => false,
    });
    context.stand_in.filter(|_| calls)
}

const fn cause(verdict: &Verdict) -> Option<&Cause> {
    match verdict {
        Verdict::Delivered => None,
        Verdict::Retry { cause, .. } | Verdict::RateLimited { cause, .. } | Verdict::Refused(cause) => {
            Some(cause)
        }
    }
}

/// The HTTP status that a cause tells of.
const fn status(cause: &Cause) -> Option<u16> {
    match cause {
        Cause::Status(status) | Cause::Redirect(status) | Cause::NotTheVendor(status) => Some(*status),
        Cause::Gone => Some(410),
        Cause::Vendor { .. }
        | Cause::AccessToken(_)
        | Cause::Forbidden(_)
        | Cause::Unreachable(_)
        | Cause::Lost(_)
        | Cause::Unsendable(_) => None,
    }
}

fn text(credential: &delivery::format::CredentialId) -> Option<String> {
    match serde_json::to_value(credential) {
        Ok(serde_json::Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::json;

    use super::*;

    fn leased(class: Class, attempt: u32) -> Leased {
        Leased {
            id: Uuid::from_u128(7),
            order_key: "al_1".to_owned(),
            dedup_key: "al_1:1".to_owned(),
            class,
            ends: false,
            message: json!({}),
            queued_at: Timestamp::UNIX_EPOCH,
            attempt,
            uncertain: false,
            credential: None,
            fallback_of: None,
        }
    }

    fn settled(leased: Leased, age_secs: i64, verdict: Verdict) -> Settlement {
        let context = Context {
            receiver: "chat",
            stand_in: Some("sms"),
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(age_secs),
            broken_since: None,
        };
        let attempt = Attempt {
            verdict,
            credential: None,
            template_failed: false,
        };
        settle(
            &context,
            (Uuid::nil(), &[leased]),
            &attempt,
            &mut StdRng::seed_from_u64(1),
        )
    }

    fn lost() -> Verdict {
        Verdict::Retry {
            cause: Cause::Lost("no answer in time".to_owned()),
            wait: None,
        }
    }

    #[test]
    fn a_page_is_told_to_the_stand_in_after_three_tries_and_tried_on() {
        assert_eq!(settled(leased(Class::Page, 2), 10, lost()).fallback, None);
        let third = settled(leased(Class::Page, 3), 20, lost());
        assert_eq!(third.fallback.as_deref(), Some("sms"));
        assert!(matches!(third.end, End::Retry { uncertain: true, .. }));
        assert!(third.also.is_empty());
    }

    #[test]
    fn a_refusal_is_a_dead_letter_with_a_page_about_it() {
        let refused = settled(leased(Class::Ticket, 1), 1, Verdict::Refused(Cause::Gone));
        assert_eq!(refused.end, End::Dead { uncertain: false });
        assert_eq!(
            (refused.status, refused.fallback.as_deref()),
            (Some(410), Some("sms"))
        );
        assert_eq!(refused.also.len(), 1);
        assert_eq!(refused.also[0].receiver, "sms");
    }

    #[test]
    fn a_notice_goes_to_nobody_else_and_is_given_up_when_it_is_old() {
        let late = settled(leased(Class::Notice, 4), 8_000, lost());
        assert_eq!(late.end, End::Dead { uncertain: true });
        assert_eq!(late.fallback, None);
    }

    #[test]
    fn f30_a_wish_is_waited_for() {
        let limited = Verdict::RateLimited {
            cause: Cause::Status(429),
            wait: Duration::from_mins(2),
        };
        let End::Retry { wait, uncertain } = settled(leased(Class::Page, 1), 1, limited).end else {
            panic!("it is tried again");
        };
        assert_eq!((wait, uncertain), (Duration::from_mins(2), false));
    }
}
