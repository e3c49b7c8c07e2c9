//! The windows of a shop: of each channel, and of its methods, issuers and pairs of both.

use std::collections::HashMap;

use jiff::Timestamp;

use super::rolling::{Recorded, Revision, Sample, Window};
use crate::id::ChannelId;

/// What segments beyond a cap are counted under.
const OTHER: &str = "other";

/// How many segments of each kind a channel keeps apart; further ones are counted together as `other`.
///
/// Names come from callers, so without a cap anybody could fill the memory. A window whose every bucket is in use
/// takes about 70 kB, so the default is at most 15 MB for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Payment methods.
    pub methods: usize,
    /// Issuers.
    pub issuers: usize,
    /// Issuers within one method.
    pub issuers_per_method: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            methods: 16,
            issuers: 64,
            issuers_per_method: 8,
        }
    }
}

/// A part of a channel's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment<'s> {
    /// All of it.
    Overall,
    /// One payment method.
    Method(&'s str),
    /// One issuer.
    Issuer(&'s str),
    /// One issuer within one payment method.
    MethodIssuer(&'s str, &'s str),
}

/// Where an outcome belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'p> {
    /// The channel that the attempt was sent to.
    pub channel: &'p ChannelId,
    /// The payment method.
    pub method: &'p str,
    /// The customer's bank, when it is known.
    pub issuer: Option<&'p str>,
}

/// The windows of every channel and segment.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    caps: Caps,
    channels: HashMap<ChannelId, ChannelWindows>,
}

#[derive(Clone, Debug, Default)]
struct ChannelWindows {
    overall: Window,
    methods: HashMap<Box<str>, MethodWindows>,
    issuers: HashMap<Box<str>, Window>,
}

#[derive(Clone, Debug, Default)]
struct MethodWindows {
    overall: Window,
    issuers: HashMap<Box<str>, Window>,
}

impl Windows {
    /// No outcomes yet, and room for as many segments as `caps` say.
    #[must_use]
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            channels: HashMap::new(),
        }
    }

    /// Counts `sample` in every window that `place` belongs to: up to four.
    pub fn record(&mut self, place: Place<'_>, sample: Sample, now: Timestamp) -> Recorded {
        self.each(place, |window| window.record(sample, now))
    }

    /// Corrects an outcome in every window that `place` belongs to.
    pub fn revise(&mut self, place: Place<'_>, revision: Revision, now: Timestamp) -> Recorded {
        self.each(place, |window| window.revise(revision, now))
    }

    /// The window of one segment; `None` when it had no outcomes, or is counted in `other`.
    #[must_use]
    pub fn window(&self, channel: &ChannelId, segment: Segment<'_>) -> Option<&Window> {
        let channel = self.channels.get(channel)?;
        match segment {
            Segment::Overall => Some(&channel.overall),
            Segment::Method(method) => channel.methods.get(method).map(|method| &method.overall),
            Segment::Issuer(issuer) => channel.issuers.get(issuer),
            Segment::MethodIssuer(method, issuer) => channel.methods.get(method)?.issuers.get(issuer),
        }
    }

    /// Every segment of `channel` that has a window, in no particular order.
    pub fn segments(&self, channel: &ChannelId) -> impl Iterator<Item = (Segment<'_>, &Window)> {
        self.channels.get(channel).into_iter().flat_map(|channel| {
            let methods = channel.methods.iter().flat_map(|(method, windows)| {
                let pairs = windows
                    .issuers
                    .iter()
                    .map(move |(issuer, window)| (Segment::MethodIssuer(method, issuer), window));
                std::iter::once((Segment::Method(method), &windows.overall)).chain(pairs)
            });
            let issuers = channel
                .issuers
                .iter()
                .map(|(issuer, window)| (Segment::Issuer(issuer), window));
            std::iter::once((Segment::Overall, &channel.overall))
                .chain(methods)
                .chain(issuers)
        })
    }

    /// Lets go of what is older than an hour, and of segments that had no outcome since: their names are free again.
    pub fn slide(&mut self, now: Timestamp) {
        let alive = |window: &mut Window| {
            window.slide(now);
            !window.is_empty()
        };
        for channel in self.channels.values_mut() {
            channel.overall.slide(now);
            channel.issuers.retain(|_, window| alive(window));
            channel.methods.retain(|_, method| {
                method.issuers.retain(|_, window| alive(window));
                alive(&mut method.overall)
            });
        }
    }

    /// Does the same to every window that `place` belongs to; what the overall window says is the answer.
    fn each(&mut self, place: Place<'_>, mut act: impl FnMut(&mut Window) -> Recorded) -> Recorded {
        let caps = self.caps;
        let channel = match self.channels.get_mut(place.channel) {
            Some(channel) => channel,
            None => self.channels.entry(place.channel.clone()).or_default(),
        };
        capped(&mut channel.methods, place.method, caps.methods, |method| {
            act(&mut method.overall);
            if let Some(issuer) = place.issuer {
                capped(&mut method.issuers, issuer, caps.issuers_per_method, &mut act);
            }
        });
        if let Some(issuer) = place.issuer {
            capped(&mut channel.issuers, issuer, caps.issuers, &mut act);
        }
        act(&mut channel.overall)
    }
}

