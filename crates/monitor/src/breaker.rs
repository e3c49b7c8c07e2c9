//! The brain's breakers in the words of a health snapshot.

use domain::brain::{ChannelHealth, Forced, Reason, Scope, State};
use domain::breaker_state::BreakerState;
use domain::snapshot::Breaker;
use jiff::Timestamp;

/// What the snapshot says of a channel. What was decided by hand goes before what the breaker found.
pub(crate) fn view(health: &ChannelHealth, began: Timestamp) -> Breaker {
    let state = match health.forced {
        Some((Forced::Out, _)) => BreakerState::ForcedOut,
        Some((Forced::In, _)) => BreakerState::ForcedIn,
        Some((Forced::ObserveOnly, _)) => BreakerState::ObserveOnly,
        None => match health.breaker.state {
            State::Healthy => BreakerState::Healthy,
            State::Tripped => BreakerState::Tripped,
            State::Probing => BreakerState::Probing,
            State::Ramping => BreakerState::Ramping,
        },
    };
    Breaker {
        state,
        since: health.breaker.since.unwrap_or(began),
        allowance_bp: allowance_bp(health.breaker.allowance.min(health.busy_allowance)),
        reason: reason(health).map(String::into_boxed_str),
    }
}

/// Why payments stay away from the channel, or from parts of it; `None` when none does.
fn reason(health: &ChannelHealth) -> Option<String> {
    let mut parts = Vec::new();
    if health.breaker.state != State::Healthy {
        parts.extend(health.breaker.last_trip.map(|reason| words(reason).to_owned()));
    }
    for scope in &health.scopes {
        let what = match &scope.scope {
            Scope::Channel => continue,
            Scope::Method(method) => format!("method {method}"),
            Scope::Issuer(issuer) => format!("issuer {issuer}"),
        };
        let why = scope.last_trip.map_or("nobody knows why", words);
        parts.push(format!("{what} {}: {why}", scope.state.as_str()));
    }
    if health.busy_allowance < 1.0 {
        parts.push("busy".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Why a breaker tripped, for people.
const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Evidence => "failures or silence that are not chance",
        Reason::Maintenance => "it said that it is closed for maintenance",
        Reason::Busy => "it said that it is busy",
        Reason::Timeouts => "too many of its last attempts timed out",
        Reason::ErrorRate => "its technical error rate is too high",
        Reason::Spread => "several of its methods or issuers failed together",
        Reason::CommonCause => "the issuer or method is down everywhere",
        Reason::ChannelTripped => "the whole channel has tripped",
        Reason::ProbeSent => "a probe is out",
        Reason::ProbeFailed => "a probe failed",
        Reason::ProbesPassed => "its probes passed",
        Reason::RampCompleted => "its ramp held",
    }
}

fn allowance_bp(share: f64) -> u16 {
    // Saturates at the bounds of the type, and the share is within 0 and 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of basis points"
    )]
    let bp = (share.clamp(0.0, 1.0) * 10_000.0).round() as u16;
    bp
}
