//! The windows of a shop: of each channel, and of its methods, issuers and pairs of both.

use std::collections::HashMap;

use jiff::Timestamp;

use super::rolling::{Recorded, Revision, Sample, Window};
use super::view::Statistics;
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

impl ChannelWindows {
    /// Acts on the window of every segment that `place` belongs to but that of the whole channel, made when there is
    /// none, and names all of them.
    fn in_segments(
        &mut self,
        caps: Caps,
        place: Place<'_>,
        mut act: impl FnMut(&mut Window),
        mut named: impl FnMut(Segment<'_>),
    ) {
        named(Segment::Overall);
        let method = folded(&self.methods, place.method, caps.methods);
        with(&mut self.methods, method, |windows| {
            act(&mut windows.overall);
            named(Segment::Method(method));
            if let Some(issuer) = place.issuer {
                let name = folded(&windows.issuers, issuer, caps.issuers_per_method);
                with(&mut windows.issuers, name, &mut act);
                named(Segment::MethodIssuer(method, name));
            }
        });
        if let Some(issuer) = place.issuer {
            let name = folded(&self.issuers, issuer, caps.issuers);
            with(&mut self.issuers, name, act);
            named(Segment::Issuer(name));
        }
    }
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
        self.record_with(place, sample, now, |_| ())
    }

    /// As [`Windows::record`], and names the segments it was counted in to `counted`: who keeps a copy of the windows
    /// elsewhere must fold names exactly as they were folded here.
    pub fn record_with(
        &mut self,
        place: Place<'_>,
        sample: Sample,
        now: Timestamp,
        counted: impl FnMut(Segment<'_>),
    ) -> Recorded {
        let channel = self.channels.entry(place.channel.clone()).or_default();
        // A late outcome must not take a name's place under the cap.
        if channel.overall.record(sample, now) == Recorded::Late {
            return Recorded::Late;
        }
        let record = |window: &mut Window| {
            window.record(sample, now);
        };
        channel.in_segments(self.caps, place, record, counted);
        Recorded::Counted
    }

    /// Adds outcomes that were counted elsewhere to the bucket of that `number`, in every window that `place` belongs
    /// to, and names their segments to `counted`.
    pub fn add_with(
        &mut self,
        place: Place<'_>,
        (number, seen): (i64, &Statistics),
        now: Timestamp,
        counted: impl FnMut(Segment<'_>),
    ) {
        let channel = self.channels.entry(place.channel.clone()).or_default();
        channel.overall.add(number, seen, now);
        let add = |window: &mut Window| window.add(number, seen, now);
        channel.in_segments(self.caps, place, add, counted);
    }

    /// Corrects an outcome in every window that `place` belongs to.
    pub fn revise(&mut self, place: Place<'_>, revision: Revision, now: Timestamp) -> Recorded {
        self.revise_with(place, revision, now, |_| ())
    }

    /// As [`Windows::revise`], and names the segments it was corrected in to `corrected`.
    pub fn revise_with(
        &mut self,
        place: Place<'_>,
        revision: Revision,
        now: Timestamp,
        mut corrected: impl FnMut(Segment<'_>),
    ) -> Recorded {
        let caps = self.caps;
        let channel = self.channels.entry(place.channel.clone()).or_default();
        if channel.overall.revise(revision, now) == Recorded::Late {
            return Recorded::Late;
        }
        corrected(Segment::Overall);
        let mut act = |window: Option<&mut Window>, segment: Segment<'_>| {
            if window.is_some_and(|window| window.revise(revision, now) == Recorded::Counted) {
                corrected(segment);
            }
        };
        let method = folded(&channel.methods, place.method, caps.methods);
        if let Some(windows) = channel.methods.get_mut(method) {
            act(Some(&mut windows.overall), Segment::Method(method));
            if let Some(issuer) = place.issuer {
                let name = folded(&windows.issuers, issuer, caps.issuers_per_method);
                act(windows.issuers.get_mut(name), Segment::MethodIssuer(method, name));
            }
        }
        if let Some(issuer) = place.issuer {
            let name = folded(&channel.issuers, issuer, caps.issuers);
            act(channel.issuers.get_mut(name), Segment::Issuer(name));
        }
        Recorded::Counted
    }

    /// Counts an outcome of `channel` that was left out without being looked at here.
    pub fn note_late(&mut self, channel: &ChannelId) {
        self.channels
            .entry(channel.clone())
            .or_default()
            .overall
            .note_late();
    }

    /// The window of one segment, made when there is none, whatever the caps: to restore what was kept elsewhere.
    pub fn restore(&mut self, channel: &ChannelId, segment: Segment<'_>) -> &mut Window {
        let channel = self.channels.entry(channel.clone()).or_default();
        match segment {
            Segment::Overall => &mut channel.overall,
            Segment::Method(method) => &mut channel.methods.entry(method.into()).or_default().overall,
            Segment::Issuer(issuer) => channel.issuers.entry(issuer.into()).or_default(),
            Segment::MethodIssuer(method, issuer) => {
                let windows = channel.methods.entry(method.into()).or_default();
                windows.issuers.entry(issuer.into()).or_default()
            }
        }
    }

    /// Every channel that had outcomes, in no particular order.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelId> {
        self.channels.keys()
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
}

/// The name that `name` is counted under: [`OTHER`] when there are `cap` names and this is not one of them.
fn folded<'n, W>(map: &HashMap<Box<str>, W>, name: &'n str, cap: usize) -> &'n str {
    if map.len() < cap || map.contains_key(name) {
        name
    } else {
        OTHER
    }
}

