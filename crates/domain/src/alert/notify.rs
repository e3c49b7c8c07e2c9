//! Who is to be told what, now.
//!
//! One message at most for each group and receiver at a time. Nothing is said about an alert that nobody heard of, and
//! who heard of one hears of its end: also when it was silenced meanwhile, or its rule is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::Rules;
use super::flaps::WITHIN;
use super::group::{Group, Kind, Notification, Told};
use super::instance::{Fingerprint, Instance};
use super::rule::Rule;
use super::silence::Silence;

/// What is decided by, beside the alerts.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The rules that are in force.
    pub rules: &'a Rules,
    /// The silences that people made; those of the document are looked at too.
    pub silences: &'a [Silence],
    /// Who is told where neither rule nor route names anybody.
    pub everybody: &'a [Box<str>],
    /// When.
    pub now: Timestamp,
}

/// What is to be told, and what was told so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// The groups to be kept; one that is not among them is over.
    pub groups: Vec<Group>,
    /// What is to be sent, to be kept together with the groups or not at all.
    pub notifications: Vec<Notification>,
}

/// Decides what is to be told of `instances`, which are all alerts that there are, those that are over included, and
/// of which some were told in `groups`. Notes in each alert what keeps it from being told.
#[must_use]
pub fn notify(instances: &mut [Instance], groups: Vec<Group>, with: &Circumstances<'_>) -> Notified {
    silence(instances, with);
    inhibit(instances, with.rules);
    let all: HashMap<&Fingerprint, &Instance> = instances
        .iter()
        .map(|instance| (&instance.fingerprint, instance))
        .collect();
    let mut audible: BTreeMap<Fingerprint, Vec<&Instance>> = BTreeMap::new();
    let mut groups: BTreeMap<Fingerprint, Group> = groups
        .into_iter()
        .map(|group| (group.key.clone(), group))
        .collect();
    for instance in instances.iter().filter(|instance| instance.is_audible()) {
        let Some(rule) = with.rules.rule(&instance.rule) else {
            continue;
        };
        let key = Group::key_of(rule, instance);
        groups
            .entry(key.clone())
            .or_insert_with(|| Group::begin(rule, instance, with.now));
        audible.entry(key).or_default().push(instance);
    }
    let mut notified = Notified::default();
    for (key, group) in groups {
        let telling = Telling {
            rule: with.rules.rule(&group.rule),
            audible: audible.get(&key).map_or(&[][..], Vec::as_slice),
            all: &all,
            with,
        };
        telling.tell(group, &mut notified);
    }
    notified
}

/// Notes in each alert the silence that covers it.
fn silence(instances: &mut [Instance], with: &Circumstances<'_>) {
    for instance in instances {
        let silences = with.rules.silences.iter().chain(with.silences);
        let mut covering = silences.filter(|silence| silence.covers(&instance.labels, with.now));
        instance.silenced_by = covering.next().map(|silence| silence.id.clone());
    }
}

/// Notes in each alert the one that speaks in its place.
fn inhibit(instances: &mut [Instance], rules: &Rules) {
    let mut inhibited: HashMap<usize, Fingerprint> = HashMap::new();
    for inhibition in &rules.inhibitions {
        let speakers: Vec<&Instance> = instances
            .iter()
            .filter(|instance| instance.state.is_active() && instance.rule == inhibition.while_firing)
            .collect();
        for (place, other) in instances.iter().enumerate() {
            if let Some(speaker) = speakers.iter().find(|speaker| inhibition.holds(speaker, other)) {
                inhibited
                    .entry(place)
                    .or_insert_with(|| speaker.fingerprint.clone());
            }
        }
    }
    for (place, instance) in instances.iter_mut().enumerate() {
        instance.inhibited_by = inhibited.remove(&place);
    }
}

/// What there is to tell of one group.
struct Telling<'a> {
    /// Its rule; `None` when it is gone.
    rule: Option<&'a Rule>,
    /// Its alerts that may be told.
    audible: &'a [&'a Instance],
    /// All alerts of all groups.
    all: &'a HashMap<&'a Fingerprint, &'a Instance>,
    with: &'a Circumstances<'a>,
}

