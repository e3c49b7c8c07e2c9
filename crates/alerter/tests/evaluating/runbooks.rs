//! Runbooks at work: once, whoever looks and whoever dies, and until their time is up.

use std::time::Duration;

use domain::control::{Change, LimitSetting};
use futures_util::future::join_all;
use ledger::alert::{Acted, Deed, Direction};
use payroute_alerter::evaluator::Evaluator;

use crate::stand::{RULES, Stand};

const ALL: &str = "
version: 1
runbooks:
  - name: leave
    on: [Failing]
    run: automatically
    steps:
      - {suspend: {channel: '{channel}', issuer: icbc}, for: 30m}
      - {activate_policy: standby, for: 2h}
      - {lower_limit: {limit: cap, to: 50%}, for: 1h}
      - {suspend: {channel: '{channel}', region: '{region}'}, for: 30m}
      - {notify: [oncall], text: c0 is left for ICBC}
";

const STANDBY: &str = "{version: 2, name: standby, timezone: UTC, default: {priority: [c1]}}";

async fn with_standby(channels: usize) -> Stand {
    let stand = Stand::on_file(channels).await;
    prepare(&stand, STANDBY).await;
    stand
}

async fn prepare(stand: &Stand, policy: &str) {
    let (text, note) = (policy.to_owned(), String::new());
    stand.change(Change::AddPolicy { text, note }).await;
}

/// The most that the limit allows, where it was set.
fn cap(control: &domain::control::Control) -> Option<i64> {
    let setting = control.limits.iter().find(|setting| setting.id() == "cap")?;
    match setting {
        LimitSetting::Most { most, .. } => Some(*most),
        LimitSetting::Rule(rule) => Some(rule.most),
    }
}

#[tokio::test]
async fn a_runbook_is_applied_when_its_alert_fires_and_every_step_ends_at_its_time() {
    let stand = with_standby(2).await;
    let mut evaluator = stand.with_runbooks(RULES, ALL);
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    let control = stand.set().await;
    let [suspension] = &control.suspensions[..] else {
        panic!("{:?}", control.suspensions);
    };
    assert_eq!(suspension.suspension.scope.issuer.as_deref(), Some("icbc"));
    assert_eq!(suspension.suspension.reason, "runbook leave for Failing");
    assert_eq!(
        suspension.suspension.author,
        format!("runbook leave, incident {}", incident.id)
    );
    assert_eq!((control.policy.version, cap(&control)), (2, Some(10)));
    // Nothing more of it, however often somebody looks.
    for _ in 0..3 {
        stand.pass(1);
        stand.health(&[("c0", 5)]);
        evaluator.tick().await;
    }
    assert_eq!(stand.set().await.revision, control.revision);
    let told = stand.told("oncall").await;
    assert_eq!(told.len(), 2, "the page and the note");
    assert_eq!(told[0].order_key, told[1].order_key);
    let page = stand.moody.written.lock()[0].clone();
    assert!(page.contains("Runbook leave is at work"), "{page}");
    // Another process: what was made ends, each at its time, also after the incident.
    let mut evaluator = stand.with_runbooks(RULES, ALL);
    for (mins, policy, limit) in [(31, 2, Some(10)), (30, 2, None), (61, 1, None)] {
        stand.pass(mins * 60);
        stand.health(&[]);
        evaluator.tick().await;
        let control = stand.set().await;
        assert_eq!((control.policy.version, cap(&control)), (policy, limit), "{mins}");
    }
    let lines = stand.runbook_lines(&incident).await.join("\n");
    for line in [
        "runbook leave begins",
        "suspend channel c0, issuer icbc, until",
        "its time is up: suspend channel c0, issuer icbc",
        "step 4 is not done: the alert has no label `region`",
        "told oncall: c0 is left for ICBC",
        "its time is up, and it is as it was before: activate policy standby",
        "its time is up, and it is as it was before: lower limit cap from 20 to 10",
    ] {
        assert!(lines.contains(line), "{line} is not in\n{lines}");
    }
    assert!(stand.moody.store.runs(incident.id).await.unwrap()[0].is_over);
}

#[tokio::test]
async fn the_only_channel_is_not_suspended_and_what_people_changed_is_left_alone() {
    let stand = Stand::on_file(1).await;
    prepare(&stand, &STANDBY.replace("c1", "c0")).await;
    let mut evaluator = stand.with_runbooks(RULES, ALL);
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    let [incident] = stand.incidents().await.try_into().unwrap();
    let lines = stand.runbook_lines(&incident).await;
    let refused = "step 1 is not done: method `card` would have no channel left";
    assert!(lines.iter().any(|line| line == refused), "{lines:?}");
    assert!(stand.set().await.suspensions.is_empty());
    let limit = LimitSetting::Most {
        id: "cap".to_owned(),
        most: 7,
    };
    stand.change(Change::SetLimit { limit }).await;
    stand.change(Change::ActivatePolicy { version: 1 }).await;
    stand.pass(3 * 3_600);
    evaluator.tick().await;
    let control = stand.set().await;
    assert_eq!((control.policy.version, cap(&control)), (1, Some(7)));
    let lines = stand.runbook_lines(&incident).await.join("\n");
    assert_eq!(
        lines.matches("somebody has changed it meanwhile").count(),
        2,
        "{lines}"
    );
}

