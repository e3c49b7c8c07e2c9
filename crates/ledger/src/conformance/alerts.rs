//! Alerts and incidents: one open incident for each alert, whoever races, and every act in the audit log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::alert::Matcher;
use domain::control::Actor;
use serde_json::{Value, json};
use uuid::Uuid;

use super::sample::at;
use crate::alert::{
    Act, Acted, Advance, Advanced, AlertStore, Book, Deed, Direction, Entry, Group, Incident, Instance,
    Resolution, Run, Search, Silence,
};
use crate::control::{Audited, ControlStore, verify};
use crate::delivery::{Class, Deliveries, Filter, NewDelivery};

/// A store of alerts with the audit log beside it.
#[derive(Clone)]
pub(crate) struct Both {
    pub(crate) alerts: Arc<dyn AlertStore>,
    pub(crate) control: Arc<dyn ControlStore>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
}

fn ann() -> Actor {
    Actor::new("ann").unwrap()
}

fn labels(channel: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("channel".to_owned(), channel.to_owned())])
}

fn instance(fingerprint: &str, state: &str) -> Instance {
    Instance {
        fingerprint: fingerprint.to_owned(),
        rule: "SuccessRateLow".to_owned(),
        state: state.to_owned(),
        since: at(7),
        generation: 1,
        content: json!({"flapping": false}),
    }
}

fn incident(number: u128, fingerprint: &str) -> Incident {
    Incident {
        id: Uuid::from_u128(number),
        fingerprint: fingerprint.to_owned(),
        rule: "SuccessRateLow".to_owned(),
        severity: "critical".to_owned(),
        labels: labels(fingerprint),
        title: format!("success rate of {fingerprint} is 81 %"),
        generation: 1,
        opened_at: at(i64::try_from(number).unwrap() * 1_000),
        resolved: None,
        acknowledged: None,
        closed: None,
        impact: json!({"failed": 12}),
        cause: String::new(),
        lesson: String::new(),
        tags: Vec::new(),
    }
}

fn entry(number: u128, key: &str) -> Entry {
    Entry {
        incident: Uuid::from_u128(number),
        key: key.to_owned(),
        at: at(9),
        kind: "fired".to_owned(),
        actor: None,
        text: "it fired".to_owned(),
        content: Value::Null,
    }
}

fn page(number: u128, fingerprint: &str) -> NewDelivery {
    NewDelivery {
        id: Uuid::from_u128(number),
        receiver: "oncall".to_owned(),
        order_key: fingerprint.to_owned(),
        dedup_key: format!("{fingerprint}/1"),
        class: Class::Page,
        ends: false,
        message: json!({}),
        created_at: at(9),
        due_at: at(9),
    }
}

fn firing(revision: u64, number: u128, fingerprint: &str) -> Advance {
    Advance {
        revision,
        instances: vec![instance(fingerprint, "firing")],
        groups: vec![Group {
            key: "g".to_owned(),
            content: json!([1]),
        }],
        opened: vec![incident(number, fingerprint)],
        entries: vec![entry(number, "fired 1")],
        deliveries: vec![page(number, fingerprint)],
        ..Advance::default()
    }
}

fn resolved(revision: u64, number: u128, fingerprint: &str) -> Advance {
    Advance {
        revision,
        at_rest: vec![fingerprint.to_owned()],
        empty_groups: vec!["g".to_owned()],
        resolved: vec![Resolution {
            incident: Uuid::from_u128(number),
            at: at(5_000_000),
            how: "recovered".to_owned(),
        }],
        ..Advance::default()
    }
}

/// The order keys of what is to be told.
async fn told(store: &Both) -> Vec<String> {
    let filter = Filter {
        limit: 100,
        ..Filter::default()
    };
    let records = store.deliveries.list(&filter).await.unwrap();
    records.into_iter().map(|record| record.order_key).collect()
}

async fn act(store: &Both, deed: Deed) -> Acted {
    let act = Act {
        deed,
        by: ann(),
        at: at(8_000_000),
    };
    store.alerts.act(&act).await.unwrap()
}

fn any() -> Search {
    Search {
        words: Vec::new(),
        rule: None,
        open: false,
        before: None,
        limit: 100,
    }
}

