//! Suspensions: somebody's decision that a channel, issuer, region or method takes no payments for a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::channels::{ChannelSet, Channels};
use crate::id::ChannelId;
use crate::payment::Attributes;

/// What a suspension covers: the payments that fit all that is given; what is not given is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// Only on this channel.
    pub channel: Option<ChannelId>,
    /// Only payments of this issuer.
    pub issuer: Option<String>,
    /// Only payments of this region.
    pub region: Option<String>,
    /// Only payments by this method.
    pub method: Option<String>,
}

/// A suspension. It is hard: no policy, no strategy and no panic routes what it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// What it covers.
    pub scope: Scope,
    /// Why, for people.
    pub reason: String,
    /// Who decided.
    pub author: String,
    /// The first moment.
    pub from: Timestamp,
    /// The moment it ends; until somebody ends it when `None`.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Scope {
    /// Whether a payment falls under it on some channel. A payment that does not tell its issuer or region
    /// does not fall under a suspension of one.
    fn fits(&self, payment: &Attributes) -> bool {
        let same = |wanted: &Option<String>, given: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| given == Some(wanted))
        };
        same(&self.issuer, payment.issuer.as_deref())
            && same(&self.region, payment.region.as_deref())
            && same(&self.method, Some(&payment.method))
    }
}

impl Suspension {
    /// Whether it holds at `now`: from its start, and before its end.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// The channels that `suspensions` close to a payment at `now`.
///
/// Suspensions of channels that are not configured close nothing.
#[must_use]
pub fn suspended(
    suspensions: &[Suspension],
    channels: &Channels,
    payment: &Attributes,
    now: Timestamp,
) -> ChannelSet {
    let mut closed = ChannelSet::EMPTY;
    for suspension in suspensions {
        if !suspension.holds(now) || !suspension.scope.fits(payment) {
            continue;
        }
        match &suspension.scope.channel {
            None => return ChannelSet::ALL,
            Some(id) => {
                if let Some(channel) = channels.index_of(id.as_str()) {
                    closed.insert(channel);
                }
            }
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::tests::channels;
    use crate::payment::tests::payment;

    const START: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn suspension(scope: Scope, until: Option<i64>) -> Suspension {
        Suspension {
            scope,
            reason: "maintenance".to_owned(),
            author: "ops".to_owned(),
            from: at(START),
            until: until.map(at),
        }
    }

    fn closed(suspension: Suspension, payment: &Attributes, now: i64) -> [bool; 2] {
        let channels = channels(&["a", "b"]);
        let set = suspended(&[suspension], &channels, payment, at(now));
        ["a", "b"].map(|id| set.contains(channels.index_of(id).unwrap()))
    }

    #[test]
    fn it_holds_from_its_start_to_before_its_end() {
        let held = suspension(Scope::default(), Some(2_000));
        assert!(
            !held.holds(at(999)) && held.holds(at(1_000)) && held.holds(at(1_999)) && !held.holds(at(2_000))
        );
        assert!(suspension(Scope::default(), None).holds(at(i64::from(u32::MAX))));
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let scope = Scope {
            channel: Some(ChannelId::new("a").unwrap()),
            issuer: Some("icbc".to_owned()),
            ..Scope::default()
        };
        let mut payment = payment("p");
        assert_eq!(
            closed(suspension(scope.clone(), None), &payment, START),
            [false, false]
        );
        payment.issuer = Some("icbc".to_owned());
        assert_eq!(closed(suspension(scope, None), &payment, START), [true, false]);
    }

    #[test]
    fn without_a_channel_it_closes_all() {
        let scope = Scope {
            method: Some("pay".to_owned()),
            ..Scope::default()
        };
        assert_eq!(
            closed(suspension(scope, None), &payment("p"), START),
            [true, true]
        );
    }
}
