//! The control state: one change after the other, each of them in the audit log.

use std::collections::HashSet;
use std::sync::Arc;

use domain::catalogue::{Catalogue, Shared};
use domain::clock::ManualClock;
use domain::control::{Actor, Change, Control, Kind, Refused};
use domain::suspension::Scope;

use super::sample::at;
use crate::control::{Audited, ChangeError, Changed, ControlStore, Editor, Imported, Write, verify};

type Store = Arc<dyn ControlStore>;

pub(crate) const CHANNELS: &str = "
channels:
  - {id: a, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
  - {id: b, provider: alipay, methods: [pay], currencies: [CNY], timeout_ms: 5000, accounts: [{id: main}]}
";

pub(crate) const POLICY: &str = "{version: 1, name: first, timezone: UTC, default: {priority: [a, b]}}";
const OTHER_POLICY: &str = "{version: 2, name: second, timezone: UTC, default: {priority: [b, a]}}";

pub(crate) fn editor(store: &Store) -> Editor {
    let clock = ManualClock::at(at(1_000));
    Editor::new(
        Arc::clone(store),
        Shared::new(Catalogue::built_in().unwrap()),
        Arc::new(clock),
    )
}

fn ann() -> Actor {
    Actor::new("ann").unwrap()
}

pub(crate) async fn imported(store: &Store) -> Editor {
    let editor = editor(store);
    let answer = editor.import(CHANNELS, POLICY).await.unwrap();
    assert!(matches!(answer, Imported::New(_)));
    editor
}

pub(crate) fn suspend(channel: &str, reason: &str) -> Change {
    Change::Suspend {
        scope: Scope {
            channel: Some(channel.parse().unwrap()),
            ..Scope::default()
        },
        reason: reason.to_owned(),
        from: None,
        until: None,
    }
}

async fn present(store: &Store) -> Control {
    store.control().await.unwrap().unwrap()
}

pub(crate) async fn an_empty_store_has_no_control_state(store: Store) {
    assert_eq!(store.control().await.unwrap(), None);
    assert_eq!(store.revision().await.unwrap(), 0);
    let refused = editor(&store).make(suspend("a", "r"), &ann(), None).await;
    assert!(matches!(refused, Err(ChangeError::Refused(Refused::NotImported))));
    assert!(matches!(
        verify(&*store).await.unwrap(),
        Audited::Whole { entries: 0, .. }
    ));
}

pub(crate) async fn a_change_is_read_as_it_was_answered(store: Store) {
    let editor = imported(&store).await;
    let applied = editor
        .make(suspend("a", "maintenance"), &ann(), Some(1))
        .await
        .unwrap();
    assert_eq!(present(&store).await, applied.control);
    assert_eq!(store.revision().await.unwrap(), 2);
    let [entry, first] = store.audit(None, 10).await.unwrap().try_into().unwrap();
    assert_eq!((&*first.action, first.actor.as_str()), ("import", "file"));
    assert_eq!(
        (&*entry.action, entry.actor.as_str(), entry.revision),
        ("suspend", "ann", 2)
    );
    assert!(
        entry.before.contains(r#""suspension 2":null"#),
        "{}",
        entry.before
    );
    assert!(entry.after.contains("maintenance"), "{}", entry.after);
    assert_eq!(entry.previous, first.digest);
}

pub(crate) async fn a_stale_change_changes_nothing(store: Store) {
    let editor = imported(&store).await;
    let slow = editor
        .preview(suspend("a", "slow"), &ann(), Some(1))
        .await
        .unwrap();
    let before = present(&store).await;
    let slow = Write::of(Some(&before), &slow, &suspend("a", "slow"), &ann(), at(1_000));
    editor.make(suspend("b", "fast"), &ann(), None).await.unwrap();
    let after = present(&store).await;

    assert_eq!(store.change(&slow).await.unwrap(), Changed::Stale { current: 2 });
    let refused = editor.make(suspend("a", "slow"), &ann(), Some(1)).await;
    assert!(matches!(
        refused,
        Err(ChangeError::Stale {
            expected: 1,
            current: 2
        })
    ));
    assert_eq!(present(&store).await, after);
    assert_eq!(store.audit(None, 10).await.unwrap().len(), 2);
}

pub(crate) async fn policies_are_kept_by_version(store: Store) {
    let editor = imported(&store).await;
    let add = Change::AddPolicy {
        text: OTHER_POLICY.to_owned(),
        note: "b is cheaper".to_owned(),
    };
    let added = editor.make(add, &ann(), None).await.unwrap();
    assert_eq!(
        (added.control.latest_policy, added.control.policy.version),
        (2, 1)
    );
    let versions = |headings: Vec<crate::control::Heading>| -> Vec<u64> {
        headings.iter().map(|heading| heading.version).collect()
    };
    let all = store.documents(Kind::Policy, None, 10).await.unwrap();
    assert_eq!(all[0].note, "b is cheaper");
    assert_eq!(versions(all), [2, 1]);
    assert_eq!(
        versions(store.documents(Kind::Policy, Some(2), 10).await.unwrap()),
        [1]
    );
    assert_eq!(
        versions(store.documents(Kind::Channels, None, 10).await.unwrap()),
        [1]
    );
    let stored = store.document(Kind::Policy, 2).await.unwrap().unwrap();
    assert_eq!(&*stored.text, OTHER_POLICY);
    assert_eq!(store.document(Kind::Policy, 3).await.unwrap(), None);

    let activate = Change::ActivatePolicy { version: 2 };
    let active = editor.make(activate, &ann(), None).await.unwrap();
    assert_eq!(active.assembled.policy.name(), "second");
    assert_eq!(present(&store).await.policy, stored);
    let back = editor.make(Change::RollBackPolicy, &ann(), None).await.unwrap();
    assert_eq!(back.assembled.policy.name(), "first");
    let unknown = Change::ActivatePolicy { version: 9 };
    let refused = editor.make(unknown, &ann(), None).await;
    assert!(matches!(
        refused,
        Err(ChangeError::Refused(Refused::UnknownPolicy(9)))
    ));
}

pub(crate) async fn files_are_imported_once_and_again_when_they_change(store: Store) {
    let editor = imported(&store).await;
    editor.make(suspend("a", "by hand"), &ann(), None).await.unwrap();
    let put = Change::PutChannels {
        text: format!("# by hand\n{CHANNELS}"),
    };
    editor.make(put, &ann(), None).await.unwrap();
    let unchanged = editor.import(CHANNELS, POLICY).await.unwrap();
    assert!(matches!(unchanged, Imported::Unchanged));
    assert!(present(&store).await.channels.text.starts_with("# by hand"));

    let Imported::New(changed) = editor.import(CHANNELS, OTHER_POLICY).await.unwrap() else {
        panic!("the files are other ones");
    };
    assert_eq!(&*changed.control.channels.text, CHANNELS);
    assert_eq!(changed.control.policies_before, [1]);
    assert_eq!(changed.control.suspensions.len(), 1, "what was set by hand stays");
    assert_eq!(present(&store).await, changed.control);
}

pub(crate) async fn eight_at_once_change_one_after_the_other(store: Store) {
    const EACH: usize = 5;
    let editor = imported(&store).await;
    let mut heard = store.revisions();
    heard.mark_unchanged();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let editor = editor.clone();
        tasks.spawn(async move {
            for number in 0..EACH {
                let change = suspend("a", &format!("{task}/{number}"));
                while let Err(error) = editor.make(change.clone(), &ann(), None).await {
                    assert!(matches!(error, ChangeError::Contended), "{error}");
                }
            }
        });
    }
    tasks.join_all().await;

    let entries = store.audit(None, 100).await.unwrap();
    let revisions: Vec<u64> = entries.iter().rev().map(|entry| entry.revision).collect();
    assert_eq!(revisions, (1..=41).collect::<Vec<u64>>());
    let control = present(&store).await;
    let reasons: HashSet<&str> = control
        .suspensions
        .iter()
        .map(|standing| &*standing.suspension.reason)
        .collect();
    assert_eq!((control.revision, reasons.len()), (41, 8 * EACH));
    for reason in reasons {
        let told = |entry: &&crate::control::AuditEntry| entry.after.contains(&format!("\"{reason}\""));
        assert_eq!(entries.iter().filter(told).count(), 1, "{reason}");
    }
    assert!(matches!(
        verify(&*store).await.unwrap(),
        Audited::Whole { entries: 41, .. }
    ));
    heard.wait_for(|revision| *revision == 41).await.unwrap();
}