async fn whole_log(store: &Both, expected: u64) {
    let audited = verify(&*store.control).await.unwrap();
    assert!(
        matches!(audited, Audited::Whole { entries, .. } if entries == expected),
        "{audited:?}"
    );
}

pub(crate) async fn what_was_advanced_is_on_the_board(store: Both) {
    let alerts = &store.alerts;
    let empty = alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!(
        (empty.revision, empty.rules, empty.instances),
        (0, None, Vec::new())
    );
    assert_eq!(alerts.board(Some(0), at(0)).await.unwrap(), None);
    let done = alerts.advance(&firing(0, 1, "a")).await.unwrap();
    assert_eq!(done, Advanced::Done { revision: 1 });
    let board = alerts.board(Some(0), at(0)).await.unwrap().unwrap();
    assert_eq!(board.revision, 1);
    assert_eq!(board.instances, [instance("a", "firing")]);
    assert_eq!(board.groups[0].content, json!([1]));
    assert_eq!(board.open, [incident(1, "a")]);
    let (found, timeline) = alerts.incident(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!((found, timeline), (incident(1, "a"), vec![entry(1, "fired 1")]));
    assert_eq!(alerts.incident(Uuid::from_u128(2)).await.unwrap(), None);

    assert_eq!(
        alerts.advance(&resolved(1, 1, "a")).await.unwrap(),
        Advanced::Done { revision: 2 }
    );
    let board = alerts.board(Some(1), at(0)).await.unwrap().unwrap();
    assert_eq!(
        (board.instances, board.groups, board.open),
        (vec![], vec![], vec![])
    );
    let (found, _) = alerts.incident(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(found.resolved, Some((at(5_000_000), "recovered".to_owned())));
}

pub(crate) async fn a_stale_advance_writes_nothing(store: Both) {
    let alerts = &store.alerts;
    alerts.advance(&firing(0, 1, "a")).await.unwrap();
    assert_eq!(alerts.advance(&firing(0, 2, "b")).await.unwrap(), Advanced::Stale);
    // One that is right about the revision and wrong about the alert.
    let mut second = firing(1, 2, "a");
    second.instances[0].state = "pending".to_owned();
    assert_eq!(alerts.advance(&second).await.unwrap(), Advanced::Stale);
    let mut again = resolved(1, 7, "a");
    again.at_rest.clear();
    assert_eq!(alerts.advance(&again).await.unwrap(), Advanced::Stale);
    let board = alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!((board.revision, board.open.len()), (1, 1));
    assert_eq!(
        told(&store).await,
        ["a"],
        "nothing is told of what is not written"
    );
    assert_eq!(board.instances, [instance("a", "firing")]);
}

pub(crate) async fn thirty_two_evaluators_open_one_incident_for_each_alert(store: Both) {
    const ALERTS: u128 = 10;
    let race = |evaluator: u128| {
        let alerts = Arc::clone(&store.alerts);
        tokio::spawn(async move {
            let mut done = 0;
            for alert in 0..ALERTS {
                // Each has seen that the alert does not fire, and goes on until somebody was first.
                loop {
                    let board = alerts.board(None, at(0)).await.unwrap().unwrap();
                    let fingerprint = format!("f{alert}");
                    if board.open.iter().any(|open| open.fingerprint == fingerprint) {
                        break;
                    }
                    let mut advance = firing(board.revision, evaluator * ALERTS + alert + 1, &fingerprint);
                    advance.groups.clear();
                    if alerts.advance(&advance).await.unwrap() != Advanced::Stale {
                        done += 1;
                    }
                }
            }
            done
        })
    };
    let racers: Vec<_> = (0..32).map(race).collect();
    let mut done = 0;
    for racer in racers {
        done += racer.await.unwrap();
    }
    assert_eq!(done, 10);
    let all = store.alerts.incidents(&any()).await.unwrap();
    let mut fingerprints: Vec<_> = all.into_iter().map(|incident| incident.fingerprint).collect();
    fingerprints.sort();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 10);
    assert_eq!(told(&store).await.len(), 10);
}

pub(crate) async fn people_act_and_every_act_is_audited(store: Both) {
    let id = Uuid::from_u128(1);
    let acknowledge = || Deed::Acknowledge { incident: id };
    let close = || Deed::Close {
        incident: id,
        cause: "certificate of Bank_A ran out".to_owned(),
        lesson: "watch certificates".to_owned(),
        tags: vec!["tls".to_owned()],
    };
    assert_eq!(act(&store, acknowledge()).await, Acted::Unknown);
    whole_log(&store, 0).await;
    store.alerts.advance(&firing(0, 1, "a")).await.unwrap();
    assert_eq!(act(&store, acknowledge()).await, Acted::Done { version: 0 });
    assert_eq!(act(&store, close()).await, Acted::TooLate, "it still goes on");
    let note = Deed::Note {
        incident: id,
        text: "called the bank: 100% down".to_owned(),
    };
    assert_eq!(act(&store, note).await, Acted::Done { version: 0 });
    let board = store.alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!(board.revision, 3, "an evaluator hears of each");
    store.alerts.advance(&resolved(3, 1, "a")).await.unwrap();
    assert_eq!(act(&store, acknowledge()).await, Acted::TooLate);
    assert_eq!(act(&store, close()).await, Acted::Done { version: 0 });
    let (found, timeline) = store.alerts.incident(id).await.unwrap().unwrap();
    assert_eq!(found.acknowledged, Some((at(8_000_000), ann())));
    assert_eq!(found.closed, Some((at(8_000_000), ann())));
    assert_eq!(
        (found.lesson.as_str(), found.tags),
        ("watch certificates", vec!["tls".to_owned()])
    );
    let mut kinds: Vec<_> = timeline.iter().map(|entry| entry.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["acknowledged", "closed", "fired", "note"]);
    whole_log(&store, 3).await;
}

pub(crate) async fn incidents_are_found_by_their_words(store: Both) {
    for number in 1..=4 {
        let revision = u64::try_from(number - 1).unwrap();
        store
            .alerts
            .advance(&firing(revision, number, &format!("bank_{number}")))
            .await
            .unwrap();
    }
    store.alerts.advance(&resolved(4, 2, "bank_2")).await.unwrap();
    let note = Deed::Note {
        incident: Uuid::from_u128(3),
        text: "证书过期 100%".to_owned(),
    };
    act(&store, note).await;
    let find = async |search: Search| -> Vec<u128> {
        let found = store.alerts.incidents(&search).await.unwrap();
        found.into_iter().map(|incident| incident.id.as_u128()).collect()
    };
    let words = |words: &[&str]| Search {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ..any()
    };
    assert_eq!(find(any()).await, [4, 3, 2, 1]);
    assert_eq!(find(Search { open: true, ..any() }).await, [4, 3, 1]);
    assert_eq!(find(words(&["BANK_2"])).await, [2]);
    assert_eq!(find(words(&["bank%2"])).await, [0_u128; 0]);
    assert_eq!(find(words(&["success", "证书", "100%"])).await, [3]);
    let rule = |rule: &str| Search {
        rule: Some(rule.to_owned()),
        ..any()
    };
    assert_eq!(find(rule("Other")).await, [0_u128; 0]);
    let page = Search { limit: 2, ..any() };
    assert_eq!(find(page.clone()).await, [4, 3]);
    let before = Some((at(3_000), Uuid::from_u128(3)));
    assert_eq!(find(Search { before, ..page }).await, [2, 1]);
}

pub(crate) async fn a_silence_is_on_the_board_until_it_ends(store: Both) {
    let silence = Silence {
        id: Uuid::from_u128(5),
        matchers: vec![Matcher::is("channel", "a")],
        reason: "maintenance".to_owned(),
        author: ann(),
        created_at: at(0),
        from: at(10),
        until: at(20_000_000),
        ended: None,
    };
    act(&store, Deed::Silence(silence.clone())).await;
    let on_board = async |now| {
        let board = store.alerts.board(None, now).await.unwrap().unwrap();
        board.silences
    };
    assert_eq!(on_board(at(0)).await, std::slice::from_ref(&silence));
    assert_eq!(on_board(at(20_000_000)).await, []);
    let end = |number| Deed::EndSilence {
        silence: Uuid::from_u128(number),
    };
    assert_eq!(act(&store, end(6)).await, Acted::Unknown);
    assert_eq!(act(&store, end(5)).await, Acted::Done { version: 0 });
    assert_eq!(act(&store, end(5)).await, Acted::TooLate);
    assert_eq!(on_board(at(0)).await, []);
    let ended = Silence {
        ended: Some((at(8_000_000), ann())),
        ..silence
    };
    assert_eq!(store.alerts.silences(10).await.unwrap(), [ended]);
    whole_log(&store, 2).await;
}

pub(crate) async fn rules_are_kept_by_version_and_the_latest_is_in_force(store: Both) {
    let rules = |text: &str, expected| Deed::Put {
        book: Book::Rules,
        text: text.to_owned(),
        note: "n".to_owned(),
        expected,
    };
    assert_eq!(
        act(&store, rules("one", Some(0))).await,
        Acted::Done { version: 1 }
    );
    assert_eq!(act(&store, rules("late", Some(0))).await, Acted::TooLate);
    assert_eq!(act(&store, rules("two", None)).await, Acted::Done { version: 2 });
    // Runbooks have versions of their own.
    let runbooks = Deed::Put {
        book: Book::Runbooks,
        text: "three".to_owned(),
        note: String::new(),
        expected: Some(0),
    };
    assert_eq!(act(&store, runbooks).await, Acted::Done { version: 1 });
    let edition = async |book, version| store.alerts.edition(book, version).await.unwrap();
    let in_force = edition(Book::Rules, None).await.unwrap();
    assert_eq!((in_force.version, in_force.text.as_str()), (2, "two"));
    assert_eq!(edition(Book::Rules, Some(1)).await.unwrap().text, "one");
    assert_eq!(edition(Book::Rules, Some(3)).await, None);
    assert_eq!(edition(Book::Runbooks, Some(1)).await.unwrap().text, "three");
    let board = store.alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!(board.rules, Some(in_force));
    assert_eq!(board.runbooks.unwrap().text, "three");
    whole_log(&store, 3).await;
}

pub(crate) async fn a_run_is_there_once_and_outlasts_its_incident(store: Both) {
    let id = Uuid::from_u128(1);
    let run = |content: Value, is_over| Run {
        incident: id,
        runbook: "backup".to_owned(),
        is_over,
        content,
    };
    let direct = |before: Value| Deed::Direct {
        direction: Direction::Apply,
        run: run(json!({"by": "ann"}), false),
        before,
    };
    assert_eq!(act(&store, direct(Value::Null)).await, Acted::Unknown);
    let mut begun = firing(0, 1, "a");
    begun.runs.push(run(json!({"by": null}), false));
    store.alerts.advance(&begun).await.unwrap();
    assert_eq!(act(&store, direct(json!({"other": 1}))).await, Acted::TooLate);
    assert_eq!(
        act(&store, direct(json!({"by": null}))).await,
        Acted::Done { version: 0 }
    );
    assert_eq!(
        act(&store, direct(json!({"by": null}))).await,
        Acted::TooLate,
        "a second click finds it under way"
    );
    store.alerts.advance(&resolved(2, 1, "a")).await.unwrap();
    let board = store.alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!(
        (board.open, board.runs),
        (vec![], vec![run(json!({"by": "ann"}), false)])
    );
    let ended = Advance {
        revision: board.revision,
        runs: vec![run(json!({"done": 1}), true)],
        ..Advance::default()
    };
    store.alerts.advance(&ended).await.unwrap();
    let board = store.alerts.board(None, at(0)).await.unwrap().unwrap();
    assert_eq!(board.runs, []);
    assert_eq!(
        store.alerts.runs(id).await.unwrap(),
        [run(json!({"done": 1}), true)]
    );
    assert_eq!(
        act(&store, direct(json!({"done": 1}))).await,
        Acted::TooLate,
        "it is over"
    );
    let (_, timeline) = store.alerts.incident(id).await.unwrap().unwrap();
    assert!(
        timeline
            .iter()
            .any(|line| line.text == "runbook backup is to be applied")
    );
    whole_log(&store, 1).await;
}

pub(crate) async fn a_lease_is_kept_by_who_holds_it(store: Both) {
    let term = Duration::from_mins(1);
    assert!(store.alerts.lease("evaluator", "a", term).await.unwrap());
    assert!(store.alerts.lease("evaluator", "a", term).await.unwrap());
}