/// Wishes something of the runbook of the latest incident, as the control plane does.
async fn direct(stand: &Stand, direction: Direction) -> Acted {
    let incident = stand.incidents().await.remove(0);
    let mut run = stand.moody.store.runs(incident.id).await.unwrap().remove(0);
    let before = run.content.clone();
    let mut course: domain::runbook::Course = serde_json::from_value(before.clone()).unwrap();
    let ann = domain::control::Actor::new("ann").unwrap();
    match direction {
        Direction::Apply => course.by = Some(ann),
        Direction::Revert => course.back = Some(ann),
    }
    run.content = serde_json::to_value(course).unwrap();
    let deed = Deed::Direct {
        direction,
        run,
        before,
    };
    stand.act(deed).await
}

#[tokio::test]
async fn what_is_offered_waits_for_a_word_and_one_word_takes_it_back() {
    let stand = with_standby(2).await;
    let mut evaluator = stand.with_runbooks(RULES, &ALL.replace("automatically", "on_approval"));
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    let before = stand.set().await;
    assert!(before.suspensions.is_empty(), "nobody has said a word");
    let page = stand.moody.written.lock()[0].clone();
    let incident = stand.incidents().await.remove(0);
    let link = format!("https://pay.example/api/v1/incidents/{}/plans", incident.id);
    assert!(page.contains("Runbook leave waits for your word"), "{page}");
    assert!(page.contains(&link), "{page}");
    assert_eq!(direct(&stand, Direction::Apply).await, Acted::Done { version: 0 });
    stand.pass(1);
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    let control = stand.set().await;
    assert_eq!((control.policy.version, cap(&control)), (2, Some(10)));
    assert_eq!(
        direct(&stand, Direction::Revert).await,
        Acted::Done { version: 0 }
    );
    stand.pass(1);
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    let control = stand.set().await;
    assert_eq!((control.policy.version, cap(&control)), (1, None));
    assert!(
        control
            .suspensions
            .iter()
            .all(|standing| standing.lifted.is_some())
    );
    let incident = stand.incidents().await.remove(0);
    let lines = stand.runbook_lines(&incident).await.join("\n");
    assert_eq!(lines.matches("taken back for ann").count(), 3, "{lines}");
    assert_eq!(direct(&stand, Direction::Revert).await, Acted::TooLate);
}

#[tokio::test]
async fn what_was_offered_and_not_approved_lapses_with_the_alert() {
    let stand = with_standby(2).await;
    let mut evaluator = stand.with_runbooks(RULES, &ALL.replace("automatically", "on_approval"));
    stand.health(&[("c0", 5)]);
    evaluator.tick().await;
    for _ in 0..12 {
        stand.health(&[]);
        stand
            .report("c0", domain::outcome::OutcomeClass::Success, 60)
            .await;
        stand.pass(60);
        evaluator.tick().await;
    }
    let [incident] = stand.incidents().await.try_into().unwrap();
    assert!(incident.resolved.is_some());
    assert!(stand.moody.store.runs(incident.id).await.unwrap()[0].is_over);
    assert_eq!(direct(&stand, Direction::Apply).await, Acted::TooLate);
    assert!(stand.set().await.suspensions.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluators_that_die_at_any_moment_and_eight_at_once_apply_a_runbook_once() {
    let stand = Stand::on_server(2).await;
    prepare(&stand, STANDBY).await;
    let before = stand.set().await.revision;
    stand.health(&[("c0", 5)]);
    // Each is dropped a little later than the one before, in the middle of whatever it does.
    for micros in (0..60).map(|step| step * 900) {
        let mut dying = stand.with_runbooks(RULES, ALL);
        let _dead = tokio::time::timeout(Duration::from_micros(micros), dying.tick()).await;
    }
    let mut rest: Vec<_> = (0..8).map(|_| stand.with_runbooks(RULES, ALL)).collect();
    for _ in 0..3 {
        stand.pass(1);
        stand.health(&[("c0", 5)]);
        join_all(rest.iter_mut().map(Evaluator::tick)).await;
    }
    let control = stand.set().await;
    assert_eq!(control.suspensions.len(), 1);
    assert_eq!((control.policy.version, cap(&control)), (2, Some(10)));
    assert_eq!(control.revision, before + 3, "each change was made once");
    assert_eq!(stand.told("oncall").await.len(), 2);
}