impl Telling<'_> {
    fn tell(&self, mut group: Group, into: &mut Notified) {
        let Some(told) = group.told.take() else {
            self.begin(group, into);
            return;
        };
        let over = self.over(&group, &told);
        if self.audible.is_empty() && over.len() == told.members.len() {
            into.notifications
                .push(self.message(&group, &told, Kind::Resolve, told.receivers.clone()));
            return;
        }
        let told = self.go_on(&group, told, &over, into);
        group.told = Some(told);
        into.groups.push(group);
    }

    /// The first message, once the group has waited for others.
    fn begin(&self, mut group: Group, into: &mut Notified) {
        let (Some(rule), false) = (self.rule, self.audible.is_empty()) else {
            return;
        };
        let now = self.with.now;
        if now.duration_since(group.since) >= rule.grouping.wait {
            let mut told = Told {
                key: format!("{}-{}", group.key, now.as_millisecond()).into(),
                at: now,
                receivers: Vec::new(),
                members: BTreeMap::new(),
                last_at: now,
                messages: 0,
                flapping: false,
            };
            let receivers = self.receivers(rule);
            into.notifications
                .push(self.send(&group, &mut told, Kind::Trigger, receivers));
            group.told = Some(told);
        }
        into.groups.push(group);
    }

    /// What more there is to say of a group that was told and goes on: one thing at most.
    fn go_on(
        &self,
        group: &Group,
        mut told: Told,
        over: &BTreeSet<Fingerprint>,
        into: &mut Notified,
    ) -> Told {
        let (Some(rule), false) = (self.rule, self.audible.is_empty()) else {
            return told;
        };
        let heard = told.receivers.clone();
        let mut late = self.receivers(rule);
        late.retain(|receiver| !heard.contains(receiver));
        let due = self.due(rule, &told);
        if !late.is_empty() {
            let message = self.message(group, &told, Kind::Trigger, late.clone());
            told.messages = message.number;
            told.receivers.extend(late);
            into.notifications.push(message);
        }
        if let Some(kind) = due {
            into.notifications.push(self.send(group, &mut told, kind, heard));
            // Those that fire again are in the message as firing.
            told.members
                .retain(|member, generation| !over.contains(member) || self.fires(member, *generation));
        }
        told
    }

    /// What is due to be said.
    fn due(&self, rule: &Rule, told: &Told) -> Option<Kind> {
        let since_last = self.with.now.duration_since(told.last_at);
        let is_new =
            |instance: &&Instance| told.members.get(&instance.fingerprint) != Some(&instance.generation);
        if since_last < rule.grouping.interval {
            return None;
        }
        if self.audible.iter().any(is_new) {
            return Some(Kind::Update);
        }
        let flaps = self
            .audible
            .iter()
            .any(|instance| instance.flaps.since().is_some());
        if flaps && !told.flapping {
            return Some(Kind::Flapping);
        }
        // Of what goes to and fro, once an hour is enough.
        let repeat_every = if flaps {
            rule.repeat_every.max(WITHIN)
        } else {
            rule.repeat_every
        };
        let is_open = self
            .audible
            .iter()
            .any(|instance| instance.acknowledged.is_none());
        (is_open && since_last >= repeat_every).then_some(Kind::Repeat)
    }

    /// The alerts that were told and are over, or are told elsewhere now. One that is not there at all is not over.
    fn over(&self, group: &Group, told: &Told) -> BTreeSet<Fingerprint> {
        let goes_on = |(member, generation): (&Fingerprint, &u32)| {
            self.all.get(member).is_none_or(|instance| {
                instance.state.is_active()
                    && instance.generation == *generation
                    && instance.severity == group.severity
            })
        };
        let over = told.members.iter().filter(|member| !goes_on(*member));
        over.map(|(member, _)| member.clone()).collect()
    }

    fn fires(&self, member: &Fingerprint, generation: u32) -> bool {
        self.audible
            .iter()
            .any(|instance| instance.fingerprint == *member && instance.generation == generation)
    }

    fn receivers(&self, rule: &Rule) -> Vec<Box<str>> {
        let mut receivers: Vec<Box<str>> = Vec::new();
        for instance in self.audible {
            let named = self.with.rules.receivers(rule, &instance.labels);
            let named = if named.is_empty() {
                self.with.everybody.to_vec()
            } else {
                named
            };
            for receiver in named {
                if !receivers.contains(&receiver) {
                    receivers.push(receiver);
                }
            }
        }
        receivers
    }

    fn send(&self, group: &Group, told: &mut Told, kind: Kind, receivers: Vec<Box<str>>) -> Notification {
        for receiver in &receivers {
            if !told.receivers.contains(receiver) {
                told.receivers.push(receiver.clone());
            }
        }
        let message = self.message(group, told, kind, receivers);
        told.messages = message.number;
        told.last_at = self.with.now;
        told.flapping |= kind == Kind::Flapping;
        for instance in self.audible {
            told.members
                .insert(instance.fingerprint.clone(), instance.generation);
        }
        message
    }

    fn message(&self, group: &Group, told: &Told, kind: Kind, receivers: Vec<Box<str>>) -> Notification {
        let audible = self.audible.iter().map(|instance| instance.fingerprint.clone());
        let firing: Vec<Fingerprint> = audible.collect();
        let over = self.over(group, told);
        Notification {
            kind,
            receivers,
            group: group.key.clone(),
            key: told.key.clone(),
            number: told.messages.saturating_add(1),
            rule: group.rule.clone(),
            severity: group.severity,
            labels: group.labels.clone(),
            resolved: over.into_iter().filter(|over| !firing.contains(over)).collect(),
            firing,
            at: self.with.now,
        }
    }
}
