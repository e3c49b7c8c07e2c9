//! The spool on a real disk: what it keeps, what it gives back, and what it does with damage.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use tempfile::TempDir;

use super::fault::Step;
use super::*;
use crate::attempt::AttemptRecord;
use crate::conformance::sample;

mod crash;
mod property;

/// A spool that rolls its segments after about one record each.
pub(crate) fn settings(folder: &TempDir) -> Settings {
    Settings {
        folder: folder.path().join("spool"),
        max_bytes: 64 * 1024,
    }
}

fn open(folder: &TempDir) -> Spool {
    Spool::open(&settings(folder)).unwrap()
}

/// A batch of one attempt of that name.
fn batch(name: &str) -> Batch {
    Batch {
        attempts: vec![sample::attempt(name)],
        ..Batch::default()
    }
}

/// Takes everything out, in portions of `entries`, and gives the names of the attempts in their order.
fn drain(spool: &mut Spool, entries: usize) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(portion) = spool.next(entries).unwrap() {
        names.extend(portion.batch.attempts.iter().map(|a| a.attempt.to_string()));
        spool.advance(portion.upto);
    }
    names
}

fn files(folder: &TempDir, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(settings(folder).folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

fn change_byte(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_kept_comes_out_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    let mixed = Batch {
        decisions: vec![sample::decision(1, "p1")],
        ..batch("a")
    };
    assert_eq!(spool.keep(&mixed).unwrap(), [Recorded::New]);
    spool.keep(&batch("b")).unwrap();
    let portion = spool.next(1).unwrap().unwrap();
    assert_eq!(portion.batch.attempts, mixed.attempts);
    assert_eq!(portion.batch.decisions, mixed.decisions);
    spool.advance(portion.upto);
    assert_eq!(drain(&mut spool, 1), ["b"]);
}

#[test]
fn a_portion_is_as_large_as_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    for name in ["a", "b", "c", "d"] {
        spool.keep(&batch(name)).unwrap();
    }
    assert_eq!(spool.next(3).unwrap().unwrap().batch.attempts.len(), 3);
    assert_eq!(spool.next(9).unwrap().unwrap().batch.attempts.len(), 4);
}

#[test]
fn an_empty_spool_has_no_segments() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    spool.keep(&batch("a")).unwrap();
    assert_eq!(files(&folder, ".log").len(), 1);
    drain(&mut spool, 1);
    assert!(files(&folder, ".log").is_empty());
    assert_eq!(spool.usage(), Usage::default());
}

#[test]
fn a_restart_drains_exactly_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    for name in ["a", "b", "c", "d"] {
        spool.keep(&batch(name)).unwrap();
    }
    let portion = spool.next(2).unwrap().unwrap();
    spool.advance(portion.upto);
    let left = spool.usage();
    drop(spool);
    let mut spool = open(&folder);
    assert_eq!(spool.usage(), left);
    let portion = spool.next(9).unwrap().unwrap();
    assert_eq!(portion.inherited, 2);
    assert_eq!(drain(&mut spool, 9), ["c", "d"]);
}

#[test]
fn a_report_that_waits_is_known_again_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    spool.keep(&batch("a")).unwrap();
    drop(spool);
    let mut spool = open(&folder);
    let bytes = spool.usage().bytes;
    let again = spool.keep(&batch("a")).unwrap();
    assert_eq!(again, [Recorded::Duplicate(Box::new(sample::attempt("a")))]);
    let other = Batch {
        attempts: vec![AttemptRecord {
            digest: [9; 32],
            case: None,
            notices: Vec::new(),
            ..sample::attempt("a")
        }],
        ..Batch::default()
    };
    assert_eq!(spool.keep(&other).unwrap(), [Recorded::Conflict]);
    assert_eq!(spool.usage().bytes, bytes, "neither was spooled again");
    assert_eq!(drain(&mut spool, 9), ["a"]);
}

#[test]
fn past_the_bound_it_is_full_until_something_is_drained() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    let mut kept = 0;
    let refused = loop {
        match spool.keep(&batch(&format!("a{kept}"))) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, LedgerError::SpoolFull { max_bytes: 65_536 }),
        "{refused:?}"
    );
    assert!(spool.usage().bytes <= 65_536);
    let portion = spool.next(10).unwrap().unwrap();
    spool.advance(portion.upto);
    spool.keep(&batch("again")).unwrap();
    assert_eq!(
        drain(&mut spool, 9).len(),
        kept - portion.batch.attempts.len() + 1
    );
}

