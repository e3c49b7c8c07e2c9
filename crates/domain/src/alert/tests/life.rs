//! The life of one alert.

use super::super::{Resolution, State, retire};
use super::*;

#[test]
fn it_waits_fires_recovers_and_is_over() {
    let mut world = World::new(ONE);
    world.look(0, well(0));
    assert_eq!(world.state(), "none");
    world.look(10, ill(10));
    world.look(20, ill(20));
    world.look(30, well(30));
    world.look(90, well(90));
    assert_eq!(
        world.changes(),
        [
            (10, Change::Pending),
            (20, Change::Fired),
            (30, Change::Recovering),
            (
                90,
                Change::Resolved {
                    by: Resolution::Recovered
                }
            ),
        ]
    );
    assert_eq!(world.kinds(), [(20, Kind::Trigger), (90, Kind::Resolve)]);
    assert_eq!(world.sent[0].1.key, world.sent[1].1.key);
    assert_eq!(world.instances[0].state.firing_since(), Some(at(10)));
}

#[test]
fn what_does_not_last_is_not_told() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(5, well(5));
    world.look(15, ill(15));
    assert_eq!(world.state(), "pending");
    assert!(world.sent.is_empty());
}

#[test]
fn an_evaluation_that_comes_a_moment_early_need_not_be_repeated() {
    let rules = rules(ONE);
    let rule = rules.rule("Low").unwrap();
    let ill = BTreeMap::from([(Scope::overall(), ill(0))]);
    let pending = evaluate(rule, &ill, Vec::new(), at(0)).instances;
    let fires_after = |millis: i64| {
        let now = at(0).checked_add(jiff::SignedDuration::from_millis(millis));
        let later = evaluate(rule, &ill, pending.clone(), now.unwrap());
        later.instances[0].state.firing_since().is_some()
    };
    assert!(!fires_after(9_000) && !fires_after(9_890));
    assert!(fires_after(9_990) && fires_after(10_000));
}

#[test]
fn a_breach_while_it_recovers_is_the_same_incident() {
    let mut world = World::new(ONE);
    for (second, reading) in [
        (0, ill(0)),
        (10, ill(10)),
        (20, well(20)),
        (30, ill(30)),
        (40, well(40)),
    ] {
        world.look(second, reading);
    }
    assert_eq!(world.instances[0].generation, 1);
    world.look(79, well(79));
    assert_eq!(world.state(), "recovering", "its time began anew");
    world.look(100, well(100));
    assert_eq!(world.kinds(), [(10, Kind::Trigger), (100, Kind::Resolve)]);
}

#[test]
fn at_the_line_it_is_not_over() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    // 95 of 100 is no breach, and not a point better than the line.
    world.look(20, seen(100, 5, 20));
    assert_eq!(world.state(), "firing");
    world.look(30, seen(100, 4, 30));
    assert_eq!(world.state(), "recovering");
}

#[test]
fn f33_a_source_that_is_empty_stale_or_failing_resolves_nothing() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    for second in (20..7_200).step_by(10) {
        let reading = match second % 40 {
            0 => Reading::NoData,
            10 => Reading::Error("redis: connection refused".into()),
            20 => seen(0, 0, second),
            // Too few to say that it is over.
            _ => seen(9, 0, second),
        };
        world.look(second, reading);
        assert_eq!(world.state(), "firing", "at {second}");
    }
    world.look_at("Low", 7_200, &BTreeMap::new());
    assert_eq!(world.state(), "firing", "a source that does not speak of it");
    assert!(world.instances[0].no_data_since.is_some());
    assert!(world.kinds().iter().all(|(_, kind)| *kind != Kind::Resolve));
}

#[test]
fn an_error_is_shown_and_ends_what_only_seemed_over() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.look(20, well(20));
    world.look(30, Reading::Error("redis: timed out".into()));
    assert_eq!(world.state(), "firing");
    assert_eq!(
        &*world.instances[0].error.as_ref().unwrap().message,
        "redis: timed out"
    );
    world.look(40, well(40));
    assert!(world.instances[0].error.is_none());
    world.look(80, well(80));
    assert_eq!(world.state(), "recovering", "what was not seen does not count");
}

#[test]
fn half_an_hour_without_traffic_is_no_data_and_stays_open() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    let quiet = |last: i64| {
        let Reading::Known(mut seen) = seen(0, 0, 0) else {
            panic!("known")
        };
        seen.latest_at = Some(at(last));
        Reading::Known(seen)
    };
    world.look(1_800, quiet(10));
    assert!(world.instances[0].no_data_since.is_none());
    world.look(1_820, quiet(10));
    assert_eq!(world.instances[0].no_data_since, Some(at(1_820)));
    world.look(1_830, well(1_830));
    assert!(world.instances[0].no_data_since.is_none());
}

#[test]
fn an_unevaluated_hour_begins_the_clock_anew() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(3_700, ill(3_700));
    assert_eq!(world.state(), "pending");
    world.look(3_710, ill(3_710));
    assert_eq!(world.state(), "firing");
}

#[test]
fn a_clock_that_goes_back_fires_nothing_early() {
    let mut world = World::new(ONE);
    world.look(3_600, ill(3_600));
    world.look(0, ill(0));
    assert_eq!(world.state(), "pending");
}