/// Acts on the entry of `name`, made when there is none. Names are seldom new, so they are not copied to look.
fn with<W: Default, R>(map: &mut HashMap<Box<str>, W>, name: &str, act: impl FnOnce(&mut W) -> R) -> R {
    if let Some(listed) = map.get_mut(name) {
        return act(listed);
    }
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

    #[test]
    fn a_late_outcome_takes_no_name() {
        let mut windows = Windows::default();
        let place = Place {
            channel: &channel(),
            method: "card",
            issuer: Some("icbc"),
        };
        let late = Sample {
            at: NOW,
            class: OutcomeClass::Success,
            latency_ms: None,
        };
        let now = Timestamp::from_second(4_000).unwrap();
        assert_eq!(windows.record(place, late, now), Recorded::Late);
        windows.note_late(&channel());
        assert_eq!(windows.segments(&channel()).count(), 1);
        let overall = windows.window(&channel(), Segment::Overall).unwrap();
        assert_eq!(overall.late(), 2);
    }

    #[test]
    fn adding_counts_is_recording_each_outcome() {
        let caps = Caps {
            methods: 1,
            ..Caps::default()
        };
        let (mut recorded, mut added) = (Windows::new(caps), Windows::new(caps));
        let mut bucket = Statistics::default();
        for _ in 0..3 {
            bucket.counts.add(OutcomeClass::Success);
            bucket.latencies.record(7);
        }
        let sample = Sample {
            at: NOW,
            class: OutcomeClass::Success,
            latency_ms: Some(7),
        };
        for (method, issuer) in [("card", Some("icbc")), ("alipay", None)] {
            let id = channel();
            let place = Place {
                channel: &id,
                method,
                issuer,
            };
            let mut named = [Vec::new(), Vec::new()];
            for _ in 0..3 {
                named[0].clear();
                let told = |segment: Segment<'_>| named[0].push(format!("{segment:?}"));
                recorded.record_with(place, sample, NOW, told);
            }
            let told = |segment: Segment<'_>| named[1].push(format!("{segment:?}"));
            added.add_with(place, (0, &bucket), NOW, told);
            assert_eq!(named[0], named[1]);
        }
        for (segment, window) in recorded.segments(&channel()) {
            let same = added.window(&channel(), segment).unwrap();
            assert!(window.buckets().eq(same.buckets()), "{segment:?}");
        }
    }

    /// The windows that a copy of `windows` would hold: what is kept of each segment, put back.
    fn restored(windows: &Windows, caps: Caps, now: Timestamp) -> Windows {
        let mut copy = Windows::new(caps);
        for (segment, window) in windows.segments(&channel()) {
            let to = copy.restore(&channel(), segment);
            to.slide(now);
            for (number, bucket) in window.buckets() {
                to.restore_bucket(number, bucket);
            }
            to.restore_marks(window.streaks(), window.last_success_at(), window.late());
        }
        copy
    }

    proptest! {
        #[test]
        fn what_was_restored_goes_on_like_what_was_recorded(
            places in proptest::collection::vec(("[a-e]", "[a-f]"), 1..40),
            more in proptest::collection::vec(("[a-e]", "[a-f]"), 0..40),
        ) {
            let caps = Caps { methods: 2, issuers: 3, issuers_per_method: 1 };
            let mut recorded = Windows::new(caps);
            for (method, issuer) in &places {
                record(&mut recorded, method, Some(issuer));
            }
            let mut copy = restored(&recorded, caps, NOW);
            for (method, issuer) in &more {
                record(&mut recorded, method, Some(issuer));
                record(&mut copy, method, Some(issuer));
            }
            let seen = |windows: &Windows| {
                let mut seen: Vec<_> = windows
                    .segments(&channel())
                    .map(|(segment, window)| {
                        let view = window.view(View::OneHour, NOW);
                        (format!("{segment:?}"), view.counts, window.streaks(), window.last_success_at())
                    })
                    .collect();
                seen.sort_by(|one, other| one.0.cmp(&other.0));
                seen
            };
            prop_assert_eq!(seen(&recorded), seen(&copy));
        }

        #[test]
        fn the_names_told_are_those_counted_in(
            places in proptest::collection::vec(("[a-e]", "[a-f]"), 1..40),
        ) {
            let mut windows = Windows::new(Caps { methods: 2, issuers: 3, issuers_per_method: 1 });
            let mut told = HashMap::<String, u32>::new();
            for (method, issuer) in &places {
                let place = Place { channel: &channel(), method, issuer: Some(issuer) };
                let sample = Sample { at: NOW, class: OutcomeClass::Success, latency_ms: None };
                windows.record_with(place, sample, NOW, |segment| {
                    *told.entry(format!("{segment:?}")).or_default() += 1;
                });
            }
            let kept: HashMap<_, _> = windows
                .segments(&channel())
                .map(|(segment, _)| (format!("{segment:?}"), total(&windows, segment)))
                .collect();
            prop_assert_eq!(told, kept);
        }

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