#[test]
fn a_full_disk_is_an_error_and_costs_nothing_that_was_kept() {
    for step in [Step::RecordWritten, Step::RecordSynced, Step::FolderSynced] {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(&folder);
        spool.keep(&batch("a")).unwrap();
        spool.open = None;
        spool.faults.error_at(step, ErrorKind::StorageFull);
        let refused = spool.keep(&batch("b"));
        assert!(
            matches!(refused, Err(LedgerError::Full { .. })),
            "{step:?}: {refused:?}"
        );
        assert_eq!(spool.keep(&batch("b")).unwrap(), [Recorded::New]);
        drop(spool);
        assert_eq!(drain(&mut open(&folder), 9), ["a", "b"], "{step:?}");
    }
}

#[test]
fn a_disk_that_fails_is_unavailable_and_its_segment_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&Settings {
        max_bytes: MAX_BYTES,
        ..settings(&folder)
    })
    .unwrap();
    spool.keep(&batch("a")).unwrap();
    spool.faults.error_at(Step::RecordSynced, ErrorKind::Other);
    spool.faults.error_at(Step::TailCut, ErrorKind::Other);
    let refused = spool.keep(&batch("b"));
    assert!(
        matches!(refused, Err(LedgerError::Unavailable { .. })),
        "{refused:?}"
    );
    spool.keep(&batch("c")).unwrap();
    assert_eq!(files(&folder, ".log").len(), 2);
    assert_eq!(drain(&mut spool, 9), ["a", "c"]);
}

#[test]
fn two_processes_never_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    let second = Spool::open(&settings(&folder));
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    drop(first);
    open(&folder);
}

#[test]
fn damage_in_the_middle_is_kept_for_people_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let roomy = Settings {
        max_bytes: MAX_BYTES,
        ..settings(&folder)
    };
    let mut spool = Spool::open(&roomy).unwrap();
    for name in ["a", "b", "c"] {
        spool.keep(&batch(name)).unwrap();
    }
    let segments = files(&folder, ".log");
    assert_eq!(segments.len(), 1);
    let third = usize::try_from(spool.usage().bytes).unwrap() / 3;
    drop(spool);
    change_byte(&segments[0], third + 100);
    let mut spool = Spool::open(&roomy).unwrap();
    assert_eq!(drain(&mut spool, 9), ["a", "c"]);
    assert!(files(&folder, ".log").is_empty());
    let bad = files(&folder, ".log.bad");
    assert_eq!(bad.len(), 1);
    let kept = fs::read(&bad[0]).unwrap();
    assert!(kept.windows(4).any(|window| window == b"\"b\",".as_slice()));
}

#[test]
fn damage_that_comes_while_it_waits_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    for name in ["a", "b", "c"] {
        spool.keep(&batch(name)).unwrap();
    }
    // In a spool this small each record has a segment of its own, or shares it with one more.
    let segment = spool.segments.back().unwrap();
    let offset = usize::try_from(segment.waiting.back().unwrap().offset).unwrap();
    change_byte(&segment.path.clone(), offset + 50);
    assert_eq!(drain(&mut spool, 1), ["a", "b"]);
    assert_eq!(spool.usage(), Usage::default());
    assert_eq!(files(&folder, ".log.bad").len(), 1);
}

#[test]
fn what_a_later_release_wrote_is_not_lost_on_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    spool.keep(&batch("a")).unwrap();
    drop(spool);
    let path = &files(&folder, ".log")[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[3] = 2;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[3..4]);
    sum.update(&bytes[4..16]);
    sum.update(&bytes[20..]);
    let sum = sum.finalize().to_le_bytes();
    bytes[16..20].copy_from_slice(&sum);
    fs::write(path, bytes).unwrap();
    let refused = Spool::open(&settings(&folder));
    assert!(
        matches!(refused, Err(OpenError::Newer { version: 2, .. })),
        "{refused:?}"
    );
}

#[test]
fn what_the_ledger_never_takes_is_kept_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&folder);
    let refused = Refused {
        because: "too long".to_owned(),
        entry: Entry::Attempt(Box::new(sample::attempt("a"))),
    };
    spool.set_aside(7, &[refused]).unwrap();
    let text = fs::read_to_string(&files(&folder, ".refused.bad")[0]).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept[0]["because"], "too long");
    assert_eq!(kept[0]["attempt"]["attempt"], "a");
}