#[test]
fn f42_a_rule_that_is_deleted_while_firing_ends_at_the_receiver() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.rules = rules("{version: 2, rules: []}");
    let retired = retire(
        std::mem::take(&mut world.instances),
        Resolution::RuleDeleted,
        at(20),
    );
    world.instances = retired.instances;
    world.tell(20);
    assert!(matches!(
        world.instances[0].state,
        State::Resolved {
            by: Resolution::RuleDeleted,
            ..
        }
    ));
    assert_eq!(world.kinds(), [(10, Kind::Trigger), (20, Kind::Resolve)]);
    assert_eq!(world.sent[1].1.receivers, [Box::from("oncall")]);
    assert!(world.groups.is_empty());
}

#[test]
fn f42_a_line_that_is_moved_is_looked_at_anew() {
    let mut world = World::new(ONE);
    world.look(0, seen(100, 10, 0));
    world.look(10, seen(100, 10, 10));
    world.rules = rules(&ONE.replace("95%", "80%"));
    world.look(20, seen(100, 10, 20));
    assert_eq!(world.state(), "recovering");
    world.look(80, seen(100, 10, 80));
    assert_eq!(world.kinds(), [(10, Kind::Trigger), (80, Kind::Resolve)]);
}

#[test]
fn f42_a_rule_that_is_about_something_else_now_ends_what_was() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.rules = rules(&ONE.replace("below: 95%", "below: 95%\n    by: issuer"));
    world.look_at("Low", 20, &BTreeMap::new());
    assert!(matches!(
        world.instances[0].state,
        State::Resolved {
            by: Resolution::RuleChanged,
            ..
        }
    ));
    assert_eq!(world.kinds(), [(10, Kind::Trigger), (20, Kind::Resolve)]);
}

#[test]
fn f42_a_severity_that_changes_ends_the_one_and_tells_the_other() {
    let mut world = World::new(ONE);
    world.look(0, ill(0));
    world.look(10, ill(10));
    world.rules = rules(&ONE.replace("critical", "warning"));
    world.look(20, ill(20));
    let kinds: Vec<_> = world.sent[1..]
        .iter()
        .map(|(_, sent)| (sent.kind, sent.severity.as_str()))
        .collect();
    assert!(kinds.contains(&(Kind::Resolve, "critical")) && kinds.contains(&(Kind::Trigger, "warning")));
    assert_eq!((kinds.len(), world.instances[0].generation), (2, 1));
}

#[test]
fn f36_an_hour_of_flapping_is_two_messages_and_one_word_of_it() {
    for keep in ["30s", "1m", "5m"] {
        let mut world = World::new(&ONE.replace("keep_firing_for: 1m", &format!("keep_firing_for: {keep}")));
        for second in (0..3_600).step_by(5) {
            let reading = if second / 15 % 2 == 0 {
                ill(second)
            } else {
                well(second)
            };
            world.look(second, reading);
        }
        let flapping = world.sent.iter().filter(|(_, sent)| sent.kind == Kind::Flapping);
        assert_eq!(flapping.count(), 1, "{:?}", world.kinds());
        assert!(world.sent.len() <= 3, "{:?}", world.kinds());
    }
}

#[test]
fn what_comes_back_again_and_again_takes_longer_each_time_to_be_believed() {
    let mut world = World::new(ONE);
    let mut second = 0;
    for _ in 0..40 {
        for _ in 0..3 {
            world.look(second, ill(second));
            second += 10;
        }
        for _ in 0..9 {
            world.look(second, well(second));
            second += 10;
        }
    }
    let triggers = world
        .sent
        .iter()
        .filter(|(_, sent)| sent.kind == Kind::Trigger)
        .count();
    assert!(triggers <= 6, "{:?}", world.kinds());
    for _ in 0..800 {
        world.look(second, well(second));
        second += 10;
    }
    assert_eq!(world.state(), "resolved");
    assert!(world.instances[0].flaps.since().is_none());
}

#[test]
fn a_streak_fires_at_once_and_needs_an_outcome_to_be_over() {
    let mut world = World::new(
        "
version: 1
rules:
  - {name: Low, metric: failure_streak, by: channel, at_least: 5, severity: error, keep_firing_for: 30s}
",
    );
    let scope = Scope::overall()
        .with(super::super::Dimension::Channel, "a")
        .with(super::super::Dimension::Provider, "alipay");
    let reading = |streak: u32, outcomes: u32, second: i64| {
        let Reading::Known(mut seen) = seen(outcomes, 0, second) else {
            panic!("known")
        };
        let span = seen.spans[&60].clone();
        seen.spans.insert(1_800, span);
        seen.failure_streak = streak;
        BTreeMap::from([(scope.clone(), Reading::Known(seen))])
    };
    world.look_at("Low", 0, &reading(4, 10, 0));
    assert_eq!(world.state(), "none");
    world.look_at("Low", 1, &reading(5, 10, 1));
    assert_eq!(world.state(), "firing");
    // A monitor that was started anew has seen nothing.
    world.look_at("Low", 2, &reading(0, 0, 2));
    assert_eq!(world.state(), "firing");
    world.look_at("Low", 3, &reading(0, 1, 3));
    assert_eq!(world.state(), "recovering");
}
