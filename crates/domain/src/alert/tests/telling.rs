//! Who is told what, and who is not.

use super::super::{Dimension, Matcher};
use super::*;

const CHANNELS: &str = "
version: 1
rules:
  - name: Low
    metric: technical_success
    by: channel
    below: 95%
    checks: [{window: 1m, min_volume: 10, mode: naive, for: 0s}]
    resolve: {window: 1m, min_volume: 10}
    keep_firing_for: 1m
    severity: error
  - name: Down
    metric: channel_down
    by: channel
    for: 0s
    keep_firing_for: 1m
    severity: error
inhibit:
  - {while: Down, mute: Low, same: channel}
routes:
  - {match: {provider: p1}, receivers: [team_p1], continue: true}
  - {match: {severity: error}, receivers: [chat]}
";

fn channel(name: &str, provider: &str) -> Scope {
    Scope::overall()
        .with(Dimension::Channel, name)
        .with(Dimension::Provider, provider)
}

fn gauge(value: u64) -> Reading {
    Reading::Known(Box::new(Observation {
        gauge: Some(value),
        ..Observation::default()
    }))
}

fn all(count: usize, providers: usize, reading: &Reading) -> BTreeMap<Scope, Reading> {
    let scope = |i: usize| channel(&format!("c{i}"), &format!("p{}", i % providers));
    (0..count).map(|i| (scope(i), reading.clone())).collect()
}

#[test]
fn f37_500_channels_that_fail_at_once_are_one_message_for_each_provider() {
    let mut world = World::new(CHANNELS);
    world.look_at("Low", 0, &all(500, 5, &ill(0)));
    assert_eq!(world.sent.len(), 5);
    let told: usize = world.sent.iter().map(|(_, sent)| sent.firing.len()).sum();
    assert_eq!(told, 500, "none is lost");
    let p1 = world
        .sent
        .iter()
        .find(|(_, sent)| sent.labels["provider"] == "p1".into());
    assert_eq!(p1.unwrap().1.receivers, [Box::from("team_p1"), Box::from("chat")]);
    for second in [10, 20, 80] {
        world.look_at("Low", second, &all(500, 5, &well(second)));
    }
    assert_eq!(world.sent.len(), 10);
    assert!(
        world.sent[5..]
            .iter()
            .all(|(_, sent)| sent.kind == Kind::Resolve && sent.resolved.len() == 100)
    );
    assert!(world.groups.is_empty());
}

#[test]
fn those_that_come_later_are_told_together_a_minute_after() {
    let mut world = World::new(CHANNELS);
    for (second, failing) in [(0, 1), (10, 40), (20, 60), (60, 70), (70, 70)] {
        let mut readings = all(100, 1, &well(second));
        readings.extend(all(failing, 1, &ill(second)));
        world.look_at("Low", second, &readings);
    }
    assert_eq!(world.kinds(), [(0, Kind::Trigger), (60, Kind::Update)]);
    assert_eq!(world.sent[1].1.firing.len(), 70);
    assert_eq!(world.sent[1].1.number, 2);
}

#[test]
fn a_group_is_over_with_its_last_alert() {
    let mut world = World::new(CHANNELS);
    world.look_at("Low", 0, &all(2, 1, &ill(0)));
    for second in [10, 70] {
        let mut readings = all(2, 1, &ill(second));
        readings.extend(all(1, 1, &well(second)));
        world.look_at("Low", second, &readings);
    }
    assert_eq!(world.kinds(), [(0, Kind::Trigger)]);
    for second in [80, 140] {
        world.look_at("Low", second, &all(2, 1, &well(second)));
    }
    assert_eq!(world.kinds(), [(0, Kind::Trigger), (140, Kind::Resolve)]);
    assert_eq!(world.sent[1].1.resolved.len(), 2);
}

#[test]
fn f43_a_silenced_alert_is_told_when_the_silence_ends_and_it_still_fires() {
    let mut world = World::new(ONE);
    world.silences = vec![silence(vec![Matcher::is("alertname", "Low")], 9, 600)];
    for second in (0..600).step_by(10) {
        world.look(second, ill(second));
    }
    assert!(world.sent.is_empty());
    assert_eq!(world.instances[0].silenced_by.as_deref(), Some("s1"));
    assert_eq!(
        world.state(),
        "firing",
        "it is evaluated and recorded all the same"
    );
    world.look(600, ill(600));
    assert_eq!(world.kinds(), [(600, Kind::Trigger)]);
}