/// Acts on the entry of `name`; on that of [`OTHER`] when there are `cap` names and this is not one of them.
fn capped<W: Default, R>(
    map: &mut HashMap<Box<str>, W>,
    name: &str,
    cap: usize,
    act: impl FnOnce(&mut W) -> R,
) -> R {
    if let Some(listed) = map.get_mut(name) {
        return act(listed);
    }
    let name = if map.len() < cap { name } else { OTHER };
    act(map.entry(name.into()).or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::OutcomeClass;
    use crate::window::View;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn channel() -> ChannelId {
        ChannelId::new("bank_a").unwrap()
    }

    fn record(windows: &mut Windows, method: &str, issuer: Option<&str>) {
        let place = Place {
            channel: &channel(),
            method,
            issuer,
        };
        let sample = Sample {
            at: NOW,
            class: OutcomeClass::Success,
            latency_ms: None,
        };
        assert_eq!(windows.record(place, sample, NOW), Recorded::Counted);
    }

    fn total(windows: &Windows, segment: Segment<'_>) -> u32 {
        windows
            .window(&channel(), segment)
            .map_or(0, |window| window.view(View::OneHour, NOW).counts.total())
    }

    #[test]
    fn an_outcome_counts_in_each_segment_it_belongs_to() {
        let mut windows = Windows::default();
        record(&mut windows, "card", Some("icbc"));
        record(&mut windows, "card", None);
        record(&mut windows, "alipay", Some("icbc"));
        assert_eq!(total(&windows, Segment::Overall), 3);
        assert_eq!(total(&windows, Segment::Method("card")), 2);
        assert_eq!(total(&windows, Segment::Issuer("icbc")), 2);
        assert_eq!(total(&windows, Segment::MethodIssuer("card", "icbc")), 1);
        assert_eq!(windows.segments(&channel()).count(), 6);
    }

    #[test]
    fn segments_beyond_the_cap_are_counted_as_other() {
        let mut windows = Windows::new(Caps {
            issuers: 2,
            ..Caps::default()
        });
        for issuer in ["icbc", "cmb", "abc", "boc", "icbc"] {
            record(&mut windows, "card", Some(issuer));
        }
        assert_eq!(total(&windows, Segment::Issuer("icbc")), 2);
        assert_eq!(total(&windows, Segment::Issuer("other")), 2);
        assert_eq!(total(&windows, Segment::Issuer("abc")), 0);
    }

    #[test]
    fn a_segment_without_outcomes_for_an_hour_frees_its_name() {
        let mut windows = Windows::default();
        record(&mut windows, "card", Some("icbc"));
        windows.slide(Timestamp::from_second(3_600).unwrap());
        assert_eq!(
            windows.segments(&channel()).count(),
            1,
            "only the channel as a whole is left"
        );
    }

    #[test]
    fn a_revision_reaches_each_segment() {
        let mut windows = Windows::default();
        record(&mut windows, "card", Some("icbc"));
        let place = Place {
            channel: &channel(),
            method: "card",
            issuer: Some("icbc"),
        };
        let revision = Revision {
            at: NOW,
            from: OutcomeClass::Success,
            to: OutcomeClass::Refusal,
        };
        assert_eq!(windows.revise(place, revision, NOW), Recorded::Counted);
        for (segment, window) in windows.segments(&channel()) {
            assert_eq!(window.view(View::OneHour, NOW).counts.refusal, 1, "{segment:?}");
        }
    }

    proptest! {
        #[test]
        fn the_segments_of_a_kind_add_up_to_the_whole(
            places in proptest::collection::vec(("[a-e]", "[a-f]"), 0..40),
        ) {
            let mut windows = Windows::new(Caps { methods: 2, issuers: 3, issuers_per_method: 1 });
            for (method, issuer) in &places {
                record(&mut windows, method, Some(issuer));
            }
            let whole = total(&windows, Segment::Overall);
            let sum = |kind: fn(&Segment<'_>) -> bool| -> u32 {
                windows
                    .segments(&channel())
                    .filter(|(segment, _)| kind(segment))
                    .map(|(segment, _)| total(&windows, segment))
                    .sum()
            };
            prop_assert_eq!(sum(|segment| matches!(segment, Segment::Method(_))), whole);
            prop_assert_eq!(sum(|segment| matches!(segment, Segment::Issuer(_))), whole);
            prop_assert_eq!(sum(|segment| matches!(segment, Segment::MethodIssuer(..))), whole);
        }
    }
}
