//! A scenario: which channels there are, what happens to them, and who comes to pay. A YAML document.
//!
//! A scenario has no chance in it. Together with a seed it is a [`World`](crate::world::World), in which everything is
//! decided.

pub mod channel;
pub mod event;
pub mod quantity;
pub mod shipped;
pub mod traffic;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use channel::Channel;
use event::Event;
use quantity::{Positive, Seconds};
use traffic::Traffic;

/// A scenario that was read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// How long shoppers keep coming.
    pub duration_s: Positive,
    /// At the beginning, how long routers may learn before they are measured.
    pub warm_up_s: Seconds,
    /// The channels. Their order is the order of a static priority.
    pub channels: Vec<Channel>,
    /// What happens to them.
    pub events: Vec<Event>,
    /// Who comes to pay.
    pub traffic: Traffic,
}

/// A scenario as it is written, with the lines of its parts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    #[serde(default)]
    description: String,
    duration_s: Positive,
    #[serde(default)]
    warm_up_s: Seconds,
    channels: Vec<Spanned<Channel>>,
    #[serde(default)]
    events: Vec<Spanned<Event>>,
    traffic: Spanned<Traffic>,
}

/// Why a document is not a scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not YAML, or a field is unknown, missing or out of range. The cause says which, and where.
    #[error("the document is not a scenario")]
    Read(#[source] Box<serde_saphyr::Error>),
    /// Fields contradict each other.
    #[error("line {line}: {problem}")]
    Inconsistent {
        /// Where the part begins that is wrong.
        line: u64,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// How fields contradict each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Nothing to route to.
    #[error("`channels` is empty, at least one is needed")]
    NoChannels,
    /// Two channels with one name.
    #[error("channel `{0}` is there twice")]
    DuplicateChannel(String),
    /// Something happens to a channel that is not there.
    #[error("`{0}` is not one of the channels")]
    UnknownChannel(String),
    /// An event that is over before it begins.
    #[error("the event ends at {end_s} s, before it starts at {start_s} s")]
    EndsBeforeStart {
        /// The start.
        start_s: f64,
        /// The end.
        end_s: f64,
    },
    /// The parts are more than the whole.
    #[error("`{0}` add up to more than 1")]
    MoreThanWhole(&'static str),
    /// Failures that are never of any kind.
    #[error("`failures` of channel `{0}` are all zero")]
    NoFailures(String),
    /// A list of codes from which none can be taken.
    #[error("`codes` of channel `{0}` has an empty list")]
    NoCodes(String),
    /// A caller that does not wait at all.
    #[error("`timeout_ms` of channel `{0}` is 0")]
    NoTimeout(String),
    /// An amount band outside 0 to 7.
    #[error("amount band {0} is not one of 0 to 7")]
    UnknownBand(u8),
    /// Nothing to pay with.
    #[error("`methods` of the traffic is empty, at least one is needed")]
    NoMethods,
    /// A method that no channel takes.
    #[error("no channel takes the method `{0}`")]
    Untaken(String),
    /// The smallest amount is above the largest.
    #[error("`min_minor` is above `max_minor`")]
    AmountsReversed,
}

impl Scenario {
    /// Reads a scenario and checks it.
    ///
    /// # Errors
    /// When the document is not YAML, has an unknown, missing or impossible field, or contradicts itself. The message
    /// or its cause says where.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let document: Document =
            serde_saphyr::from_str(text).map_err(|error| Error::Read(Box::new(error)))?;
        document.check()?;
        Ok(Self {
            name: document.name,
            description: document.description,
            duration_s: document.duration_s,
            warm_up_s: document.warm_up_s,
            channels: document.channels.into_iter().map(|part| part.value).collect(),
            events: document.events.into_iter().map(|part| part.value).collect(),
            traffic: document.traffic.value,
        })
    }

    /// How long shoppers keep coming.
    #[must_use]
    pub fn duration(&self) -> Duration {
        crate::number::seconds(self.duration_s.get())
    }

    /// The same scenario in another length: events and peaks keep their proportions, channels their speed.
    #[must_use]
    pub fn lasting(mut self, duration_s: Positive) -> Self {
        let factor = duration_s.get() / self.duration_s.get();
        self.duration_s = duration_s;
        self.warm_up_s = self.warm_up_s.times(factor);
        for event in &mut self.events {
            for time in [
                &mut event.start_s,
                &mut event.end_s,
                &mut event.ramp_in_s,
                &mut event.ramp_out_s,
            ] {
                *time = time.times(factor);
            }
        }
        for shape in &mut self.traffic.shapes {
            *shape = shape.stretched(factor);
        }
        self
    }
}

impl Document {
    fn check(&self) -> Result<(), Error> {
        if self.channels.is_empty() {
            return Err(at(1, Problem::NoChannels));
        }
        let mut names = BTreeSet::new();
        for Spanned {
            value: channel,
            referenced,
            ..
        } in &self.channels
        {
            if !names.insert(&channel.id) {
                return Err(at(
                    referenced.line(),
                    Problem::DuplicateChannel(channel.id.to_string()),
                ));
            }
            check_channel(channel).map_err(|problem| at(referenced.line(), problem))?;
        }
        for Spanned {
            value: event,
            referenced,
            ..
        } in &self.events
        {
            let known = event.channel.as_ref().is_none_or(|id| names.contains(id));
            check_event(event, known).map_err(|problem| at(referenced.line(), problem))?;
        }
        self.check_traffic()
            .map_err(|problem| at(self.traffic.referenced.line(), problem))
    }

    fn check_traffic(&self) -> Result<(), Problem> {
        let traffic = &self.traffic.value;
        if traffic.methods.is_empty() {
            return Err(Problem::NoMethods);
        }
        if traffic.amounts.min_minor > traffic.amounts.max_minor {
            return Err(Problem::AmountsReversed);
        }
        if traffic.customers.ios.get() + traffic.customers.android.get() > 1.0 + 1e-9 {
            return Err(Problem::MoreThanWhole("ios and android"));
        }
        let taken = |name| {
            let mut channels = self.channels.iter();
            channels.any(|channel| channel::listed(&channel.value.methods, Some(name)))
        };
        match traffic.methods.iter().find(|method| !taken(&method.name)) {
            Some(method) => Err(Problem::Untaken(method.name.clone())),
            None => Ok(()),
        }
    }
}

fn at(line: u64, problem: Problem) -> Error {
    Error::Inconsistent { line, problem }
}

fn check_channel(channel: &Channel) -> Result<(), Problem> {
    let id = || channel.id.to_string();
    let codes = &channel.codes;
    let lists = [
        &codes.success,
        &codes.refusal,
        &codes.soft_decline,
        &codes.technical_failure,
        &codes.timeout,
        &codes.busy,
        &codes.maintenance,
        &codes.issuer_unavailable,
    ];
    let failures = channel.failures;
    let bands = channel.success.adjust.iter().flat_map(|adjust| &adjust.bands);
    if channel.timeout_ms == 0 {
        return Err(Problem::NoTimeout(id()));
    }
    if lists.iter().any(|list| list.is_empty()) {
        return Err(Problem::NoCodes(id()));
    }
    if failures.soft_declines.get() + failures.errors.get() + failures.timeouts.get() <= 0.0 {
        return Err(Problem::NoFailures(id()));
    }
    match bands
        .copied()
        .find(|band| *band >= domain::amount_band::AmountBand::COUNT)
    {
        Some(band) => Err(Problem::UnknownBand(band)),
        None => Ok(()),
    }
}

fn check_event(event: &Event, known: bool) -> Result<(), Problem> {
    if let (false, Some(id)) = (known, &event.channel) {
        return Err(Problem::UnknownChannel(id.to_string()));
    }
    if event.end_s < event.start_s {
        return Err(Problem::EndsBeforeStart {
            start_s: event.start_s.get(),
            end_s: event.end_s.get(),
        });
    }
    let whole = event
        .kind
        .killing()
        .is_none_or(|killing| killing.timeouts + killing.soft_declines <= 1.0 + 1e-9);
    if whole {
        Ok(())
    } else {
        Err(Problem::MoreThanWhole("timeouts and soft_declines"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::SMALL;

    /// What is said when `from` is replaced by `to`, with the cause if there is one.
    fn refusal(from: &str, to: &str) -> String {
        assert!(SMALL.contains(from), "`{from}` is not in the document");
        let error = Scenario::from_yaml(&SMALL.replacen(from, to, 1)).unwrap_err();
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }

    #[test]
    fn the_small_scenario_is_good() {
        assert_eq!(Scenario::from_yaml(SMALL).unwrap().channels.len(), 3);
    }

    #[test]
    fn a_shortened_scenario_keeps_its_proportions() {
        let scenario = Scenario::from_yaml(SMALL).unwrap();
        let short = scenario.clone().lasting(Positive::new(30.0).unwrap());
        let outage = |scenario: &Scenario, at| scenario.events[0].strength(Duration::from_secs(at));
        assert_eq!(short.duration(), Duration::from_secs(30));
        for at in 0..30 {
            assert!((outage(&short, at) - outage(&scenario, 4 * at)).abs() < 1e-9);
        }
        assert_eq!(short.channels, scenario.channels);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let message = refusal("duration_s: 120", "duration_s: 120\nspeed: 2");
        assert!(
            message.contains("speed") && message.contains("line 4"),
            "{message}"
        );
    }

    #[test]
    fn an_impossible_probability_is_refused_with_its_line() {
        let message = refusal("refusals: 0.02", "refusals: 2");
        assert!(message.contains("between 0 and 1"), "{message}");
        assert!(message.contains("line "), "{message}");
    }

    #[test]
    fn an_event_on_a_channel_that_is_not_there_is_refused_with_its_line() {
        let message = refusal("channel: alpha", "channel: omega");
        assert!(
            message.starts_with("line ") && message.contains("`omega`"),
            "{message}"
        );
    }

    #[test]
    fn two_channels_of_one_name_are_refused() {
        assert!(refusal("id: beta", "id: alpha").contains("is there twice"));
    }

    #[test]
    fn an_event_that_ends_before_it_starts_is_refused() {
        assert!(refusal("end_s: 80", "end_s: 8").contains("before it starts"));
    }

    #[test]
    fn a_method_that_nobody_takes_is_refused() {
        assert!(refusal("- {name: card", "- {name: cheque").contains("no channel takes the method `cheque`"));
    }

    #[test]
    fn a_band_that_does_not_exist_is_refused() {
        assert!(refusal("bands: [6, 7]", "bands: [6, 8]").contains("amount band 8"));
    }
}