#[test]
fn f43_what_was_over_before_the_silence_ended_is_never_told() {
    let mut world = World::new(ONE);
    world.silences = vec![silence(vec![Matcher::is("severity", "critical")], 0, 600)];
    for (second, reading) in [
        (0, ill(0)),
        (10, ill(10)),
        (20, well(20)),
        (90, well(90)),
        (700, well(700)),
    ] {
        world.look(second, reading);
    }
    assert!(world.sent.is_empty());
    assert_eq!(world.state(), "resolved");
}

#[test]
fn who_heard_of_an_alert_hears_of_its_end_also_when_it_was_silenced_meanwhile() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.silences = vec![silence(vec![Matcher::is("alertname", "Low")], 15, 10_000)];
    world.look(3_000, ill(3_000));
    assert_eq!(world.kinds(), [(10, Kind::Trigger)], "no repeat in a silence");
    world.look(3_010, well(3_010));
    world.look(3_070, well(3_070));
    assert_eq!(world.kinds(), [(10, Kind::Trigger), (3_070, Kind::Resolve)]);
}

#[test]
fn a_silence_without_conditions_silences_nothing() {
    let mut world = World::new(ONE);
    world.silences = vec![silence(Vec::new(), 0, 600)];
    world.look(0, ill(0));
    world.look(10, ill(10));
    assert_eq!(world.kinds(), [(10, Kind::Trigger)]);
}

#[test]
fn a_channel_that_is_down_speaks_for_its_success_rate() {
    let mut world = World::new(CHANNELS);
    let (a, b) = (channel("a", "p"), channel("b", "p"));
    world.look_at(
        "Down",
        0,
        &BTreeMap::from([(a.clone(), gauge(1)), (b.clone(), gauge(0))]),
    );
    world.look_at(
        "Low",
        1,
        &BTreeMap::from([(a.clone(), ill(1)), (b.clone(), ill(1))]),
    );
    let told: Vec<_> = world
        .sent
        .iter()
        .map(|(_, sent)| (&*sent.rule, sent.firing.len()))
        .collect();
    assert_eq!(told, [("Down", 1), ("Low", 1)]);
    let muted = world
        .instances
        .iter()
        .find(|one| one.inhibited_by.is_some())
        .unwrap();
    assert_eq!(
        (&*muted.rule, muted.scope.get(Dimension::Channel)),
        ("Low", Some("a"))
    );
    // The channel is back, and its rate is not.
    world.look_at(
        "Down",
        10,
        &BTreeMap::from([(a.clone(), gauge(0)), (b.clone(), gauge(0))]),
    );
    world.look_at(
        "Down",
        70,
        &BTreeMap::from([(a.clone(), gauge(0)), (b, gauge(0))]),
    );
    let last = &world.sent.last().unwrap().1;
    assert_eq!(
        (&*last.rule, last.kind, last.firing.len()),
        ("Low", Kind::Update, 2)
    );
}

#[test]
fn a_page_is_repeated_every_half_hour_until_somebody_takes_it_on() {
    let mut world = World::new(ONE);
    for second in (0..4_000).step_by(10) {
        world.look(second, ill(second));
    }
    assert_eq!(
        world.kinds(),
        [(10, Kind::Trigger), (1_810, Kind::Repeat), (3_610, Kind::Repeat)]
    );
    assert!(world.instances[0].acknowledge("ann", at(4_000)));
    assert!(!world.instances[0].acknowledge("bob", at(4_000)));
    for second in (4_000..9_000).step_by(10) {
        world.look(second, ill(second));
    }
    assert_eq!(world.sent.len(), 3);
}

#[test]
fn a_receiver_that_is_added_meanwhile_is_told_and_the_others_are_not_told_twice() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.rules = rules(&format!("{ONE}routes: [{{receivers: [oncall, boss]}}]\n"));
    world.look(20, ill(20));
    let (second, sent) = world.sent.last().unwrap();
    assert_eq!(
        (*second, sent.kind, &sent.receivers[..]),
        (20, Kind::Trigger, &[Box::from("boss")][..])
    );
    world.look(30, well(30));
    world.look(90, well(90));
    assert_eq!(
        world.sent.last().unwrap().1.receivers.len(),
        2,
        "both hear of the end"
    );
    let numbers: Vec<_> = world.sent.iter().map(|(_, sent)| sent.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_group_that_waits_and_is_over_by_then_is_never_told() {
    let mut world = World::new(&format!("{ONE}    group: {{wait: 2m}}\n"));
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.look(20, well(20));
    world.look(80, well(80));
    world.look(200, well(200));
    assert!(world.sent.is_empty() && world.groups.is_empty());
}
